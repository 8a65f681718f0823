/* Rows of cumulative counts, for the tests of explicit rows. */
#ifndef EC_TESTS_ROWS_COMMON_H
#define EC_TESTS_ROWS_COMMON_H

#include "common.h"

static inline int ascending(const void *a, const void *b) {
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* Random starts; many symbols without slots, and now and then one symbol that owns everything. */
static inline void random_row(uint16_t *starts, uint32_t symbols, uint32_t bits) {
    const uint32_t kind = below(8), most = bits < 16 ? 1u << bits : 65535;
    for (uint32_t k = 0; k < symbols; k++) {
        starts[k] = (uint16_t)below(most + 1);
        if (kind == 0) starts[k] = 0;
        if (kind == 1) starts[k] = (uint16_t)most;
        if (kind == 2) starts[k] = (uint16_t)(starts[k] / 64);
    }
    starts[0] = 0;
    qsort(starts, symbols, sizeof *starts, ascending);
}

/* Count of a symbol, from the definition. */
static inline uint32_t row_count(const uint16_t *starts, uint32_t symbols, uint32_t bits, uint32_t k) {
    return (k + 1 < symbols ? starts[k + 1] : 1u << bits) - starts[k];
}

/* A symbol that has slots. */
static inline uint16_t row_symbol(const uint16_t *starts, uint32_t symbols, uint32_t bits) {
    uint32_t k = below(symbols);
    while (row_count(starts, symbols, bits, k) == 0) k = (k + 1) % symbols;
    return (uint16_t)k;
}

#endif
