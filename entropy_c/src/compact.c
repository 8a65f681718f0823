/* Compact codes of rows of counts and of lists of numbers. */
#include "compact.h"

#include <stdlib.h>

#define MOST_K             15 /* parameters are 0 .. MOST_K */
#define MOST_QUOTIENT_BITS 17 /* of count + 2^MOST_K */

/* ---- Rows of counts: all but the last, in exponential Golomb codes ---- */

static uint32_t bit_length(uint32_t value) { return value == 0 ? 0 : 32 - (uint32_t)__builtin_clz(value); }

static uint64_t row_cost(const uint32_t *counts, uint32_t coded, uint32_t floor, uint32_t k) {
    uint64_t lengths = 0;
    for (uint32_t i = 0; i < coded; i++) lengths += bit_length(counts[i] - floor + (1u << k));
    return 2 * lengths - (uint64_t)coded * (k + 1);
}

void ec_put_row(ec_bit_writer *w, const uint32_t *counts, uint32_t coded) {
    uint32_t floor = 1, best = 0;
    for (uint32_t i = 0; i < coded; i++) floor &= counts[i] > 0;
    uint64_t least = UINT64_MAX;
    for (uint32_t k = 0; k <= MOST_K; k++) {
        const uint64_t cost = row_cost(counts, coded, floor, k);
        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    ec_put_bits(w, floor, 1);
    ec_put_bits(w, best, EC_ROW_BITS - 1);
    for (uint32_t i = 0; i < coded; i++) {
        const uint32_t quotient = counts[i] - floor + (1u << best), rest = bit_length(quotient) - 1;
        ec_put_bits(w, 0, rest - best);
        ec_put_bits(w, 1, 1);
        ec_put_bits(w, quotient, rest);
    }
}

int ec_get_row(ec_bit_reader *r, uint32_t *counts, uint32_t coded, uint32_t total) {
    const uint32_t floor = ec_get_bits(r, 1), k = ec_get_bits(r, EC_ROW_BITS - 1);
    uint32_t left = total;
    for (uint32_t i = 0; i < coded; i++) {
        uint32_t rest = k;
        while (ec_get_bits(r, 1) == 0)
            if (r->failed || ++rest >= MOST_QUOTIENT_BITS) return 0;
        counts[i] = (1u << rest) - (1u << k) + ec_get_bits(r, rest) + floor;
        if (r->failed || counts[i] > left) return 0;
        left -= counts[i];
    }
    counts[coded] = left;
    return !r->failed;
}

/* ---- Lists of numbers: the map, the classes ---- */

uint32_t ec_id_bits(uint32_t limit) {
    const uint32_t bits = bit_length(limit - 1);
    return bits > 0 ? bits : 1;
}

/* The number `back` places before; there are zeros before the first. */
static uint32_t earlier(const uint32_t *ids, size_t at, size_t back) {
    return at >= back ? ids[at - back] : 0;
}

void ec_put_ids(ec_bit_writer *w, const uint32_t *ids, size_t n, uint32_t limit, size_t row) {
    const uint32_t bits = ec_id_bits(limit);
    uint64_t cost = 0;
    for (size_t i = 0; i < n; i++)
        cost += ids[i] == earlier(ids, i, 1) ? 1 : ids[i] == earlier(ids, i, row) ? 2 : 2 + bits;
    const int plain = (uint64_t)n * bits <= cost;
    ec_put_bits(w, !plain, 1);
    for (size_t i = 0; i < n; i++) {
        if (plain) {
            ec_put_bits(w, ids[i], bits);
        } else if (ids[i] == earlier(ids, i, 1)) {
            ec_put_bits(w, 1, 1);
        } else {
            const int above = ids[i] == earlier(ids, i, row);
            ec_put_bits(w, above ? 2 : 0, 2);
            if (!above) ec_put_bits(w, ids[i], bits);
        }
    }
}

uint32_t *ec_get_ids(ec_bit_reader *r, uint64_t n, uint32_t limit, size_t row, int *status) {
    const uint32_t bits = ec_id_bits(limit);
    const int plain = ec_get_bits(r, 1) == 0;
    *status = EC_ERR_DAMAGED;
    if (n > r->end - r->at) return NULL;
    uint32_t *ids = malloc((size_t)(n > 0 ? n : 1) * sizeof *ids);
    *status = ids != NULL ? EC_OK : EC_ERR_MEMORY;
    for (size_t i = 0; ids != NULL && i < n; i++) {
        if (plain)
            ids[i] = ec_get_bits(r, bits);
        else if (ec_get_bits(r, 1) == 1)
            ids[i] = earlier(ids, i, 1);
        else
            ids[i] = ec_get_bits(r, 1) == 1 ? earlier(ids, i, row) : ec_get_bits(r, bits);
        if (r->failed || ids[i] >= limit) {
            *status = EC_ERR_DAMAGED;
            break;
        }
    }
    if (*status == EC_OK) return ids;
    free(ids);
    return NULL;
}
