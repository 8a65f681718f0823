/* Single rows on the way to merged tables: logarithms, vectors to compare. */
#include "build.h"

void ec_fill_logs(uint32_t *logs) {
    logs[0] = 0;
    uint32_t whole = 0;
    for (uint32_t n = 1; n <= 65536; n++) {
        while (n >> whole > 1) whole++;
        uint64_t x = (uint64_t)n << (31 - whole); /* in 2^31 .. 2^32 - 1: the logarithm bit after bit */
        uint32_t log = whole;
        for (int bit = 0; bit < EC_LOG_BITS; bit++) {
            x = (x * x) >> 31;
            const uint32_t carry = (uint32_t)(x >> 32);
            x >>= carry;
            log = 2 * log + carry;
        }
        logs[n] = log;
    }
}

void ec_fill_shares(const uint32_t *counts, uint32_t symbols, uint32_t bits, int16_t *shares) {
    for (uint32_t k = 0; k < symbols; k++)
        shares[k] = (int16_t)(bits <= 14 ? counts[k] << (14 - bits)
                                         : (counts[k] + (1u << (bits - 15))) >> (bits - 14));
}

void ec_fill_prices(const uint32_t *counts, uint32_t symbols, uint32_t bits, const uint32_t *logs,
                    int16_t *prices) {
    for (uint32_t k = 0; k < symbols; k++) {
        const uint32_t price = (bits << EC_PRICE_BITS) - (logs[counts[k]] >> (EC_LOG_BITS - EC_PRICE_BITS));
        prices[k] = (int16_t)(counts[k] == 0 || price > INT16_MAX ? INT16_MAX : price);
    }
}
