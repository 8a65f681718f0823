/* What the test programs share: a generator of random numbers, tables and models. */
#ifndef EC_TESTS_COMMON_H
#define EC_TESTS_COMMON_H

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entropy_c.h"

static uint64_t seed = UINT64_C(88172645463325252);

/* Uniform below n (xorshift64). */
static inline uint32_t below(uint32_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) % n);
}

/* Allocated to the byte, so that the address sanitizer sees every access outside; never NULL. */
static inline void *take(size_t bytes) {
    void *p = malloc(bytes > 0 ? bytes : 1);
    assert(p != NULL);
    return p;
}

/* Random counts [tables][symbols], each at least 1, summing to 2^bits. */
static inline uint32_t *random_counts(size_t tables, uint32_t symbols, uint32_t bits) {
    uint32_t *counts = take(tables * symbols * sizeof *counts);
    for (size_t i = 0; i < tables; i++) {
        uint32_t *row = counts + i * symbols;
        uint32_t left = (1u << bits) - symbols;
        for (uint32_t k = 0; k < symbols; k++) {
            const uint32_t more = k + 1 == symbols ? left
                                  : below(2)       ? below(left / 2 + 1)
                                                   : below(left / 64 + 1);
            row[k] = 1 + more;
            left -= more;
        }
        if (row[symbols - 1] > 65535 && symbols > 1) { /* 65536 in one count is not a table */
            row[symbols - 1]--;
            row[0]++;
        }
    }
    return counts;
}

static inline ec_tables *random_tables(size_t tables, uint32_t symbols, uint32_t bits, int layout) {
    uint32_t *counts = random_counts(tables, symbols, bits);
    ec_tables *t;
    assert(ec_tables_create(counts, tables, symbols, bits, layout, &t) == EC_OK);
    free(counts);
    return t;
}

#define SCALES 4

/* Four scales from a step to nearly flat, three colours, three-tap prediction. */
static inline ec_pixels *some_pixels(void) {
    uint16_t cdf[SCALES][EC_FINE_STEPS];
    int16_t lut[EC_LOGIT_LEVELS];
    for (int32_t s = 0; s < SCALES; s++)
        for (int32_t t = 0; t < EC_FINE_STEPS; t++) {
            const int32_t width = 2 << (3 * s); /* a ramp of 2, 16, 128, 1024 fine steps to either side */
            const int32_t d = t - 1022 + width;
            cdf[s][t] = (uint16_t)(d <= 0 ? 0 : d >= 2 * width ? 65280 : 65280 * (int64_t)d / (2 * width));
        }
    for (int32_t i = 0; i < EC_LOGIT_LEVELS; i++) lut[i] = (int16_t)(4 * i);
    const uint32_t counts[3] = {3, 3, 3};
    const int32_t taps[9][3] = {{0, -1, -1}, {0, -1, 0}, {0, 0, -1},  {-1, 0, 0}, {-1, 0, -1},
                                {0, 0, -1},  {-1, 0, 0}, {-1, 0, -1}, {0, 0, -1}};
    const int32_t one = 4 << 16;
    const int32_t weights[9] = {-one / 2, one / 2, one, one, -one, one, one / 3, 0, one / 4};
    const int32_t bias[3] = {-300 * 65536, 12345, -54321};
    ec_pixels *model;
    assert(ec_pixels_create(cdf[0], SCALES, lut, 3, counts, taps[0], weights, bias, &model) == EC_OK);
    return model;
}

/* The whole stream of a group, allocated to the byte. */
static inline uint8_t *stream_of(const ec_encoder *e, size_t *bytes) {
    const size_t words = e->capacity - e->position;
    *bytes = 4 * (size_t)e->lanes + words;
    uint8_t *stream = take(*bytes);
    ec_encoder_states(e, stream);
    if (words > 0) memcpy(stream + 4 * (size_t)e->lanes, e->buffer + e->position, words);
    return stream;
}

#endif
