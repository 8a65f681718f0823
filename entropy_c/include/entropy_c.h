/* entropy_c: interleaved rANS for learned image compression. This header is the manual.
 *
 * WHAT IT CODES. Integers in, bytes out. A group of at most EC_LANES images is coded together; every image is
 * one lane with one 32-bit rANS state, and all lanes of the group share one stream of 16-bit words. These may
 * follow each other on the same states: symbols with one table each ("indexed") or one for all; latent
 * indices whose tables are chosen by neighbours already decoded ("FSAR"); pixels whose distribution is
 * shifted by a linear prediction from causal neighbours ("pixels"), or a mixture of three; symbols with rows
 * of counts that the caller computes; latents whose logits are sums of rows ("convolution"); raw bits. One
 * image alone may use its rows as lanes ("wave"). docs/FORMAT-entropy.md specifies the bytes. Apart from
 * that: a stack of one lane for bits-back coding, tANS, and the making, merging and saving of tables.
 *
 * A STACK. rANS decodes in the opposite order of encoding. Each ec_encode_* call walks its data from the last
 * position to the first, and the calls themselves are made in the reverse order of decoding: to decode
 * latents and then pixels, encode the pixels and then the latents.
 *
 * MEMORY. Models (ec_tables, ec_fsar, ec_pixels, ec_context, ec_causal) are allocated by their create
 * function and released by their free function; nothing else holds memory. Encoders and decoders are plain
 * structs owned by the caller, as are all buffers; array sizes that a call needs are stated with it. There
 * are no globals.
 *
 * THREADS. A model never changes once created: any number of threads may use it. An encoder or decoder
 * belongs to one thread at a time. Groups are independent of each other.
 *
 * TRUST. Decoding accepts any bytes: it never reads outside the given stream, never writes outside the given
 * arrays and always ends. Damage is reported by a status, at the latest by ec_decoder_finish, except for the
 * rare alteration that decodes to other symbols and still ends in the right states: callers store a checksum.
 * No bit depends on floating point: vector encoders estimate quotients in single precision, in the default
 * rounding, and correct them in integers. Array arguments must be valid for the stated sizes (pointers are
 * not checked for NULL when the size is not zero).
 */
#ifndef ENTROPY_C_H
#define ENTROPY_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cffi: begin (everything up to "cffi: end" is also read by the Python build) */

#define EC_LANES              32      /* images of a group */
#define EC_MAX_ORDER          4       /* context taps of an FSAR model */
#define EC_MAX_CONTEXTS       1048576 /* 2^20: contexts of an FSAR model with classes or a map */
#define EC_MAX_COLOURS        4       /* channels of a pixel model */
#define EC_MAX_TAPS           12      /* prediction taps of one colour */
#define EC_FINE_STEPS         2045    /* entries of one scale's fine cdf, t = -1022 .. 1022 */
#define EC_MEAN_MAX           1020    /* largest mean index: four fine steps a grey level */
#define EC_LOGIT_LEVELS       4096    /* entries of the mean look-up table, logit -2048 .. 2047 */
#define EC_MIXTURE_COMPONENTS 3       /* distributions that a mixture adds up */
#define EC_MIXTURE_WEIGHTS    256     /* values of the logit of a mixture's weight */

typedef enum ec_status {
    EC_OK = 0,
    EC_ERR_ARGUMENT = -1,  /* a size or count is outside what the function documents */
    EC_ERR_TABLE = -2,     /* counts, cdf or look-up table break their rules; no model was made */
    EC_ERR_CAUSALITY = -3, /* an offset does not point to something decoded earlier */
    EC_ERR_SYMBOL = -4,    /* encoding: a symbol is outside the alphabet or has no count in its table */
    EC_ERR_INDEX = -5,     /* a table index or scale is not below the number of tables or scales */
    EC_ERR_CAPACITY = -6,  /* encoding: the buffer is smaller than the bound */
    EC_ERR_TRUNCATED = -7, /* decoding: the words ended too early */
    EC_ERR_DAMAGED = -8,   /* decoding: impossible state, words left over, or wrong states at the end */
    EC_ERR_MEMORY = -9,    /* a model could not be allocated */
    EC_ERR_VERSION = -10   /* loading: written by a newer version */
} ec_status;

/* ---- Tables: `tables` distributions over `symbols` symbols, each summing to 2^bits ---- */

typedef struct ec_tables ec_tables;

/* The instructions that models created now will use: "avx512", "avx2-vnni", "avx2-gather", "avx2", "sse4",
 * "neon" or "scalar". The best that the processor has, or what the environment variable EC_ISA names if the
 * processor has it; whether gathering table entries is faster than loading them one by one is measured. All
 * of them write and read the same bytes. */
const char *ec_isa(void);

/* How the decoder finds a symbol. The bytes of a stream never depend on it. */
typedef enum ec_layout {
    EC_LAYOUT_AUTO = 0,  /* fused up to 64 KiB; else, where gathering is fast, splits or buckets up to 2 MiB,
                          * splits only if rarely more than four symbols share one; else tree */
    EC_LAYOUT_FUSED = 1, /* one 4-byte entry per slot: log2(symbols) and twice log2(count) in 32 bits */
    EC_LAYOUT_TREE = 2,  /* two bytes a symbol and a bit of tree: sixteen comparisons at once. The smallest,
                          * and the fastest for groups of a single image */
    EC_LAYOUT_BUCKETS = 3, /* four to six bytes a symbol; at most 256, or 257 with the escape */
    EC_LAYOUT_SPLITS = 4   /* two bytes a symbol and 640 bytes to 2 KiB; as many symbols, but no table that
                            * has 256 symbols without a count */
} ec_layout;

/* counts: uint32 [tables][symbols], or [tables][symbols + 1] with an escape: the last count is then the
 * escape's. A symbol of count 0 is coded as an escape followed by log2(symbols), rounded up, raw bits;
 * without an escape, or in a table whose escape has no count, it cannot be coded. 8 <= bits <= 16, 1 <=
 * symbols <= 65536 (65535 with an escape), 1 <= tables < 2^31, memory below 4 GiB; every row must sum to
 * 2^bits exactly, and at 16 bits no symbol may hold all 65536 counts and the first must have one. Returns
 * EC_ERR_ARGUMENT, EC_ERR_TABLE or EC_ERR_MEMORY on failure. */
int ec_tables_create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, int escape,
                     int layout, ec_tables **out);
void ec_tables_free(ec_tables *tables);
size_t ec_tables_bytes(const ec_tables *tables); /* memory held */
const char *ec_tables_isa(const ec_tables *tables);
int ec_tables_layout(const ec_tables *tables); /* never EC_LAYOUT_AUTO */
/* out: uint32 [symbols (+ 1)], the counts of one table as given to create. EC_ERR_INDEX. */
int ec_tables_counts(const ec_tables *tables, size_t table, uint32_t *out);

/* ---- FSAR: latents [group][row][column] whose decoded neighbours choose the table ---- */

typedef struct ec_fsar ec_fsar;

/* The neighbourhood and what it means.
 * offsets: int32 [order][3], (group, row, column) of each neighbour relative to the symbol, each
 * lexicographically before (0, 0, 0). A neighbour outside the tensor has state 0, symbol k has state k + 1.
 * classes: uint16 [groups][order][K+1], the class of every state of every neighbour, each below the
 * neighbour's class_counts (uint32 [order]); NULL: the state itself is the class, of K + 1.
 * Context of a symbol = mixed radix of its neighbours' classes, the first offset varying slowest, one of
 * C = the product of the class counts. map: uint32 [groups][C], the table of every context, each below the
 * number of tables; NULL: table = group * C + context, and `tables` must hold exactly groups * C tables.
 * With classes or a map groups * C is at most EC_MAX_CONTEXTS. `tables` must be over K symbols and outlive
 * the model; all else is copied. order <= EC_MAX_ORDER; order 0 is one static table per group. Returns
 * EC_ERR_ARGUMENT, EC_ERR_CAUSALITY, EC_ERR_TABLE, EC_ERR_MEMORY. */
int ec_fsar_create(const ec_tables *tables, const int32_t *offsets, uint32_t order, uint32_t groups,
                   const uint32_t *class_counts, const uint16_t *classes, const uint32_t *map, ec_fsar **out);
void ec_fsar_free(ec_fsar *model);
size_t ec_fsar_bytes(const ec_fsar *model); /* memory held, tables apart */
/* Bytes of scratch (2-byte aligned) that coding `lanes` images of [groups][height][width] needs, and coding
 * one such image as a wave of `lanes` rows; 0 if that is beyond any memory or, for waves, if an offset points
 * to a row below. */
size_t ec_fsar_scratch(const ec_fsar *model, uint32_t lanes, uint32_t height, uint32_t width);
size_t ec_fsar_wave_scratch(const ec_fsar *model, uint32_t lanes, uint32_t height, uint32_t width);
/* out: uint32 [images][groups][height][width], the table of every symbol of `indices` (same shape). */
int ec_fsar_table_ids(const ec_fsar *model, const uint16_t *indices, size_t images, uint32_t height,
                      uint32_t width, uint32_t *out);

/* ---- Pixels: [row][column][colour] bytes around a predicted mean ---- */

typedef struct ec_pixels ec_pixels;

/* The distribution of one sample, all in integers:
 *   mean index m = clamp((mean_lut[logit] * 2^12 + sum_k w_k * x_k + bias + 2^15) >> 16, 0, EC_MEAN_MAX)
 *   cumulative   C(0) = 0, C(j) = F_scale[4 j - 2 - m] + j, C(256) = 2^16
 * cdf: uint16 [scales][EC_FINE_STEPS], F_scale[t] at t + 1022, non-decreasing, at most 2^16 - 256.
 * mean_lut: int16 [EC_LOGIT_LEVELS], base mean in 1/16 fine steps for the logit clamped to -2048 .. 2047.
 * tap_counts: uint32 [colours], each at most EC_MAX_TAPS. taps: int32 [sum of tap_counts][3], (colour, row,
 * column) relative to the sample, all taps of colour 0 first; the pointed colour must exist, and the sample
 * must be earlier in raster order with colour fastest; outside the image it counts as 0. weights: int32 [sum
 * of tap_counts], bias: int32 [colours], both in 2^-16 fine steps (weight 1.0 = 4 * 2^16). For each colour
 * 255 * sum |w| + |bias| + 32768 * 2^12 + 2^15 must be below 2^31, so that 32-bit sums are exact.
 * 1 <= colours <= EC_MAX_COLOURS, 1 <= scales <= 256.
 * Returns EC_ERR_ARGUMENT, EC_ERR_CAUSALITY, EC_ERR_TABLE (also for weights too large), EC_ERR_MEMORY. */
int ec_pixels_create(const uint16_t *cdf, uint32_t scales, const int16_t *mean_lut, uint32_t colours,
                     const uint32_t *tap_counts, const int32_t *taps, const int32_t *weights,
                     const int32_t *bias, ec_pixels **out);
void ec_pixels_free(ec_pixels *model);
size_t ec_pixels_bytes(const ec_pixels *model); /* memory held */
/* Bytes of scratch that coding `lanes` images of height x width needs, and one image as a wave of `lanes`
 * rows; 0 if that is beyond any memory. */
size_t ec_pixels_scratch(const ec_pixels *model, uint32_t lanes, uint32_t height, uint32_t width);
size_t ec_pixels_wave_scratch(const ec_pixels *model, uint32_t lanes, uint32_t height, uint32_t width);
/* images: uint8 [images][height][width][colours]; logits: int16 [images][colours][height][width];
 * out: uint16, shaped like logits: the mean index m of every sample. */
int ec_pixels_mean_index(const ec_pixels *model, const uint8_t *images, const int16_t *logits, size_t count,
                         uint32_t height, uint32_t width, uint16_t *out);

/* ---- Contexts: [row][column][3] bytes predicted linearly, tables chosen by the errors around ---- */

typedef struct ec_context ec_context;

#define EC_CONTEXT_TAPS   14 /* neighbours of the last colour */
#define EC_CONTEXT_PLACES 6
#define EC_TEXTURES       16
#define EC_TEXTURE_TAPS   32 /* neighbours of the last colour, with textures */
#define EC_TEXTURE_ERRORS 17 /* those whose errors count */
#define EC_TEXTURE_PLACES 2
#define EC_TEXTURE_STEPS  3 /* thresholds between four levels, and between four directions */
#define EC_MAX_STATES     64

/* The distribution of one sample of colour c, all in integers. Its taps t are the samples to the left, above,
 * above left and above right; then, if c > 0, of colour c - 1 the same pixel's, left, above, above left and
 * above right; then, if c > 1, those five of colour c - 2: 4, 9 or 14. x_t is the sample at a tap and e_t its
 * prediction error, both 0 outside the image. The place q of a position is 3 if it is not in the first row,
 * else 0, plus 0 in the first column, else 2 in the last, else 1.
 *   prediction p = clamp((sum_t weights[c][q][t] * x_t + bias[c][q] + 2^11) >> 12, 0, 255), e = x - p
 *   activity   a = sum_t energy[c][q][t] * |e_t| + base[c][q]
 *   context    s = how many of the `states` - 1 thresholds[c] are at most a
 * What is coded is e mod 256, with table c * states + s of `tables`, which must be 3 * states tables of 256
 * symbols without an escape and outlive the model; all else is copied. weights, energy: int16
 * [3][EC_CONTEXT_PLACES][EC_CONTEXT_TAPS], of which the taps that a colour does not have are not used; bias,
 * base: int32 [3][EC_CONTEXT_PLACES], at most 2^30 in magnitude; thresholds: int32 [3][states - 1]. 1 <=
 * states <= EC_MAX_STATES. Returns EC_ERR_ARGUMENT, EC_ERR_TABLE (a bias, a base or the tables), or
 * EC_ERR_MEMORY. */
int ec_context_create(const ec_tables *tables, uint32_t states, const int16_t *weights, const int32_t *bias,
                      const int16_t *energy, const int32_t *base, const int32_t *thresholds,
                      ec_context **out);

/* The same with more neighbours and with weights that depend on the texture around. A colour's taps are left,
 * above, above left, above right, two to the left, two above, above that one's right neighbour, the one above
 * and two to the left, and two to the right, two above and one to the left; of c - 1 and of c - 2 the same
 * pixel and those ten: 10, 21 or 32. Those of errors are the first seven, and of the colours before the first
 * five: 7, 12 or 17. Outside the image: to the right of a row what its last column has; to the left what the
 * first column of the row above has; above, seen from the second row, the first row; otherwise samples are
 * 128 and errors 24. The place q is 1 if the position is not in the first row.
 *   across     = |x_0 - x_4| + |x_1 - x_2| + |x_3 - x_1|, and if c > 0 + 2 * |x_10 - x_11|
 *   down       = |x_0 - x_2| + |x_1 - x_5| + |x_3 - x_6|, and if c > 0 + 2 * |x_10 - x_12|
 *   texture  k = 4 * (how many of levels[c] are at most across + down)
 *                + how many i have slopes[c][i] * (across + down + 8) <= 64 * (down - across)
 *   v          = sum_t weights[c][q][k][t] * x_t + bias[c][q][k] + 2^11,  p = clamp(v >> 12, 0, 255)
 *   a          = sum_t energy[c][q][k][t] * |e_t| + base[c][q][k]
 * Coded is e mod 256 if bit 11 of v is set (the prediction before rounding is p or more), else -e mod 256.
 * weights: int16 [3][EC_TEXTURE_PLACES][EC_TEXTURES][EC_TEXTURE_TAPS]; energy likewise with
 * EC_TEXTURE_ERRORS; bias, base: int32 [3][EC_TEXTURE_PLACES][EC_TEXTURES]; levels, slopes: int16
 * [3][EC_TEXTURE_STEPS]. */
int ec_context_create_textured(const ec_tables *tables, uint32_t states, const int16_t *weights,
                               const int32_t *bias, const int16_t *energy, const int32_t *base,
                               const int32_t *thresholds, const int16_t *levels, const int16_t *slopes,
                               ec_context **out);
void ec_context_free(ec_context *model);
size_t ec_context_bytes(const ec_context *model); /* memory held, tables apart */
/* Bytes of scratch that coding images of height x width needs; 0 if that is beyond any memory. */
size_t ec_context_scratch(uint32_t height, uint32_t width);

/* ---- Causal networks: [row][column][3] bytes under mixtures that a small integer network gives ---- */

typedef struct ec_causal ec_causal;

#define EC_CAUSAL_BLOCKS       8
#define EC_CAUSAL_MIXTURES     6
#define EC_CAUSAL_QUADS        320 /* most groups of four inputs of a matrix */
#define EC_CAUSAL_SCALES       128
#define EC_CAUSAL_STEPS        768  /* of the logistic function, 1/32 wide, from -12 to 12 */
#define EC_CAUSAL_EXPONENTIALS 704  /* e^0, e^(-1/64), ..., e^(-11) */
#define EC_CAUSAL_RECIPROCALS  1537 /* of sums of exponentials, a row of 128 each */

typedef struct ec_causal_shape {
    uint32_t radius;     /* r, 1 .. 7: of the window, see below */
    uint32_t width;      /* of the stream; 4 .. 256 */
    uint32_t blocks;     /* 0 .. EC_CAUSAL_BLOCKS */
    uint32_t inner;      /* of the blocks; 4 .. 256 */
    uint32_t spatial;    /* 1: blocks see the places NW, N, NE, W and the current one, 0: the current one */
    uint32_t hidden;     /* of a sample's head; 4 .. 64. Like width and inner a multiple of 4 */
    uint32_t mixtures;   /* M: logistics that a distribution adds up; 1 .. EC_CAUSAL_MIXTURES */
    uint32_t conditions; /* bytes that are known of every place before any pixel; 0 .. 64, a multiple of 4 */
    uint32_t pair;       /* 1: a place is two pixels of a row, and has no conditions; 0: it is one */
} ec_causal_shape;

/* All in integers; >> rounds towards minus infinity, R(x, n) = (x + floor(2^n / 2)) >> n, B(x, n) is R(x, n)
 * clamped to 0 .. 255. A pixel is four bytes: red, green, blue and 64; outside the image 128, 128, 128, 0.
 * A place is P = 1 or 2 pixels, columns P x to P x + P - 1, whose samples count from c = 0 to 3 P - 1. The
 * window reaches r rows up and r' = ceil(r / P) places to each side: the places before in raster order.
 *   h, l     = R(first * (window, conditions of the place), shift), the first `width` outputs and the last
 *              3 P; for every block:
 *              u = B(h, stream_shift[block]), outside the image 0; v = B(inner * u, shift),
 *              h = h + R(outer * v, shift)
 *   own      = R(neck * B(h, stream_shift[blocks]), shift)
 *   l_c      clamped to -2048 .. 6143, in 1/16 grey levels; e_c = 16 x_c - l_c, of the samples before;
 *              e'_c = clamp(e_c, -2048, 2047)
 *   out      = R(head_c * B(own_c + R(sum_b colour_c,b e'_b, 12), own_shift_c), shift): M logits a, M offsets
 *              d, M scales s
 *   mean_k   = clamp(l_c + R(sum_b couple_c,b e_b, 14) + d_k, -2048, 6143)
 *   weights    t_k = exponentials[min(max_i a_i - a_k, 703)], T = their sum, r = floor(2^30 / (128 (T >> 7) +
 *              128)), w_k = (t_k r) >> 15 for k > 0, w_0 = 2^15 - the others
 *   C(j)     = j + ((sum_k w_k S((16 j - 8 - mean_k) * inverse[clamp(s_k, 0, 127)])) >> 15), 0 < j < 256;
 *              C(0) = 0, C(256) = 2^16
 *   S(z)       i = clamp(z + 384 * 2^11, 0, 768 * 2^11 - 1), q = i >> 11, and the result is
 *              sigmoid[q] + (((sigmoid[q + 1] - sigmoid[q]) * (i mod 2^11)) >> 11)
 * A place at the end of an odd row may lack its right pixel, which is outside the image: nothing is coded
 * then. The window is in raster order, and so are a block's five places. `first` is [width + 3 P][4 bytes of
 * every pixel of the window + conditions], within +-32639; `weights` holds the other matrices one behind the
 * other, [outputs][inputs]: for every block inner [inner][places][width] and outer [width][inner]; neck [3 P
 * hidden][width]; of each sample head [3 M][hidden]. bias and shift: of all outputs in that order, those of
 * first before them. All is copied. Returns EC_ERR_ARGUMENT (the shape); EC_ERR_TABLE: a sum may leave 30
 * bits, a shift is above 24, an inverse outside 1 .. 2^18, sigmoid decreases or exceeds 65280 or rises by
 * more than 32767 at a step, an exponential exceeds 32768 or the first is another; EC_ERR_MEMORY. */
typedef struct ec_causal_parts {
    const int16_t *first;
    const int8_t *weights;
    const int32_t *bias;
    const uint8_t *shift;
    const uint8_t *stream_shift;  /* [blocks + 1][width] */
    const uint8_t *own_shift;     /* [3 P][hidden] */
    const int16_t *colour;        /* [3 P][hidden][3 P - 1] */
    const int16_t *couple;        /* [3 P][3 P - 1] */
    const int32_t *inverse;       /* [EC_CAUSAL_SCALES] */
    const uint16_t *sigmoid;      /* [EC_CAUSAL_STEPS + 1] */
    const uint16_t *exponentials; /* [EC_CAUSAL_EXPONENTIALS] */
} ec_causal_parts;

int ec_causal_create(const ec_causal_shape *shape, const ec_causal_parts *parts, ec_causal **out);
void ec_causal_free(ec_causal *model);
size_t ec_causal_bytes(const ec_causal *model);
/* Bytes of scratch (4-byte aligned) that coding images of height x width, each at most 2^15, needs; else 0.
 */
size_t ec_causal_scratch(const ec_causal *model, uint32_t height, uint32_t width);
size_t ec_causal_wave_scratch(const ec_causal *model, uint32_t lanes, uint32_t height, uint32_t width);
size_t ec_causal_recall_scratch(const ec_causal *model, uint32_t lanes, uint32_t height, uint32_t width);

/* ---- Encoding ---- */

typedef struct ec_encoder {
    uint32_t lanes;           /* images of this group, or rows of one image that advance together */
    uint32_t state[EC_LANES]; /* 2^16 at the start, always in 2^16 .. 2^32 - 1 */
    uint8_t *buffer;          /* words are written downwards from buffer + capacity */
    size_t capacity;          /* bytes */
    size_t position;          /* bytes [position, capacity) hold the words written so far */
} ec_encoder;

/* 1 <= lanes <= EC_LANES. */
int ec_encoder_init(ec_encoder *encoder, uint32_t lanes);
/* The groups of `images` images: EC_LANES in each but the last. EC_ERR_ARGUMENT if they are not `groups`. */
int ec_encoders_init(ec_encoder *encoders, size_t groups, size_t images);
/* Gives the encoder an (empty) buffer. The states stay: a caller may take the words of one call away, attach
 * another buffer and go on; words written later stand before words written earlier in the stream. */
void ec_encoder_attach(ec_encoder *encoder, uint8_t *buffer, size_t capacity);
/* Gives `groups` encoders consecutive buffers of `each` bytes. */
void ec_encoders_attach(ec_encoder *encoders, size_t groups, uint8_t *buffer, size_t each);
/* Copies the words that `groups` encoders have written, one group behind the other, and returns their bytes;
 * sizes: uint64 [groups], the bytes of each. out must have room for them all, or is NULL to ask only. */
size_t ec_encoders_words(const ec_encoder *encoders, size_t groups, uint8_t *out, uint64_t *sizes);
/* Bytes of free buffer that each of `groups` encoders still has, at least. */
size_t ec_encoders_room(const ec_encoder *encoders, size_t groups);
/* Bytes of free buffer that encoding `positions` symbols per lane wants: four a symbol (two words, if it is
 * an escape) and 16 that stay free. A wave is one lane here. */
size_t ec_encode_bound(uint32_t lanes, size_t positions);
/* out: bytes [4 * lanes], the states in little endian: the head of the stream. */
void ec_encoder_states(const ec_encoder *encoder, uint8_t *out);
/* The same for `groups` encoders, in front of the words of each, where 4 * lanes bytes must be free: the last
 * sizes[i] bytes of its buffer are then its stream, or the part of it that was written since the buffer was
 * attached. sizes: uint64 [groups]. The encoders do not change and may go on. EC_ERR_CAPACITY. */
int ec_encoders_heads(const ec_encoder *encoders, size_t groups, uint64_t *sizes);

/* Each of these codes `groups` groups with one encoder each; the groups' data follow each other in the
 * arrays, and all but the last should have EC_LANES lanes. Every symbol, index and scale is checked. If a
 * group fails, its encoder is as it was (but the free part of its buffer may have been written), the encoders
 * before it have gone on, those behind it have not. Errors: EC_ERR_SYMBOL, EC_ERR_INDEX, EC_ERR_CAPACITY,
 * EC_ERR_ARGUMENT. scratch: at least ec_*_scratch() bytes for EC_LANES lanes, or for the first encoder's if
 * that is the only one. */
/* symbols: [lanes][positions] of 2 bytes or, if there are at most 256, of 1 (symbol_bytes); index: the table
 * of each, of 1, 2 or 4 bytes (index_bytes), or NULL with index_bytes 0: table 0 for all. */
int ec_encode_indexed(ec_encoder *encoders, size_t groups, const ec_tables *tables, const void *symbols,
                      uint32_t symbol_bytes, const void *index, uint32_t index_bytes, size_t positions);
/* indices: uint16 [lanes][groups of the model][height][width]. */
int ec_encode_fsar(ec_encoder *encoders, size_t groups, const ec_fsar *model, const uint16_t *indices,
                   uint32_t height, uint32_t width, uint16_t *scratch);
/* images: uint8 [lanes][height][width][colours]; logits: int16, scales: uint8
 * [lanes][colours][height][width]. */
int ec_encode_pixels(ec_encoder *encoders, size_t groups, const ec_pixels *model, const uint8_t *images,
                     const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width,
                     uint8_t *scratch);
/* images: uint8 [lanes][height][width][3]. */
int ec_encode_context(ec_encoder *encoders, size_t groups, const ec_context *model, const uint8_t *images,
                      uint32_t height, uint32_t width, uint8_t *scratch);
/* conditions: uint8 [lanes][height][width][conditions of the model], NULL if it has none. */
int ec_encode_causal(ec_encoder *encoders, size_t groups, const ec_causal *model, const uint8_t *images,
                     const uint8_t *conditions, uint32_t height, uint32_t width, uint32_t *scratch);

/* Mixtures: C(j) = ((sum_k w_k F_scale_k[4 j - 2 - m_k] + 2^15) >> 16) + j for j = 1 .. 255, C(256) = 2^16.
 * model: its cdfs and mean look-up, whose m_k has neither taps nor bias here. logits, scales: [lanes]
 * [colours * (EC_MIXTURE_COMPONENTS + 1)][height][width], for each colour one pair of planes a component and
 * then one pair (a, b) for the weights, -128 <= a < 128, 0 <= b < 256. weights: uint16 [256][256][2], (w_1,
 * w_2) of a + 128 and b, which together are at most 2^16; w_3 is what is left of 2^16. Also EC_ERR_TABLE,
 * for weights that are more. */
int ec_encode_mixture(ec_encoder *encoders, size_t groups, const ec_pixels *model, const uint16_t *weights,
                      const uint8_t *images, const int16_t *logits, const uint8_t *scales, uint32_t height,
                      uint32_t width);

/* The same for one image whose rows are the lanes: row r runs a few columns behind row r - 1, all contexts
 * crossing the lanes (docs/FORMAT-entropy.md, "Waves"). The encoder's lanes may be any number (of a causal
 * network at least its radius); more than the height of the image are a waste of states. Also EC_ERR_ARGUMENT
 * if an offset points to a row below, or a causal network has conditions. */
int ec_encode_fsar_wave(ec_encoder *encoder, const ec_fsar *model, const uint16_t *indices, uint32_t height,
                        uint32_t width, uint16_t *scratch);
int ec_encode_pixels_wave(ec_encoder *encoder, const ec_pixels *model, const uint8_t *image,
                          const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width,
                          uint8_t *scratch);
int ec_encode_causal_wave(ec_encoder *encoder, const ec_causal *model, const uint8_t *image, uint32_t height,
                          uint32_t width, uint32_t *scratch);
/* A wave that remembers colours: which greens the image has had with a red, and which blues with both
 * (docs/FORMAT-entropy.md, section 12). */
int ec_encode_causal_recall(ec_encoder *encoder, const ec_causal *model, const uint8_t *image,
                            uint32_t height, uint32_t width, uint32_t *scratch);
#define EC_COLOURS_SCRATCH 2097152 /* bytes: 2^24 bits */
/* How many colours `number` pixels [3] have; scratch: EC_COLOURS_SCRATCH bytes. */
size_t ec_count_colours(const uint8_t *pixels, size_t number, uint32_t *scratch);

/* ---- Decoding ---- */

typedef struct ec_decoder {
    uint32_t lanes;
    uint32_t state[EC_LANES];
    const uint8_t *words; /* little-endian 16-bit words */
    size_t count;         /* words in the stream */
    size_t next;          /* words consumed */
} ec_decoder;

/* data: the whole stream of the group, states first; it must stay valid while decoding goes on.
 * EC_ERR_TRUNCATED if shorter than the states, EC_ERR_DAMAGED if a state is below 2^16 or a byte is odd. */
int ec_decoder_init(ec_decoder *decoder, uint32_t lanes, const uint8_t *data, size_t bytes);

/* The same for groups whose streams follow each other in `data`, of sizes [groups] bytes: `images` lanes in
 * all, EC_LANES in each group but the last. */
int ec_decoders_init(ec_decoder *decoders, size_t groups, size_t images, const uint8_t *data,
                     const uint64_t *sizes);

/* The mirror images of ec_encode_*. If a group fails, its decoder is unchanged and the output undefined.
 * Errors: EC_ERR_TRUNCATED, EC_ERR_DAMAGED (an impossible escape), EC_ERR_INDEX, EC_ERR_ARGUMENT. */
int ec_decode_indexed(ec_decoder *decoders, size_t groups, const ec_tables *tables, const void *index,
                      uint32_t index_bytes, size_t positions, void *symbols, uint32_t symbol_bytes);
int ec_decode_fsar(ec_decoder *decoders, size_t groups, const ec_fsar *model, uint32_t height, uint32_t width,
                   uint16_t *indices, uint16_t *scratch);
int ec_decode_pixels(ec_decoder *decoders, size_t groups, const ec_pixels *model, const int16_t *logits,
                     const uint8_t *scales, uint32_t height, uint32_t width, uint8_t *images,
                     uint8_t *scratch);
int ec_decode_context(ec_decoder *decoders, size_t groups, const ec_context *model, uint32_t height,
                      uint32_t width, uint8_t *images, uint8_t *scratch);
int ec_decode_causal(ec_decoder *decoders, size_t groups, const ec_causal *model, const uint8_t *conditions,
                     uint32_t height, uint32_t width, uint8_t *images, uint32_t *scratch);
int ec_decode_mixture(ec_decoder *decoders, size_t groups, const ec_pixels *model, const uint16_t *weights,
                      const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width,
                      uint8_t *images);
int ec_decode_fsar_wave(ec_decoder *decoder, const ec_fsar *model, uint32_t height, uint32_t width,
                        uint16_t *indices, uint16_t *scratch);
int ec_decode_pixels_wave(ec_decoder *decoder, const ec_pixels *model, const int16_t *logits,
                          const uint8_t *scales, uint32_t height, uint32_t width, uint8_t *image,
                          uint8_t *scratch);
int ec_decode_causal_wave(ec_decoder *decoder, const ec_causal *model, uint32_t height, uint32_t width,
                          uint8_t *image, uint32_t *scratch);
int ec_decode_causal_recall(ec_decoder *decoder, const ec_causal *model, uint32_t height, uint32_t width,
                            uint8_t *image, uint32_t *scratch);
/* EC_OK if every state is 2^16 again and every word was consumed, else EC_ERR_DAMAGED. */
int ec_decoder_finish(const ec_decoder *decoder);
/* The number of groups before the first one that has not come to such an end: `groups` if all have. */
size_t ec_decoders_finished(const ec_decoder *decoders, size_t groups);

/* ---- Explicit rows and raw bits, on the same states ---- */

/* One position of all lanes with distributions that the caller computes. Per lane one row of cumulative
 * counts: symbol k owns the slots starts[k] .. starts[k + 1] - 1, the last symbol ends at 2^bits. starts:
 * uint16 [lanes][symbols], every row beginning with 0 and not decreasing (equal neighbours make a symbol
 * uncodable). 1 <= symbols <= 65536, 8 <= bits <= 16; values: uint16 [lanes]. The decoder alternates with its
 * caller: rows in, values out, the next rows may depend on them. The encoder goes from the last position to
 * the first. Every row is checked in both directions, which takes longer than coding. On failure encoder and
 * decoder are unchanged. EC_ERR_ARGUMENT, EC_ERR_TABLE, EC_ERR_SYMBOL, EC_ERR_CAPACITY, EC_ERR_TRUNCATED. */
int ec_encode_rows(ec_encoder *encoder, const uint16_t *starts, uint32_t symbols, uint32_t bits,
                   const uint16_t *values);
int ec_decode_rows(ec_decoder *decoder, const uint16_t *starts, uint32_t symbols, uint32_t bits,
                   uint16_t *values);
/* Numbers below 2^bits that take exactly `bits` bits each. values: uint16 [lanes][positions], 1 <= bits
 * <= 16. EC_ERR_ARGUMENT, EC_ERR_SYMBOL (a number too large), EC_ERR_CAPACITY, EC_ERR_TRUNCATED. */
int ec_encode_bypass(ec_encoder *encoder, uint32_t bits, const uint16_t *values, size_t positions);
int ec_decode_bypass(ec_decoder *decoder, uint32_t bits, size_t positions, uint16_t *values);

/* ---- Convolutions: latents whose distributions are sums of rows that decoded neighbours choose ---- */

/* All arrays are the caller's. A lane's indices: uint16 [planes][groups][height][width]; planes are coded one
 * after the other, all with the same rows. offsets: int32 [taps][3], (plane, row, column) of each neighbour
 * relative to the symbol. rows: int16 [taps][groups][symbols][groups * symbols], what the symbol of one group
 * at one tap adds to the logits of all groups; nothing outside the planes. bias: int32 [groups][symbols],
 * within +-2^24. Logits are in units of 2^-8 bit; counts of sum 2^bits follow from them as in
 * docs/FORMAT-bundle.md, section 5. 1 <= symbols <= 65535, at most 2^bits; 8 <= bits <= 16; groups >= 1;
 * taps * groups <= 4096; 1 <= planes <= 4096. */
typedef struct ec_convolution {
    const int32_t *offsets;
    const int16_t *rows;
    const int32_t *bias;
    uint32_t taps;
    uint32_t groups;
    uint32_t symbols;
    uint32_t bits;
    uint32_t planes;
    int checkerboard; /* 0: every position is coded, in raster order, and offsets precede (0, 0, 0). Else only
                       * those of even row + column, all others stay as they are, and row + column of every
                       * offset is odd */
} ec_convolution;

/* Bytes of scratch that coding with at most `lanes` lanes in a group needs. */
size_t ec_convolution_scratch(const ec_convolution *model, uint32_t lanes);
/* As ec_encode_fsar and ec_decode_fsar; at a position one group follows the other. Also EC_ERR_CAUSALITY (an
 * offset), EC_ERR_TABLE (the bias) and, in both directions, EC_ERR_SYMBOL (an index that is given). */
int ec_encode_convolution(ec_encoder *encoders, size_t groups, const ec_convolution *model,
                          const uint16_t *indices, uint32_t height, uint32_t width, uint64_t *scratch);
int ec_decode_convolution(ec_decoder *decoders, size_t groups, const ec_convolution *model, uint32_t height,
                          uint32_t width, uint16_t *indices, uint64_t *scratch);

/* ---- A stack for bits-back coding: one lane whose words can be pushed and popped ---- */

/* The same rANS step on a caller's buffer of words; push appends, pop takes from the end. Popping with a
 * distribution that nothing was pushed with draws a sample from it, paid from what the stack holds; pushing
 * the sample again with the same distribution restores the stack exactly. */
typedef struct ec_stack {
    uint32_t state;  /* always in 2^16 .. 2^32 - 1 */
    uint16_t *words; /* [capacity], the last of `count` is popped first */
    size_t capacity;
    size_t count;
} ec_stack;

/* The first `count` words are the caller's: the initial bits that pop may consume. The last of them becomes
 * the low half of the state at once (the bare state 2^16 would make the first pop always draw slot 0).
 * EC_ERR_ARGUMENT if count > capacity. */
int ec_stack_init(ec_stack *stack, uint16_t *words, size_t count, size_t capacity);
/* Each of these handles n symbols, push from the last to the first, so that pop(n) gives them in their order.
 * A push needs at most n free words. On failure the stack is unchanged. Errors: EC_ERR_ARGUMENT;
 * EC_ERR_SYMBOL, EC_ERR_INDEX and EC_ERR_TABLE as above; push: EC_ERR_CAPACITY (the buffer is full); pop:
 * EC_ERR_TRUNCATED (the stack has too few words; the output is undefined). */
/* symbols: uint16 [n]; index: uint32 [n], the table of each, or NULL: table 0. Tables with an escape are
 * refused: EC_ERR_ARGUMENT. */
int ec_stack_push(ec_stack *stack, const ec_tables *tables, const uint16_t *symbols, const uint32_t *index,
                  size_t n);
int ec_stack_pop(ec_stack *stack, const ec_tables *tables, const uint32_t *index, size_t n,
                 uint16_t *symbols);
/* starts: uint16 [n][symbols], rows as in ec_encode_rows; values: uint16 [n]. */
int ec_stack_push_rows(ec_stack *stack, const uint16_t *starts, uint32_t symbols, uint32_t bits,
                       const uint16_t *values, size_t n);
int ec_stack_pop_rows(ec_stack *stack, const uint16_t *starts, uint32_t symbols, uint32_t bits, size_t n,
                      uint16_t *values);
/* values: uint16 [n], each below 2^bits, 1 <= bits <= 16. */
int ec_stack_push_bits(ec_stack *stack, uint32_t bits, const uint16_t *values, size_t n);
int ec_stack_pop_bits(ec_stack *stack, uint32_t bits, size_t n, uint16_t *values);

/* ---- tANS: the same distributions as automata, one stream per image (docs/FORMAT-tans.md) ---- */

typedef struct ec_tans ec_tans;

#define EC_TANS_LIMIT 1073741824 /* 2^30: bytes of memory that the automata of one model may take */

/* counts: uint32 [tables][symbols], every row summing to exactly 2^bits; a symbol without a count cannot be
 * coded, and one symbol may hold them all. 8 <= bits <= 12, 1 <= symbols <= 65535. An automaton takes
 * 6 * 2^bits + 4 * symbols bytes. All automata have the same states, so the table may change from symbol to
 * symbol. EC_ERR_ARGUMENT (also beyond EC_TANS_LIMIT), EC_ERR_TABLE, EC_ERR_MEMORY. */
int ec_tans_create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, ec_tans **out);
void ec_tans_free(ec_tans *tans);
size_t ec_tans_bytes(const ec_tans *tans); /* memory held */
/* Bytes of buffer that encoding `streams` streams of `positions` symbols needs. */
size_t ec_tans_bound(const ec_tans *tans, size_t streams, size_t positions);
/* symbols: uint16 [streams][positions]; index: uint32 of the same shape, or NULL: table 0. out: the streams,
 * one after the other; sizes: size_t [streams], the bytes of each. On failure out and sizes are undefined.
 * EC_ERR_SYMBOL, EC_ERR_INDEX, EC_ERR_CAPACITY (capacity is below the bound). */
int ec_tans_encode(const ec_tans *tans, const uint16_t *symbols, const uint32_t *index, size_t streams,
                   size_t positions, uint8_t *out, size_t capacity, size_t *sizes);
/* The mirror image; data: `bytes` bytes, exactly the sum of the sizes. EC_ERR_TRUNCATED, EC_ERR_DAMAGED,
 * EC_ERR_INDEX; then the output is undefined. */
int ec_tans_decode(const ec_tans *tans, const uint32_t *index, size_t streams, size_t positions,
                   const uint8_t *data, size_t bytes, const size_t *sizes, uint16_t *symbols);
/* FSAR latents: indices uint16 [images][groups][height][width], one stream per image. Of the model only the
 * choice of the table is used: tANS and the model's tables must agree in number and symbols, else
 * EC_ERR_ARGUMENT; their counts may differ. The bound is that of groups * height * width positions. */
int ec_tans_encode_fsar(const ec_tans *tans, const ec_fsar *model, const uint16_t *indices, size_t images,
                        uint32_t height, uint32_t width, uint8_t *out, size_t capacity, size_t *sizes);
int ec_tans_decode_fsar(const ec_tans *tans, const ec_fsar *model, size_t images, uint32_t height,
                        uint32_t width, const uint8_t *data, size_t bytes, const size_t *sizes,
                        uint16_t *indices);

/* ---- Making tables: integers from beginning to end, the same on every machine ---- */

/* Which symbols get a count. */
typedef enum ec_counts_rule {
    EC_COUNTS_EVERY = 0,   /* every symbol at least one */
    EC_COUNTS_NONZERO = 1, /* symbols of weight 0 none, all others at least one */
    EC_COUNTS_ESCAPE = 2 /* symbols whose share is below 0.35 / 2^bits none; the escape, one column more, has
                          * their weight and at least one count if there are any such symbols, else none */
} ec_counts_rule;

/* weights: uint64 [tables][symbols], every row with a sum in 1 .. 2^63 - 1 (above 2^43 low bits are dropped).
 * counts: uint32 [tables][symbols], with EC_COUNTS_ESCAPE [tables][symbols + 1]; rows sum to 2^bits, 8 <=
 * bits
 * <= 16, and follow the rules of ec_tables_create. The cost sum w log2(1 / count) stays within 0.01 % of the
 * least possible. Allocates memory for one row while it works. EC_ERR_ARGUMENT (also for one column at 16
 * bits), EC_ERR_TABLE (a row's sum, or more symbols than counts), EC_ERR_MEMORY. */
int ec_counts_from_weights(const uint64_t *weights, size_t tables, uint32_t symbols, uint32_t bits, int rule,
                           uint32_t *counts);

#define EC_MAX_OCCURRENCES 274877906944 /* 2^38 */

/* Maps contexts to few tables. counts: uint32 [contexts][symbols], rows of sum 2^bits (an escape, if there is
 * one, is a symbol like others); occurrences: uint64 [contexts], how often a symbol is coded in each, of a
 * sum in 1 .. EC_MAX_OCCURRENCES - 1. Tables are added until the loss, the mean divergence of a symbol's
 * distribution from its table's, is at most loss_ppm millionths of the mean entropy of the distributions, or
 * until there are `most`. With loss_ppm 0 that is how many there will be, if as many distributions differ.
 * map: uint32 [contexts], contexts without occurrences included. merged: uint32 [min(most,
 * contexts)][symbols], of which *tables rows are filled; a symbol has a count if one of the table's contexts
 * gave it one. reached_ppm: the loss, rounded up. Integers only, the same result everywhere. Allocates while
 * it works: about 2 bytes for each of the counts and 2 * symbols + 400 for each table. EC_ERR_ARGUMENT,
 * EC_ERR_TABLE, EC_ERR_MEMORY. */
int ec_merge_contexts(const uint32_t *counts, size_t contexts, uint32_t symbols, uint32_t bits,
                      const uint64_t *occurrences, size_t most, uint32_t loss_ppm, uint32_t *map,
                      uint32_t *merged, uint64_t *tables, uint32_t *reached_ppm);

/* ---- Tables and FSAR models as bytes (docs/FORMAT-tables.md) ---- */

/* The same model gives the same bytes on every machine. out: `capacity` bytes, at least the bound; *bytes:
 * how many were written. Allocates memory for a row, the classes or the map while it works. EC_ERR_CAPACITY,
 * EC_ERR_MEMORY. */
size_t ec_tables_save_bound(const ec_tables *tables);
int ec_tables_save(const ec_tables *tables, uint8_t *out, size_t capacity, size_t *bytes);
/* The tables are saved with the model. */
size_t ec_fsar_save_bound(const ec_fsar *model);
int ec_fsar_save(const ec_fsar *model, uint8_t *out, size_t capacity, size_t *bytes);

/* Loading accepts any bytes and checks them all: checksum, every field, and the rules of the create
 * functions. While it works and for the models it takes at most 100 times the bytes of the file and 128 KiB,
 * and for EC_LAYOUT_FUSED up to 64 MiB. On failure the outputs are NULL. EC_ERR_TRUNCATED; EC_ERR_VERSION;
 * EC_ERR_DAMAGED (also for bytes of the other kind); EC_ERR_ARGUMENT (a layout unknown or impossible for
 * these tables); EC_ERR_MEMORY. */
int ec_tables_load(const uint8_t *data, size_t bytes, int layout, ec_tables **out);
/* Both are the caller's; free the model first. */
int ec_fsar_load(const uint8_t *data, size_t bytes, int layout, ec_tables **tables, ec_fsar **model);

/* What models were made of. */
typedef struct ec_tables_info {
    size_t tables;
    uint32_t symbols;
    uint32_t bits;
    int escape;
} ec_tables_info;

typedef struct ec_fsar_info {
    uint32_t groups;
    uint32_t order;
    int32_t offsets[EC_MAX_ORDER][3];
    uint32_t class_counts[EC_MAX_ORDER]; /* K + 1 without classes */
    size_t contexts;                     /* C, of one group */
    int has_classes;
    int has_map;
} ec_fsar_info;

void ec_tables_describe(const ec_tables *tables, ec_tables_info *info);
void ec_fsar_describe(const ec_fsar *model, ec_fsar_info *info);
void ec_fsar_classes(const ec_fsar *model, uint16_t *out);     /* [groups][order][K+1] */
void ec_fsar_context_map(const ec_fsar *model, uint32_t *out); /* [groups][C], also without a map */

/* cffi: end */

#ifdef __cplusplus
}
#endif

#endif
