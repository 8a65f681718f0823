/* A model of contexts and what coding a group has seen, as kernels see them; entropy_c.h says what it
 * computes. */
#ifndef EC_CONTEXT_H
#define EC_CONTEXT_H

#include "kernels.h"

#define EC_CONTEXT_COLOURS 3
#define EC_CONTEXT_SHIFT   12                    /* of weights */
#define EC_CONTEXT_PAIRS   (EC_TEXTURE_TAPS / 2) /* of taps: two weights of 16 bits */

/* What of a colour's taps is summed up at a place: pairs of weights and the start, for every texture. */
typedef struct ec_context_sum {
    uint32_t weights[EC_CONTEXT_PAIRS][EC_TEXTURES];
    uint32_t start[EC_TEXTURES];
} ec_context_sum;

struct ec_context {
    const ec_tables *tables;
    uint32_t states;
    uint32_t textured; /* or not: then texture 0 is all there is */
    uint32_t sample_pairs[EC_CONTEXT_COLOURS], error_pairs[EC_CONTEXT_COLOURS]; /* beyond the last tap 0 */
    ec_context_sum prediction[EC_CONTEXT_COLOURS][EC_CONTEXT_PLACES];           /* with the rounding added */
    ec_context_sum activity[EC_CONTEXT_COLOURS][EC_CONTEXT_PLACES];
    int16_t levels[EC_CONTEXT_COLOURS][EC_TEXTURE_STEPS];
    int16_t slopes[EC_CONTEXT_COLOURS][EC_TEXTURE_STEPS];
    int32_t thresholds[EC_CONTEXT_COLOURS][EC_MAX_STATES];
};

/* What one group has seen: [row][column][colour][EC_LANES], rows and columns with margins. */
typedef struct ec_history {
    uint8_t *samples;
    uint8_t *errors;  /* magnitudes */
    uint8_t *symbols; /* encoding: errors modulo 256 */
    uint8_t *states;  /* encoding */
    uint32_t height, width;
    /* Bytes from a sample to its neighbours. */
    ptrdiff_t sample_taps[2 * EC_CONTEXT_PAIRS], error_taps[2 * EC_CONTEXT_PAIRS];
} ec_history;

#endif
