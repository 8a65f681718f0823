/* Explicit rows: cumulative counts given by the caller. One symbol may own every slot. */
#ifndef EC_ROWS_H
#define EC_ROWS_H

#include "rans.h"

static inline int ec_row_sizes_are_valid(uint32_t symbols, uint32_t bits) {
    return symbols >= 1 && symbols <= 65536 && bits >= 8 && bits <= 16;
}

/* Whether a row begins with 0, does not decrease and stays within 2^bits. */
static inline int ec_row_is_valid(const uint16_t *starts, uint32_t symbols, uint32_t bits) {
    uint16_t falls = starts[0];
    for (uint32_t k = 1; k < symbols; k++) falls |= (uint16_t)(starts[k] < starts[k - 1]);
    return falls == 0 && starts[symbols - 1] <= 1u << bits;
}

/* The place of a symbol of a valid row. */
static inline ec_interval ec_row_interval(const uint16_t *starts, uint32_t symbols, uint32_t bits,
                                          uint32_t symbol) {
    const uint32_t end = symbol + 1 < symbols ? starts[symbol + 1] : 1u << bits;
    const ec_interval s = {starts[symbol], end - starts[symbol]};
    return s;
}

/* The symbol that owns a slot of a valid row: the last one that starts at or before it. */
static inline uint32_t ec_row_find(const uint16_t *starts, uint32_t symbols, uint32_t slot) {
    uint32_t symbol = 0;
    for (uint32_t left = symbols; left > 1; left -= left / 2)
        if (starts[symbol + left / 2] <= slot) symbol += left / 2;
    return symbol;
}

#endif
