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
        if (t->levels == 0)
            for (; bucket << t->bucket_shift < end; bucket++) buckets[bucket] = (uint8_t)(k < 255 ? k : 255);
    }
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

int ec_tables_create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, int escape,
                     int layout, ec_tables **out) {
    *out = NULL;
    if (bits < 8 || bits > 16 || symbols < 1 || symbols > 65536 - (escape != 0) || tables < 1 ||
        tables > 0x7FFFFFFF || layout < EC_LAYOUT_AUTO || layout > EC_LAYOUT_BUCKETS)
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
    const int can_have_buckets = alphabet <= MOST_IN_BUCKETS;
    if (can_have_buckets) plan_buckets(t, alphabet);
    const int wants_buckets =
        layout == EC_LAYOUT_BUCKETS || (layout != EC_LAYOUT_TREE && t->kernels->gathers && can_have_buckets &&
                                        tables <= BUCKETS_IN_CACHE / t->row_bytes);
    if (wants_buckets && !can_have_buckets) {
        ec_tables_free(t);
        return EC_ERR_ARGUMENT;
    }
    if (!wants_buckets) plan_tree(t, alphabet);
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
    return tables->kind == EC_KIND_BUCKETS ? EC_LAYOUT_BUCKETS : EC_LAYOUT_TREE;
}

const char *ec_tables_isa(const ec_tables *tables) { return tables->kernels->isa; }

int ec_tables_counts(const ec_tables *tables, size_t table, uint32_t *out) {
    if (table >= tables->count) return EC_ERR_INDEX;
    for (uint32_t k = 0; k < tables->symbols + tables->escape; k++)
        out[k] = ec_interval_of(tables, table, k).count;
    return EC_OK;
}
