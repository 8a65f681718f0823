/* Making causal networks: see causal.h and entropy_c.h. */
#include <stdlib.h>

#include "causal.h"

#define MOST_SHIFT 24
#define LIMIT      ((int64_t)1 << 30)

static int is_valid(const ec_causal_shape *s) {
    return s->radius >= 1 && s->radius <= 7 && s->width >= 4 && s->width <= 256 && s->width % 4 == 0 &&
           s->blocks <= EC_CAUSAL_BLOCKS && s->inner >= 4 && s->inner <= 256 && s->inner % 4 == 0 &&
           s->spatial <= 1 && s->hidden >= 4 && s->hidden <= 64 && s->hidden % 4 == 0 && s->mixtures >= 1 &&
           s->mixtures <= EC_CAUSAL_MIXTURES && s->conditions <= 64 && s->conditions % 4 == 0 &&
           s->pair <= 1 && (s->pair == 0 || s->conditions == 0);
}

/* Where the next matrix takes from and puts to. */
typedef struct maker_t {
    const int8_t *weights;
    const int32_t *bias;
    const uint8_t *shift;
    uint32_t *to_weights;
    int32_t *to_bias;
    uint8_t *to_shift;
    uint32_t rows, unit;
    int64_t largest; /* of the results of the matrix made last, in magnitude */
    int fits;
} maker_t;

/* The weights of one quad of one output. */
static void put_quad(const maker_t *maker, ec_matrix *m, uint32_t output, uint32_t quad, const int8_t *w) {
    const size_t block = output / maker->rows, row = output % maker->rows;
    uint32_t *to = maker->to_weights + ((block * m->quads + quad) * maker->rows + row) * maker->unit;
    if (maker->unit == 1) {
        to[0] = (uint32_t)(uint8_t)w[0] | (uint32_t)(uint8_t)w[1] << 8 | (uint32_t)(uint8_t)w[2] << 16 |
                (uint32_t)(uint8_t)w[3] << 24;
        return;
    }
    to[0] = (uint32_t)(uint16_t)w[0] | (uint32_t)(uint16_t)w[2] << 16;
    to[1] = (uint32_t)(uint16_t)w[1] | (uint32_t)(uint16_t)w[3] << 16;
}

/* The bias and the shift of the next output, whose products add up to at most `most`; the first goes to row
 * `bias_to`, the second to row `shift_to`. */
static void take_output(maker_t *maker, uint32_t bias_to, uint32_t shift_to, int64_t most) {
    const int64_t bias = *maker->bias++;
    const uint32_t shift = *maker->shift++;
    const int64_t half = shift > MOST_SHIFT ? LIMIT : ((int64_t)1 << shift) >> 1;
    most += (bias < 0 ? -bias : bias) + half;
    if (most >= LIMIT) {
        maker->fits = 0;
        return;
    }
    maker->to_bias[bias_to] = (int32_t)(bias + half);
    maker->to_shift[shift_to] = (uint8_t)shift;
    const int64_t result = (most >> shift) + 1;
    maker->largest = result > maker->largest ? result : maker->largest;
}

static void begin_matrix(maker_t *maker, ec_matrix *m, uint32_t outputs, uint32_t quads) {
    *m = (ec_matrix){ec_padded(outputs), quads, maker->to_weights, maker->to_bias, maker->to_shift};
    maker->largest = 0;
}

static void finish_matrix(maker_t *maker, const ec_matrix *m) {
    maker->to_weights += (size_t)m->outputs * m->quads * maker->unit;
    maker->to_bias += m->outputs;
    maker->to_shift += m->outputs;
}

/* A matrix of `outputs` by 4 * `quads`. */
static void take_matrix(maker_t *maker, ec_matrix *m, uint32_t outputs, uint32_t quads) {
    begin_matrix(maker, m, outputs, quads);
    for (uint32_t o = 0; o < outputs; o++) {
        int64_t most = 0;
        for (uint32_t q = 0; q < quads; q++, maker->weights += 4) {
            put_quad(maker, m, o, q, maker->weights);
            for (int i = 0; i < 4; i++) most += 255 * abs(maker->weights[i]);
        }
        take_output(maker, o, o, most);
    }
    finish_matrix(maker, m);
}

/* The one with weights of 16 bits, which become two of 8 bits: 2^8 high + low. */
static void take_first(maker_t *maker, ec_matrix *m, uint32_t outputs, uint32_t quads, const int16_t *w) {
    begin_matrix(maker, m, 2 * outputs, quads);
    for (uint32_t o = 0; o < outputs; o++) {
        int64_t most = 0;
        for (uint32_t q = 0; q < quads; q++, w += 4) {
            int8_t high[4], low[4];
            for (int i = 0; i < 4; i++) {
                const int32_t up = (w[i] + 128) >> 8; /* -128 .. 128 */
                if (up > 127) maker->fits = 0;
                high[i] = (int8_t)(up > 127 ? 127 : up);
                low[i] = (int8_t)(w[i] - 256 * up);
                most += 255 * (256 * (int64_t)abs(high[i]) + abs(low[i]));
            }
            put_quad(maker, m, 2 * o, q, high);
            put_quad(maker, m, 2 * o + 1, q, low);
        }
        take_output(maker, 2 * o + 1, 2 * o, most);
    }
    finish_matrix(maker, m);
}

static int take_tables(ec_causal *m, const ec_causal_parts *parts) {
    for (size_t i = 0; i < EC_CAUSAL_SCALES; i++) {
        if (parts->inverse[i] < 1 || parts->inverse[i] > 1 << 18) return 0;
        m->inverse[i] = parts->inverse[i];
    }
    for (size_t i = 0; i < EC_CAUSAL_STEPS; i++) {
        const uint32_t value = parts->sigmoid[i], next = parts->sigmoid[i + 1];
        if (next < value || next - value > 32767 || next > 65280) return 0;
        m->sigmoid[i] = value << 16 | (next - value);
    }
    for (size_t i = 0; i < EC_CAUSAL_EXPONENTIALS; i++) {
        if (parts->exponentials[i] > 32768) return 0;
        m->exponentials[i] = parts->exponentials[i];
    }
    /* A sum of weights in [128 i, 128 i + 128) is divided by its upper end. */
    for (uint32_t i = 0; i < EC_CAUSAL_RECIPROCALS; i++) m->reciprocal[i] = (1u << 30) / (128 * (i + 1));
    return parts->exponentials[0] == 32768;
}

/* `count` numbers, two by two. */
static void put_pairs(const int16_t *from, uint32_t count, uint32_t *to) {
    for (uint32_t i = 0; i < count; i += 2)
        to[i / 2] = (uint32_t)(uint16_t)from[i] | (i + 1 < count ? (uint32_t)(uint16_t)from[i + 1] << 16 : 0);
}

static int shifts_fit(const uint8_t *shift, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (shift[i] > MOST_SHIFT) return 0;
    return 1;
}

/* Fills the model, whose arrays are `memory`; returns 0 if something breaks its rules. */
static int fill(ec_causal *m, const ec_causal_parts *parts, uint32_t *memory, size_t units, size_t outputs) {
    const ec_causal_shape *s = &m->shape;
    const uint32_t owns = m->samples * s->hidden, quads = s->width / 4;
    int32_t *bias = (int32_t *)memory + units;
    uint32_t *colour = memory + units + outputs;
    uint8_t *shift = (uint8_t *)(colour + (size_t)owns * m->errors);
    maker_t maker = {.weights = parts->weights,
                     .bias = parts->bias,
                     .shift = parts->shift,
                     .to_weights = memory,
                     .to_bias = bias,
                     .to_shift = shift,
                     .rows = m->kernels->dot_rows,
                     .unit = m->kernels->dot_unit,
                     .fits = 1};
    take_first(&maker, &m->first, s->width + m->samples, m->window + s->conditions / 4, parts->first);
    int64_t stream = maker.largest;
    for (uint32_t b = 0; b < s->blocks; b++) {
        take_matrix(&maker, &m->blocks[b].inner, s->inner, m->taps * quads);
        take_matrix(&maker, &m->blocks[b].outer, s->width, s->inner / 4);
        stream += maker.largest;
    }
    take_matrix(&maker, &m->neck, owns, quads);
    for (uint32_t c = 0; c < m->samples; c++)
        take_matrix(&maker, &m->heads[c], 3 * s->mixtures, s->hidden / 4);
    uint8_t *stream_shift = shift + outputs, *own_shift = stream_shift + (s->blocks + 1) * (size_t)s->width;
    memcpy(stream_shift, parts->stream_shift, (s->blocks + 1) * (size_t)s->width);
    memcpy(own_shift, parts->own_shift, owns);
    for (uint32_t b = 0; b < s->blocks; b++) m->blocks[b].in_shift = stream_shift + b * (size_t)s->width;
    m->neck_shift = stream_shift + s->blocks * (size_t)s->width;
    m->own_shift = own_shift;
    const uint32_t before = m->samples - 1;
    for (size_t i = 0; i < owns; i++) put_pairs(parts->colour + before * i, before, colour + m->errors * i);
    m->colour = colour;
    for (uint32_t c = 0; c < m->samples; c++) put_pairs(parts->couple + before * c, before, m->couple[c]);
    return maker.fits && stream < LIMIT && take_tables(m, parts) &&
           shifts_fit(stream_shift, (s->blocks + 1) * (size_t)s->width) && shifts_fit(own_shift, owns);
}

int ec_causal_create(const ec_causal_shape *shape, const ec_causal_parts *parts, ec_causal **out) {
    *out = NULL;
    if (!is_valid(shape)) return EC_ERR_ARGUMENT;
    const ec_kernels *kernels = ec_choose_kernels();
    const uint32_t r = shape->radius, taps = shape->spatial ? 5 : 1, pixels = shape->pair ? 2 : 1;
    const uint32_t samples = EC_CAUSAL_COLOURS * pixels, errors = samples / 2;
    const uint32_t reach = (r + pixels - 1) / pixels, window = (r * (2 * reach + 1) + reach) * pixels;
    const size_t first = ec_padded(2 * (shape->width + samples)), inner = ec_padded(shape->inner);
    const size_t width = ec_padded(shape->width), neck = ec_padded(samples * shape->hidden);
    const size_t head = ec_padded(3 * shape->mixtures);
    const size_t outputs = first + shape->blocks * (inner + width) + neck + samples * head;
    const size_t quads = first * (window + shape->conditions / 4) +
                         shape->blocks * (inner * taps * (shape->width / 4) + width * (shape->inner / 4)) +
                         neck * (shape->width / 4) + samples * head * (shape->hidden / 4);
    const size_t units = quads * kernels->dot_unit, owns = (size_t)samples * shape->hidden;
    const size_t bytes = sizeof **out + 4 * (units + outputs + owns * errors) + outputs +
                         (shape->blocks + 1) * (size_t)shape->width + owns;
    ec_causal *model = calloc(1, bytes);
    if (model == NULL) return EC_ERR_MEMORY;
    model->shape = *shape;
    model->pixels = pixels;
    model->samples = samples;
    model->errors = errors;
    model->reach = reach;
    model->window = window;
    model->taps = taps;
    model->kernels = kernels;
    model->bytes = bytes;
    if (!fill(model, parts, (uint32_t *)(model + 1), units, outputs)) {
        free(model);
        return EC_ERR_TABLE;
    }
    model->shuffles = ec_make_shuffles();
    if (model->shuffles == NULL) {
        free(model);
        return EC_ERR_MEMORY;
    }
    *out = model;
    return EC_OK;
}

void ec_causal_free(ec_causal *model) {
    if (model != NULL) free(model->shuffles);
    free(model);
}

size_t ec_causal_bytes(const ec_causal *model) { return model->bytes + sizeof *model->shuffles; }
