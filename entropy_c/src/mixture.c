/* Pixels under mixtures: the cdf of a sample is the weighted sum of its components' fine cdfs, evaluated only
 * where it is needed. Decoding finds the sample by bisection. */
#include "models.h"

#define COMPONENTS EC_MIXTURE_COMPONENTS
#define PAIRS      (COMPONENTS + 1) /* planes of each colour: every component's, then the weights' */

/* One sample's distribution: entry j of a row is F[4 j - 2 - m]. */
typedef struct mixture_t {
    const uint16_t *row[COMPONENTS];
    uint32_t weight[COMPONENTS];
} mixture_t;

/* What all samples of a call share. */
typedef struct source_t {
    const ec_pixels *model;
    const uint16_t *weights;
    const int16_t *logits; /* [lanes][colours * PAIRS][plane], as are the scales */
    const uint8_t *scales;
    size_t plane;
} source_t;

static const uint16_t *weights_at(const uint16_t *weights, int16_t logit, uint8_t scale) {
    return weights + 2 * (EC_MIXTURE_WEIGHTS * (size_t)(logit + EC_MIXTURE_WEIGHTS / 2) + scale);
}

static mixture_t mixture_at(const source_t *s, size_t lane, uint32_t colour, size_t place) {
    size_t at = (lane * s->model->colours + colour) * PAIRS * s->plane + place;
    mixture_t m;
    for (uint32_t k = 0; k < COMPONENTS; k++, at += s->plane) {
        const int32_t logit = s->logits[at];
        const int32_t level = logit < -2048 ? 0 : logit > 2047 ? EC_LOGIT_LEVELS - 1 : logit + 2048;
        const int32_t sum = s->model->mean_lut[level] * 4096 + 32768;
        const int32_t mean = sum < 0 ? 0 : sum >> 16;
        const uint32_t u = (uint32_t)(mean > EC_MEAN_MAX ? 0 : EC_MEAN_MAX - mean);
        m.row[k] = s->model->fine + (4 * (size_t)s->scales[at] + (u & 3)) * EC_FINE_ROW + (u >> 2);
    }
    const uint16_t *w = weights_at(s->weights, s->logits[at], s->scales[at]);
    m.weight[0] = w[0];
    m.weight[1] = w[1];
    m.weight[2] = 65536u - w[0] - w[1];
    return m;
}

/* C(j) for j = 1 .. 255: at most 65536 * 65280 + 2^15 < 2^32 before the shift. */
static inline uint32_t inner_start(const mixture_t *m, uint32_t j) {
    uint32_t sum = 32768;
    for (uint32_t k = 0; k < COMPONENTS; k++) sum += m->weight[k] * m->row[k][j];
    return (sum >> 16) + j;
}

static ec_interval interval_of(const mixture_t *m, uint32_t sample) {
    const uint32_t start = sample == 0 ? 0 : inner_start(m, sample);
    const ec_interval s = {start, (sample == 255 ? 65536 : inner_start(m, sample + 1)) - start};
    return s;
}

/* The last sample that starts at or before the slot. */
static uint32_t find(const mixture_t *m, uint32_t slot) {
    uint32_t sample = 0;
    for (uint32_t step = 128; step > 0; step /= 2)
        if (inner_start(m, sample + step) <= slot) sample += step;
    return sample;
}

static int parameters_fit(const source_t *s, uint32_t lanes) {
    const size_t planes = (size_t)lanes * s->model->colours * PAIRS;
    for (size_t p = 0; p < planes; p++)
        for (size_t at = p * s->plane; at < (p + 1) * s->plane; at++) {
            if (p % PAIRS < COMPONENTS) {
                if (s->scales[at] >= s->model->scales) return EC_ERR_INDEX;
                continue;
            }
            if (s->logits[at] < -EC_MIXTURE_WEIGHTS / 2 || s->logits[at] >= EC_MIXTURE_WEIGHTS / 2)
                return EC_ERR_INDEX;
            const uint16_t *w = weights_at(s->weights, s->logits[at], s->scales[at]);
            if ((uint32_t)w[0] + w[1] > 65536) return EC_ERR_TABLE;
        }
    return EC_OK;
}

static size_t samples_of(const source_t *s) { return s->model->colours * s->plane; }

static void encode(ec_encoder *e, const source_t *s, const uint8_t *images) {
    uint32_t x[EC_LANES];
    memcpy(x, e->state, sizeof x);
    uint8_t *out = e->buffer + e->position;
    for (size_t i = samples_of(s); i-- > 0;) {
        const size_t place = i / s->model->colours;
        const uint32_t colour = (uint32_t)(i % s->model->colours);
        for (uint32_t lane = e->lanes; lane-- > 0;) {
            const mixture_t m = mixture_at(s, lane, colour, place);
            x[lane] = ec_push(x[lane], interval_of(&m, images[lane * samples_of(s) + i]), 16, &out);
        }
    }
    e->position = (size_t)(out - e->buffer);
    memcpy(e->state, x, sizeof x);
}

static int decode(ec_decoder *d, const source_t *s, uint8_t *images) {
    uint32_t x[EC_LANES];
    memcpy(x, d->state, sizeof x);
    ec_reader reader;
    ec_reader_init(&reader, d);
    for (size_t i = 0; i < samples_of(s); i++) {
        if (!ec_reader_has(&reader)) return EC_ERR_TRUNCATED;
        const size_t place = i / s->model->colours;
        const uint32_t colour = (uint32_t)(i % s->model->colours);
        for (uint32_t lane = 0; lane < d->lanes; lane++) {
            const mixture_t m = mixture_at(s, lane, colour, place);
            const uint32_t sample = find(&m, x[lane] & 65535u);
            images[lane * samples_of(s) + i] = (uint8_t)sample;
            x[lane] = ec_refill(ec_pop(x[lane], interval_of(&m, sample), 16), &reader);
        }
    }
    return ec_reader_done(&reader, x, d);
}

int ec_encode_mixture(ec_encoder *encoders, size_t groups, const ec_pixels *model, const uint16_t *weights,
                      const uint8_t *images, const int16_t *logits, const uint8_t *scales, uint32_t height,
                      uint32_t width) {
    source_t s = {model, weights, logits, scales, (size_t)height * width};
    for (size_t i = 0; i < groups; i++) {
        ec_encoder *e = encoders + i;
        if (ec_encode_bound(e->lanes, samples_of(&s)) > e->position) return EC_ERR_CAPACITY;
        const int status = parameters_fit(&s, e->lanes);
        if (status != EC_OK) return status;
        encode(e, &s, images);
        images += e->lanes * samples_of(&s);
        s.logits += PAIRS * e->lanes * samples_of(&s);
        s.scales += PAIRS * e->lanes * samples_of(&s);
    }
    return EC_OK;
}

int ec_decode_mixture(ec_decoder *decoders, size_t groups, const ec_pixels *model, const uint16_t *weights,
                      const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width,
                      uint8_t *images) {
    source_t s = {model, weights, logits, scales, (size_t)height * width};
    for (size_t i = 0; i < groups; i++) {
        ec_decoder *d = decoders + i;
        int status = parameters_fit(&s, d->lanes);
        if (status == EC_OK) status = decode(d, &s, images);
        if (status != EC_OK) return status;
        images += d->lanes * samples_of(&s);
        s.logits += PAIRS * d->lanes * samples_of(&s);
        s.scales += PAIRS * d->lanes * samples_of(&s);
    }
    return EC_OK;
}
