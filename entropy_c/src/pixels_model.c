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

    ec_pixels *model = calloc(1, sizeof *model);
    if (model == NULL) return EC_ERR_MEMORY;
    model->fine = calloc((size_t)scales * 4 * EC_FINE_ROW, sizeof *model->fine);
    model->inverse = calloc((size_t)scales * EC_INVERSE_ROW, sizeof *model->inverse);
    model->shuffles = ec_make_shuffles();
    if (model->fine == NULL || model->inverse == NULL || model->shuffles == NULL) {
        ec_pixels_free(model);
        return EC_ERR_MEMORY;
    }
    model->scales = scales;
    model->colours = colours;
    for (uint32_t c = 0; c < colours; c++) {
        model->tap_counts[c] = tap_counts[c];
        model->bias[c] = bias[c] + 32768;
        for (uint32_t i = 0; i < tap_counts[c]; i++, taps += 3, weights++)
            model->taps[c][i] = (ec_tap){taps[0], taps[1], taps[2], *weights};
    }
    memcpy(model->mean_lut, mean_lut, EC_LOGIT_LEVELS * sizeof *mean_lut);
    for (size_t s = 0; s < scales; s++) {
        const uint16_t *row = cdf + s * EC_FINE_STEPS;
        for (size_t t = 0; t < 4 * EC_FINE_ROW; t++) /* goes on with the last value: the search stops there */
            model->fine[(4 * s + t % 4) * EC_FINE_ROW + t / 4] =
                row[t < EC_FINE_STEPS ? t : EC_FINE_STEPS - 1];
        fill_inverse(row, model->inverse + s * EC_INVERSE_ROW);
    }
    model->kernels = ec_choose_kernels();
    *out = model;
    return EC_OK;
}

void ec_pixels_free(ec_pixels *model) {
    if (model == NULL) return;
    free(model->fine);
    free(model->inverse);
    free(model->shuffles);
    free(model);
}

size_t ec_pixels_bytes(const ec_pixels *model) {
    return sizeof *model + sizeof(ec_shuffles) +
           2 * (size_t)model->scales * (4 * EC_FINE_ROW + EC_INVERSE_ROW);
}

/* The mean of one sample as the kernels compute it, for callers that estimate rates. */
static uint16_t mean_of(const ec_pixels *model, const uint8_t *image, int32_t logit, uint32_t row,
                        uint32_t column, uint32_t colour, uint32_t width) {
    const int32_t level = logit < -2048 ? 0 : logit > 2047 ? EC_LOGIT_LEVELS - 1 : logit + 2048;
    int32_t sum = model->mean_lut[level] * 4096 + model->bias[colour];
    for (uint32_t i = 0; i < model->tap_counts[colour]; i++) {
        const ec_tap *tap = &model->taps[colour][i];
        const int64_t r = (int64_t)row + tap->row, c = (int64_t)column + tap->column;
        if (r < 0 || c < 0 || c >= (int64_t)width) continue;
        const size_t pixel = (size_t)r * width + (size_t)c;
        sum += tap->weight * image[pixel * model->colours + (uint32_t)((int32_t)colour + tap->colour)];
    }
    const int32_t mean = sum < 0 ? 0 : sum >> 16;
    return (uint16_t)(mean > EC_MEAN_MAX ? EC_MEAN_MAX : mean);
}

int ec_pixels_mean_index(const ec_pixels *model, const uint8_t *images, const int16_t *logits, size_t count,
                         uint32_t height, uint32_t width, uint16_t *out) {
    for (size_t image = 0; image < count; image++, images += (size_t)height * width * model->colours)
        for (uint32_t colour = 0; colour < model->colours; colour++)
            for (uint32_t row = 0; row < height; row++)
                for (uint32_t column = 0; column < width; column++)
                    *out++ = mean_of(model, images, *logits++, row, column, colour, width);
    return EC_OK;
}
