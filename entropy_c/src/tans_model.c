/* tANS automata: validation and construction. */
#include <stdlib.h>
#include <string.h>

#include "tans.h"

static int row_is_valid(const uint32_t *counts, uint32_t symbols, uint32_t total) {
    uint64_t sum = 0;
    for (uint32_t k = 0; k < symbols; k++) sum += counts[k];
    return sum == total;
}

static uint32_t floor_log2(uint32_t value) {
    uint32_t n = 0;
    while (value >> (n + 1) != 0) n++;
    return n;
}

/* A symbol of `count` cells takes state x to one of them by way of x >> n, which must be in count ..
 * 2 count - 1: n is `most` from x = count << most on, and one less below. */
static uint32_t code_of(uint32_t start, uint32_t count, uint32_t bits) {
    const uint32_t most = bits - floor_log2(count);
    const uint32_t delta = most > 0 ? (most << EC_TANS_SHIFT) - (count << most) : 0;
    return ((start + EC_TANS_BIAS - count) << 17) | delta;
}

/* spread: uint16 [T] for the symbols of the cells; seen: uint32 [symbols]. */
static void build(ec_tans *t, size_t table, const uint32_t *counts, uint16_t *spread, uint32_t *seen) {
    const uint32_t total = 1u << t->bits;
    const uint32_t step = total / 2 + total / 8 + 3; /* odd: every cell is visited once */
    uint32_t *codes = t->codes + table * t->symbols;
    uint16_t *next = t->next + (table << t->bits);
    uint32_t *cells = t->cells + (table << t->bits);
    uint32_t cell = 0, start = 0;
    for (uint32_t k = 0; k < t->symbols; k++) {
        for (uint32_t i = 0; i < counts[k]; i++) {
            spread[cell] = (uint16_t)k;
            cell = (cell + step) & (total - 1);
        }
        codes[k] = counts[k] > 0 ? code_of(start, counts[k], t->bits) : 0;
        seen[k] = start;
        start += counts[k];
    }
    /* The cells of a symbol in ascending order take the numbers count .. 2 count - 1. */
    start = 0;
    for (uint32_t c = 0; c < total; c++) next[seen[spread[c]]++] = (uint16_t)(total + c);
    for (uint32_t k = 0; k < t->symbols; k++)
        for (uint32_t i = 0; i < counts[k]; i++) {
            const uint32_t number = counts[k] + i;
            const uint32_t bits = t->bits - floor_log2(number);
            cells[next[start++] - total] = (k << 16) | (bits << 12) | ((number << bits) - total);
        }
}

int ec_tans_create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, ec_tans **out) {
    *out = NULL;
    if (bits < 8 || bits > 12 || symbols < 1 || symbols > 65535 || tables < 1) return EC_ERR_ARGUMENT;
    const size_t total = (size_t)1 << bits;
    if (tables > EC_TANS_LIMIT / (6 * total + 4 * (size_t)symbols)) return EC_ERR_ARGUMENT;
    for (size_t i = 0; i < tables; i++)
        if (!row_is_valid(counts + i * symbols, symbols, (uint32_t)total)) return EC_ERR_TABLE;

    ec_tans *t = calloc(1, sizeof *t);
    uint16_t *spread = malloc(total * sizeof *spread);
    uint32_t *seen = malloc(symbols * sizeof *seen);
    if (t != NULL) {
        t->count = tables;
        t->symbols = symbols;
        t->bits = bits;
        t->codes = malloc(tables * symbols * sizeof *t->codes);
        t->next = malloc(tables * total * sizeof *t->next);
        t->cells = malloc(tables * total * sizeof *t->cells);
    }
    const int ok = t != NULL && spread != NULL && seen != NULL && t->codes != NULL && t->next != NULL &&
                   t->cells != NULL;
    for (size_t i = 0; ok && i < tables; i++) build(t, i, counts + i * symbols, spread, seen);
    free(spread);
    free(seen);
    if (!ok) {
        ec_tans_free(t);
        return EC_ERR_MEMORY;
    }
    *out = t;
    return EC_OK;
}

void ec_tans_free(ec_tans *tans) {
    if (tans == NULL) return;
    free(tans->codes);
    free(tans->next);
    free(tans->cells);
    free(tans);
}

size_t ec_tans_bytes(const ec_tans *tans) {
    return sizeof *tans + tans->count * (4 * (size_t)tans->symbols + ((size_t)6 << tans->bits));
}
