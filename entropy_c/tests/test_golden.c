/* Streams whose bytes must never change: if one does, every file written so far becomes unreadable. Models
 * and data come from formulas, which tests/entropy/test_golden.py has, too; the streams are the files
 * golden/NAME.bin. `test_golden write` writes those that are missing. */
#include "cases.h"

/* The same 32 bits everywhere for a pair of small numbers. */
static uint32_t made(uint32_t series, uint32_t i) {
    uint32_t x = series * 0x9E3779B1u + i * 0x85EBCA77u;
    x = (x ^ x >> 15) * 0x2C1B3C6Du;
    x = (x ^ x >> 12) * 0x297A2D39u;
    return x ^ x >> 15;
}

/* Every symbol one count, or with an escape only some, the first and the last always; half of what is left to
 * one, half of the rest to another, and so on. */
static uint32_t *made_counts(size_t tables, uint32_t alphabet, uint32_t bits, int escape) {
    uint32_t *counts = take(tables * alphabet * sizeof *counts);
    for (uint32_t table = 0; table < tables; table++) {
        uint32_t *row = counts + table * alphabet, left = 1u << bits;
        for (uint32_t k = 0; k < alphabet; k++)
            left -= row[k] = !escape || k == 0 || k + 1 == alphabet || made(table, k) % 3 == 0;
        for (uint32_t i = 0; left > 0; i++) {
            const uint32_t k = made(table, 1000 + i) % alphabet, more = left / 2 + 1;
            if (row[k] == 0) continue;
            row[k] += more;
            left -= more;
        }
    }
    return counts;
}

static void made_data(part_t *part, uint32_t images, uint32_t limit) {
    const size_t n = images * part->positions;
    part->data_bytes = n * (is_pixels(part->kind) ? 1 : 2);
    part->data = take(part->data_bytes);
    for (uint32_t i = 0; i < n; i++) {
        if (is_pixels(part->kind))
            ((uint8_t *)part->data)[i] = (uint8_t)made(7, i);
        else
            ((uint16_t *)part->data)[i] = (uint16_t)(made(7, i) % limit);
    }
}

static void use_tables(part_t *part, size_t tables, uint32_t symbols, uint32_t bits, int escape) {
    part->tables = tables;
    part->symbols = symbols;
    part->escape = escape;
    part->alphabet = symbols + (uint32_t)escape;
    part->bits = bits;
    part->counts = made_counts(tables, part->alphabet, bits, escape);
}

static void indexed(part_t *part, uint32_t lanes, uint32_t symbols, uint32_t bits, size_t tables,
                    int escape) {
    part->kind = INDEXED;
    part->height = 1;
    part->width = 40;
    part->positions = 40;
    use_tables(part, tables, symbols, bits, escape);
    part->index_bytes = tables > 1 ? 1 : 0;
    part->index = take(lanes * part->positions);
    for (uint32_t i = 0; i < lanes * part->positions; i++)
        ((uint8_t *)part->index)[i] = (uint8_t)(made(8, i) % tables);
    made_data(part, lanes, symbols);
}

/* The first `order` of four neighbours, their states in 2 .. 5 classes, contexts mapped to 6 tables. */
static void fsar(part_t *part, uint32_t lanes, uint32_t order, int with_map) {
    static const int32_t offsets[EC_MAX_ORDER][3] = {{0, -1, 0}, {0, 0, -1}, {-1, 0, 1}, {0, -2, 1}};
    part->kind = lanes == 0 ? FSAR_WAVE : FSAR;
    part->height = lanes == 0 ? 13 : 5;
    part->width = 6;
    part->planes = 2;
    part->order = order;
    part->positions = (size_t)part->planes * part->height * part->width;
    memcpy(part->offsets, offsets, sizeof offsets);
    const uint32_t symbols = 19;
    part->contexts = 1;
    for (uint32_t i = 0; i < order; i++)
        part->contexts *= part->class_counts[i] = with_map ? 2 + i : symbols + 1;
    const uint32_t all = part->planes * part->contexts;
    use_tables(part, with_map ? 6 : all, symbols, 12, 0);
    if (with_map) {
        const uint32_t states = symbols + 1, entries = part->planes * order * states;
        part->classes = take(entries * sizeof *part->classes);
        for (uint32_t i = 0; i < entries; i++)
            part->classes[i] = (uint16_t)(made(9, i) % part->class_counts[i / states % order]);
        part->map = take(all * sizeof *part->map);
        for (uint32_t i = 0; i < all; i++) part->map[i] = made(10, i) % 6;
    }
    made_data(part, lanes == 0 ? 1 : lanes, symbols);
}

static void pixels(part_t *part, uint32_t lanes) {
    static const int32_t taps[9][3] = {{0, -1, -1}, {0, -1, 1}, {0, 0, -1},  {-1, 0, 0}, {-1, 0, -1},
                                       {0, 0, -1},  {-2, 0, 0}, {-1, -2, 0}, {0, 0, -1}};
    static const int32_t weights[9] = {-131072, 131072, 131072,  262144, -262144,
                                       262144,  262144, -100000, 77777};
    static const int32_t bias[3] = {300 << 16, -7, 99};
    part->kind = lanes == 0 ? PIXELS_WAVE : PIXELS;
    part->height = lanes == 0 ? 13 : 4;
    part->width = 5;
    part->colours = part->scale_count = 3;
    part->positions = (size_t)3 * part->height * part->width;
    part->cdf = take(3 * EC_FINE_STEPS * sizeof *part->cdf);
    for (int32_t s = 0; s < 3; s++)
        for (int32_t t = 0; t < EC_FINE_STEPS; t++) { /* ramps of 8, 64 and 512 steps to either side */
            const int32_t reach = 8 << (3 * s), d = t - 1022 + reach;
            part->cdf[s * EC_FINE_STEPS + t] =
                (uint16_t)(d <= 0           ? 0
                           : d >= 2 * reach ? 65280
                                            : 65280 * (int64_t)d / (2 * reach));
        }
    part->lut = take(EC_LOGIT_LEVELS * sizeof *part->lut);
    for (int32_t i = 0; i < EC_LOGIT_LEVELS; i++) part->lut[i] = (int16_t)(4 * i - 8192);
    for (int c = 0; c < 3; c++) part->tap_counts[c] = 3;
    memcpy(part->taps, taps, sizeof taps);
    memcpy(part->weights, weights, sizeof weights);
    memcpy(part->bias, bias, sizeof bias);
    const uint32_t images = lanes == 0 ? 1 : lanes;
    made_data(part, images, 256);
    part->logits = take(part->data_bytes * sizeof *part->logits);
    part->scales = take(part->data_bytes);
    for (uint32_t i = 0; i < part->data_bytes; i++) {
        part->logits[i] = (int16_t)((int32_t)(made(11, i) % 3000) - 300);
        part->scales[i] = (uint8_t)(made(12, i) % 3);
    }
}

static void check(const char *name, case_t *c, uint32_t lanes, int write) {
    char path[100];
    uint8_t expected[8000];
    c->groups = 1;
    c->lanes = c->images = lanes;
    snprintf(path, sizeof path, "tests/golden/%s.bin", name);
    FILE *file = fopen(path, "rb");
    size_t bytes = 0;
    if (file != NULL) {
        bytes = fread(expected, 1, sizeof expected, file);
        assert(fclose(file) == 0);
    } else if (!write) {
        fprintf(stderr, "%s is missing (to be run in entropy_c/)\n", path);
        abort();
    }
    for (const char *const *isa = all_isas; *isa != NULL; isa++) {
        stream_t stream;
        int same;
        if (!use_isa(*isa)) continue;
        open_case(c);
        encode_case(c, &stream);
        if (file == NULL) {
            file = fopen(path, "wb");
            assert(file != NULL && fwrite(stream.data, 1, stream.bytes, file) == stream.bytes &&
                   fclose(file) == 0);
            memcpy(expected, stream.data, bytes = stream.bytes);
        }
        if (stream.bytes != bytes || memcmp(stream.data, expected, bytes) != 0) {
            fprintf(stderr, "%s: %s writes other bytes\n", path, *isa);
            abort();
        }
        assert(decode_case(c, &stream, &same) == EC_OK && same);
        close_case(c);
        drop_streams(c, &stream);
    }
    drop_case(c);
}

int main(int argc, char **argv) {
    const int write = argc > 1 && strcmp(argv[1], "write") == 0;
#define GOLDEN(name, lanes, make)                                                                            \
    do {                                                                                                     \
        case_t c = {.parts = 1};                                                                             \
        part_t *p = &c.part[0];                                                                              \
        make;                                                                                                \
        check(name, &c, lanes, write);                                                                       \
    } while (0)
    GOLDEN("static", 3, indexed(p, 3, 40, 12, 1, 0));
    GOLDEN("indexed", 32, indexed(p, 32, 20, 14, 9, 0));
    GOLDEN("deep", 2, indexed(p, 2, 5000, 16, 2, 0));
    GOLDEN("escapes", 7, indexed(p, 7, 300, 16, 3, 1));
    GOLDEN("fsar-1", 5, fsar(p, 5, 1, 1));
    GOLDEN("fsar-2", 32, fsar(p, 32, 2, 1));
    GOLDEN("fsar-3", 9, fsar(p, 9, 3, 1));
    GOLDEN("fsar-4", 1, fsar(p, 1, 4, 1));
    GOLDEN("fsar-2-plain", 10, fsar(p, 10, 2, 0));
    GOLDEN("pixels", 6, pixels(p, 6));
    GOLDEN("fsar-wave", 4, fsar(p, 0, 4, 1));
    GOLDEN("pixels-wave", 3, pixels(p, 0));
    puts("golden ok");
    return 0;
}
