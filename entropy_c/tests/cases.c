#include "cases.h"

#include "reference.h"

/* ---- Models ---- */

void random_counts(uint32_t *row, uint32_t alphabet, uint32_t bits) {
    const int sparse = alphabet > 1u << bits || below(3) == 0;
    uint32_t left = 1u << bits;
    for (uint32_t k = 0; k < alphabet; k++) row[k] = !sparse;
    if (bits == 16 && alphabet > 1) row[0] = 1; /* a rule of 16 bits */
    for (uint32_t k = 0; k < alphabet; k++) left -= row[k];
    if (below(4) == 0) /* flat: the same for all */
        for (uint32_t k = 0, share = left / alphabet; k < alphabet; k++, left -= share) row[k] += share;
    const uint32_t most = below(2) ? left : left / 16 + 1; /* all at once, or some to many */
    while (left > 0) {
        const uint32_t k = below(alphabet);
        uint32_t more = 1 + below(most < left ? most : left);
        if (row[k] + more > 65535) more = 65535 - row[k];
        row[k] += more;
        left -= more;
    }
}

static void random_tables(part_t *part, size_t tables, uint32_t symbols) {
    part->tables = tables;
    part->symbols = symbols;
    part->escape = below(3) == 0 && symbols < 65536;
    part->alphabet = symbols + (uint32_t)part->escape;
    part->bits = 8 + below(part->alphabet > 1 ? 9 : 8); /* one symbol cannot hold all 65536 counts */
    part->layout = (int)below(5);
    if (part->layout >= EC_LAYOUT_BUCKETS && part->alphabet > 257) part->layout = EC_LAYOUT_TREE;
    if (part->layout == EC_LAYOUT_FUSED && tables << part->bits > 1 << 18) part->layout = EC_LAYOUT_TREE;
    part->counts = take(tables * part->alphabet * sizeof *part->counts);
    for (size_t i = 0; i < tables; i++)
        random_counts(part->counts + i * part->alphabet, part->alphabet, part->bits);
    for (size_t i = 0; i < tables && part->alphabet == 257;
         i++) /* no splits for a table that is all escape */
        if (part->counts[i * 257 + 256] == 1u << part->bits && part->layout == EC_LAYOUT_SPLITS)
            part->layout = EC_LAYOUT_BUCKETS;
}

static void random_indexed(part_t *part, uint32_t size) {
    static const uint32_t alphabets[] = {1,   2,   3,   15,  16,  17,   31,   32,   33,    200,  255,
                                         256, 257, 300, 700, 999, 4096, 4097, 5000, 65535, 65536};
    const uint32_t symbols = alphabets[below(size < 8 ? 14 : sizeof alphabets / sizeof alphabets[0])];
    const uint32_t widths[] = {0, 1, 2, 4};
    random_tables(part, symbols > 4096 ? 1 + below(2) : 1 + below(size < 8 ? 20 : 300), symbols);
    part->index_bytes = widths[below(4)];
    if (part->index_bytes == 1 && part->tables > 256) part->index_bytes = 2;
    part->height = 1;
    part->width = below(4) == 0 ? below(200) : below(size * size + 1);
    part->positions = part->width;
}

static void random_rows(part_t *part, uint32_t size) {
    static const uint32_t alphabets[] = {1, 2, 3, 17, 256, 300};
    part->height = 1;
    part->positions = part->width = below(2 * size);
    part->symbols = alphabets[below(6)];
    part->bits = part->kind == BYPASS ? 1 + below(16) : 8 + below(9);
}

/* A distance of a few places, at times of a whole width, at times absurd. */
static int32_t distance(uint32_t size) {
    const uint32_t kind = below(16);
    if (kind == 0) return INT32_MAX;
    if (kind == 1) return (int32_t)size;
    if (kind == 2 && size > 1) return (int32_t)size - 1;
    return (int32_t)below(4);
}

static void random_offset(part_t *part, int32_t *o) {
    const int same_plane = part->planes == 1 ? below(8) > 0 : below(2) > 0;
    o[0] = same_plane ? 0 : -1 - (int32_t)below(2);
    o[1] = same_plane || below(2) ? -distance(part->height) : distance(part->height);
    o[2] = below(2) ? -distance(part->width) : distance(part->width);
    if (part->kind == FSAR_WAVE && o[1] > 0 && o[1] < (int32_t)part->height) o[1] = 0;
    if (o[0] == 0 && o[1] == 0 && o[2] >= 0) o[2] = -1 - (int32_t)below(3);
    if (o[2] == -INT32_MAX) o[2] = INT32_MIN;
}

static void random_fsar(part_t *part) {
    part->order = below(EC_MAX_ORDER + 1);
    part->planes = 1 + below(3);
    for (uint32_t i = 0; i < part->order; i++) random_offset(part, part->offsets[i]);
    const uint32_t alphabets[] = {1, 2, 3, 4, 5, 16, 31, 40, 300};
    /* Without a map the tables are as many as the contexts: few symbols for many taps. */
    const uint32_t most[] = {9, 9, 6, 4, 3};
    uint32_t symbols = alphabets[below(9)];
    const int with_classes = below(2) > 0, with_map = below(2) > 0;
    if (!with_classes) symbols = alphabets[below(most[part->order])];
    part->contexts = 1;
    for (uint32_t i = 0; i < part->order; i++) {
        part->class_counts[i] = with_classes ? 1 + below(5) : symbols + 1;
        part->contexts *= part->class_counts[i];
    }
    const size_t all = (size_t)part->planes * part->contexts;
    random_tables(part, with_map ? 1 + below(20) : all, symbols);
    if (with_classes) {
        const size_t states = (size_t)part->order * (symbols + 1);
        part->classes = take(part->planes * states * sizeof *part->classes);
        for (size_t i = 0; i < part->planes * states; i++)
            part->classes[i] = (uint16_t)below(part->class_counts[i % states / (symbols + 1)]);
    }
    if (with_map) {
        part->map = take(all * sizeof *part->map);
        for (size_t i = 0; i < all; i++) part->map[i] = below((uint32_t)part->tables);
    }
    part->positions = (size_t)part->planes * part->height * part->width;
}

static void random_cdf(uint16_t *cdf) {
    const int32_t centre = 1022 + between(-8, 8), reach = 1 + (int32_t)below(below(2) ? 8 : 900);
    const int kind = (int)below(4);
    uint32_t sum = 0;
    for (int32_t t = 0; t < EC_FINE_STEPS; t++) {
        const int32_t d = t - centre + reach;
        const int64_t ramp = d <= 0 ? 0 : d >= 2 * reach ? 65280 : 65280 * (int64_t)d / (2 * reach);
        sum += kind == 0 && below(100) == 0 ? below(2000) : 0;
        cdf[t] = (uint16_t)(kind == 0   ? (sum < 65280 ? sum : 65280)
                            : kind == 1 ? 65280 * (t >= centre)
                                        : ramp);
    }
}

static void random_pixels(part_t *part) {
    part->colours = 1 + below(EC_MAX_COLOURS);
    part->scale_count = 1 + below(below(20) == 0 ? 256 : 6);
    part->cdf = take((size_t)part->scale_count * EC_FINE_STEPS * sizeof *part->cdf);
    for (uint32_t s = 0; s < part->scale_count; s++) random_cdf(part->cdf + (size_t)s * EC_FINE_STEPS);
    part->lut = take(EC_LOGIT_LEVELS * sizeof *part->lut);
    const int wild = below(4) == 0;
    for (int32_t i = 0; i < EC_LOGIT_LEVELS; i++)
        part->lut[i] = (int16_t)(wild ? between(-32768, 32767) : 4 * i - 4 * 200);
    uint32_t tap = 0;
    for (uint32_t c = 0; c < part->colours; c++) {
        part->tap_counts[c] = below(below(4) ? 5 : EC_MAX_TAPS + 1);
        part->bias[c] = between(-300, 300) * 65536 / 16 + between(-32768, 32767);
        for (uint32_t i = 0; i < part->tap_counts[c]; i++, tap++) {
            int32_t *o = part->taps[tap];
            o[0] = (int32_t)below(part->colours) - (int32_t)c;
            o[1] = -distance(part->height);
            o[2] = below(2) ? -distance(part->width) : distance(part->width);
            if (o[1] == 0 && (o[2] > 0 || (o[2] == 0 && o[0] >= 0))) o[2] = -1 - (int32_t)below(3);
            part->weights[tap] = between(-300000, 300000); /* 1.0 is 262144 */
        }
    }
    part->positions = (size_t)part->colours * part->height * part->width;
}

void random_part(part_t *part, kind_t kind, uint32_t lanes, uint32_t size) {
    memset(part, 0, sizeof *part);
    part->kind = kind;
    part->wild = 1;
    part->height = below(10) == 0 ? 0 : 1 + below(size);
    part->width = below(10) == 0 ? 0 : 1 + below(size);
    if (is_wave(kind) && below(2)) part->height = below(2 * lanes + 2);
    if (kind == INDEXED) random_indexed(part, size);
    if (kind == FSAR || kind == FSAR_WAVE) random_fsar(part);
    if (is_pixels(kind)) random_pixels(part);
    if (kind == ROWS || kind == BYPASS) random_rows(part, size);
}

/* ---- Data ---- */

/* A symbol that the table can code. */
static uint16_t draw_symbol(const part_t *part, size_t table) {
    const uint32_t *row = part->counts + table * part->alphabet;
    const int likely = !part->wild || below(8) > 0;
    const int escapes = part->escape && row[part->symbols] > 0;
    for (;;) {
        uint32_t symbol = below(part->symbols);
        if (likely) {
            const uint32_t slot = below(1u << part->bits);
            uint32_t end = row[symbol = 0];
            while (end <= slot) end += row[++symbol];
        }
        if (symbol < part->symbols && (row[symbol] > 0 || escapes)) return (uint16_t)symbol;
        if (symbol == part->symbols) /* the escape: of any symbol without a count */
            for (symbol = 0; symbol < part->symbols; symbol++)
                if (row[symbol] == 0) return (uint16_t)symbol;
        for (symbol = 0; symbol < part->symbols; symbol++)
            if (row[symbol] > 0) return (uint16_t)symbol;
        assert(escapes); /* a table of nothing but the escape */
        return (uint16_t)below(part->symbols);
    }
}

static uint8_t draw_sample(const part_t *part, uint32_t scale, uint32_t mean) {
    if (part->wild && below(8) == 0) return (uint8_t)below(256);
    const uint32_t slot = below(65536);
    uint32_t low = 0, high = 256; /* the last value whose C is at most the slot */
    while (high - low > 1) {
        const uint32_t middle = (low + high) / 2;
        *(reference_cumulative(part, scale, mean, middle) <= slot ? &low : &high) = middle;
    }
    return (uint8_t)low;
}

static void draw_image(part_t *part, size_t image) {
    uint16_t *indices = (uint16_t *)part->data + image * part->positions;
    size_t at = 0;
    for (uint32_t plane = 0; plane < part->planes; plane++)
        for (uint32_t row = 0; row < part->height; row++)
            for (uint32_t column = 0; column < part->width; column++)
                indices[at++] = draw_symbol(part, reference_table(part, indices, plane, row, column));
}

static void draw_pixels(part_t *part, size_t image) {
    uint8_t *samples = (uint8_t *)part->data + image * part->positions;
    const size_t first = image * part->positions;
    for (uint32_t row = 0; row < part->height; row++)
        for (uint32_t column = 0; column < part->width; column++)
            for (uint32_t colour = 0; colour < part->colours; colour++) {
                const size_t planar = first + ((size_t)colour * part->height + row) * part->width + column;
                const uint32_t mean =
                    reference_mean(part, samples, part->logits + first, row, column, colour);
                samples[((size_t)row * part->width + column) * part->colours + colour] =
                    draw_sample(part, part->scales[planar], mean);
            }
}

static void draw_indexed(part_t *part, size_t count) {
    part->index = take(count * part->index_bytes);
    for (size_t i = 0; i < count; i++) {
        const uint32_t table = part->index_bytes == 0 ? 0 : below((uint32_t)part->tables);
        if (part->index_bytes == 1) ((uint8_t *)part->index)[i] = (uint8_t)table;
        if (part->index_bytes == 2) ((uint16_t *)part->index)[i] = (uint16_t)table;
        if (part->index_bytes == 4) ((uint32_t *)part->index)[i] = table;
        ((uint16_t *)part->data)[i] = draw_symbol(part, table);
    }
}

/* A row that begins with 0 and does not decrease, and a symbol that has slots. */
static uint16_t draw_row(const part_t *part, uint16_t *row) {
    const uint32_t most = (1u << part->bits) - 1;
    for (uint32_t k = 0, at = 0; k < part->symbols; k++) {
        row[k] = (uint16_t)at;
        if (below(4)) at += below((most - at) / (below(8) ? 4 : 1) + 1);
    }
    for (;;) {
        const uint32_t k = below(part->symbols);
        if (k + 1 == part->symbols || row[k + 1] > row[k]) return (uint16_t)k;
    }
}

static void draw_rows(part_t *part, size_t count) {
    uint16_t *values = part->data;
    part->starts = take(part->kind == ROWS ? 2 * count * part->symbols : 0);
    for (size_t i = 0; i < count; i++)
        values[i] = part->kind == ROWS ? draw_row(part, part->starts + i * part->symbols)
                                       : (uint16_t)below(1u << part->bits);
}

void random_data(part_t *part, uint32_t images) {
    const size_t count = images * part->positions;
    part->data_bytes = count * (is_pixels(part->kind) ? 1 : 2);
    part->data = take(part->data_bytes);
    if (is_pixels(part->kind)) {
        const int wild = part->wild && below(4) == 0;
        part->logits = take(count * sizeof *part->logits);
        part->scales = take(count);
        for (size_t i = 0; i < count; i++) {
            part->logits[i] = (int16_t)(wild ? between(-32768, 32767) : between(-2100, -1000));
            part->scales[i] = (uint8_t)below(part->scale_count);
        }
    }
    if (part->kind == INDEXED) draw_indexed(part, count);
    if (part->kind == ROWS || part->kind == BYPASS) draw_rows(part, count);
    for (uint32_t image = 0; image < images; image++) {
        if (is_pixels(part->kind)) draw_pixels(part, image);
        if (part->kind == FSAR || part->kind == FSAR_WAVE) draw_image(part, image);
    }
}

/* ---- Cases ---- */

void random_case(case_t *c, unsigned kinds, uint32_t size) {
    memset(c, 0, sizeof *c);
    c->groups = below(4) ? 1 : 1 + below(3);
    c->lanes = below(3) == 0 ? EC_LANES : 1 + below(EC_LANES);
    c->images = (uint32_t)(c->groups - 1) * EC_LANES + c->lanes;
    const uint32_t wanted = 1 + below(size < 8 ? 2 : MOST_PARTS);
    while (c->parts < wanted) {
        const kind_t kind = (kind_t)below(KINDS);
        if ((kinds >> kind & 1) == 0) continue;
        if (is_wave(kind)) { /* one image, one group */
            if (c->parts > 0 && c->groups > 1) continue;
            c->groups = 1;
            c->images = c->lanes;
        }
        part_t *part = &c->part[c->parts++];
        random_part(part, kind, c->lanes, size);
        random_data(part, is_wave(kind) ? 1 : c->images);
    }
}

void drop_case(case_t *c) {
    for (uint32_t i = 0; i < c->parts; i++) {
        part_t *part = &c->part[i];
        void *const all[] = {part->counts, part->index, part->starts, part->classes, part->map,
                             part->cdf,    part->lut,   part->logits, part->scales,  part->data};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) drop(all[k]);
    }
}
