/* What all rANS coders share: states of 32 bits, words of 16 bits, lower bound L = 2^16. */
#ifndef EC_RANS_H
#define EC_RANS_H

#include <string.h>

#include "entropy_c.h"

#define EC_LOW        65536u         /* L: states are in [L, 2^32) between steps */
#define EC_STEP_BYTES (2 * EC_LANES) /* words that one step of all lanes can take */
#define EC_SLACK      16             /* bytes before the next word that an encoder may touch */

static inline uint32_t ec_load16(const uint8_t *p) { return (uint32_t)p[0] | ((uint32_t)p[1] << 8); }

static inline void ec_store16(uint8_t *p, uint32_t word) {
    p[0] = (uint8_t)word;
    p[1] = (uint8_t)(word >> 8);
}

/* A symbol's place: `count` of the 2^bits slots from `start` on. */
typedef struct ec_interval {
    uint32_t start, count;
} ec_interval;

/* One symbol of one lane; *out moves down by the word that the state gives away, if any. */
static inline uint32_t ec_push(uint32_t x, ec_interval s, uint32_t bits, uint8_t **out) {
    if (x >> (32 - bits) >= s.count) {
        *out -= 2;
        ec_store16(*out, x);
        x >>= 16;
    }
    return ((x / s.count) << bits) + x % s.count + s.start;
}

/* The state after decoding; below L it takes a word. */
static inline uint32_t ec_pop(uint32_t x, ec_interval s, uint32_t bits) {
    return s.count * (x >> bits) + (x & ((1u << bits) - 1)) - s.start;
}

/* The words ahead of a decoder. Before a step ec_reader_ready makes sure that EC_STEP_BYTES can be *read*:
 * near the end it moves to a zero-padded copy, and then sees whether more words were *used* than there are.
 */
typedef struct ec_reader {
    const uint8_t *p;
    const uint8_t *end;
    int in_tail;
    uint8_t tail[2 * EC_STEP_BYTES]; /* less than one step's bytes, then one more step */
} ec_reader;

static inline void ec_reader_init(ec_reader *r, const ec_decoder *d) {
    r->p = d->words + 2 * d->next;
    r->end = d->words + 2 * d->count;
    r->in_tail = 0;
}

/* To be called when fewer than EC_STEP_BYTES are left. Returns 0 if the words ended too early. */
int ec_reader_ready(ec_reader *r);

static inline int ec_reader_has(ec_reader *r) { return r->end - r->p >= EC_STEP_BYTES || ec_reader_ready(r); }

/* A word for a state below L. The caller has made sure that it can be read. */
static inline uint32_t ec_refill(uint32_t x, ec_reader *r) {
    if (x >= EC_LOW) return x;
    x = x << 16 | ec_load16(r->p);
    r->p += 2;
    return x;
}

/* Stores states and place in the decoder, or returns EC_ERR_TRUNCATED. */
int ec_reader_done(const ec_reader *r, const uint32_t *x, ec_decoder *d);

#endif
