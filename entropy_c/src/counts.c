/* Weights to counts of exact sum 2^bits.
 *
 * Minimising sum w log2(1 / count) is separable and concave: giving one count after the other to the symbol
 * that gains most is optimal. The gain w log((c + 1) / c) is nearly w / (c + 1/2), so the symbol with the
 * largest w / (2c + 1) comes next (the divisor rule of Webster and Sainte-Lague). Weights times any
 * multiplier, rounded, lie on that road; from there only few counts are left to give, or to take back.
 */
#include <stdlib.h>

#include "build.h"

#define WEIGHT_BITS 43 /* of a row's sum: weight * (2 count + 1) and 20 * weight * 2^bits fit 64 bits */

/* Symbols in a binary heap, the one to be changed next on top. */
typedef struct heap {
    const uint64_t *weights;
    uint32_t *counts;
    uint32_t *items;
    uint32_t size;
    int taking; /* counts are taken: the top has the least w / (2c - 1) */
} heap;

/* Whether a comes before b; of equals the lower symbol is the first to be given a count and the last to lose
 * one.
 */
static int before(const heap *h, uint32_t a, uint32_t b) {
    const uint32_t step = h->taking ? UINT32_MAX : 1; /* -1 or 1 */
    const uint64_t left = h->weights[a] * (2 * h->counts[b] + step);
    const uint64_t right = h->weights[b] * (2 * h->counts[a] + step);
    if (left != right) return h->taking ? left < right : left > right;
    return h->taking ? a > b : a < b;
}

static void sift(heap *h, uint32_t place) {
    const uint32_t item = h->items[place];
    for (uint32_t child; (child = 2 * place + 1) < h->size; place = child) {
        if (child + 1 < h->size && before(h, h->items[child + 1], h->items[child])) child++;
        if (!before(h, h->items[child], item)) break;
        h->items[place] = h->items[child];
    }
    h->items[place] = item;
}

/* Gives or takes counts until they sum to `total`; every symbol that has a count keeps one. */
static void settle(heap *h, uint32_t symbols, uint64_t sum, uint64_t total) {
    h->taking = sum > total;
    h->size = 0;
    for (uint32_t k = 0; k < symbols; k++)
        if (h->counts[k] > (uint32_t)h->taking) h->items[h->size++] = k;
    for (uint32_t i = h->size / 2; i-- > 0;) sift(h, i);
    for (uint64_t left = h->taking ? sum - total : total - sum; left > 0; left--) {
        uint32_t *count = &h->counts[h->items[0]];
        *count = h->taking ? *count - 1 : *count + 1;
        if (h->taking && *count == 1) h->items[0] = h->items[--h->size];
        sift(h, 0);
    }
}

/* Counts of the symbols that are marked by a nonzero count; items is room for all. */
static void divide(const uint64_t *weights, uint32_t symbols, uint32_t bits, uint32_t *counts,
                   uint32_t *items) {
    const uint64_t total = UINT64_C(1) << bits;
    uint64_t all = 0, marked = 0;
    for (uint32_t k = 0; k < symbols; k++)
        if (counts[k] > 0) {
            all += weights[k];
            marked++;
        }
    /* Symbols below one count get one, which leaves less for the others: a better multiplier. */
    uint64_t weight = all > 0 ? all : 1, left = total;
    for (int round = 0; round < 4; round++) {
        uint64_t small = 0, below = 0;
        for (uint32_t k = 0; k < symbols; k++)
            if (counts[k] > 0 && weights[k] * left < weight) {
                small += weights[k];
                below++;
            }
        if (below == marked || left == total - below) break;
        left = total - below;
        weight = all - small;
    }
    uint64_t sum = 0;
    for (uint32_t k = 0; k < symbols; k++)
        if (counts[k] > 0) {
            const uint64_t rounded = (2 * weights[k] * left + weight) / (2 * weight);
            counts[k] = rounded > 1 ? (uint32_t)rounded : 1;
            sum += counts[k];
        }
    settle(&(heap){weights, counts, items, 0, 0}, symbols, sum, total);
}

/* At 16 bits a table's first symbol must have a count. */
static int must_have(uint32_t symbol, uint32_t bits) { return symbol == 0 && bits == 16; }

/* Marks the symbols that get a count of their own: at least 0.35 counts by their share or, should these be
 * too many for the sum, more than one. The weight of all others goes to the escape in the last column. */
static void mark_escaped(uint64_t *weights, uint32_t symbols, uint32_t bits, uint64_t sum, uint32_t *counts) {
    const uint64_t total = UINT64_C(1) << bits;
    uint64_t kept = total + 1;
    for (int strict = 0; kept + (kept < symbols) > total; strict = 1) {
        kept = 0;
        for (uint32_t k = 0; k < symbols; k++) {
            const uint64_t scaled = weights[k] * total;
            counts[k] = must_have(k, bits) || (strict ? scaled > sum : 20 * scaled >= 7 * sum);
            kept += counts[k];
        }
    }
    weights[symbols] = 0;
    counts[symbols] = kept < symbols;
    for (uint32_t k = 0; k < symbols; k++)
        if (counts[k] == 0) weights[symbols] += weights[k];
}

int ec_counts_row(const uint64_t *weights, uint32_t symbols, uint32_t bits, int rule, uint64_t *scratch,
                  uint32_t *items, uint32_t *counts) {
    uint64_t sum = 0, used = 0, scaled = 0;
    for (uint32_t k = 0; k < symbols; k++) {
        if (weights[k] > INT64_MAX - sum) return EC_ERR_TABLE;
        sum += weights[k];
    }
    if (sum == 0) return EC_ERR_TABLE;
    uint32_t shift = 0;
    while (sum >> shift >> WEIGHT_BITS > 0) shift++;
    for (uint32_t k = 0; k < symbols; k++) {
        const uint64_t w = weights[k] >> shift;
        scratch[k] = w > 0 || weights[k] == 0 ? w : 1;
        scaled += scratch[k];
        counts[k] = rule == EC_COUNTS_EVERY || weights[k] > 0 || must_have(k, bits);
        used += counts[k];
    }
    if (used > UINT64_C(1) << bits && rule != EC_COUNTS_ESCAPE) return EC_ERR_TABLE;
    if (rule == EC_COUNTS_ESCAPE) mark_escaped(scratch, symbols, bits, scaled, counts);
    const uint32_t columns = symbols + (rule == EC_COUNTS_ESCAPE);
    divide(scratch, columns, bits, counts, items);
    if (counts[0] == 65536) { /* nor may it have all of them */
        counts[0]--;
        counts[1] = 1;
    }
    return EC_OK;
}

int ec_counts_from_weights(const uint64_t *weights, size_t tables, uint32_t symbols, uint32_t bits, int rule,
                           uint32_t *counts) {
    if (bits < 8 || bits > 16 || symbols < 1 || rule < EC_COUNTS_EVERY || rule > EC_COUNTS_ESCAPE)
        return EC_ERR_ARGUMENT;
    const uint32_t columns = symbols + (rule == EC_COUNTS_ESCAPE);
    if (columns > 65536 || (bits == 16 && columns == 1)) return EC_ERR_ARGUMENT;
    uint64_t *scratch = malloc(columns * sizeof *scratch);
    uint32_t *items = malloc(columns * sizeof *items);
    int status = scratch != NULL && items != NULL ? EC_OK : EC_ERR_MEMORY;
    for (size_t i = 0; i < tables && status == EC_OK; i++)
        status =
            ec_counts_row(weights + i * symbols, symbols, bits, rule, scratch, items, counts + i * columns);
    free(scratch);
    free(items);
    return status;
}
