/* Fields of 0 to 32 bits one after the other; bits are numbered from the lowest bit of the first byte
 * upwards, so that whole bytes are numbers in little endian. */
#ifndef EC_BITS_H
#define EC_BITS_H

#include <stddef.h>
#include <stdint.h>

typedef struct ec_bit_writer {
    uint8_t *out; /* the caller has made room for everything */
    uint64_t at;  /* bits written */
} ec_bit_writer;

typedef struct ec_bit_reader {
    const uint8_t *data;
    uint64_t at, end; /* bits */
    int failed;       /* more was asked for than there is; reading then gives zeros */
} ec_bit_reader;

static inline void ec_put_bits(ec_bit_writer *w, uint32_t value, uint32_t bits) {
    while (bits > 0) {
        const uint32_t used = w->at & 7, free = 8 - used, n = bits < free ? bits : free;
        uint8_t *byte = w->out + (w->at >> 3);
        const uint32_t before = used > 0 ? *byte : 0;
        *byte = (uint8_t)(before | (value & ((1u << n) - 1)) << used);
        value >>= n;
        bits -= n;
        w->at += n;
    }
}

static inline uint32_t ec_get_bits(ec_bit_reader *r, uint32_t bits) {
    if (r->end - r->at < bits) {
        r->failed = 1;
        r->at = r->end;
        return 0;
    }
    const size_t first = (size_t)(r->at >> 3), last = (size_t)((r->at + bits + 7) >> 3);
    uint64_t value = 0;
    for (size_t i = last; i > first; i--) value = value << 8 | r->data[i - 1]; /* at most five bytes */
    value >>= r->at & 7;
    r->at += bits;
    return (uint32_t)(value & (((uint64_t)1 << bits) - 1));
}

#endif
