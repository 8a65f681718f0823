/* Colours that an image has had: docs/FORMAT-entropy.md, section 12.
 *
 * Photographs that were JPEG files, or come from a camera's own luma and chroma, have but some of the colours
 * that there are: red and green nearly tell blue. So a wave may remember which greens it has had with a red,
 * and which blues with both, and code whether a sample is one of these, and then which. */
#ifndef EC_RECALL_H
#define EC_RECALL_H

#include "causal.h"

#define EC_RECALL_WINDOW 32 /* values around the mean that are looked up */
#define EC_RECALL_MOST   8  /* values of a lane */
#define EC_RECALL_ROWS                                                                                       \
    7 /* that a step may code of every lane: red; of green and of blue: see ec_recall_row */

/* Rows of a step. */
typedef enum ec_recall_row {
    EC_RECALL_RED,
    EC_RECALL_FLAG,  /* of green: whether it is known, in lanes that know any */
    EC_RECALL_PLAIN, /* the samples of the other lanes */
    EC_RECALL_VALUE, /* and then of these */
    EC_RECALL_BLUE /* by so much more of blue */ = 3
} ec_recall_row;

typedef struct ec_recall {
    uint32_t *known[2]; /* bits: greens of a red, [256][8]; blues of a red and a green, [256][256][8] */
    uint32_t *counters; /* [2][contexts][2]: how often a sample was not known, and known */
} ec_recall;

/* What the lanes of a step know of one colour. */
typedef struct ec_known {
    uint32_t lanes;                            /* those that know any, as bits */
    uint32_t most;                             /* values of the lane that has most */
    uint32_t number[EC_LANES];                 /* of values */
    uint32_t values[EC_RECALL_MOST][EC_LANES]; /* ascending */
    uint32_t counts[EC_RECALL_MOST][EC_LANES]; /* their slots */
    uint32_t sum[EC_LANES];                    /* of these */
    uint32_t *counter[EC_LANES];
} ec_known;

/* Numbers of 32 bits of the memory. */
size_t ec_recall_size(void);
ec_recall ec_recall_open(uint32_t *memory);
/* Under w->mixed, of the pixels' green (colour 1) or blue (2), for the lanes in `mask`. */
void ec_recall_look(const ec_recall *recall, const ec_causal *model, const ec_causal_work *work,
                    const uint32_t *pixels, uint32_t colour, uint32_t mask, ec_known *known);
/* The place of a sample among the values of a lane, or the number of values that are less; sets *is_known. */
uint32_t ec_known_place(const ec_known *known, uint32_t lane, uint32_t sample, int *is_known);
/* The slots of the flag, of the known value at a place, and of a sample that is not known: `start` and
 * `count` under the distribution, `place` values being less. */
ec_interval ec_known_flag(const ec_known *known, uint32_t lane, int is_known);
ec_interval ec_known_value(const ec_known *known, uint32_t lane, uint32_t place);
ec_interval ec_known_other(const ec_known *known, uint32_t lane, uint32_t place, ec_interval plain);
/* The known value that a slot belongs to. */
uint32_t ec_known_place_at(const ec_known *known, uint32_t lane, uint32_t slot);
/* The samples that are not known and that the slots of the lanes in `mask` belong to, and their plain
 * intervals. */
void ec_known_others_at(const ec_known *known, const ec_causal *model, const ec_causal_work *work,
                        uint32_t mask, const uint32_t *slots, uint32_t *samples, ec_interval *plain);
/* After a step's flags of one colour: hits, as bits. */
void ec_known_learn(const ec_known *known, uint32_t hits);
/* After a step. */
void ec_recall_add(const ec_recall *recall, const uint32_t *pixels, uint32_t mask);

#endif
