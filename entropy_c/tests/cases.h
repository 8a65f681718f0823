/* Random cases: a few arrays of all kinds that follow each other on the states of some groups of lanes. */
#ifndef EC_TESTS_CASES_H
#define EC_TESTS_CASES_H

#include "common.h"

typedef enum kind_t { INDEXED, FSAR, PIXELS, FSAR_WAVE, PIXELS_WAVE, ROWS, BYPASS, KINDS } kind_t;

#define MOST_PARTS 4
#define MOST_TAPS  (EC_MAX_COLOURS * EC_MAX_TAPS)

/* One array and the model that codes it. */
typedef struct part_t {
    kind_t kind;
    uint32_t height, width; /* one row of all positions where there is no image */
    size_t positions;       /* symbols of an image */
    int wild;               /* some data are unlikely */

    size_t tables;                    /* indexed and FSAR */
    uint32_t symbols, bits, alphabet; /* alphabet: with the escape */
    int escape, layout;
    uint32_t *counts; /* [tables][alphabet] */

    uint32_t index_bytes;
    void *index; /* [images][positions] */

    uint16_t *starts; /* rows: [images][positions][symbols] */

    uint32_t order, planes, contexts; /* FSAR */
    int32_t offsets[EC_MAX_ORDER][3];
    uint32_t class_counts[EC_MAX_ORDER];
    uint16_t *classes; /* or NULL */
    uint32_t *map;     /* or NULL */

    uint32_t scale_count, colours; /* pixels */
    uint32_t tap_counts[EC_MAX_COLOURS];
    int32_t taps[MOST_TAPS][3], weights[MOST_TAPS], bias[EC_MAX_COLOURS];
    uint16_t *cdf;
    int16_t *lut;
    int16_t *logits;
    uint8_t *scales;

    void *data; /* [images][positions], uint16_t or (pixels) uint8_t */
    size_t data_bytes;

    ec_tables *made_tables; /* between open_case and close_case */
    ec_fsar *made_fsar;
    ec_pixels *made_pixels;
} part_t;

typedef struct case_t {
    size_t groups;
    uint32_t lanes;  /* of the last group */
    uint32_t images; /* of a batch; a wave has one group and one image */
    uint32_t parts;
    part_t part[MOST_PARTS]; /* in order of decoding */
} case_t;

typedef struct stream_t {
    uint8_t *data;
    size_t bytes;
} stream_t;

static inline int is_wave(kind_t kind) { return kind == FSAR_WAVE || kind == PIXELS_WAVE; }
static inline int is_pixels(kind_t kind) { return kind == PIXELS || kind == PIXELS_WAVE; }
static inline uint32_t lanes_of(const case_t *c, size_t group) {
    return group + 1 < c->groups ? EC_LANES : c->lanes;
}

/* Counts of one row: sum 2^bits, of many shapes, some with symbols that have none. */
void random_counts(uint32_t *row, uint32_t alphabet, uint32_t bits);

/* What a part is made of, before it has data. `size` bounds heights and widths; below 8 tables are small,
 * too. */
void random_part(part_t *part, kind_t kind, uint32_t lanes, uint32_t size);
/* Data that the models can code: drawn from their distributions, or with unlikely ones in between. */
void random_data(part_t *part, uint32_t images);
/* A part of every kind in `kinds` (bits 1 << kind), up to MOST_PARTS; waves are left out if there are more
 * groups than one. */
void random_case(case_t *c, unsigned kinds, uint32_t size);
void drop_case(case_t *c);
/* 32 lanes, peaked distributions, a few hundred bytes to some kilobytes: what a codec would store. Kind KINDS
 * is latents, then pixels. */
void realistic_case(case_t *c, kind_t kind);

/* Makes the models for the present instruction set, and frees them. */
void open_case(case_t *c);
void close_case(case_t *c);

/* The C library's streams, one a group. */
void encode_case(const case_t *c, stream_t *streams);
/* Decodes; the first status that is not EC_OK. *same: whether all data came back. */
int decode_case(const case_t *c, const stream_t *streams, int *same);
void drop_streams(const case_t *c, stream_t *streams);

#endif
