/* What the functions that make tables share. */
#ifndef EC_BUILD_H
#define EC_BUILD_H

#include "entropy_c.h"

/* One row of ec_counts_from_weights; scratch and items are room for one entry per column. */
int ec_counts_row(const uint64_t *weights, uint32_t symbols, uint32_t bits, int rule, uint64_t *scratch,
                  uint32_t *items, uint32_t *counts);

/* log2 n for n = 1 .. 65536 in units of 2^-EC_LOG_BITS, at most one unit too small. */
#define EC_LOG_BITS 20
void ec_fill_logs(uint32_t *logs);

/* Distributions as vectors for fast comparison: shares in units of 2^-14, prices (minus log2 of the
 * probability) in units of 2^-11 bit, so that the product of both sums to the cost in 32 bits. */
#define EC_PRICE_BITS 11
void ec_fill_shares(const uint32_t *counts, uint32_t symbols, uint32_t bits, int16_t *shares);
void ec_fill_prices(const uint32_t *counts, uint32_t symbols, uint32_t bits, const uint32_t *logs,
                    int16_t *prices);

/* The cost of symbols with these shares at these prices; the loop that all time is spent in. */
static inline int32_t ec_cost(const int16_t *shares, const int16_t *prices, size_t stride) {
    int32_t sum = 0;
    for (size_t i = 0; i < stride; i++) sum += shares[i] * prices[i];
    return sum;
}

#endif
