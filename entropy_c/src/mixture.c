/* Pixels under mixtures: the cdf of a sample is the weighted sum of its components' fine cdfs, evaluated only
 * where it is needed. Decoding finds the sample by bisection. */
#include "models.h"

#define COMPONENTS EC_MIXTURE_COMPONENTS
#define TILE       8                /* places prepared at a time: 24 KiB of stack */
#define PAIRS      (COMPONENTS + 1) /* planes of each colour: every component's, then the weights' */

/* One sample's distribution: entry j of a row is F[4 j - 2 - m]. */
typedef struct mixture_t {
    uint32_t row[COMPONENTS]; /* place in the model's fine cdfs */
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

/* Component k's row. */
static inline uint32_t row_of(const ec_pixels *model, int32_t logit, uint32_t scale) {
    const int32_t level = logit < -2048 ? 0 : logit > 2047 ? EC_LOGIT_LEVELS - 1 : logit + 2048;
    const int32_t sum = model->mean_lut[level] * 4096 + 32768;
    const int32_t mean = sum < 0 ? 0 : sum >> 16;
    const uint32_t u = (uint32_t)(mean > EC_MEAN_MAX ? 0 : EC_MEAN_MAX - mean);
    return (4 * scale + (u & 3)) * EC_FINE_ROW + (u >> 2);
}

/* The distributions of `count` places from `first` on, of all lanes: [count][colours][EC_LANES]. Each plane
 * is read in its order. */
static void prepare(const source_t *s, uint32_t lanes, size_t first, size_t count, mixture_t *m) {
    const uint32_t colours = s->model->colours;
    for (uint32_t lane = 0; lane < lanes; lane++)
        for (uint32_t colour = 0; colour < colours; colour++) {
            size_t at = (lane * (size_t)colours + colour) * PAIRS * s->plane + first;
            mixture_t *to = m + (size_t)colour * EC_LANES + lane;
            for (uint32_t k = 0; k < COMPONENTS; k++, at += s->plane)
                for (size_t i = 0; i < count; i++)
                    to[i * colours * EC_LANES].row[k] =
                        row_of(s->model, s->logits[at + i], s->scales[at + i]);
            for (size_t i = 0; i < count; i++) {
                const uint16_t *w = weights_at(s->weights, s->logits[at + i], s->scales[at + i]);
                uint32_t *weight = to[i * colours * EC_LANES].weight;
                weight[0] = w[0];
                weight[1] = w[1];
                weight[2] = 65536u - w[0] - w[1];
            }
        }
}

/* C(j) for j = 1 .. 255: at most 65536 * 65280 + 2^15 < 2^32 before the shift. */
static inline uint32_t inner_start(const uint16_t *fine, const mixture_t *m, uint32_t j) {
    uint32_t sum = 32768;
    for (uint32_t k = 0; k < COMPONENTS; k++) sum += m->weight[k] * fine[m->row[k] + j];
    return (sum >> 16) + j;
}

static inline ec_interval interval_of(const uint16_t *fine, const mixture_t *m, uint32_t sample) {
    const uint32_t start = sample == 0 ? 0 : inner_start(fine, m, sample);
    const ec_interval s = {start, (sample == 255 ? 65536 : inner_start(fine, m, sample + 1)) - start};
    return s;
}

/* Of every lane, the last sample that starts at or before its state's slot. The lanes take each step
 * together: one waits for memory while the others go on. */
static void find(const uint16_t *fine, const mixture_t *m, const uint32_t *x, uint32_t lanes,
                 uint32_t *samples) {
    memset(samples, 0, lanes * sizeof *samples);
    for (uint32_t step = 128; step > 0; step /= 2)
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const uint32_t start = inner_start(fine, m + lane, samples[lane] + step);
            samples[lane] += step & (0u - (uint32_t)(start <= (x[lane] & 65535u)));
        }
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
    const uint32_t colours = s->model->colours;
    const uint16_t *fine = s->model->fine;
    mixture_t m[TILE * EC_MAX_COLOURS * EC_LANES];
    uint32_t x[EC_LANES];
    memcpy(x, e->state, sizeof x);
    uint8_t *out = e->buffer + e->position;
    for (size_t end = s->plane; end > 0;) {
        const size_t count = (end - 1) % TILE + 1, first = end - count;
        prepare(s, e->lanes, first, count, m);
        for (size_t i = count * colours; i-- > 0;)
            for (uint32_t lane = e->lanes; lane-- > 0;) {
                const uint8_t sample = images[lane * samples_of(s) + first * colours + i];
                x[lane] = ec_push(x[lane], interval_of(fine, m + i * EC_LANES + lane, sample), 16, &out);
            }
        end = first;
    }
    e->position = (size_t)(out - e->buffer);
    memcpy(e->state, x, sizeof x);
}

static int decode(ec_decoder *d, const source_t *s, uint8_t *images) {
    const uint32_t colours = s->model->colours;
    const uint16_t *fine = s->model->fine;
    mixture_t m[TILE * EC_MAX_COLOURS * EC_LANES];
    uint32_t x[EC_LANES], samples[EC_LANES];
    memcpy(x, d->state, sizeof x);
    ec_reader reader;
    ec_reader_init(&reader, d);
    for (size_t first = 0; first < s->plane; first += TILE) {
        const size_t count = s->plane - first < TILE ? s->plane - first : TILE;
        prepare(s, d->lanes, first, count, m);
        for (size_t i = 0; i < count * colours; i++) {
            const mixture_t *here = m + i * EC_LANES;
            if (!ec_reader_has(&reader)) return EC_ERR_TRUNCATED;
            find(fine, here, x, d->lanes, samples);
            for (uint32_t lane = 0; lane < d->lanes; lane++) {
                images[lane * samples_of(s) + first * colours + i] = (uint8_t)samples[lane];
                x[lane] =
                    ec_refill(ec_pop(x[lane], interval_of(fine, here + lane, samples[lane]), 16), &reader);
            }
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
