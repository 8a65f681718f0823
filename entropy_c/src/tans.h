/* tANS automata and one step of coding with them. docs/FORMAT-tans.md has the construction. */
#ifndef EC_TANS_H
#define EC_TANS_H

#include "entropy_c.h"

/* What the encoder knows of a symbol: ((start - count + EC_TANS_BIAS) << 17) | delta, or 0: no count. In
 * state x it puts out (x + delta) >> 13 bits; states are below 2^13. */
#define EC_TANS_SHIFT 13
#define EC_TANS_BIAS  4097
#define EC_TANS_DELTA 0x1FFFFu

struct ec_tans {
    size_t count;
    uint32_t symbols;
    uint32_t bits;   /* T = 2^bits states and cells */
    uint32_t *codes; /* [count][symbols] */
    uint16_t *next;  /* [count][T]: states T .. 2T - 1 after encoding, cells of a symbol side by side */
    uint32_t *cells; /* [count][T]: symbol << 16 | bits to read << 12 | what they are added to */
};

/* A stream being written: bits go in from the lowest up, bytes upwards. */
typedef struct ec_tans_writer {
    uint32_t state; /* T .. 2T - 1 */
    uint32_t acc;   /* bits not yet stored for good, */
    uint32_t count; /* at most 7 of them between steps */
    uint8_t *p;
} ec_tans_writer;

static inline void ec_tans_write(ec_tans_writer *w, uint32_t value, uint32_t bits) {
    w->acc |= value << w->count;
    w->count += bits;
    for (int i = 0; i < 4; i++) w->p[i] = (uint8_t)(w->acc >> (8 * i)); /* always: no branch */
    w->p += w->count >> 3;
    w->acc >>= w->count & ~7u;
    w->count &= 7;
}

/* A stream being read, from its last bit to its first. */
typedef struct ec_tans_reader {
    const uint8_t *data;
    int64_t left;   /* bits; negative once more were used than there are */
    uint32_t state; /* 0 .. T - 1 */
} ec_tans_reader;

/* The next bits, the first of them at the top: at least 25, with zeros below the beginning of the stream. */
static inline uint32_t ec_tans_ahead(const ec_tans_reader *r) {
    if (r->left <= 0) return 0;
    const size_t left = (size_t)r->left;
    const size_t end = (left + 7) >> 3;
    const uint8_t *p = r->data + end;
    uint32_t bytes = 0;
    if (end >= 4)
        bytes = p[-4] | (uint32_t)p[-3] << 8 | (uint32_t)p[-2] << 16 | (uint32_t)p[-1] << 24;
    else
        for (size_t i = 1; i <= end; i++) bytes |= (uint32_t)p[-(ptrdiff_t)i] << (32 - 8 * i);
    return bytes << (8 * end - left);
}

/* Goes on from a cell and returns its symbol. Any cell and any bits lead to a state of the automaton. */
static inline uint32_t ec_tans_get(uint32_t cell, ec_tans_reader *r) {
    const uint32_t bits = (cell >> 12) & 15;
    const uint64_t ahead = ec_tans_ahead(r);
    r->state = (cell & 0xFFF) + (uint32_t)(ahead >> (32 - bits));
    r->left -= bits;
    return cell >> 16;
}

#endif
