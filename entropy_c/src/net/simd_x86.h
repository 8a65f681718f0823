/* What all x86 kernels share. */
#ifndef EC_NET_SIMD_X86_H
#define EC_NET_SIMD_X86_H

#include <immintrin.h>

#include "net.h"

static inline int32_t load_pair(const int16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair;
}

/* Four pairs of four pixels, shifted to the left: to[pair][pixel], `line` numbers from a pair to the next. */
static inline void turn_four(const int16_t *const *from, size_t at, int shift, int16_t *to, size_t line) {
    const __m128i by = _mm_cvtsi32_si128(shift);
    __m128i r[4];
    for (int i = 0; i < 4; i++) r[i] = _mm_sll_epi16(_mm_loadu_si128((const __m128i *)(from[i] + at)), by);
    const __m128i a = _mm_unpacklo_epi32(r[0], r[1]), b = _mm_unpacklo_epi32(r[2], r[3]);
    const __m128i c = _mm_unpackhi_epi32(r[0], r[1]), d = _mm_unpackhi_epi32(r[2], r[3]);
    _mm_storeu_si128((__m128i *)to, _mm_unpacklo_epi64(a, b));
    _mm_storeu_si128((__m128i *)(to + line), _mm_unpackhi_epi64(a, b));
    _mm_storeu_si128((__m128i *)(to + 2 * line), _mm_unpacklo_epi64(c, d));
    _mm_storeu_si128((__m128i *)(to + 3 * line), _mm_unpackhi_epi64(c, d));
}

#endif
