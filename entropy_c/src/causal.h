/* A causal network as its kernels see it; entropy_c.h says what it computes. */
#ifndef EC_CAUSAL_H
#define EC_CAUSAL_H

#include "kernels.h"

#define EC_CAUSAL_COLOURS 3
#define EC_CAUSAL_BORDER  0x00808080u /* a pixel outside the image: grey, and not there */
#define EC_CAUSAL_INSIDE  (64u << 24)
#define EC_CAUSAL_ROWS    8 /* outputs are padded to this many: what kernels compute at a time */

/* Outputs of a matrix whose inputs are quads, four unsigned bytes of every lane. */
typedef struct ec_matrix {
    uint32_t outputs; /* a multiple of EC_CAUSAL_ROWS */
    uint32_t quads;
    const uint32_t *weights; /* [outputs / rows][quads][rows][unit], as the kernels want them */
    const int32_t *bias;     /* [outputs], half of what the shift drops included */
    const uint8_t *shift;    /* [outputs] */
} ec_matrix;

typedef struct ec_causal_block {
    ec_matrix inner, outer;
    const uint8_t *in_shift; /* [width], of the stream on its way in */
} ec_causal_block;

struct ec_causal {
    ec_causal_shape shape;
    uint32_t places; /* 2 r (r + 1) */
    uint32_t taps;   /* of a block: 5 or 1 */
    ec_matrix first; /* of every output, width + 3 of them, one of the high bytes and one of the low ones */
    ec_causal_block blocks[EC_CAUSAL_BLOCKS]; /* of which shape.blocks */
    const uint8_t *neck_shift;                /* [width] */
    ec_matrix neck;                           /* 3 * hidden; its shift is to the stream's unit */
    const uint8_t *own_shift;                 /* [3 * hidden] */
    const uint32_t *colour;                   /* [3 * hidden], pairs of 16 bits */
    uint32_t couple[EC_CAUSAL_COLOURS];       /* pairs of 16 bits */
    ec_matrix heads[EC_CAUSAL_COLOURS];       /* 3 * mixtures */
    int32_t inverse[EC_CAUSAL_SCALES];
    uint32_t reciprocal[EC_CAUSAL_RECIPROCALS];
    uint32_t exponentials[EC_CAUSAL_EXPONENTIALS];
    uint32_t sigmoid[EC_CAUSAL_STEPS]; /* value << 16 | rise to the next one */
    const ec_kernels *kernels;
    ec_shuffles *shuffles;
    size_t bytes;
};

/* Outputs of a matrix as kernels compute them. */
static inline uint32_t ec_padded(uint32_t outputs) {
    return (outputs + EC_CAUSAL_ROWS - 1) / EC_CAUSAL_ROWS * EC_CAUSAL_ROWS;
}

/* Where a group's network works; all of it is in the caller's scratch.
 *
 * Time goes in steps (geometry.h). What lanes had at a step stands in rings of steps: a *place* is a quad's
 * number of every lane, `stride` numbers of which the last EC_LANES are the lanes'. A row begins `lag` steps
 * after the one above it: in a batch that is a whole row and its gap, which stays as it is outside the image,
 * and the row above is in the same lane; in a wave it is the lane before (`across`), and before lane 0 stand
 * copies. */
typedef struct ec_causal_work {
    uint32_t height, width;
    uint32_t across; /* 1 in a wave, else 0 */
    size_t lag, stride;
    size_t ring, stream_ring;            /* steps */
    uint32_t *pixels;                    /* [ring][stride] */
    uint32_t *streams[EC_CAUSAL_BLOCKS]; /* what spatial blocks see: [stream_ring][quads][stride]; others: one
                                            step */
    uint32_t *conditions;                /* of a batch, the current row's: [width][quads][EC_LANES] */
    int32_t *stream;                     /* [width + 3, linear predictions last][EC_LANES] */
    uint32_t *quads;                     /* [widest / 4][EC_LANES] */
    int32_t *own;                        /* [3 * hidden][EC_LANES] */
    int32_t *out;                        /* [outputs of a head][EC_LANES] */
    uint32_t *intervals;                 /* encoding: [samples][EC_LANES], start | count << 16 */
} ec_causal_work;

#endif
