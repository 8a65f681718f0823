/* Latents whose tables are chosen by neighbours already decoded (finite-state autoregression). */
#include <stdlib.h>

#include "models.h"

static const uint16_t outside[EC_LANES]; /* state 0 of every lane */

int ec_fsar_create(const ec_tables *tables, const int32_t *offsets, uint32_t order, uint32_t groups,
                   ec_fsar **out) {
    *out = NULL;
    if (order > EC_MAX_ORDER || groups < 1) return EC_ERR_ARGUMENT;
    for (uint32_t i = 0; i < order; i++) {
        const int32_t *o = offsets + 3 * i;
        if (!(o[0] < 0 || (o[0] == 0 && (o[1] < 0 || (o[1] == 0 && o[2] < 0))))) return EC_ERR_CAUSALITY;
    }
    uint64_t needed = groups;
    for (uint32_t i = 0; i < order && needed <= tables->count; i++) needed *= (uint64_t)tables->symbols + 1;
    if (needed != tables->count) return EC_ERR_TABLE;
    ec_fsar *model = calloc(1, sizeof *model);
    if (model == NULL) return EC_ERR_MEMORY;
    model->tables = tables;
    model->order = order;
    model->groups = groups;
    if (order > 0) memcpy(model->offsets, offsets, order * sizeof model->offsets[0]);
    *out = model;
    return EC_OK;
}

void ec_fsar_free(ec_fsar *model) { free(model); }

/* Symbols of one image, or 0 if the sizes are beyond any array (which every caller refuses). */
static size_t positions_of(const ec_fsar *model, uint32_t height, uint32_t width) {
    const uint64_t plane = (uint64_t)height * width;
    const uint64_t limit = (uint64_t)(SIZE_MAX / 256) / model->groups;
    return plane > limit ? 0 : (size_t)(plane * model->groups);
}

size_t ec_fsar_scratch(const ec_fsar *model, uint32_t lanes, uint32_t height, uint32_t width) {
    return sizeof(uint16_t) * lanes * positions_of(model, height, width);
}

/* The neighbours of row `row` of group `group`. */
static inline void row_spans(const ec_fsar *model, uint32_t group, uint32_t row, uint32_t height,
                             uint32_t width, ec_span *spans) {
    for (uint32_t i = 0; i < model->order; i++) {
        const int32_t *o = model->offsets[i];
        const int64_t g = (int64_t)group + o[0];
        const int64_t r = (int64_t)row + o[1];
        const int inside = g >= 0 && r >= 0 && r < (int64_t)height;
        const int64_t back = inside ? -(((int64_t)o[0] * height + o[1]) * (int64_t)width + o[2]) : 0;
        spans[i] = ec_make_span(inside, o[2], width, (size_t)back);
    }
}

/* Table of the symbol at `symbols` (column `column` of its row), all earlier symbols being known. */
static inline uint32_t table_of(const ec_span *spans, uint32_t order, uint32_t radix, uint32_t group,
                                uint32_t column, const uint16_t *symbols) {
    uint32_t id = group;
    for (uint32_t i = 0; i < order; i++) {
        const uint32_t state = ec_covers(&spans[i], column) ? symbols[-(ptrdiff_t)spans[i].back] + 1u : 0;
        id = id * radix + state;
    }
    return id;
}

int ec_fsar_table_ids(const ec_fsar *model, const uint16_t *indices, size_t images, uint32_t height,
                      uint32_t width, uint32_t *out) {
    const uint32_t symbols = model->tables->symbols;
    const size_t positions = positions_of(model, height, width);
    if (positions == 0 && height > 0 && width > 0) return EC_ERR_ARGUMENT;
    for (size_t i = 0; i < images * positions; i++)
        if (indices[i] >= symbols) return EC_ERR_SYMBOL;
    for (size_t image = 0; image < images; image++)
        for (uint32_t group = 0; group < model->groups; group++)
            for (uint32_t row = 0; row < height; row++) {
                ec_span spans[EC_MAX_ORDER];
                row_spans(model, group, row, height, width, spans);
                for (uint32_t column = 0; column < width; column++)
                    *out++ = table_of(spans, model->order, symbols + 1, group, column, indices++);
            }
    return EC_OK;
}

/* Pairs [columns][lanes] of one run within a row; `symbols` points at the run in the first lane. Returns 0 if
 * a symbol cannot be coded. Symbols were checked to be below K, so every id is a table of the model. */
static inline int prepare(const ec_tables *tables, uint32_t order, const ec_span *spans, uint32_t group,
                          uint32_t column, uint32_t columns, const uint16_t *symbols, size_t lane_stride,
                          uint32_t lanes, uint32_t *pairs) {
    uint32_t least = UINT32_MAX;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const uint16_t *s = symbols + lane * lane_stride;
        for (uint32_t i = 0; i < columns; i++) {
            const uint32_t id = table_of(spans, order, tables->symbols + 1, group, column + i, s + i);
            const uint32_t pair = ec_symbol_pair(tables, id, s[i]);
            least = pair < least ? pair : least;
            pairs[i * lanes + lane] = pair;
        }
    }
    return least >= EC_LOW;
}

int ec_encode_fsar(ec_encoder *encoder, const ec_fsar *model, const uint16_t *indices, uint32_t height,
                   uint32_t width) {
    const ec_tables *tables = model->tables;
    const uint32_t lanes = encoder->lanes;
    const size_t positions = positions_of(model, height, width);
    if (positions == 0) return height == 0 || width == 0 ? EC_OK : EC_ERR_ARGUMENT;
    if (ec_encode_bound(lanes, positions) > encoder->position) return EC_ERR_CAPACITY;
    for (size_t i = 0; i < lanes * positions; i++)
        if (indices[i] >= tables->symbols) return EC_ERR_SYMBOL;

    uint32_t x[EC_LANES];
    uint32_t pairs[EC_TILE * EC_LANES];
    memcpy(x, encoder->state, sizeof x);
    uint8_t *out = encoder->buffer + encoder->position;
    for (uint32_t group = model->groups; group-- > 0;)
        for (uint32_t row = height; row-- > 0;) {
            const uint16_t *symbols = indices + ((size_t)group * height + row) * width;
            ec_span spans[EC_MAX_ORDER];
            row_spans(model, group, row, height, width, spans);
            for (uint32_t end = width; end > 0;) {
                const uint32_t count = (end - 1) % EC_TILE + 1;
                const uint32_t first = end - count;
                const uint16_t *run = symbols + first;
                const int ok =
                    model->order == 1
                        ? prepare(tables, 1, spans, group, first, count, run, positions, lanes, pairs)
                    : model->order == 2
                        ? prepare(tables, 2, spans, group, first, count, run, positions, lanes, pairs)
                        : prepare(tables, model->order, spans, group, first, count, run, positions, lanes,
                                  pairs);
                if (!ok) return EC_ERR_SYMBOL;
                out = lanes == EC_LANES ? ec_put(pairs, count, EC_LANES, tables->bits, x, out)
                                        : ec_put(pairs, count, lanes, tables->bits, x, out);
                end = first;
            }
        }
    encoder->position = (size_t)(out - encoder->buffer);
    memcpy(encoder->state, x, sizeof x);
    return EC_OK;
}

/* `states` holds symbol + 1 of everything decoded so far, [position][lane]. */
static inline int decode(int kind, uint32_t lanes, ec_decoder *decoder, const ec_fsar *model, uint32_t height,
                         uint32_t width, uint16_t *indices, uint16_t *states) {
    const ec_tables *tables = model->tables;
    const uint32_t radix = tables->symbols + 1;
    const uint32_t order = model->order;
    const size_t positions = (size_t)model->groups * height * width;
    uint32_t x[EC_LANES];
    uint32_t ids[EC_LANES];
    uint16_t got[EC_LANES];
    ec_reader reader;
    memcpy(x, decoder->state, sizeof x);
    ec_reader_init(&reader, decoder);
    uint16_t *here = states;
    for (uint32_t group = 0; group < model->groups; group++)
        for (uint32_t row = 0; row < height; row++) {
            ec_span spans[EC_MAX_ORDER];
            row_spans(model, group, row, height, width, spans);
            for (uint32_t column = 0; column < width; column++) {
                for (uint32_t lane = 0; lane < lanes; lane++) ids[lane] = group;
                for (uint32_t i = 0; i < order; i++) {
                    const uint16_t *tap =
                        ec_covers(&spans[i], column) ? here - spans[i].back * lanes : outside;
                    for (uint32_t lane = 0; lane < lanes; lane++) ids[lane] = ids[lane] * radix + tap[lane];
                }
                ec_reserve(&reader, decoder);
                ec_get(tables, kind, ids, lanes, x, got, &reader);
                if (ec_overrun(&reader)) return EC_ERR_TRUNCATED;
                for (uint32_t lane = 0; lane < lanes; lane++) here[lane] = (uint16_t)(got[lane] + 1);
                here += lanes;
            }
        }
    for (size_t first = 0; first < positions; first += EC_TILE) {
        const size_t end = positions - first < EC_TILE ? positions : first + EC_TILE;
        for (uint32_t lane = 0; lane < lanes; lane++)
            for (size_t p = first; p < end; p++)
                indices[lane * positions + p] = (uint16_t)(states[p * lanes + lane] - 1);
    }
    decoder->next = ec_reader_next(&reader, decoder);
    memcpy(decoder->state, x, sizeof x);
    return EC_OK;
}

int ec_decode_fsar(ec_decoder *decoder, const ec_fsar *model, uint32_t height, uint32_t width,
                   uint16_t *indices, uint16_t *scratch) {
    if (positions_of(model, height, width) == 0) return height == 0 || width == 0 ? EC_OK : EC_ERR_ARGUMENT;
    return EC_DISPATCH(decode, ec_kind(model->tables), decoder->lanes, decoder, model, height, width, indices,
                       scratch);
}
