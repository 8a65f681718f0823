/* What the parts of integer_net share: the network as it is held, and what kernels are told to do.
 *
 * An activation is an image of channels-last int16 with a border of one zero pixel all around, so that every
 * window of every layer is `rows` contiguous runs of numbers and no kernel knows about edges. Numbers are
 * taken in pairs (vpmaddwd), which is why `stride`, the numbers from a pixel to the next, is even unless
 * every reader's runs are even anyhow.
 */
#ifndef EC_NET_NET_H
#define EC_NET_NET_H

#include <string.h>

#include "integer_net.h"

#define EC_NET_EXACT    (INT64_C(1) << 24)
#define EC_NET_ALIGN    64 /* bytes: of all that kernels load weights from, and of activations */
#define EC_NET_SLACK    64 /* numbers behind an activation that vector loads may read */
#define EC_NET_MOST_OUT 32 /* outputs of a block, for the widest vectors */

/* Constants of a block of outputs: two vectors of `lanes` sums each. The first three are in the order of the
 * sums (ec_net_place), the last two in that of the channels. bias contains the rounding half. */
typedef struct ec_net_block {
    int32_t bias[EC_NET_MOST_OUT], shift[EC_NET_MOST_OUT], multiplier[EC_NET_MOST_OUT];
    int16_t low[EC_NET_MOST_OUT], high[EC_NET_MOST_OUT];
} ec_net_block;

/* Which channel of a block of 2 * lanes is in `lane` of vector `half`: packing two vectors of sums to one of
 * activations takes four from each in turn, so the weights are laid out for that to give the right order. */
static inline uint32_t ec_net_place(uint32_t half, uint32_t lane) {
    return lane / 4 * 8 + half * 4 + lane % 4;
}

/* One convolution: every layer is one, or four that write to every other pixel of every other row. */
typedef struct ec_net_pass {
    uint32_t rows, columns;  /* of a window */
    uint32_t from_y, from_x; /* where the first pixel's window begins, in the bordered input */
    uint32_t to_y, to_x;     /* where the first pixel goes, in the output without border */
    const int16_t *weight;   /* [block][rows][pairs][2][lanes][2] */
    const ec_net_block *blocks;
    const int16_t *points; /* for winograd.inc, or NULL: [block][point][pairs][2][lanes][2] */
} ec_net_pass;

typedef struct ec_net_step {
    uint32_t stride;  /* pixels of the input from a window to the next */
    uint32_t spacing; /* pixels of the output from one that a pass writes to the next */
    uint32_t outputs; /* of a pass */
    int32_t skip;
    uint32_t passes;
    ec_net_pass pass[4];
    void *memory; /* of weights and blocks */
    void *points; /* of their transforms */
} ec_net_step;

typedef struct ec_net_activation {
    uint32_t channels, stride;
    uint32_t slot; /* which piece of scratch */
} ec_net_activation;

/* Rows of weights that meet pixels in the lanes of vectors: codewords, or few outputs. */
typedef struct ec_net_rows {
    uint32_t groups, size, pairs, dim;
    uint32_t index_bits; /* search: low bits of a score that hold the codeword's number */
    int16_t *weight;     /* [groups][size][2 * pairs] */
    int32_t *bias;       /* [groups][size]; search: shifted, with the number; head: with the half */
    uint8_t *shift;      /* head: [size] */
    int16_t *low, *high; /* head: [size] */
} ec_net_rows;

struct ec_net_kernels;

enum { FORM_PLAIN, FORM_ANALYSIS, FORM_SYNTHESIS };

struct ec_net {
    const struct ec_net_kernels *kernels;
    int form;
    uint32_t count; /* layers */
    uint32_t slots;
    ec_net_step steps[EC_NET_MAX_LAYERS];
    ec_net_activation activations[EC_NET_MAX_LAYERS + 1];
    ec_net_rows search;
    ec_net_rows head; /* synthesis: the last layer if it is 1x1 without a skip, which then has no step */
    uint32_t table_groups, table_size;
    int16_t *table;      /* [groups][size][channels]; clamped if there is only one group */
    int16_t *low, *high; /* plain and synthesis: bounds of the input, [channels] */
};

/* A pass on one image. Distances are in numbers. */
typedef struct ec_net_job {
    const int16_t *in;
    int16_t *out;
    const int16_t *skip; /* laid out as out, or NULL */
    ptrdiff_t in_step, in_line, window_line, out_step, out_line;
    uint32_t height, width; /* windows */
    uint32_t rows, pairs;
    uint32_t kept;         /* channels to store, those that fill up the stride included */
    const int16_t *weight; /* of the pass, or its points */
    const ec_net_block *blocks;
    int16_t *transformed; /* Winograd only, scratch: [points][width / 2 pixels and EC_NET_SLACK numbers] */
    int32_t *products;    /* [points][tiles][2][lanes] */
} ec_net_job;

/* Rows of weights on every pixel of an activation. */
typedef struct ec_net_rows_job {
    const ec_net_rows *rows;
    uint32_t group;
    const int16_t *in; /* the group's first number of the first pixel */
    ptrdiff_t step, line;
    uint32_t height, width;
    int16_t *turned;   /* scratch: [pairs][2][lanes][2] */
    uint16_t *indices; /* search: [height * width] */
    int16_t *logits;   /* head: [size / 2][height * width] */
    uint8_t *scales;
} ec_net_rows_job;

typedef struct ec_net_kernels {
    const char *isa;
    uint32_t lanes;
    uint32_t tiles; /* most that Winograd's convolution works on at a time */
    void (*convolve)(const ec_net_job *job);
    void (*winograd)(const ec_net_job *job); /* a 3x3 or 2x2 window, stride 1, even height and width */
    void (*search)(const ec_net_rows_job *job);
    void (*head)(const ec_net_rows_job *job);
} ec_net_kernels;

extern const ec_net_kernels ec_net_kernels_scalar;
extern const ec_net_kernels ec_net_kernels_avx2;
extern const ec_net_kernels ec_net_kernels_avx2_vnni;
extern const ec_net_kernels ec_net_kernels_avx512;
extern const ec_net_kernels ec_net_kernels_avx512_vnni;

const ec_net_kernels *ec_net_choose(const char *wanted);
/* Memory aligned for vectors, zeroed; NULL if there is none. */
void *ec_net_allocate(size_t bytes);
/* Status; the whole description must have been checked. */
int ec_net_pack_layer(ec_net *net, uint32_t number, const ec_net_layer *layer, const int64_t *reach);
int ec_net_pack_head(ec_net *net, const ec_net_layer *layer, uint32_t inputs);
int ec_net_pack_search(ec_net *net, const ec_net_search *search, const int64_t *reach);

#endif
