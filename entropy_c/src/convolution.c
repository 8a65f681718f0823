/* Latents whose distributions are sums of rows that decoded neighbours choose. */
#include "softmax.h"

#define EC_MOST_NEIGHBOURS 4096 /* rows of a sum: logits stay within 2^24 + 2^27 */

static uint32_t outputs(const ec_convolution *c) { return c->groups * c->symbols; }

static int is_valid(const ec_convolution *c) {
    if (c->symbols < 1 || c->symbols > 65535 || c->bits < 8 || c->bits > 16) return EC_ERR_ARGUMENT;
    if (c->symbols > 1u << c->bits || c->groups < 1 || c->groups > EC_MOST_NEIGHBOURS) return EC_ERR_ARGUMENT;
    if (c->planes < 1 || c->planes > EC_MOST_NEIGHBOURS) return EC_ERR_ARGUMENT;
    if (c->taps > EC_MOST_NEIGHBOURS / c->groups) return EC_ERR_ARGUMENT;
    for (uint32_t t = 0; t < c->taps; t++) {
        const int32_t *o = c->offsets + 3 * t, dz = o[0], dy = o[1], dx = o[2];
        const int precedes = dz < 0 || (dz == 0 && (dy < 0 || (dy == 0 && dx < 0)));
        if (c->checkerboard ? ((dy ^ dx) & 1) == 0 : !precedes) return EC_ERR_CAUSALITY;
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

/* What a lane codes: all planes, of that size. */
typedef struct extent {
    uint32_t height, width;
    size_t positions, symbols;
} extent;

static extent extent_of(const ec_convolution *c, uint32_t height, uint32_t width) {
    const size_t positions = (size_t)c->planes * height * width;
    return (extent){height, width, positions, positions * c->groups};
}

/* Where something is in a lane's indices. */
typedef struct place {
    int64_t z, y, x;
} place;

/* The i-th position in raster order, plane after plane. */
static place place_of(size_t i, extent e) {
    return (place){(int64_t)(i / e.width / e.height), (int64_t)(i / e.width % e.height),
                   (int64_t)(i % e.width)};
}

static size_t index_at(const ec_convolution *c, uint32_t group, place at, extent e) {
    return (((size_t)at.z * c->groups + group) * e.height + (size_t)at.y) * e.width + (size_t)at.x;
}

static int is_inside(const ec_convolution *c, place at, extent e) {
    return at.z >= 0 && at.z < c->planes && at.y >= 0 && at.y < e.height && at.x >= 0 && at.x < e.width;
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
static int add_rows(const ec_convolution *c, const uint16_t *indices, place at, extent e, int32_t *sums) {
    const uint32_t count = outputs(c);
    const int16_t *rows[4];
    uint32_t waiting = 0;
    memcpy(sums, c->bias, count * sizeof *sums);
    for (uint32_t t = 0; t < c->taps; t++) {
        const int32_t *o = c->offsets + 3 * t;
        const place from = {at.z + o[0], at.y + o[1], at.x + o[2]};
        if (!is_inside(c, from, e)) continue;
        for (uint32_t g = 0; g < c->groups; g++) {
            const uint32_t symbol = indices[index_at(c, g, from, e)];
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
static int add_all_rows(const ec_convolution *c, const uint16_t *indices, uint32_t lanes, place at, extent e,
                        int32_t *logits) {
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const uint16_t *own = indices + lane * e.symbols;
        const int status = add_rows(c, own, at, e, logits + (size_t)lane * outputs(c));
        if (status != EC_OK) return status;
    }
    return EC_OK;
}

/* Positions that are coded: all, or those of even row + column. */
static size_t coded(const ec_convolution *c, extent e) {
    const size_t plane = (size_t)e.height * e.width;
    return c->planes * (c->checkerboard ? (plane + 1) / 2 : plane);
}

static int is_coded(const ec_convolution *c, place at) {
    return !c->checkerboard || ((at.y + at.x) & 1) == 0;
}

static int encode_group(ec_encoder *encoder, const ec_convolution *c, const uint16_t *indices, extent e,
                        uint64_t *before) {
    const uint32_t lanes = encoder->lanes;
    int32_t *logits = logits_of(c, before);
    if (ec_encode_bound(lanes, coded(c, e) * c->groups) > encoder->position) return EC_ERR_CAPACITY;
    uint32_t x[EC_LANES];
    memcpy(x, encoder->state, sizeof x);
    uint8_t *out = encoder->buffer + encoder->position;
    for (size_t i = e.positions; i-- > 0;) {
        const place at = place_of(i, e);
        if (!is_coded(c, at)) continue;
        const int status = add_all_rows(c, indices, lanes, at, e, logits);
        if (status != EC_OK) return status;
        for (uint32_t g = c->groups; g-- > 0;)
            for (uint32_t lane = lanes; lane-- > 0;) {
                const uint32_t symbol = indices[lane * e.symbols + index_at(c, g, at, e)];
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

static int decode_group(ec_decoder *decoder, const ec_convolution *c, extent e, uint16_t *indices,
                        uint64_t *before) {
    const uint32_t lanes = decoder->lanes, mask = (1u << c->bits) - 1;
    int32_t *logits = logits_of(c, before);
    uint32_t x[EC_LANES];
    memcpy(x, decoder->state, sizeof x);
    ec_reader reader;
    ec_reader_init(&reader, decoder);
    for (size_t i = 0; i < e.positions; i++) {
        const place at = place_of(i, e);
        if (!is_coded(c, at)) continue;
        const int status = add_all_rows(c, indices, lanes, at, e, logits);
        if (status != EC_OK) return status;
        for (uint32_t g = 0; g < c->groups; g++) {
            if (!ec_reader_has(&reader)) return EC_ERR_TRUNCATED;
            for (uint32_t lane = 0; lane < lanes; lane++) {
                const int32_t *row = logits + ((size_t)lane * c->groups + g) * c->symbols;
                const ec_softmax s = ec_softmax_make(row, c->symbols, c->bits, before);
                const uint32_t symbol = ec_softmax_find(s, c->symbols, x[lane] & mask);
                indices[lane * e.symbols + index_at(c, g, at, e)] = (uint16_t)symbol;
                x[lane] = ec_refill(ec_pop(x[lane], ec_softmax_interval(s, symbol), c->bits), &reader);
            }
        }
    }
    return ec_reader_done(&reader, x, decoder);
}

int ec_encode_convolution(ec_encoder *encoders, size_t groups, const ec_convolution *model,
                          const uint16_t *indices, uint32_t height, uint32_t width, uint64_t *scratch) {
    int status = is_valid(model);
    const extent e = extent_of(model, height, width);
    for (size_t g = 0; g < groups && status == EC_OK; g++) {
        status = encode_group(encoders + g, model, indices, e, scratch);
        indices += encoders[g].lanes * e.symbols;
    }
    return status;
}

int ec_decode_convolution(ec_decoder *decoders, size_t groups, const ec_convolution *model, uint32_t height,
                          uint32_t width, uint16_t *indices, uint64_t *scratch) {
    int status = is_valid(model);
    const extent e = extent_of(model, height, width);
    for (size_t g = 0; g < groups && status == EC_OK; g++) {
        status = decode_group(decoders + g, model, e, indices, scratch);
        indices += decoders[g].lanes * e.symbols;
    }
    return status;
}
