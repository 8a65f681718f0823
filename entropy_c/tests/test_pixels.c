/* Pixels: every sample value decodes around every mean, round trips on all sorts of images, refusals. */
#include "common.h"

static void round_trip(const ec_pixels *model, uint32_t lanes, uint32_t h, uint32_t w, int kind) {
    const size_t image = 3 * (size_t)h * w, n = lanes * image, bound = ec_encode_bound(lanes, image);
    uint8_t *in = take(n), *out = take(n), *scales = take(n), *buffer = take(bound);
    uint8_t *scratch = take(ec_pixels_scratch(model, lanes, h, w));
    int16_t *logits = take(n * 2);
    uint16_t *means = take(n * 2);
    for (size_t i = 0; i < n; i++) {
        in[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? 255 : kind == 2 ? (i / 40) % 256 : below(256));
        logits[i] = (int16_t)(kind == 4 ? (below(2) ? INT16_MIN : INT16_MAX) : (int32_t)below(4096) - 2048);
        scales[i] = (uint8_t)(kind == 3 ? 0 : below(SCALES));
    }
    assert(ec_pixels_mean_index(model, in, logits, lanes, h, w, means) == EC_OK);
    for (size_t i = 0; i < n; i++) assert(means[i] <= EC_MEAN_MAX);
    ec_encoder e;
    ec_decoder d;
    size_t bytes;
    assert(ec_encoder_init(&e, lanes) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    assert(ec_encode_pixels(&e, model, in, logits, scales, h, w) == EC_OK);
    uint8_t *stream = stream_of(&e, &bytes);
    assert(ec_decoder_init(&d, lanes, stream, bytes) == EC_OK);
    assert(ec_decode_pixels(&d, model, logits, scales, h, w, out, scratch) == EC_OK);
    assert(ec_decoder_finish(&d) == EC_OK);
    assert(n == 0 || memcmp(in, out, n) == 0);
    if (n > 0) {
        scales[n - 1] = SCALES;
        ec_encoder_attach(&e, buffer, bound);
        assert(ec_encode_pixels(&e, model, in, logits, scales, h, w) == EC_ERR_INDEX);
        assert(ec_decoder_init(&d, lanes, stream, bytes) == EC_OK);
        assert(ec_decode_pixels(&d, model, logits, scales, h, w, out, scratch) == EC_ERR_INDEX);
        ec_encoder_attach(&e, buffer, bound - 1);
        assert(ec_encode_pixels(&e, model, in, logits, scales, h, w) == EC_ERR_CAPACITY);
    }
    free(stream);
    free(buffer);
    free(scratch);
    free(means);
    free(logits);
    free(scales);
    free(in);
    free(out);
}

/* One colour, no taps, mean look-up the identity: every (scale, mean, value) once. */
static void every_mean_and_value(void) {
    uint16_t cdf[2][EC_FINE_STEPS];
    int16_t lut[EC_LOGIT_LEVELS];
    for (int32_t t = 0; t < EC_FINE_STEPS; t++) {
        cdf[0][t] = (uint16_t)(t < 1022 ? 0 : 65280); /* all mass in one step: the longest search */
        cdf[1][t] = (uint16_t)(65280 * t / (EC_FINE_STEPS - 1));
    }
    for (int32_t i = 0; i < EC_LOGIT_LEVELS; i++)
        lut[i] = (int16_t)(i < 2048 ? 0 : i > 2047 + 1020 ? 16320 : 16 * (i - 2048));
    const uint32_t none = 0;
    const int32_t bias = 0;
    ec_pixels *model;
    assert(ec_pixels_create(cdf[0], 2, lut, 1, &none, NULL, NULL, &bias, &model) == EC_OK);
    const uint32_t h = EC_MEAN_MAX + 1, w = 256;
    const size_t n = (size_t)h * w;
    uint8_t *in = take(n), *out = take(n), *scales = take(n), *buffer = take(2 * n), *scratch = take(n);
    int16_t *logits = take(2 * n);
    for (uint32_t scale = 0; scale < 2; scale++) {
        for (size_t i = 0; i < n; i++) {
            in[i] = (uint8_t)(i % w);
            logits[i] = (int16_t)(i / w);
            scales[i] = (uint8_t)scale;
        }
        ec_encoder e;
        ec_decoder d;
        size_t bytes;
        assert(ec_encoder_init(&e, 1) == EC_OK);
        ec_encoder_attach(&e, buffer, 2 * n);
        assert(ec_encode_pixels(&e, model, in, logits, scales, h, w) == EC_OK);
        uint8_t *stream = stream_of(&e, &bytes);
        assert(ec_decoder_init(&d, 1, stream, bytes) == EC_OK);
        assert(ec_decode_pixels(&d, model, logits, scales, h, w, out, scratch) == EC_OK);
        assert(ec_decoder_finish(&d) == EC_OK && memcmp(in, out, n) == 0);
        free(stream);
    }
    free(in);
    free(out);
    free(scales);
    free(buffer);
    free(scratch);
    free(logits);
    ec_pixels_free(model);
}

static void refusals(void) {
    static uint16_t cdf[EC_FINE_STEPS];
    static int16_t lut[EC_LOGIT_LEVELS];
    ec_pixels *model;
    uint32_t counts[3] = {1, 1, 1};
    int32_t taps[9] = {0, 0, -1, -1, 0, 0, -2, 0, 0}, weights[3] = {7, 7, 7}, bias[3] = {0, 0, 0};
#define CREATE(scales, colours)                                                                              \
    ec_pixels_create(cdf, scales, lut, colours, counts, taps, weights, bias, &model)
    assert(CREATE(1, 3) == EC_OK);
    ec_pixels_free(model);
    assert(CREATE(0, 3) == EC_ERR_ARGUMENT && CREATE(257, 3) == EC_ERR_ARGUMENT &&
           CREATE(1, 0) == EC_ERR_ARGUMENT);
    assert(CREATE(1, 5) == EC_ERR_ARGUMENT);
    const int32_t bad[][3] = {{0, 0, 0}, {1, 0, 0}, {0, 0, 1}, {0, 1, -1}, {-1, 0, -1}, {3, -1, 0}};
    for (size_t i = 0; i < 6; i++) { /* colour 0 may look neither ahead nor at colours that do not exist */
        memcpy(taps, bad[i], sizeof bad[i]);
        assert(CREATE(1, 3) == EC_ERR_CAUSALITY && model == NULL);
    }
    const int32_t other_colour[3] = {2, -1, 5}; /* blue of the row above, further right: decoded already */
    memcpy(taps, other_colour, sizeof other_colour);
    assert(CREATE(1, 3) == EC_OK);
    ec_pixels_free(model);
    weights[1] = INT32_MIN;
    assert(CREATE(1, 3) == EC_ERR_TABLE);
    weights[1] = 7;
    bias[2] = INT32_MIN;
    assert(CREATE(1, 3) == EC_ERR_TABLE);
    bias[2] = 0;
    counts[0] = 13;
    assert(CREATE(1, 3) == EC_ERR_ARGUMENT);
    counts[0] = 1;
    cdf[5] = 1;
    assert(CREATE(1, 3) == EC_ERR_TABLE); /* decreases after t = 5 */
    for (size_t i = 5; i < EC_FINE_STEPS; i++) cdf[i] = 65281;
    assert(CREATE(1, 3) == EC_ERR_TABLE); /* leaves too little for 256 symbols */
}

int main(void) {
    ec_pixels *model = some_pixels();
    const uint32_t sizes[][2] = {{1, 1}, {1, 5}, {5, 1}, {3, 49}, {9, 7}, {2, 0}};
    const uint32_t lanes[] = {1, 7, 32};
    for (size_t z = 0; z < sizeof sizes / sizeof sizes[0]; z++)
        for (size_t l = 0; l < 3; l++)
            for (int kind = 0; kind < 6; kind++) round_trip(model, lanes[l], sizes[z][0], sizes[z][1], kind);
    ec_pixels_free(model);
    every_mean_and_value();
    refusals();
    puts("pixels ok");
    return 0;
}
