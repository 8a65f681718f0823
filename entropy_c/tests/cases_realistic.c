/* Cases like those of a trained codec. */
#include "cases.h"

/* A two-sided geometric distribution around a centre; every symbol keeps a count. */
static void peaked_counts(uint32_t *row, uint32_t symbols, uint32_t bits) {
    const uint32_t centre = below(symbols), decay = 100 + below(140); /* of 256, from a symbol to the next */
    uint64_t weights[64], sum = 0;
    assert(symbols <= 64);
    for (uint32_t k = 0; k < symbols; k++) {
        uint64_t weight = (uint64_t)1 << 40;
        for (uint32_t d = k < centre ? centre - k : k - centre; d > 0; d--) weight = weight * decay / 256;
        sum += weights[k] = weight + 1;
    }
    uint32_t left = 1u << bits;
    for (uint32_t k = 0; k < symbols; k++)
        left -= row[k] = 1 + (uint32_t)(weights[k] * ((1u << bits) - symbols) / sum);
    row[centre] += left;
}

static void peaked_tables(part_t *part, size_t tables, uint32_t symbols) {
    part->tables = tables;
    part->symbols = part->alphabet = symbols;
    part->bits = 12 + below(3);
    part->counts = take(tables * symbols * sizeof *part->counts);
    for (size_t i = 0; i < tables; i++) peaked_counts(part->counts + i * symbols, symbols, part->bits);
}

static void realistic_indexed(part_t *part) {
    peaked_tables(part, 40, 20 + below(40));
    part->index_bytes = 1;
    part->height = 1;
    part->width = 30 + below(30);
    part->positions = part->width;
}

static void realistic_fsar(part_t *part, uint32_t side) {
    static const int32_t offsets[2][3] = {{0, -1, 0}, {0, 0, -1}};
    part->order = 2;
    part->planes = 2;
    memcpy(part->offsets, offsets, sizeof offsets);
    part->class_counts[0] = part->class_counts[1] = 33;
    part->contexts = 33 * 33;
    peaked_tables(part, (size_t)part->planes * part->contexts, 32);
    part->height = part->width = side;
    part->positions = (size_t)part->planes * side * side;
}

/* Ramps with soft ends, from a few grey levels to half of all. */
static void realistic_pixels(part_t *part, uint32_t side) {
    static const int32_t taps[9][3] = {{0, -1, -1}, {0, -1, 0}, {0, 0, -1},  {-1, 0, 0}, {-1, 0, -1},
                                       {0, 0, -1},  {-1, 0, 0}, {-1, 0, -1}, {0, 0, -1}};
    const int32_t one = 4 << 16;
    const int32_t weights[9] = {-one / 2, one / 2, one / 2, one, -one, one, one / 3, one / 8, one / 4};
    part->colours = 3;
    part->scale_count = 6;
    part->cdf = take((size_t)part->scale_count * EC_FINE_STEPS * sizeof *part->cdf);
    for (int32_t s = 0; s < 6; s++)
        for (int32_t t = 0; t < EC_FINE_STEPS;
             t++) { /* 1/2 + d / (2 |d| + 2 reach): heavier tails than a normal */
            const int64_t reach = 4 << s, d = t - 1022;
            const int64_t half = 32640 * d * d / (d * d + reach * reach);
            part->cdf[s * EC_FINE_STEPS + t] = (uint16_t)(32640 + (d < 0 ? -half : half));
        }
    part->lut = take(EC_LOGIT_LEVELS * sizeof *part->lut);
    for (int32_t i = 0; i < EC_LOGIT_LEVELS; i++) part->lut[i] = (int16_t)(4 * i - 4 * 200);
    for (uint32_t c = 0; c < 3; c++) part->tap_counts[c] = 3;
    memcpy(part->taps, taps, sizeof taps);
    memcpy(part->weights, weights, sizeof weights);
    part->height = part->width = side;
    part->positions = (size_t)3 * side * side;
}

void realistic_case(case_t *c, kind_t kind) {
    memset(c, 0, sizeof *c);
    c->groups = 1;
    c->lanes = c->images = EC_LANES;
    c->parts = kind == KINDS ? 2 : 1;
    const uint32_t side = is_wave(kind) ? 33 + below(8) : 5 + below(4);
    for (uint32_t i = 0; i < c->parts; i++) {
        part_t *part = &c->part[i];
        part->kind = kind == KINDS ? (i == 0 ? FSAR : PIXELS) : kind;
        if (part->kind == INDEXED) realistic_indexed(part);
        if (part->kind == FSAR || part->kind == FSAR_WAVE) realistic_fsar(part, side);
        if (is_pixels(part->kind)) realistic_pixels(part, side);
        random_data(part, is_wave(kind) ? 1 : c->images);
    }
}
