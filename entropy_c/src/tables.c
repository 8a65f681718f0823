/* Frequency tables: validation and the two decoder layouts. */
#include <stdlib.h>

#include "models.h"

/* Smallest n with 2^n >= value. */
static uint32_t ceil_log2(uint32_t value) {
    uint32_t n = 0;
    while (((uint64_t)1 << n) < value) n++;
    return n;
}

/* More buckets than symbols shorten the search, as long as all rows together stay in a second-level cache. */
#define ROWS_IN_CACHE ((size_t)256 << 10)

/* uint16 units of one row: K + 1 starts and 2^bucket_bits + 1 index entries of one or two bytes. */
static size_t row_stride(uint32_t symbols, uint32_t bucket_bits) {
    const size_t index = ((size_t)1 << bucket_bits) + 1;
    return (size_t)symbols + 1 + (symbols > 256 ? index : (index + 1) / 2);
}

static int row_is_valid(const uint32_t *counts, uint32_t symbols, uint32_t bits) {
    uint64_t sum = 0;
    for (uint32_t k = 0; k < symbols; k++) {
        if (counts[k] > 65535) return 0;
        sum += counts[k];
    }
    return sum == (uint64_t)1 << bits;
}

static void fill_row(const ec_tables *t, const uint32_t *counts, uint16_t *row) {
    uint32_t start = 0;
    for (uint32_t k = 0; k < t->symbols; k++) {
        row[k] = (uint16_t)start;
        start += counts[k];
    }
    row[t->symbols] = (uint16_t)start;

    uint16_t *wide = row + t->symbols + 1;
    uint8_t *narrow = (uint8_t *)wide;
    const uint32_t buckets = 1u << t->bucket_bits;
    const uint32_t width = 1u << (t->bits - t->bucket_bits);
    uint32_t symbol = 0, end = counts[0];
    for (uint32_t b = 0; b <= buckets; b++) {
        const uint32_t slot = b < buckets ? b * width : (1u << t->bits) - 1; /* the end: the last symbol */
        while (end <= slot) end += counts[++symbol];
        if (t->symbols > 256)
            wide[b] = (uint16_t)symbol;
        else
            narrow[b] = (uint8_t)symbol;
    }
}

static void fill_fused(const ec_tables *t, const uint32_t *counts, uint32_t *entry) {
    for (uint32_t k = 0; k < t->symbols; k++)
        for (uint32_t i = 0; i < counts[k]; i++)
            *entry++ = (k << (2 * t->bits)) | ((counts[k] - 1) << t->bits) | i;
}

int ec_tables_create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, int layout,
                     ec_tables **out) {
    *out = NULL;
    if (bits < 8 || bits > 16 || symbols < 1 || symbols > 65535 || tables < 1 || tables > 0x7FFFFFFF ||
        layout < EC_LAYOUT_AUTO || layout > EC_LAYOUT_BUCKETED)
        return EC_ERR_ARGUMENT;
    const uint32_t symbol_bits = ceil_log2(symbols);
    const int fusible = 2 * bits + symbol_bits <= 32 && tables <= (EC_FUSED_LIMIT / 4) >> bits;
    if (layout == EC_LAYOUT_FUSED && !fusible) return EC_ERR_ARGUMENT;
    if (layout == EC_LAYOUT_AUTO)
        layout = fusible && tables <= (EC_FUSED_IN_CACHE / 4) >> bits ? EC_LAYOUT_FUSED : EC_LAYOUT_BUCKETED;
    for (size_t i = 0; i < tables; i++)
        if (!row_is_valid(counts + i * symbols, symbols, bits)) return EC_ERR_TABLE;

    ec_tables *t = calloc(1, sizeof *t);
    if (t == NULL) return EC_ERR_MEMORY;
    t->count = tables;
    t->symbols = symbols;
    t->bits = bits;
    t->layout = layout;
    t->bucket_bits = symbol_bits < bits ? symbol_bits : bits;
    t->stride = row_stride(symbols, t->bucket_bits);
    while (t->bucket_bits < bits && t->bucket_bits < symbol_bits + 3 &&
           tables <= ROWS_IN_CACHE / (2 * row_stride(symbols, t->bucket_bits + 1)))
        t->stride = row_stride(symbols, ++t->bucket_bits);
    const size_t slots = (size_t)1 << bits;
    if (tables <= SIZE_MAX / (4 * slots) && tables <= SIZE_MAX / (2 * t->stride)) {
        t->rows = malloc(tables * t->stride * sizeof *t->rows);
        if (layout == EC_LAYOUT_FUSED) t->fused = malloc(tables * slots * sizeof *t->fused);
    }
    if (t->rows == NULL || (layout == EC_LAYOUT_FUSED && t->fused == NULL)) {
        ec_tables_free(t);
        return EC_ERR_MEMORY;
    }
    for (size_t i = 0; i < tables; i++) {
        fill_row(t, counts + i * symbols, t->rows + i * t->stride);
        if (t->fused != NULL) fill_fused(t, counts + i * symbols, t->fused + (i << bits));
    }
    *out = t;
    return EC_OK;
}

void ec_tables_free(ec_tables *tables) {
    if (tables == NULL) return;
    free(tables->rows);
    free(tables->fused);
    free(tables);
}

size_t ec_tables_bytes(const ec_tables *tables) {
    const size_t fused = tables->fused != NULL ? (tables->count * 4) << tables->bits : 0;
    return sizeof *tables + tables->count * tables->stride * sizeof *tables->rows + fused;
}

int ec_tables_layout(const ec_tables *tables) { return tables->layout; }

int ec_tables_counts(const ec_tables *tables, size_t table, uint32_t *out) {
    if (table >= tables->count) return EC_ERR_INDEX;
    for (uint32_t k = 0; k < tables->symbols; k++) out[k] = ec_symbol_pair(tables, table, k) >> 16;
    return EC_OK;
}
