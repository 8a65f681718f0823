/* entropy_c: interleaved rANS for learned image compression. This header is the manual.
 *
 * WHAT IT CODES. Integers in, bytes out. A group of at most EC_LANES images is coded together; every image is
 * one lane with one 32-bit rANS state, and all lanes of the group share one stream of 16-bit words. Three
 * kinds of data may follow each other on the same states: symbols with one table index each ("indexed"),
 * latent indices whose tables are chosen by neighbours already decoded ("FSAR"), and pixels whose
 * distribution is shifted by a linear prediction from causal neighbours ("pixels"). docs/FORMAT-entropy.md
 * specifies the bytes.
 *
 * A STACK. rANS decodes in the opposite order of encoding. Each ec_encode_* call walks its data from the last
 * position to the first, and the calls themselves are made in the reverse order of decoding: to decode
 * latents and then pixels, encode the pixels and then the latents.
 *
 * MEMORY. Models (ec_tables, ec_fsar, ec_pixels) are allocated by their create function and released by
 * their free function; nothing else allocates. Encoders and decoders are plain structs owned by the caller,
 * as are all buffers; array sizes that a call needs are stated with it. There are no globals.
 *
 * THREADS. A model never changes once created: any number of threads may use it. An encoder or decoder
 * belongs to one thread at a time. Groups are independent of each other.
 *
 * TRUST. Decoding accepts any bytes: it never reads outside the given stream, never writes outside the given
 * arrays and always ends. Damage is reported by a status, at the latest by ec_decoder_finish, except for the
 * rare alteration that decodes to other symbols and still ends in the right states: callers store a checksum.
 * There is no floating point anywhere. Array arguments must be valid for the stated sizes (pointers are not
 * checked for NULL when the size is not zero).
 */
#ifndef ENTROPY_C_H
#define ENTROPY_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cffi: begin (everything up to "cffi: end" is also read by the Python build) */

#define EC_LANES        32   /* images of a group */
#define EC_MAX_ORDER    4    /* context taps of an FSAR model */
#define EC_MAX_COLOURS  4    /* channels of a pixel model */
#define EC_MAX_TAPS     12   /* prediction taps of one colour */
#define EC_FINE_STEPS   2045 /* entries of one scale's fine cdf, t = -1022 .. 1022 */
#define EC_MEAN_MAX     1020 /* largest mean index: four fine steps a grey level */
#define EC_LOGIT_LEVELS 4096 /* entries of the mean look-up table, logit -2048 .. 2047 */

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
    EC_ERR_MEMORY = -9     /* a model could not be allocated */
} ec_status;

/* ---- Tables: `tables` distributions over `symbols` symbols, each summing to 2^bits ---- */

typedef struct ec_tables ec_tables;

/* How the decoder finds a symbol. The bytes of a stream never depend on it. */
typedef enum ec_layout {
    EC_LAYOUT_AUTO = 0,    /* the faster one: fused up to 512 KiB, else bucketed */
    EC_LAYOUT_FUSED = 1,   /* one 4-byte entry per slot; 2 * bits + log2(symbols) <= 32, at most 64 MiB */
    EC_LAYOUT_BUCKETED = 2 /* cumulative counts and a bucket index per table: at most one step on average */
} ec_layout;

/* counts: uint32 [tables][symbols]; a zero count makes a symbol uncodable in that table. 8 <= bits <= 16,
 * 1 <= symbols <= 65535, 1 <= tables < 2^31; every row must sum to 2^bits exactly, and at 16 bits no symbol
 * may hold all 65536 counts. Returns EC_ERR_ARGUMENT, EC_ERR_TABLE or EC_ERR_MEMORY on failure. */
int ec_tables_create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, int layout,
                     ec_tables **out);
void ec_tables_free(ec_tables *tables);
size_t ec_tables_bytes(const ec_tables *tables); /* memory held */
int ec_tables_layout(const ec_tables *tables);   /* EC_LAYOUT_FUSED or EC_LAYOUT_BUCKETED */
/* out: uint32 [symbols], the counts of one table as given to create. EC_ERR_INDEX. */
int ec_tables_counts(const ec_tables *tables, size_t table, uint32_t *out);

/* ---- FSAR: latents [group][row][column] whose decoded neighbours choose the table ---- */

typedef struct ec_fsar ec_fsar;

/* offsets: int32 [order][3], (group, row, column) of each neighbour relative to the symbol, each
 * lexicographically before (0, 0, 0). A neighbour outside the tensor has state 0, symbol k has state k + 1.
 * Table of a symbol = group * (K+1)^order + mixed radix of the states, the first offset varying slowest;
 * `tables` must hold exactly groups * (K+1)^order tables over K symbols and must outlive the model.
 * order <= EC_MAX_ORDER; order 0 is one static table per group. Returns EC_ERR_ARGUMENT, EC_ERR_CAUSALITY,
 * EC_ERR_TABLE, EC_ERR_MEMORY. */
int ec_fsar_create(const ec_tables *tables, const int32_t *offsets, uint32_t order, uint32_t groups,
                   ec_fsar **out);
void ec_fsar_free(ec_fsar *model);
/* Bytes of scratch that decoding `lanes` images of [groups][height][width] needs (2-byte aligned). */
size_t ec_fsar_scratch(const ec_fsar *model, uint32_t lanes, uint32_t height, uint32_t width);
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
/* Bytes of scratch that decoding `lanes` images of height x width needs. */
size_t ec_pixels_scratch(const ec_pixels *model, uint32_t lanes, uint32_t height, uint32_t width);
/* images: uint8 [images][height][width][colours]; logits: int16 [images][colours][height][width];
 * out: uint16, shaped like logits: the mean index m of every sample. */
int ec_pixels_mean_index(const ec_pixels *model, const uint8_t *images, const int16_t *logits, size_t count,
                         uint32_t height, uint32_t width, uint16_t *out);

/* ---- Encoding one group ---- */

typedef struct ec_encoder {
    uint32_t lanes;           /* images of this group */
    uint32_t state[EC_LANES]; /* 2^16 at the start, always in 2^16 .. 2^32 - 1 */
    uint8_t *buffer;          /* words are written downwards from buffer + capacity */
    size_t capacity;          /* bytes */
    size_t position;          /* bytes [position, capacity) hold the words written so far */
} ec_encoder;

/* 1 <= lanes <= EC_LANES. */
int ec_encoder_init(ec_encoder *encoder, uint32_t lanes);
/* Gives the encoder an (empty) buffer. The states stay: a caller may take the words of one call away, attach
 * another buffer and go on; words written later stand before words written earlier in the stream. */
void ec_encoder_attach(ec_encoder *encoder, uint8_t *buffer, size_t capacity);
/* Bytes that encoding `positions` symbols per lane can need at most. */
size_t ec_encode_bound(uint32_t lanes, size_t positions);
/* out: bytes [4 * lanes], the states in little endian: the head of the stream. */
void ec_encoder_states(const ec_encoder *encoder, uint8_t *out);

/* Each of these checks every symbol, index and scale, and on failure leaves the encoder as it was (the free
 * part of the buffer may have been written). Errors: EC_ERR_SYMBOL, EC_ERR_INDEX, EC_ERR_CAPACITY,
 * EC_ERR_ARGUMENT. Arrays begin at the group's first image and hold `lanes` images. */
/* symbols: uint16 [lanes][positions]; index: uint32 [lanes][positions], the table of each. */
int ec_encode_indexed(ec_encoder *encoder, const ec_tables *tables, const uint16_t *symbols,
                      const uint32_t *index, size_t positions);
/* indices: uint16 [lanes][groups][height][width]. */
int ec_encode_fsar(ec_encoder *encoder, const ec_fsar *model, const uint16_t *indices, uint32_t height,
                   uint32_t width);
/* images: uint8 [lanes][height][width][colours]; logits: int16, scales: uint8
 * [lanes][colours][height][width]. */
int ec_encode_pixels(ec_encoder *encoder, const ec_pixels *model, const uint8_t *images,
                     const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width);

/* ---- Decoding one group ---- */

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

/* The mirror images of ec_encode_*. On failure the decoder is unchanged and the output undefined.
 * Errors: EC_ERR_TRUNCATED, EC_ERR_INDEX, EC_ERR_ARGUMENT. scratch: at least ec_*_scratch() bytes. */
int ec_decode_indexed(ec_decoder *decoder, const ec_tables *tables, const uint32_t *index, size_t positions,
                      uint16_t *symbols);
int ec_decode_fsar(ec_decoder *decoder, const ec_fsar *model, uint32_t height, uint32_t width,
                   uint16_t *indices, uint16_t *scratch);
int ec_decode_pixels(ec_decoder *decoder, const ec_pixels *model, const int16_t *logits,
                     const uint8_t *scales, uint32_t height, uint32_t width, uint8_t *images,
                     uint8_t *scratch);
/* EC_OK if every state is 2^16 again and every word was consumed, else EC_ERR_DAMAGED. */
int ec_decoder_finish(const ec_decoder *decoder);

/* cffi: end */

#ifdef __cplusplus
}
#endif

#endif
