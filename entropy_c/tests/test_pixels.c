/* Pixels: every sample value decodes around every mean; mean indices as documented; refusals. */
#include "cases.h"
#include "reference.h"

static void mean_indices(void) {
    for (int number = 0; number < 100; number++) {
        case_t c;
        random_case(&c, 1u << PIXELS, 6);
        open_case(&c);
        for (uint32_t i = 0; i < c.parts; i++) {
            const part_t *part = &c.part[i];
            uint16_t *means = take(c.images * part->positions * sizeof *means);
            assert(ec_pixels_mean_index(part->made_pixels, part->data, part->logits, c.images, part->height,
                                        part->width, means) == EC_OK);
            size_t at = 0;
            for (uint32_t image = 0; image < c.images; image++)
                for (uint32_t colour = 0; colour < part->colours; colour++)
                    for (uint32_t row = 0; row < part->height; row++)
                        for (uint32_t column = 0; column < part->width; column++, at++)
                            assert(means[at] ==
                                   reference_mean(part, (const uint8_t *)part->data + image * part->positions,
                                                  part->logits + image * part->positions, row, column,
                                                  colour));
            drop(means);
        }
        close_case(&c);
        drop_case(&c);
    }
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
    const size_t bound = ec_encode_bound(1, n);
    uint8_t *in = take(n), *out = take(n), *scales = take(n), *buffer = take(bound);
    uint8_t *scratch = take(ec_pixels_scratch(model, 1, h, w));
    int16_t *logits = take(2 * n);
    for (uint32_t scale = 0; scale < 2; scale++) {
        for (size_t i = 0; i < n; i++) {
            in[i] = (uint8_t)(i % w);
            logits[i] = (int16_t)(i / w);
            scales[i] = (uint8_t)scale;
        }
        ec_encoder e;
        ec_decoder d;
        assert(ec_encoder_init(&e, 1) == EC_OK);
        ec_encoder_attach(&e, buffer, bound);
        assert(ec_encode_pixels(&e, 1, model, in, logits, scales, h, w, scratch) == EC_OK);
        ec_encoder_states(&e, buffer + e.position - 4); /* the head, in front of the words */
        assert(ec_decoder_init(&d, 1, buffer + e.position - 4, bound - e.position + 4) == EC_OK);
        assert(ec_decode_pixels(&d, 1, model, logits, scales, h, w, out, scratch) == EC_OK);
        assert(ec_decoder_finish(&d) == EC_OK && memcmp(in, out, n) == 0);
    }
    drop(in);
    drop(out);
    drop(scales);
    drop(buffer);
    drop(scratch);
    drop(logits);
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

static void coding(void) {
    const uint16_t cdf[EC_FINE_STEPS] = {0};
    const int16_t lut[EC_LOGIT_LEVELS] = {0};
    const uint32_t counts[1] = {1};
    const int32_t tap[3] = {0, -1, 1}, weight = 4 << 16, bias = 0;
    ec_pixels *model;
    assert(ec_pixels_create(cdf, 1, lut, 1, counts, tap, &weight, &bias, &model) == EC_OK);
    assert(ec_pixels_bytes(model) > 0);
    enum { H = 4, W = 3, LANES = 2, N = LANES * H * W };
    uint8_t images[N] = {0}, scales[N] = {0}, buffer[4 * N + 16], head[4] = {0, 0, 1, 0};
    int16_t logits[N] = {0};
    uint8_t *scratch = take(ec_pixels_scratch(model, LANES, H, W));
    uint8_t *wave_scratch = take(ec_pixels_wave_scratch(model, 1, 2 * H, W));
    assert(ec_pixels_wave_scratch(model, LANES, 2 * H, W) <= ec_pixels_wave_scratch(model, 1, 2 * H, W));
    ec_encoder e;
    ec_decoder d;
    assert(ec_encoder_init(&e, LANES) == EC_OK);
    ec_encoder_attach(&e, buffer, sizeof buffer);
    const ec_encoder fresh = e;
    scales[N - 1] = 1;
    assert(ec_encode_pixels(&e, 1, model, images, logits, scales, H, W, scratch) == EC_ERR_INDEX);
    assert(ec_encode_pixels_wave(&e, model, images, logits, scales, 2 * H, W, wave_scratch) == EC_ERR_INDEX);
    assert(memcmp(&e, &fresh, sizeof e) == 0);
    assert(ec_decoder_init(&d, 1, head, 4) == EC_OK);
    assert(ec_decode_pixels_wave(&d, model, logits, scales, 2 * H, W, images, wave_scratch) == EC_ERR_INDEX);
    scales[N - 1] = 0;
    ec_encoder_attach(&e, buffer, sizeof buffer - 1);
    assert(ec_encode_pixels(&e, 1, model, images, logits, scales, H, W, scratch) == EC_ERR_CAPACITY);
    const uint32_t huge[][2] = {{UINT32_MAX, UINT32_MAX}, {1u << 21, 1u << 20}, {1u << 20, UINT32_MAX}};
    for (size_t i = 0; i < 3; i++) {
        assert(ec_pixels_scratch(model, 32, huge[i][0], huge[i][1]) == 0);
        assert(ec_pixels_wave_scratch(model, 32, huge[i][0], huge[i][1]) == 0);
        assert(ec_encode_pixels(&e, 1, model, NULL, NULL, NULL, huge[i][0], huge[i][1], NULL) ==
               EC_ERR_ARGUMENT);
        assert(ec_decode_pixels_wave(&d, model, NULL, NULL, huge[i][0], huge[i][1], NULL, NULL) ==
               EC_ERR_ARGUMENT);
    }
    assert(ec_decode_pixels(&d, 1, model, NULL, NULL, 0, 5, NULL, NULL) == EC_OK);
    assert(ec_encode_pixels(&e, 1, model, NULL, NULL, NULL, 5, 0, NULL) == EC_OK);
    drop(scratch);
    drop(wave_scratch);
    ec_pixels_free(model);
}

int main(void) {
    seed_random(0);
    mean_indices();
    refusals();
    on_every_isa(coding);
    on_every_isa(every_mean_and_value);
    puts("pixels ok");
    return 0;
}
