/* Mixtures: the same bytes as explicit rows made from the definition, round trips, damage, refusals. */
#include "common.h"

#define PAIRS   (EC_MIXTURE_COMPONENTS + 1)
#define SCALES  5
#define WEIGHTS (2 * EC_MIXTURE_WEIGHTS * EC_MIXTURE_WEIGHTS)

typedef struct setup_t {
    uint16_t cdf[SCALES][EC_FINE_STEPS];
    int16_t lut[EC_LOGIT_LEVELS];
    uint16_t *weights;
    ec_pixels *model;
    uint32_t colours;
} setup_t;

static int ascending(const void *a, const void *b) { return *(const uint16_t *)a - *(const uint16_t *)b; }

/* Any cdfs and means that are allowed; with weights that leave the third component something, or nothing. */
static void set_up(setup_t *s, uint32_t colours) {
    for (uint32_t i = 0; i < SCALES; i++) {
        for (uint32_t t = 0; t < EC_FINE_STEPS; t++)
            s->cdf[i][t] = (uint16_t)(i == 0 ? (t < 1022 ? 0 : 65280) : below(i == 1 ? 2 : 65281));
        qsort(s->cdf[i], EC_FINE_STEPS, sizeof s->cdf[i][0], ascending);
    }
    for (uint32_t i = 0; i < EC_LOGIT_LEVELS; i++) s->lut[i] = (int16_t)between(-32768, 32767);
    s->weights = take(WEIGHTS * sizeof *s->weights);
    for (size_t i = 0; i < WEIGHTS; i += 2) {
        s->weights[i] = (uint16_t)below(65536);
        const uint32_t left = 65536u - s->weights[i];
        s->weights[i + 1] = (uint16_t)(below(4) == 0 && left < 65536 ? left : below(left));
    }
    const uint32_t none[EC_MAX_COLOURS] = {0};
    const int32_t bias[EC_MAX_COLOURS] = {0};
    s->colours = colours;
    assert(ec_pixels_create(s->cdf[0], SCALES, s->lut, colours, none, NULL, NULL, bias, &s->model) == EC_OK);
}

static void tear_down(setup_t *s) {
    ec_pixels_free(s->model);
    drop(s->weights);
}

/* The cumulative counts of one sample, from the definition. */
static void row_of(const setup_t *s, const int16_t *logits, const uint8_t *scales, size_t plane,
                   uint16_t *starts) {
    const size_t third = EC_MIXTURE_COMPONENTS * plane;
    const uint16_t *w = s->weights + 2 * ((size_t)(logits[third] + 128) * EC_MIXTURE_WEIGHTS + scales[third]);
    const uint64_t weight[EC_MIXTURE_COMPONENTS] = {w[0], w[1], 65536u - w[0] - w[1]};
    starts[0] = 0;
    for (int32_t j = 1; j < 256; j++) {
        uint64_t sum = 32768;
        for (size_t k = 0; k < EC_MIXTURE_COMPONENTS; k++) {
            int32_t logit = logits[k * plane];
            logit = logit < -2048 ? -2048 : logit > 2047 ? 2047 : logit;
            int32_t mean = (s->lut[logit + 2048] + 8) / 16;
            mean = s->lut[logit + 2048] < 0 ? 0 : mean > EC_MEAN_MAX ? EC_MEAN_MAX : mean;
            sum += weight[k] * s->cdf[scales[k * plane]][4 * j - 2 - mean + 1022];
        }
        starts[j] = (uint16_t)((sum >> 16) + (uint64_t)j);
        assert(starts[j] > starts[j - 1]);
    }
}

static void same_as_rows(const setup_t *s, uint32_t lanes, uint32_t height, uint32_t width) {
    const size_t plane = (size_t)height * width, samples = plane * s->colours, n = lanes * samples;
    const size_t bound = ec_encode_bound(lanes, samples);
    uint8_t *in = take(n), *out = take(n), *scales = take(PAIRS * n), *buffer = take(bound);
    uint8_t *expected = take(bound);
    int16_t *logits = take(2 * PAIRS * n);
    for (size_t i = 0; i < n; i++) in[i] = (uint8_t)(below(4) == 0 ? 255 * below(2) : below(256));
    for (size_t i = 0; i < PAIRS * n; i++) {
        const int weighs = i / plane % PAIRS == EC_MIXTURE_COMPONENTS;
        logits[i] = (int16_t)(weighs ? between(-128, 127) : between(-2100, 2100));
        scales[i] = (uint8_t)below(weighs ? 256 : SCALES);
    }
    ec_encoder e, reference;
    assert(ec_encoder_init(&e, lanes) == EC_OK && ec_encoder_init(&reference, lanes) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    ec_encoder_attach(&reference, expected, bound);
    assert(ec_encode_mixture(&e, 1, s->model, s->weights, in, logits, scales, height, width) == EC_OK);
    uint16_t *rows = take(2 * 256 * (size_t)lanes), values[EC_LANES];
    for (size_t i = samples; i-- > 0;) {
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const size_t at = (lane * s->colours + i % s->colours) * PAIRS * plane + i / s->colours;
            row_of(s, logits + at, scales + at, plane, rows + 256 * (size_t)lane);
            values[lane] = in[lane * samples + i];
        }
        assert(ec_encode_rows(&reference, rows, 256, 16, values) == EC_OK);
    }
    assert(e.position == reference.position && memcmp(e.state, reference.state, sizeof e.state) == 0);
    assert(memcmp(buffer + e.position, expected + e.position, bound - e.position) == 0);

    const size_t head = 4 * (size_t)lanes, words = bound - e.position;
    uint8_t *stream = take(head + words);
    ec_encoder_states(&e, stream);
    memcpy(stream + head, buffer + e.position, words);
    ec_decoder d;
    assert(ec_decoder_init(&d, lanes, stream, head + words) == EC_OK);
    assert(ec_decode_mixture(&d, 1, s->model, s->weights, logits, scales, height, width, out) == EC_OK);
    assert(ec_decoder_finish(&d) == EC_OK && memcmp(in, out, n) == 0);

    /* Whatever the words, every sample is one of 256. */
    for (size_t i = 0; i < words; i++) stream[head + i] = (uint8_t)below(256);
    assert(ec_decoder_init(&d, lanes, stream, head + (words & ~(size_t)1)) == EC_OK);
    const int status = ec_decode_mixture(&d, 1, s->model, s->weights, logits, scales, height, width, out);
    assert(status == EC_OK || status == EC_ERR_TRUNCATED);
    drop(stream);
    drop(rows);
    drop(in);
    drop(out);
    drop(scales);
    drop(buffer);
    drop(expected);
    drop(logits);
}

/* Two groups in one call give what two calls give. */
static void groups(const setup_t *s) {
    const uint32_t images = EC_LANES + 3, side = 2;
    const size_t plane = side * side, samples = plane * s->colours,
                 bound = ec_encode_bound(EC_LANES, samples);
    uint8_t *in = take(images * samples), *scales = take(PAIRS * images * samples), *buffer = take(2 * bound);
    uint8_t *single = take(bound);
    int16_t *logits = take(2 * PAIRS * images * samples);
    for (size_t i = 0; i < images * samples; i++) in[i] = (uint8_t)below(256);
    for (size_t i = 0; i < PAIRS * images * samples; i++) {
        logits[i] = (int16_t)between(-128, 127);
        scales[i] = (uint8_t)below(SCALES);
    }
    ec_encoder both[2], second;
    assert(ec_encoders_init(both, 2, images) == EC_OK && ec_encoder_init(&second, 3) == EC_OK);
    ec_encoders_attach(both, 2, buffer, bound);
    ec_encoder_attach(&second, single, bound);
    assert(ec_encode_mixture(both, 2, s->model, s->weights, in, logits, scales, side, side) == EC_OK);
    assert(ec_encode_mixture(&second, 1, s->model, s->weights, in + EC_LANES * samples,
                             logits + PAIRS * EC_LANES * samples, scales + PAIRS * EC_LANES * samples, side,
                             side) == EC_OK);
    assert(both[1].position == second.position);
    assert(memcmp(both[1].state, second.state, sizeof second.state) == 0);
    drop(in);
    drop(scales);
    drop(buffer);
    drop(single);
    drop(logits);
}

static void refused(const setup_t *s, int expected, int16_t logit, uint8_t scale, size_t plane,
                    size_t capacity) {
    uint8_t in[3] = {1, 2, 3}, scales[3 * PAIRS] = {0}, buffer[64], out[3];
    int16_t logits[3 * PAIRS] = {0};
    logits[plane] = logit;
    scales[plane] = scale;
    ec_encoder e;
    assert(ec_encoder_init(&e, 1) == EC_OK);
    ec_encoder_attach(&e, buffer, capacity);
    const ec_encoder before = e;
    assert(ec_encode_mixture(&e, 1, s->model, s->weights, in, logits, scales, 1, 1) == expected);
    assert(memcmp(&e, &before, sizeof e) == 0);
    if (expected == EC_ERR_CAPACITY) return;
    const uint8_t stream[8] = {0, 0, 1, 0, 7, 7, 7, 7};
    ec_decoder d;
    assert(ec_decoder_init(&d, 1, stream, sizeof stream) == EC_OK);
    const ec_decoder as_it_was = d;
    assert(ec_decode_mixture(&d, 1, s->model, s->weights, logits, scales, 1, 1, out) == expected);
    assert(memcmp(&d, &as_it_was, sizeof d) == 0);
}

static void refusals(void) {
    setup_t s;
    set_up(&s, 3);
    refused(&s, EC_ERR_INDEX, 0, SCALES, 4, 64);
    refused(&s, EC_ERR_INDEX, 128, 0, 3, 64);
    refused(&s, EC_ERR_INDEX, -129, 0, 11, 64);
    refused(&s, EC_ERR_CAPACITY, 0, 0, 0, ec_encode_bound(1, 3) - 1);
    uint16_t *w = s.weights + 2 * ((size_t)(5 + 128) * EC_MIXTURE_WEIGHTS + 200);
    w[0] = 40000;
    w[1] = 25537;
    refused(&s, EC_ERR_TABLE, 5, 200, 7, 64);
    tear_down(&s);
}

int main(void) {
    seed_random(1);
    for (uint32_t colours = 1; colours <= EC_MAX_COLOURS; colours++) {
        setup_t s;
        set_up(&s, colours);
        for (int i = 0; i < 4; i++) same_as_rows(&s, 1 + below(EC_LANES), 1 + below(5), 1 + below(5));
        same_as_rows(&s, EC_LANES, 2, 3);
        groups(&s);
        tear_down(&s);
    }
    refusals();
    puts("mixture ok");
    return 0;
}
