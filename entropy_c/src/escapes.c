/* Escapes: symbols without a count are coded as symbol K and then raw bits. Rare, so plain code will do. */
#include "models.h"

int ec_pop_escapes(const ec_tables *t, uint32_t lanes, uint32_t *x, uint32_t add, uint16_t *symbols,
                   ec_reader *r) {
    if (!ec_reader_has(r)) return EC_ERR_TRUNCATED;
    for (uint32_t lane = 0; lane < EC_LANES; lane++) {
        if ((lanes >> lane & 1) == 0) continue;
        const uint32_t symbol = x[lane] & ((1u << t->escape_bits) - 1);
        if (symbol >= t->symbols) return EC_ERR_DAMAGED;
        x[lane] = ec_refill(x[lane] >> t->escape_bits, r);
        symbols[lane] = (uint16_t)(symbol + add);
    }
    return EC_OK;
}

int ec_push_escapes(const ec_tables *t, uint32_t lanes, const uint32_t *ids, const uint16_t *symbols,
                    uint32_t less, uint32_t *x, uint32_t *starts, uint32_t *counts, uint8_t **out) {
    for (uint32_t lane = EC_LANES; lane-- > 0;) {
        if ((lanes >> lane & 1) == 0 || counts[lane] != 0) continue;
        const ec_interval escape = ec_interval_of(t, ids[lane], t->symbols);
        if (escape.count == 0) return 0;
        if (t->escape_bits > 0)
            x[lane] = ec_push(x[lane], (ec_interval){symbols[lane] - less, 1}, t->escape_bits, out);
        starts[lane] = escape.start;
        counts[lane] = escape.count;
    }
    return 1;
}
