/* The pixel model: validation, and the inverse index that finds a sample in O(1). */
#include <stdlib.h>

#include "models.h"

static int cdf_is_valid(const uint16_t *cdf) {
    for (uint32_t t = 1; t < EC_FINE_STEPS; t++)
        if (cdf[t] < cdf[t - 1]) return 0;
    return cdf[EC_FINE_STEPS - 1] <= 65536 - 256;
}

/* 4 C(j) - 2 - m = 4 F[t] + t with t = 4 j - 2 - m: free of m but for the residue of t. Entry b of the index
 * is 1 + the number of the last t with 4 F[t] + t + 1022 <= b * 2^EC_PIXEL_SHIFT, or 0 if there is none. */
static void fill_inverse(const uint16_t *cdf, uint16_t *inverse) {
    uint32_t t = 0;
    for (uint32_t b = 0; b < EC_PIXEL_BUCKETS; b++) {
        while (t < EC_FINE_STEPS && 4u * cdf[t] + t <= b << EC_PIXEL_SHIFT) t++;
        inverse[b] = (uint16_t)t;
    }
}

static int tap_is_causal(const int32_t *tap) {
    return tap[1] < 0 || (tap[1] == 0 && (tap[2] < 0 || (tap[2] == 0 && tap[0] < 0)));
}

/* Whether every 32-bit sum of one colour is exact. */
static int sums_fit(const int32_t *weights, uint32_t count, int32_t bias) {
    int64_t most = 32768 * INT64_C(4096) + 32768 + (bias < 0 ? -(int64_t)bias : (int64_t)bias);
    for (uint32_t i = 0; i < count; i++)
        most += 255 * (weights[i] < 0 ? -(int64_t)weights[i] : (int64_t)weights[i]);
    return most <= INT32_MAX;
}

int ec_pixels_create(const uint16_t *cdf, uint32_t scales, const int16_t *mean_lut, uint32_t colours,
                     const uint32_t *tap_counts, const int32_t *taps, const int32_t *weights,
                     const int32_t *bias, ec_pixels **out) {
    *out = NULL;
    if (scales < 1 || scales > 256 || colours < 1 || colours > EC_MAX_COLOURS) return EC_ERR_ARGUMENT;
    size_t total = 0;
    for (uint32_t c = 0; c < colours; c++) {
        if (tap_counts[c] > EC_MAX_TAPS) return EC_ERR_ARGUMENT;
        for (uint32_t i = 0; i < tap_counts[c]; i++) {
            const int32_t *tap = taps + 3 * (total + i);
            const int64_t colour = (int64_t)c + tap[0];
            if (colour < 0 || colour >= (int64_t)colours || !tap_is_causal(tap)) return EC_ERR_CAUSALITY;
        }
        if (!sums_fit(weights + total, tap_counts[c], bias[c])) return EC_ERR_TABLE;
        total += tap_counts[c];
    }
    for (uint32_t s = 0; s < scales; s++)
        if (!cdf_is_valid(cdf + (size_t)s * EC_FINE_STEPS)) return EC_ERR_TABLE;

    ec_pixels *model = calloc(1, sizeof *model + (size_t)scales * EC_PIXEL_STRIDE * sizeof model->rows[0]);
    if (model == NULL) return EC_ERR_MEMORY;
    model->scales = scales;
    model->colours = colours;
    for (uint32_t c = 0; c < colours; c++) {
        model->tap_counts[c] = tap_counts[c];
        model->bias[c] = bias[c] + 32768;
        for (uint32_t i = 0; i < tap_counts[c]; i++, taps += 3, weights++)
            model->taps[c][i] = (ec_tap){taps[0], taps[1], taps[2], *weights};
    }
    memcpy(model->mean_lut, mean_lut, sizeof model->mean_lut);
    for (uint32_t s = 0; s < scales; s++) {
        uint16_t *row = model->rows + (size_t)s * EC_PIXEL_STRIDE;
        memcpy(row, cdf + (size_t)s * EC_FINE_STEPS, EC_FINE_STEPS * sizeof *row);
        fill_inverse(row, row + EC_FINE_STEPS);
    }
    *out = model;
    return EC_OK;
}

void ec_pixels_free(ec_pixels *model) { free(model); }

size_t ec_pixels_bytes(const ec_pixels *model) {
    return sizeof *model + (size_t)model->scales * EC_PIXEL_STRIDE * sizeof model->rows[0];
}
