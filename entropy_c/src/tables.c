/* Frequency tables: validation, rows for searching, and fused slots. */
#include <stdlib.h>

#include "models.h"

#define ROW_ALIGNMENT 64
#define FUSED_LIMIT   ((size_t)64 << 20)
/* By choice fused only what a first-level cache nearly holds: beyond it the search of rows, sixteen times
 * smaller, is faster. */
#define FUSED_IN_CACHE ((size_t)64 << 10)
/* Rows with buckets number their symbols in a byte; one more can be found from the one before it. */
#define MOST_IN_BUCKETS 257
/* Buckets double the size of a row, which pays only while all rows fit the second-level cache. */
#define BUCKETS_IN_CACHE ((size_t)2 << 20)

/* Smallest n with 2^n >= value. */
static uint32_t ceil_log2(uint32_t value) {
    uint32_t n = 0;
    while (((uint64_t)1 << n) < value) n++;
    return n;
}

static int row_is_valid(const ec_tables *t, const uint32_t *counts) {
    uint64_t sum = 0;
    for (uint32_t k = 0; k < t->symbols + t->escape; k++) {
        if (counts[k] > 65535) return 0;
        sum += counts[k];
    }
    /* At 16 bits the slot before an unused first symbol could not be told from the last one. */
    return sum == (uint64_t)1 << t->bits && (t->bits < 16 || counts[0] > 0);
}

/* Rows over `alphabet` symbols with buckets. */
static void plan_buckets(ec_tables *t, uint32_t alphabet) {
    const uint32_t some = ceil_log2(2 * t->symbols), buckets = some < t->bits ? some : t->bits;
    t->kind = EC_KIND_BUCKETS;
    t->last_at = 2;
    t->bucket_at = 2 * (1 + alphabet + 5); /* the search looks five symbols past the last */
    t->bucket_shift = t->bits - buckets;
    t->row_bytes = (t->bucket_at + (1u << buckets) + 1) & ~1u;
}

#define SPLITS 3
/* Slots beyond them, of a million, that are still worth it. */
#define BEYOND_SPLITS 15000
#define SMALL_SPLITS  ((size_t)512 << 10)

/* Rows with splits: the more buckets the better, if they stay in the cache. */
static void plan_splits(ec_tables *t, uint32_t alphabet) {
    uint32_t buckets = ceil_log2(alphabet) < 7 ? 6 : 7;
    if (t->count << (buckets + 4) <= SMALL_SPLITS) buckets += 1;
    if (buckets + 8 < t->bits) buckets = t->bits - 8;
    t->kind = EC_KIND_SPLITS;
    t->last_at = 2;
    t->bucket_at = (2 * (1 + alphabet + 16) + 7) & ~7u; /* the search compares sixteen at once */
    t->bucket_shift = t->bits - buckets;
    t->row_bytes = t->bucket_at + 8 * ((1u << buckets) + EC_END_BUCKETS);
}

/* Rows that are trees. */
static void plan_tree(ec_tables *t, uint32_t alphabet) {
    t->levels = 1;
    t->last_at = 0;
    t->row_bytes = alphabet <= 16 ? 32 : 64;
    t->kind = alphabet <= 16 ? EC_KIND_TREE : EC_KIND_TREE1;
    if (alphabet <= 32) return;
    t->row_bytes = 0;
    /* One more than 16^levels is found as the one after the last node. */
    while (t->levels < EC_MAX_LEVELS && (alphabet - 2) >> (4 * t->levels) > 0) t->levels++;
    t->kind = t->levels == 2 ? EC_KIND_TREE2 : EC_KIND_TREE;
    for (uint32_t level = 0; level < t->levels; level++) {
        const uint32_t below = 4 * (t->levels - 1 - level);
        const uint32_t values = ((alphabet - 1) >> below) + 1;
        t->level_at[level] = t->last_at = t->row_bytes;
        t->row_bytes += 2 * ((values + 15) / 16 * 16);
    }
}

/* The `width` slots from `base` on, whose first one belongs to symbol `first`. */
static void fill_split(const ec_tables *t, const uint16_t *last, uint32_t base, uint32_t width,
                       uint32_t first, uint8_t *bucket) {
    uint32_t split[SPLITS] = {255, 255, 255}, k = first;
    ec_interval place = ec_place(t, last, first);
    uint32_t low = place.start, high = base - 1; /* none of the symbols: the search goes on behind */
    if (first < 256) {
        for (uint32_t i = 0; i < SPLITS; i++) {
            const uint32_t end = place.start + place.count - base;
            if (end >= width) break;
            split[i] = end - 1;
            place = ec_place(t, last, ++k);
        }
        high = place.start + place.count - 1;
    }
    low |= (first < 256 ? first : 255) << 16 | split[0] << 24;
    high |= split[1] << 16 | split[2] << 24;
    memcpy(bucket, &low, sizeof low);
    memcpy(bucket + 4, &high, sizeof high);
}

/* All of a row's; symbol k is the first one whose last slot is not below a bucket's beginning. */
static void fill_splits(const ec_tables *t, const uint16_t *last, uint8_t *buckets) {
    const uint32_t width = 1u << t->bucket_shift, fine = 1u << ec_end_shift(t);
    const uint32_t some = 1u << (t->bits - t->bucket_shift), ends = width / fine;
    uint32_t k = 0;
    for (uint32_t i = 0; i < some; i++) {
        const uint32_t base = i * width;
        const int is_end = i == 0 || i + 1 == some;
        uint32_t first = 0;
        for (uint32_t j = 0; j < (is_end ? ends : 1); j++) {
            while (ec_place(t, last, k).start + ec_place(t, last, k).count <= base + j * fine) k++;
            if (j == 0) first = k;
            if (!is_end) continue;
            const uint32_t at = some + (i == 0 ? 0 : EC_END_BUCKETS / 2) + j;
            fill_split(t, last, base + j * fine, fine, k, buckets + 8 * (size_t)at);
        }
        fill_split(t, last, base, width, first, buckets + 8 * (size_t)i);
    }
}

/* Slots of a table beyond the fourth symbol of their bucket. */
static uint32_t beyond_splits(const ec_tables *t, const uint32_t *counts) {
    const uint32_t width = 1u << t->bucket_shift, fine = 1u << ec_end_shift(t), all = 1u << t->bits;
    uint32_t end = 0, nth = 0, beyond = 0; /* the symbol is its bucket's nth */
    for (uint32_t k = 0; k < t->symbols + t->escape; k++) {
        const uint32_t step = end < width || end >= all - width ? fine : width;
        const uint32_t rest = step - end % step;
        if (nth > SPLITS) beyond += counts[k] < rest ? counts[k] : rest;
        end += counts[k];
        const uint32_t next = end < width || end >= all - width ? fine : width;
        nth = counts[k] < rest ? nth + 1 : (uint32_t)(end % next > 0);
    }
    return beyond;
}

static void fill_row(const ec_tables *t, const uint32_t *counts, uint16_t *row) {
    const uint32_t alphabet = t->symbols + t->escape;
    for (uint32_t i = 0; i < t->row_bytes / 2; i++) row[i] = (uint16_t)(((1u << t->bits) - 1) ^ t->bias);
    uint16_t *last = row + t->last_at / 2;
    uint8_t *buckets = (uint8_t *)row + t->bucket_at;
    if (t->levels == 0) last[-1] = (uint16_t)(0xFFFF ^ t->bias);
    uint32_t end = 0, bucket = 0;
    for (uint32_t k = 0; k < alphabet; k++) {
        end += counts[k];
        last[k] = (uint16_t)((end - 1) ^ t->bias);
        for (uint32_t level = 0; level + 1 < t->levels && k < 1u << 4 * t->levels; level++)
            /* the last symbol of a node stays */
            row[t->level_at[level] / 2 + (k >> 4 * (t->levels - 1 - level))] = last[k];
        if (t->kind == EC_KIND_BUCKETS)
            for (; bucket << t->bucket_shift < end; bucket++) buckets[bucket] = (uint8_t)(k < 255 ? k : 255);
    }
    if (t->kind == EC_KIND_SPLITS) fill_splits(t, last, buckets);
}

/* An escape's entry has an offset beyond its count, and its true offset in the place of the symbol. */
static void fill_fused(const ec_tables *t, const uint32_t *counts, uint32_t *entry) {
    const uint32_t last = (1u << t->field) - 1;
    for (uint32_t k = 0; k < t->symbols + t->escape; k++)
        for (uint32_t i = 0; i < counts[k]; i++) {
            const uint32_t symbol = k < t->symbols ? k : i;
            const uint32_t offset = k < t->symbols ? i : last;
            *entry++ = (symbol << (2 * t->field)) | ((counts[k] - 1) << t->field) | offset;
        }
}

/* Chooses the fields of an entry: as small as the counts allow. Whether all entries fit 32 bits and all
 * tables the limit. */
static int plan_fused(ec_tables *t, const uint32_t *counts) {
    if (t->bits > 15 || t->count > (FUSED_LIMIT / 4) >> t->bits) return 0;
    const uint32_t alphabet = t->symbols + t->escape;
    uint32_t most = 0, most_escape = 0;
    for (size_t i = 0; i < t->count * alphabet; i++) {
        if (counts[i] > most) most = counts[i];
        if (t->escape && i % alphabet == t->symbols && counts[i] > most_escape) most_escape = counts[i];
    }
    const uint32_t ordinary = ceil_log2(most), escape = ceil_log2(most_escape + 1);
    t->field = ordinary > escape ? ordinary : escape;
    const uint32_t upper = t->escape_bits > escape ? t->escape_bits : escape;
    return 2 * t->field + upper <= 32;
}

static int allocate(ec_tables *t, int fused) {
    /* A guard before the first row, and room for reading on after the last. */
    const size_t rows = t->count * t->row_bytes + 2 * ROW_ALIGNMENT;
    t->block = aligned_alloc(ROW_ALIGNMENT, (rows + ROW_ALIGNMENT - 1) / ROW_ALIGNMENT * ROW_ALIGNMENT);
    if (fused) t->fused = malloc((t->count * 4) << t->bits);
    t->shuffles = ec_make_shuffles();
    return t->block != NULL && t->shuffles != NULL && (!fused || t->fused != NULL);
}

/* Plans the rows that `layout` asks for; 0 if these tables cannot have them. */
static int choose_rows(ec_tables *t, const uint32_t *counts, int layout) {
    const uint32_t alphabet = t->symbols + t->escape;
    const int possible = alphabet <= MOST_IN_BUCKETS;
    if (layout > EC_LAYOUT_TREE && !possible) return 0;
    const int wanted = layout != EC_LAYOUT_TREE && t->kernels->gathers && possible;
    /* A few symbols have a bucket each: splits would only be larger. */
    if (layout == EC_LAYOUT_SPLITS || (layout != EC_LAYOUT_BUCKETS && wanted && alphabet > 16)) {
        plan_splits(t, alphabet);
        uint64_t beyond = 0;
        int suit = layout == EC_LAYOUT_SPLITS || t->count <= BUCKETS_IN_CACHE / t->row_bytes;
        for (size_t i = 0; suit && i < t->count; i++) {
            const uint32_t *row = counts + i * alphabet;
            /* Nothing but escapes: the first bucket would begin with a symbol that eight bits cannot name. */
            if (alphabet > 256 && row[256] == 1u << t->bits) suit = 0;
            beyond += row_is_valid(t, row) ? beyond_splits(t, row) : 0;
        }
        if (layout == EC_LAYOUT_SPLITS) return suit;
        const uint64_t slots = (uint64_t)t->count << t->bits;
        if (suit && beyond * 1000000 <= slots * BEYOND_SPLITS) return 1;
    }
    if (layout == EC_LAYOUT_BUCKETS || wanted) {
        plan_buckets(t, alphabet);
        if (layout == EC_LAYOUT_BUCKETS || t->count <= BUCKETS_IN_CACHE / t->row_bytes) return 1;
    }
    plan_tree(t, alphabet);
    return 1;
}

int ec_tables_create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, int escape,
                     int layout, ec_tables **out) {
    *out = NULL;
    if (bits < 8 || bits > 16 || symbols < 1 || symbols > 65536 - (escape != 0) || tables < 1 ||
        tables > 0x7FFFFFFF || layout < EC_LAYOUT_AUTO || layout > EC_LAYOUT_SPLITS)
        return EC_ERR_ARGUMENT;
    ec_tables *t = calloc(1, sizeof *t);
    if (t == NULL) return EC_ERR_MEMORY;
    t->count = tables;
    t->symbols = symbols;
    t->bits = bits;
    t->escape = escape != 0;
    t->escape_bits = ceil_log2(symbols);
    t->bias = bits == 16 ? 0x8000 : 0;
    const uint32_t alphabet = symbols + t->escape;
    t->kernels = ec_choose_kernels();
    if (!choose_rows(t, counts, layout)) {
        ec_tables_free(t);
        return EC_ERR_ARGUMENT;
    }
    int status = tables > (UINT32_MAX - 4 * ROW_ALIGNMENT) / t->row_bytes ? EC_ERR_MEMORY : EC_OK;
    for (size_t i = 0; status == EC_OK && i < tables; i++)
        if (!row_is_valid(t, counts + i * alphabet)) status = EC_ERR_TABLE;
    int fused = 0;
    if (status == EC_OK && (layout == EC_LAYOUT_AUTO || layout == EC_LAYOUT_FUSED)) {
        fused = plan_fused(t, counts);
        if (!fused && layout == EC_LAYOUT_FUSED) status = EC_ERR_ARGUMENT;
        if (layout == EC_LAYOUT_AUTO && tables > (FUSED_IN_CACHE / 4) >> bits) fused = 0;
    }
    if (status == EC_OK && !allocate(t, fused)) status = EC_ERR_MEMORY;
    if (status != EC_OK) {
        ec_tables_free(t);
        return status;
    }
    t->rows = t->block + ROW_ALIGNMENT / 2;
    /* All of the guard: idle lanes may look before its last value. */
    for (size_t i = 0; i < ROW_ALIGNMENT / 2; i++) t->block[i] = (uint16_t)(((1u << bits) - 1) ^ t->bias);
    for (size_t i = 0; i < tables; i++) {
        fill_row(t, counts + i * alphabet, t->rows + i * (t->row_bytes / 2));
        if (fused) fill_fused(t, counts + i * alphabet, t->fused + (i << bits));
    }
    if (fused) t->kind = EC_KIND_FUSED;
    *out = t;
    return EC_OK;
}

void ec_tables_free(ec_tables *tables) {
    if (tables == NULL) return;
    free(tables->block);
    free(tables->fused);
    free(tables->shuffles);
    free(tables);
}

size_t ec_tables_bytes(const ec_tables *tables) {
    const size_t fused = tables->fused != NULL ? (tables->count * 4) << tables->bits : 0;
    return sizeof *tables + sizeof(ec_shuffles) + 2 * ROW_ALIGNMENT + tables->count * tables->row_bytes +
           fused;
}

int ec_tables_layout(const ec_tables *tables) {
    if (tables->kind == EC_KIND_FUSED) return EC_LAYOUT_FUSED;
    if (tables->kind == EC_KIND_SPLITS) return EC_LAYOUT_SPLITS;
    return tables->kind == EC_KIND_BUCKETS ? EC_LAYOUT_BUCKETS : EC_LAYOUT_TREE;
}

const char *ec_tables_isa(const ec_tables *tables) { return tables->kernels->isa; }

int ec_tables_counts(const ec_tables *tables, size_t table, uint32_t *out) {
    if (table >= tables->count) return EC_ERR_INDEX;
    for (uint32_t k = 0; k < tables->symbols + tables->escape; k++)
        out[k] = ec_interval_of(tables, table, k).count;
    return EC_OK;
}
