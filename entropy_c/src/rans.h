/* The rANS steps shared by all coders: states of 32 bits, words of 16 bits, lower bound L = 2^16.
 *
 * Everything here works on one *position* of a group: one symbol of every lane. Data of a position lie next
 * to each other ([position][lane]), so that a vector kernel can replace these loops without changing a byte.
 */
#ifndef EC_RANS_H
#define EC_RANS_H

#include <string.h>

#include "entropy_c.h"

#define EC_LOW  65536u /* L: states are in [L, 2^32) between steps */
#define EC_TILE 192    /* positions prepared at a time: pairs of 32 lanes take 24 KiB of stack */

static inline uint32_t ec_load16(const uint8_t *p) { return (uint32_t)p[0] | ((uint32_t)p[1] << 8); }

static inline void ec_store16(uint8_t *p, uint32_t word) {
    p[0] = (uint8_t)word;
    p[1] = (uint8_t)(word >> 8);
}

/* A symbol as the encoder sees it: start in the low half, count (1 .. 65535) in the high half. */
static inline uint32_t ec_pair(uint32_t start, uint32_t count) { return (count << 16) | start; }

/* Encodes pairs [positions][lanes] from the last to the first; the caller has checked the capacity (two
 * bytes per pair). A word is always stored and counts only if the state needed it: no branch to mispredict.
 */
static inline uint8_t *ec_put(const uint32_t *pairs, size_t positions, uint32_t lanes, uint32_t bits,
                              uint32_t *x, uint8_t *out) {
    const uint32_t top = 32 - bits;
    for (size_t p = positions; p-- > 0;) {
        const uint32_t *pair = pairs + p * lanes;
        for (uint32_t lane = lanes; lane-- > 0;) {
            uint32_t state = x[lane];
            const uint32_t count = pair[lane] >> 16;
            const uint32_t start = pair[lane] & 0xFFFFu;
            const uint32_t full = (state >> top) >= count;
            ec_store16(out - 2, state);
            out -= 2 * full;
            state >>= 16 * full;
            const uint32_t quotient = state / count;
            x[lane] = (quotient << bits) + (state - quotient * count) + start;
        }
    }
    return out;
}

/* The words ahead of a decoder. Before a step of `lanes` symbols ec_reserve makes sure that as many words can
 * be *read*; near the end it moves to a zero-padded copy, and ec_overrun tells whether too many were *used*.
 */
typedef struct ec_reader {
    const uint8_t *p;
    const uint8_t *end;
    size_t base; /* words before the current block */
    int in_tail;
    uint8_t tail[4 * EC_LANES]; /* fewer than EC_LANES words, then room for one more step */
} ec_reader;

static inline void ec_reader_init(ec_reader *r, const ec_decoder *d) {
    r->p = d->words + 2 * d->next;
    r->end = d->words + 2 * d->count;
    r->base = d->next;
    r->in_tail = 0;
}

static inline void ec_reserve(ec_reader *r, const ec_decoder *d) {
    const size_t left = (size_t)(r->end - r->p);
    if (left >= 2 * EC_LANES || r->in_tail) return;
    r->base = d->count - left / 2;
    memset(r->tail, 0, sizeof r->tail);
    if (left > 0) memcpy(r->tail, r->p, left);
    r->p = r->tail;
    r->end = r->tail + left;
    r->in_tail = 1;
}

static inline int ec_overrun(const ec_reader *r) { return r->p > r->end; }

/* Words consumed so far, to be stored in the decoder when a call succeeds. */
static inline size_t ec_reader_next(const ec_reader *r, const ec_decoder *d) {
    return r->in_tail ? r->base + (size_t)(r->p - r->tail) / 2 : (size_t)(r->p - d->words) / 2;
}

/* Takes a word if the state fell below L. Half of the time it does, at random, so there must be no branch:
 * compilers make one of a conditional expression, but not of these shifts. */
static inline uint32_t ec_refill(uint32_t x, const uint8_t **p) {
    const uint32_t need = x < EC_LOW;
    const uint32_t word = ec_load16(*p) & (0u - need);
    *p += 2 * need;
    return (x << (16 * need)) | word;
}

#endif
