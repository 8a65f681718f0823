/* Counts from weights: exact sums, the rules, and next to nothing lost against the exact optimum. */
#include <math.h>

#include "common.h"

enum { MOST = 700 };

static uint64_t weights[MOST];
static uint32_t counts[MOST + 1];

static double share_cost(uint32_t symbols, const uint32_t *c, uint32_t bits) {
    double cost = 0, sum = 0;
    for (uint32_t k = 0; k < symbols; k++) {
        sum += (double)weights[k];
        if (weights[k] > 0) cost += (double)weights[k] * (bits - log2(c[k]));
    }
    return cost / sum;
}

/* The exact optimum with every symbol at least one: one count after the other to who gains most. */
static double optimum(uint32_t symbols, uint32_t bits) {
    static uint32_t best[MOST];
    static double gain[MOST];
    for (uint32_t k = 0; k < symbols; k++) {
        best[k] = 1;
        gain[k] = (double)weights[k];
    }
    for (uint32_t left = (1u << bits) - symbols; left > 0; left--) {
        uint32_t top = 0;
        for (uint32_t k = 1; k < symbols; k++)
            if (gain[k] > gain[top]) top = k;
        best[top]++;
        gain[top] = (double)weights[top] * log2((best[top] + 1.0) / best[top]);
    }
    return share_cost(symbols, best, bits);
}

/* Weights of many magnitudes, some of them zero. */
static void draw(uint32_t symbols) {
    const uint32_t widest = 1 + below(40);
    for (uint32_t k = 0; k < symbols; k++) {
        const uint32_t shift = below(widest);
        weights[k] = below(5) == 0 ? 0 : (((uint64_t)below(UINT32_MAX) << 8) | 1) >> shift;
    }
    weights[below(symbols)] |= 1;
}

static void sums_and_rules(uint32_t symbols, uint32_t bits) {
    const uint64_t total = UINT64_C(1) << bits;
    for (int rule = EC_COUNTS_EVERY; rule <= EC_COUNTS_ESCAPE; rule++) {
        draw(symbols);
        uint64_t sum = 0;
        uint32_t positive = 0, without = 0;
        for (uint32_t k = 0; k < symbols; k++) positive += weights[k] > 0;
        const int status = ec_counts_from_weights(weights, 1, symbols, bits, rule, counts);
        if ((rule == EC_COUNTS_EVERY && symbols > total) || (rule == EC_COUNTS_NONZERO && positive > total)) {
            assert(status == EC_ERR_TABLE);
            continue;
        }
        assert(status == EC_OK);
        for (uint32_t k = 0; k < symbols; k++) {
            sum += counts[k];
            without += counts[k] == 0;
            if (rule == EC_COUNTS_EVERY) assert(counts[k] > 0);
            if (rule == EC_COUNTS_NONZERO && total < 65536) assert((counts[k] > 0) == (weights[k] > 0));
            for (uint32_t j = 0; j < symbols; j += 7) /* more weight, at least as many counts */
                assert(weights[j] <= weights[k] || counts[j] >= counts[k] || total == 65536);
        }
        if (rule == EC_COUNTS_ESCAPE) {
            assert((counts[symbols] > 0) == (without > 0));
            sum += counts[symbols];
        }
        assert(sum == total);
        ec_tables *t;
        assert(ec_tables_create(counts, 1, symbols, bits, rule == EC_COUNTS_ESCAPE, EC_LAYOUT_TREE, &t) ==
               EC_OK);
        ec_tables_free(t);
    }
}

static void near_the_optimum(void) {
    double worst = 0;
    for (int i = 0; i < 60; i++) {
        const uint32_t symbols = 2 + below(120), bits = 8 + below(5);
        draw(symbols);
        assert(ec_counts_from_weights(weights, 1, symbols, bits, EC_COUNTS_EVERY, counts) == EC_OK);
        const double best = optimum(symbols, bits);
        const double excess = share_cost(symbols, counts, bits) / best - 1;
        if (best > 0.1 && excess > worst) worst = excess;
        assert(excess > -1e-9);
    }
    printf("at most %.1e above the optimum; ", worst);
    assert(worst < 5e-4);
}

static void expect(const uint64_t *w, uint32_t symbols, uint32_t bits, int rule, const uint32_t *wanted) {
    const uint32_t columns = symbols + (rule == EC_COUNTS_ESCAPE);
    assert(ec_counts_from_weights(w, 1, symbols, bits, rule, counts) == EC_OK);
    for (uint32_t k = 0; k < columns; k++) assert(counts[k] == wanted[k]);
}

int main(void) {
    for (uint32_t bits = 8; bits <= 16; bits++)
        for (int i = 0; i < 40; i++) sums_and_rules(2 + below(i % 4 == 0 ? MOST - 2 : 40), bits);
    near_the_optimum();

    expect((uint64_t[]){1, 1, 1}, 3, 8, EC_COUNTS_EVERY, (uint32_t[]){86, 85, 85});
    expect((uint64_t[]){1, 0, 0}, 3, 8, EC_COUNTS_EVERY, (uint32_t[]){254, 1, 1});
    expect((uint64_t[]){7}, 1, 8, EC_COUNTS_NONZERO, (uint32_t[]){256});
    expect((uint64_t[]){0, 7, 0}, 3, 16, EC_COUNTS_NONZERO, (uint32_t[]){1, 65535, 0});
    expect((uint64_t[]){0, 7, 9}, 3, 16, EC_COUNTS_ESCAPE, (uint32_t[]){1, 28672, 36863, 0});
    expect((uint64_t[]){7, 0}, 2, 16, EC_COUNTS_NONZERO, (uint32_t[]){65535, 1});
    expect((uint64_t[]){9, 1, 0}, 3, 8, EC_COUNTS_ESCAPE, (uint32_t[]){230, 25, 0, 1});
    expect((uint64_t[]){1, 1}, 2, 8, EC_COUNTS_ESCAPE, (uint32_t[]){128, 128, 0});
    /* 0.35 counts of 256: 7 of 5120 */
    expect((uint64_t[]){5113, 7}, 2, 8, EC_COUNTS_ESCAPE, (uint32_t[]){255, 1, 0});
    expect((uint64_t[]){5114, 6}, 2, 8, EC_COUNTS_ESCAPE, (uint32_t[]){255, 0, 1});
    const uint64_t huge = INT64_MAX / 2;
    expect((uint64_t[]){huge, huge, 1}, 3, 8, EC_COUNTS_NONZERO, (uint32_t[]){128, 127, 1});

    for (uint32_t k = 0; k < MOST; k++) weights[k] = 1; /* 0.366 counts each, too many for 256 */
    assert(ec_counts_from_weights(weights, 1, MOST, 8, EC_COUNTS_ESCAPE, counts) == EC_OK);
    assert(counts[MOST] == 256 && counts[0] == 0);
    assert(ec_counts_from_weights(weights, 1, 256, 8, EC_COUNTS_ESCAPE, counts) == EC_OK);
    assert(counts[256] == 0 && counts[0] == 1);

    const uint64_t zero[2] = {0, 0}, over[2] = {INT64_MAX, 1};
    assert(ec_counts_from_weights(zero, 1, 2, 8, EC_COUNTS_EVERY, counts) == EC_ERR_TABLE);
    assert(ec_counts_from_weights(over, 1, 2, 8, EC_COUNTS_EVERY, counts) == EC_ERR_TABLE);
    assert(ec_counts_from_weights(weights, 1, 257, 8, EC_COUNTS_EVERY, counts) == EC_ERR_TABLE);
    assert(ec_counts_from_weights(weights, 1, 257, 8, EC_COUNTS_NONZERO, counts) == EC_ERR_TABLE);
    assert(ec_counts_from_weights(weights, 1, 2, 7, EC_COUNTS_EVERY, counts) == EC_ERR_ARGUMENT);
    assert(ec_counts_from_weights(weights, 1, 2, 17, EC_COUNTS_EVERY, counts) == EC_ERR_ARGUMENT);
    assert(ec_counts_from_weights(weights, 1, 0, 8, EC_COUNTS_EVERY, counts) == EC_ERR_ARGUMENT);
    assert(ec_counts_from_weights(weights, 1, 1, 16, EC_COUNTS_EVERY, counts) == EC_ERR_ARGUMENT);
    assert(ec_counts_from_weights(weights, 1, 65536, 16, EC_COUNTS_ESCAPE, counts) == EC_ERR_ARGUMENT);
    assert(ec_counts_from_weights(weights, 1, 2, 8, 3, counts) == EC_ERR_ARGUMENT);
    assert(ec_counts_from_weights(weights, 0, 2, 8, EC_COUNTS_EVERY, counts) == EC_OK);
    puts("counts ok");
    return 0;
}
