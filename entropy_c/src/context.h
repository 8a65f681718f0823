/* A model of contexts and what coding a group has seen, as kernels see them; entropy_c.h says what it
 * computes. */
#ifndef EC_CONTEXT_H
#define EC_CONTEXT_H

#include "kernels.h"

#define EC_CONTEXT_COLOURS 3
#define EC_CONTEXT_SHIFT   12                    /* of weights */
#define EC_CONTEXT_PAIRS   (EC_CONTEXT_TAPS / 2) /* of taps: two weights of 16 bits */

struct ec_context {
    const ec_tables *tables;
    uint32_t states;
    uint32_t pairs[EC_CONTEXT_COLOURS]; /* of taps that a colour has; what is beyond its last tap weighs 0 */
    uint32_t weights[EC_CONTEXT_COLOURS][EC_CONTEXT_PLACES][EC_CONTEXT_PAIRS];
    uint32_t energy[EC_CONTEXT_COLOURS][EC_CONTEXT_PLACES][EC_CONTEXT_PAIRS];
    int32_t bias[EC_CONTEXT_COLOURS][EC_CONTEXT_PLACES]; /* with the rounding added */
    int32_t base[EC_CONTEXT_COLOURS][EC_CONTEXT_PLACES];
    int32_t thresholds[EC_CONTEXT_COLOURS][EC_MAX_STATES];
};

/* What one group has seen: [row][column][colour][EC_LANES], rows and columns with margins of zeros. */
typedef struct ec_history {
    uint8_t *samples;
    uint8_t *errors;  /* magnitudes */
    uint8_t *symbols; /* encoding: errors modulo 256 */
    uint8_t *states;  /* encoding */
    uint32_t height, width;
    ptrdiff_t taps[EC_CONTEXT_TAPS]; /* bytes from a sample to its neighbours */
} ec_history;

#endif
