/* Transposition in blocks of eight lanes by eight positions. */
#include "lanes.h"

#if defined(__SSE2__)
#include <emmintrin.h>

typedef __m128i row16; /* eight 16-bit values */

static inline row16 load16(const uint16_t *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline void store16(uint16_t *p, row16 a) { _mm_storeu_si128((__m128i *)p, a); }
static inline row16 load8(const uint8_t *p) {
    return _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)p), _mm_setzero_si128());
}
static inline void store8(uint8_t *p, row16 a) { _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(a, a)); }
static inline row16 plus(row16 a, uint32_t n) { return _mm_add_epi16(a, _mm_set1_epi16((short)n)); }

static inline void transpose(row16 *r) {
    row16 a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            b[4 * i + 2 * j] = _mm_unpacklo_epi32(a[4 * i + j], a[4 * i + j + 2]);
            b[4 * i + 2 * j + 1] = _mm_unpackhi_epi32(a[4 * i + j], a[4 * i + j + 2]);
        }
    for (int i = 0; i < 4; i++) {
        r[2 * i] = _mm_unpacklo_epi64(b[i], b[i + 4]);
        r[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[i + 4]);
    }
}
#else
typedef struct row16 {
    uint16_t at[8];
} row16;

static inline row16 load16(const uint16_t *p) {
    row16 a;
    memcpy(a.at, p, sizeof a.at);
    return a;
}
static inline void store16(uint16_t *p, row16 a) { memcpy(p, a.at, sizeof a.at); }
static inline row16 load8(const uint8_t *p) {
    row16 a;
    for (int i = 0; i < 8; i++) a.at[i] = p[i];
    return a;
}
static inline void store8(uint8_t *p, row16 a) {
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)a.at[i];
}
static inline row16 plus(row16 a, uint32_t n) {
    for (int i = 0; i < 8; i++) a.at[i] = (uint16_t)(a.at[i] + n);
    return a;
}
static inline void transpose(row16 *r) {
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) {
            const uint16_t held = r[i].at[j];
            r[i].at[j] = r[j].at[i];
            r[j].at[i] = held;
        }
}
#endif

/* The lanes first .. first + 7; missing ones are the last one again. */
#define PICK(type, from, first, lanes, eight)                                                                \
    type eight[8];                                                                                           \
    for (uint32_t i = 0; i < 8; i++) eight[i] = (from)[(first) + i < (lanes) ? (first) + i : (lanes) - 1]

void ec_weave16(const uint16_t *const *from, uint32_t lanes, size_t count, uint32_t add, uint16_t *to,
                size_t pitch) {
    for (uint32_t first = 0; first < lanes; first += 8) {
        PICK(const uint16_t *, from, first, lanes, lane);
        size_t i = 0;
        for (; i + 8 <= count; i += 8) {
            row16 r[8];
            for (int k = 0; k < 8; k++) r[k] = load16(lane[k] + i);
            transpose(r);
            for (size_t k = 0; k < 8; k++) store16(to + (i + k) * pitch + first, plus(r[k], add));
        }
        for (; i < count; i++)
            for (size_t k = 0; k < 8; k++) to[i * pitch + first + k] = (uint16_t)(lane[k][i] + add);
    }
}

void ec_weave8(const uint8_t *const *from, uint32_t lanes, size_t count, uint8_t *to, size_t pitch) {
    for (uint32_t first = 0; first < lanes; first += 8) {
        PICK(const uint8_t *, from, first, lanes, lane);
        size_t i = 0;
        for (; i + 8 <= count; i += 8) {
            row16 r[8];
            for (int k = 0; k < 8; k++) r[k] = load8(lane[k] + i);
            transpose(r);
            for (size_t k = 0; k < 8; k++) store8(to + (i + k) * pitch + first, r[k]);
        }
        for (; i < count; i++)
            for (size_t k = 0; k < 8; k++) to[i * pitch + first + k] = lane[k][i];
    }
}

void ec_unweave16(const uint16_t *from, size_t pitch, uint32_t lanes, size_t count, uint32_t less,
                  uint16_t *const *to) {
    for (uint32_t first = 0; first < lanes; first += 8) {
        const uint32_t here = lanes - first < 8 ? lanes - first : 8;
        size_t i = 0;
        for (; i + 8 <= count; i += 8) {
            row16 r[8];
            for (size_t k = 0; k < 8; k++) r[k] = plus(load16(from + (i + k) * pitch + first), 0u - less);
            transpose(r);
            for (uint32_t k = 0; k < here; k++) store16(to[first + k] + i, r[k]);
        }
        for (; i < count; i++)
            for (uint32_t k = 0; k < here; k++)
                to[first + k][i] = (uint16_t)(from[i * pitch + first + k] - less);
    }
}

void ec_unweave8(const uint8_t *from, size_t pitch, uint32_t lanes, size_t count, uint8_t *const *to) {
    for (uint32_t first = 0; first < lanes; first += 8) {
        const uint32_t here = lanes - first < 8 ? lanes - first : 8;
        size_t i = 0;
        for (; i + 8 <= count; i += 8) {
            row16 r[8];
            for (size_t k = 0; k < 8; k++) r[k] = load8(from + (i + k) * pitch + first);
            transpose(r);
            for (uint32_t k = 0; k < here; k++) store8(to[first + k] + i, r[k]);
        }
        for (; i < count; i++)
            for (uint32_t k = 0; k < here; k++) to[first + k][i] = from[i * pitch + first + k];
    }
}
