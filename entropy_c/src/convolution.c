/* Latents whose distributions are sums of rows that decoded neighbours choose. */
#include "softmax.h"

#define EC_MOST_NEIGHBOURS 4096 /* rows of a sum: logits stay within 2^24 + 2^27 */

static uint32_t outputs(const ec_convolution *c) { return c->groups * c->symbols; }

static int is_valid(const ec_convolution *c) {
    if (c->symbols < 1 || c->symbols > 65535 || c->bits < 8 || c->bits > 16) return EC_ERR_ARGUMENT;
    if (c->symbols > 1u << c->bits || c->groups < 1 || c->groups > EC_MOST_NEIGHBOURS) return EC_ERR_ARGUMENT;
    if (c->taps > EC_MOST_NEIGHBOURS / c->groups) return EC_ERR_ARGUMENT;
    for (uint32_t t = 0; t < c->taps; t++) {
        const int32_t dy = c->offsets[2 * t], dx = c->offsets[2 * t + 1];
        if (c->checkerboard ? ((dy ^ dx) & 1) == 0 : dy > 0 || (dy == 0 && dx >= 0)) return EC_ERR_CAUSALITY;
    }
    for (uint32_t i = 0; i < outputs(c); i++)
        if (c->bias[i] > 1 << 24 || c->bias[i] < -(1 << 24)) return EC_ERR_TABLE;
    return EC_OK;
}

/* The prefix sums of one distribution, then the logits of every lane. */
size_t ec_convolution_scratch(const ec_convolution *c, uint32_t lanes) {
    return 8 * ((size_t)c->symbols + 1) + 4 * (size_t)lanes * outputs(c);
}

static int32_t *logits_of(const ec_convolution *c, uint64_t *scratch) {
    return (int32_t *)(scratch + c->symbols + 1);
}

/* Where something is in a lane's indices. */
typedef struct place {
    uint32_t height, width;
    int64_t y, x;
} place;

static size_t index_at(uint32_t group, place at) {
    return ((size_t)group * at.height + (size_t)at.y) * at.width + (size_t)at.x;
}

/* Four rows at a time: the sums are read and written less often. */
static void add_four(int32_t *sums, const int16_t *const rows[4], uint32_t count) {
    const int16_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    for (uint32_t i = 0; i < count; i++) sums[i] += a[i] + b[i] + c[i] + d[i];
}

static void add_one(int32_t *sums, const int16_t *row, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) sums[i] += row[i];
}

/* Logits of all groups at one position of one lane. */
static int add_rows(const ec_convolution *c, const uint16_t *indices, place at, int32_t *sums) {
    const uint32_t count = outputs(c);
    const int16_t *rows[4];
    uint32_t waiting = 0;
    memcpy(sums, c->bias, count * sizeof *sums);
    for (uint32_t t = 0; t < c->taps; t++) {
        const place from = {at.height, at.width, at.y + c->offsets[2 * t], at.x + c->offsets[2 * t + 1]};
        if (from.y < 0 || from.y >= at.height || from.x < 0 || from.x >= at.width) continue;
        for (uint32_t g = 0; g < c->groups; g++) {
            const uint32_t symbol = indices[index_at(g, from)];
            if (symbol >= c->symbols) return EC_ERR_SYMBOL;
            rows[waiting++] = c->rows + (((size_t)t * c->groups + g) * c->symbols + symbol) * count;
            if (waiting == 4) {
                add_four(sums, rows, count);
                waiting = 0;
            }
        }
    }
    while (waiting > 0) add_one(sums, rows[--waiting], count);
    return EC_OK;
}

/* The same for every lane. */
static int add_all_rows(const ec_convolution *c, const uint16_t *indices, uint32_t lanes, place at,
                        int32_t *logits) {
    const size_t lane_size = index_at(c->groups, (place){at.height, at.width, 0, 0});
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const int status = add_rows(c, indices + lane * lane_size, at, logits + (size_t)lane * outputs(c));
        if (status != EC_OK) return status;
    }
    return EC_OK;
}

/* Positions that are coded: all, or those of even row + column. */
static size_t coded(const ec_convolution *c, uint32_t height, uint32_t width) {
    const size_t all = (size_t)height * width;
    return c->checkerboard ? (all + 1) / 2 : all;
}

static int is_coded(const ec_convolution *c, place at) {
    return !c->checkerboard || ((at.y + at.x) & 1) == 0;
}

static int encode_group(ec_encoder *encoder, const ec_convolution *c, const uint16_t *indices,
                        uint32_t height, uint32_t width, uint64_t *before) {
    const uint32_t lanes = encoder->lanes;
    int32_t *logits = logits_of(c, before);
    if (ec_encode_bound(lanes, coded(c, height, width) * c->groups) > encoder->position)
        return EC_ERR_CAPACITY;
    uint32_t x[EC_LANES];
    memcpy(x, encoder->state, sizeof x);
    uint8_t *out = encoder->buffer + encoder->position;
    const size_t lane_size = (size_t)c->groups * height * width;
    for (size_t i = (size_t)height * width; i-- > 0;) {
        const place at = {height, width, (int64_t)(i / width), (int64_t)(i % width)};
        if (!is_coded(c, at)) continue;
        const int status = add_all_rows(c, indices, lanes, at, logits);
        if (status != EC_OK) return status;
        for (uint32_t g = c->groups; g-- > 0;)
            for (uint32_t lane = lanes; lane-- > 0;) {
                const uint32_t symbol = indices[lane * lane_size + index_at(g, at)];
                if (symbol >= c->symbols) return EC_ERR_SYMBOL;
                const int32_t *row = logits + ((size_t)lane * c->groups + g) * c->symbols;
                const ec_softmax s = ec_softmax_make(row, c->symbols, c->bits, before);
                x[lane] = ec_push(x[lane], ec_softmax_interval(s, symbol), c->bits, &out);
            }
    }
    encoder->position = (size_t)(out - encoder->buffer);
    memcpy(encoder->state, x, sizeof x);
    return EC_OK;
}

static int decode_group(ec_decoder *decoder, const ec_convolution *c, uint32_t height, uint32_t width,
                        uint16_t *indices, uint64_t *before) {
    const uint32_t lanes = decoder->lanes, mask = (1u << c->bits) - 1;
    int32_t *logits = logits_of(c, before);
    uint32_t x[EC_LANES];
    memcpy(x, decoder->state, sizeof x);
    ec_reader reader;
    ec_reader_init(&reader, decoder);
    const size_t lane_size = (size_t)c->groups * height * width;
    for (size_t i = 0; i < (size_t)height * width; i++) {
        const place at = {height, width, (int64_t)(i / width), (int64_t)(i % width)};
        if (!is_coded(c, at)) continue;
        const int status = add_all_rows(c, indices, lanes, at, logits);
        if (status != EC_OK) return status;
        for (uint32_t g = 0; g < c->groups; g++) {
            if (!ec_reader_has(&reader)) return EC_ERR_TRUNCATED;
            for (uint32_t lane = 0; lane < lanes; lane++) {
                const int32_t *row = logits + ((size_t)lane * c->groups + g) * c->symbols;
                const ec_softmax s = ec_softmax_make(row, c->symbols, c->bits, before);
                const uint32_t symbol = ec_softmax_find(s, c->symbols, x[lane] & mask);
                indices[lane * lane_size + index_at(g, at)] = (uint16_t)symbol;
                x[lane] = ec_refill(ec_pop(x[lane], ec_softmax_interval(s, symbol), c->bits), &reader);
            }
        }
    }
    return ec_reader_done(&reader, x, decoder);
}

int ec_encode_convolution(ec_encoder *encoders, size_t groups, const ec_convolution *model,
                          const uint16_t *indices, uint32_t height, uint32_t width, uint64_t *scratch) {
    int status = is_valid(model);
    for (size_t g = 0; g < groups && status == EC_OK; g++) {
        status = encode_group(encoders + g, model, indices, height, width, scratch);
        indices += (size_t)encoders[g].lanes * model->groups * height * width;
    }
    return status;
}

int ec_decode_convolution(ec_decoder *decoders, size_t groups, const ec_convolution *model, uint32_t height,
                          uint32_t width, uint16_t *indices, uint64_t *scratch) {
    int status = is_valid(model);
    for (size_t g = 0; g < groups && status == EC_OK; g++) {
        status = decode_group(decoders + g, model, height, width, indices, scratch);
        indices += (size_t)decoders[g].lanes * model->groups * height * width;
    }
    return status;
}
