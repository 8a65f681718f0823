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
#define EC_RECALL_LEAST  64 /* slots of either flag */
#define EC_RECALL_ROWS   7  /* that a pixel may code of every lane: red; of green, blue: see ec_recall_row */

/* Rows of a pixel. */
typedef enum ec_recall_row {
    EC_RECALL_RED,
    EC_RECALL_FLAG,  /* of green: whether it is known, in lanes that know any */
    EC_RECALL_PLAIN, /* the samples of the other lanes */
    EC_RECALL_VALUE, /* and then of these */
    EC_RECALL_BLUE /* by so much more of blue */ = 3
} ec_recall_row;

typedef struct ec_recall {
    uint32_t *known[2];    /* bits: greens of a red, [256][8]; blues of a red and a green, [256][256][8] */
    uint32_t *counters[2]; /* of green and blue, [contexts][2]: how often a sample was not known, and known */
} ec_recall;

/* Numbers of 32 bits of the memory. */
size_t ec_recall_size(void);
ec_recall ec_recall_open(uint32_t *memory);
/* After the flags of one colour: the lanes that had one and those whose sample was known, as bits. */
void ec_recall_learn(const ec_recall *recall, uint32_t colour, const uint32_t *contexts, uint32_t lanes,
                     uint32_t hits);
/* After a pixel: what the lanes in `mask` had. */
void ec_recall_add(const ec_recall *recall, const uint32_t *pixels, uint32_t mask);

#endif
