/* integer_net: convolutional networks whose every operation is exact integer arithmetic. This header is the
 * manual.
 *
 * WHAT IT COMPUTES. A network is a chain of layers on activations that are int16. One layer computes, for
 * output channel o,
 *
 *     acc_o = bias_o + sum weight_o[i][dy][dx] * a_i[y + dy][x + dx] + skip_multiplier_o * s_o
 *     out_o = clamp((acc_o + half_o) >> shift_o, low_o, high_o),     half_o = 2^(shift_o - 1), 0 if shift_o =
 * 0
 *
 * with an arithmetic shift. Padding is with zeros. s is an earlier activation of the same shape as the
 * output. fsar_lab/codec/integer_network.py specifies the same; the bits do not depend on the instruction
 * set, the number of images in a call or anything else.
 *
 * THREE FORMS. A plain network takes and gives activations. An analysis takes images and gives the nearest
 * codeword of every latent; a synthesis takes codewords and gives the distribution parameters of every
 * sub-pixel.
 *
 * PROOF. Creating a network checks that it is what this header says, and that no partial sum of any layer, in
 * any order, reaches 2^24. Nothing in a description is trusted but the sizes of its arrays.
 *
 * MEMORY. A network is allocated by its create function, which copies what it needs, and released by
 * ec_net_free. Running allocates nothing: the caller lends scratch memory, whose size ec_net_scratch tells.
 *
 * THREADS. A network never changes once created: any number of threads may run it, each with its own scratch.
 */
#ifndef INTEGER_NET_H
#define INTEGER_NET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cffi: begin (everything up to "cffi: end" is also read by the Python build) */

#define EC_NET_MAX_LAYERS   64
#define EC_NET_MAX_CHANNELS 4096    /* of an activation; a shuffled layer's convolution has 4 times as many */
#define EC_NET_MAX_SIDE     1048576 /* 2^20: of any activation */

typedef enum ec_net_status {
    EC_NET_OK = 0,
    EC_NET_ERR_ARGUMENT = -1, /* a size is outside what the function documents, or images too small */
    EC_NET_ERR_SHAPE = -2, /* a layer, skip, search or table is of no known kind or does not fit the others */
    EC_NET_ERR_BOUND = -3, /* clamp bounds are no range, or partial sums may reach 2^24 */
    EC_NET_ERR_INDEX = -4, /* synthesis: an index is not below the size of the codebook */
    EC_NET_ERR_SCRATCH = -5, /* less scratch than ec_net_scratch says */
    EC_NET_ERR_MEMORY = -6   /* the network could not be allocated */
} ec_net_status;

typedef enum ec_net_kind {
    EC_NET_CONV = 0, /* side 1 (stride 1, padding 0), 3 (stride 1, padding 1) or 4 (stride 2, padding 1) */
    EC_NET_TRANSPOSED = 1, /* side 4, stride 2, padding 1: twice as high and wide */
    EC_NET_SHUFFLE = 2     /* a convolution of side 1 or 3 to 4 C channels, clamped, of which channel
                            * 4 c + 2 p + q becomes pixel (2 y + p, 2 x + q) of channel c; no skip */
} ec_net_kind;

/* One layer. For EC_NET_TRANSPOSED, out[2 y - 1 + k] receives weight[k] * a[y]. */
typedef struct ec_net_layer {
    int32_t kind;                   /* ec_net_kind */
    uint32_t side;                  /* of the kernel */
    uint32_t outputs;               /* channels of the convolution, 4 C for EC_NET_SHUFFLE */
    int32_t skip;                   /* -1: none; 0: the network's input; i: output of layer i - 1 */
    const int16_t *weight;          /* [outputs][inputs][side][side] */
    const int32_t *bias;            /* [outputs], without the rounding half */
    const uint8_t *shift;           /* [outputs], 0 .. 23 */
    const int16_t *low;             /* [outputs], clamp bounds, -32767 <= low <= high <= 32767 */
    const int16_t *high;            /* [outputs] */
    const int32_t *skip_multiplier; /* [outputs]; not read without a skip */
} ec_net_layer;

/* Nearest codeword: index_g = argmax_k (sum_d weight[g][k][d] * y[g * dim + d] + bias[g][k]), the lowest k of
 * equal ones. groups * dim is the number of channels of the last layer. */
typedef struct ec_net_search {
    uint32_t groups;
    uint32_t size; /* K, codewords of a group: 1 .. 65536 */
    uint32_t dim;
    const int16_t *weight; /* [groups][size][dim] */
    const int32_t *bias;   /* [groups][size] */
} ec_net_search;

/* Look-up and the first 1x1 layer in one: activation = clamp(sum_g values[g][index_g]). */
typedef struct ec_net_table {
    uint32_t groups; /* 1 .. EC_NET_MAX_CHANNELS */
    uint32_t size;   /* K: 1 .. 65536 */
    uint32_t channels;
    const int16_t *values; /* [groups][size][channels] */
    const int16_t *low;    /* [channels] */
    const int16_t *high;   /* [channels] */
} ec_net_table;

typedef struct ec_net ec_net;

/* Plain: activations of `channels` channels within low .. high ([channels]) go in.
 * Analysis: images of `channels` channels; the first layer sees 2 x - 255.
 * Synthesis: the last layer has an even number of channels, which alternate between a logit (int16) and a
 * scale, whose clamp bounds must be in 0 .. 255.
 * isa: the instruction set, or NULL: see ec_net_isa. 1 .. EC_NET_MAX_LAYERS layers. On failure *out is NULL.
 * EC_NET_ERR_ARGUMENT, EC_NET_ERR_SHAPE, EC_NET_ERR_BOUND, EC_NET_ERR_MEMORY. */
int ec_net_create(uint32_t channels, const int16_t *low, const int16_t *high, const ec_net_layer *layers,
                  size_t count, const char *isa, ec_net **out);
int ec_net_create_analysis(uint32_t channels, const ec_net_layer *layers, size_t count,
                           const ec_net_search *search, const char *isa, ec_net **out);
int ec_net_create_synthesis(const ec_net_table *table, const ec_net_layer *layers, size_t count,
                            const char *isa, ec_net **out);
void ec_net_free(ec_net *net);

/* The instructions that a network will use: "avx512" (with VNNI), "avx512-plain", "avx2-vnni", "avx2" or
 * "scalar". `wanted`, or the environment variable EC_ISA if that is NULL, if it names one of these that the
 * processor has, else the best. The names of the entropy coder's other instruction sets mean the nearest that
 * there is here: "avx2-gather" is "avx2", "sse4" and "neon" are "scalar". */
const char *ec_net_isa(const char *wanted);

/* Sides of the output for an input of height x width pixels (or latents). EC_NET_ERR_ARGUMENT if a side is 0
 * or beyond EC_NET_MAX_SIDE, if an activation would have no pixels, or if a skip would meet another size. */
int ec_net_output_size(const ec_net *net, uint32_t height, uint32_t width, uint32_t *out_height,
                       uint32_t *out_width);
/* Bytes of scratch that running needs for inputs of height x width, whatever their number; 0 if
 * ec_net_output_size would refuse them or if it is beyond any memory. */
size_t ec_net_scratch(const ec_net *net, uint32_t height, uint32_t width);

/* Each runs on `images` inputs of height x width that follow each other, and needs a network of its form.
 * scratch: `bytes` bytes of any alignment and content. Errors: EC_NET_ERR_ARGUMENT (also a network of
 * another form), EC_NET_ERR_SCRATCH, and EC_NET_ERR_INDEX, after which the output is undefined. */
/* in: int16 [images][height][width][channels], clamped to the bounds. out: int16 [images][H][W][outputs]. */
int ec_net_run(const ec_net *net, const int16_t *in, size_t images, uint32_t height, uint32_t width,
               int16_t *out, void *scratch, size_t bytes);
/* in: uint8 [images][height][width][channels]. indices: uint16 [images][groups][h][w]. */
int ec_net_analyse(const ec_net *net, const uint8_t *in, size_t images, uint32_t height, uint32_t width,
                   uint16_t *indices, void *scratch, size_t bytes);
/* indices: uint16 [images][groups][height][width]. logits: int16, scales: uint8 [images][outputs / 2][H][W].
 */
int ec_net_synthesise(const ec_net *net, const uint16_t *indices, size_t images, uint32_t height,
                      uint32_t width, int16_t *logits, uint8_t *scales, void *scratch, size_t bytes);

/* cffi: end */

#ifdef __cplusplus
}
#endif

#endif
