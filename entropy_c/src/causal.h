/* A causal network as its kernels see it; entropy_c.h says what it computes. */
#ifndef EC_CAUSAL_H
#define EC_CAUSAL_H

#include "kernels.h"

#define EC_CAUSAL_COLOURS 3
#define EC_CAUSAL_SAMPLES 6           /* most of a place */
#define EC_CAUSAL_ERRORS  3           /* most pairs of the samples before one */
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
    uint32_t pixels;  /* of a place */
    uint32_t samples; /* of a place */
    uint32_t errors;  /* pairs of 16 bits that hold those of all samples but the last */
    uint32_t reach;   /* places to each side that the window holds */
    uint32_t window;  /* pixels */
    uint32_t taps;    /* of a block: 5 or 1 */
    ec_matrix first;  /* of every output, width + samples of them, one of the high bytes and one of the low */
    ec_causal_block blocks[EC_CAUSAL_BLOCKS]; /* of which shape.blocks */
    const uint8_t *neck_shift;                /* [width] */
    ec_matrix neck;                           /* samples * hidden; its shift is to the stream's unit */
    const uint8_t *own_shift;                 /* [samples * hidden] */
    const uint32_t *colour;                   /* [samples * hidden][errors], pairs of 16 bits */
    uint32_t couple[EC_CAUSAL_SAMPLES][EC_CAUSAL_ERRORS]; /* pairs of 16 bits */
    ec_matrix heads[EC_CAUSAL_SAMPLES];                   /* 3 * mixtures */
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
 * Time goes in steps (geometry.h), one for each place of a row. What lanes had at a step stands in rings of
 * steps: a quad's number of every lane, `stride` numbers of which the last EC_LANES are the lanes'. A row
 * begins `lag` steps after the one above it: in a batch that is a whole row and its gap, which stays as it is
 * outside the image, and the row above is in the same lane; in a wave it is the lane before (`across`), and
 * before lane 0 stand copies. */
typedef struct ec_causal_work {
    uint32_t height, width, columns; /* columns: places of a row */
    uint32_t across;                 /* 1 in a wave, else 0 */
    size_t lag, stride;
    size_t ring, stream_ring;            /* steps */
    uint32_t *pixels;                    /* [ring][pixels of a place][stride] */
    uint32_t *streams[EC_CAUSAL_BLOCKS]; /* what spatial blocks see: [stream_ring][quads][stride]; others: one
                                            step */
    uint32_t *conditions;                /* of a batch, the current row's: [width][quads][EC_LANES] */
    int32_t *stream;                     /* [width + samples, linear predictions last][EC_LANES] */
    uint32_t *quads;                     /* [widest / 4][EC_LANES] */
    int32_t *own;                        /* [samples * hidden][EC_LANES] */
    int32_t *out;                        /* [outputs of a head][EC_LANES] */
    uint32_t *intervals;                 /* encoding: [samples][EC_LANES], start | count << 16 */
} ec_causal_work;

/* The lanes of one pixel of the place of a step. */
static inline uint32_t *ec_causal_pixels(const ec_causal *m, const ec_causal_work *w, size_t step,
                                         uint32_t pixel) {
    return w->pixels + (step % w->ring * m->pixels + pixel) * w->stride + (w->stride - EC_LANES);
}

#endif
