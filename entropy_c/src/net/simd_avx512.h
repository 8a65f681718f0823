/* Sixteen 32-bit lanes: AVX-512 with byte and word instructions, with NET_VNNI its dot product. */
#ifndef EC_NET_SIMD_AVX512_H
#define EC_NET_SIMD_AVX512_H

#include <immintrin.h>

#include "simd_x86.h"

#define LANES  16
#define PIXELS 8
#define ROWS   8

typedef __m512i vec;     /* sums */
typedef __m512i numbers; /* 2 * LANES activations, or LANES pairs of them */

static inline vec v_all(int32_t x) { return _mm512_set1_epi32(x); }
static inline vec v_load(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline void v_store(int32_t *p, vec x) { _mm512_storeu_si512(p, x); }
static inline vec v_add(vec a, vec b) { return _mm512_add_epi32(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm512_sub_epi32(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm512_mullo_epi32(a, b); }
static inline vec v_max(vec a, vec b) { return _mm512_max_epi32(a, b); }
static inline vec v_shift(vec a, vec by) { return _mm512_srav_epi32(a, by); }
/* Where a > b, x, else y. */
static inline vec v_greater(vec a, vec b, vec x, vec y) {
    return _mm512_mask_blend_epi32(_mm512_cmpgt_epi32_mask(a, b), y, x);
}
static inline vec v_dot(vec sum, numbers a, numbers b) {
#ifdef NET_VNNI
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}

static inline numbers n_load(const int16_t *p) { return _mm512_loadu_si512(p); }
static inline void n_store(int16_t *p, numbers x) { _mm512_storeu_si512(p, x); }
static inline void n_store_some(int16_t *p, numbers x, size_t count) {
    _mm512_mask_storeu_epi16(p, (__mmask32)((UINT64_C(1) << count) - 1), x);
}
static inline numbers n_all(int16_t x) { return _mm512_set1_epi16(x); }
static inline numbers n_pair(const int16_t *p) { return _mm512_set1_epi32(load_pair(p)); }
static inline numbers n_clamp(numbers x, numbers low, numbers high) {
    return _mm512_min_epi16(_mm512_max_epi16(x, low), high);
}
/* With saturation; four of a, four of b, and so on. */
static inline numbers n_pack(vec a, vec b) { return _mm512_packs_epi32(a, b); }
static inline numbers n_pack_unsigned(vec a, vec b) { return _mm512_packus_epi32(a, b); }
/* The other way round. */
static inline vec n_unpack(numbers x, int half) {
    const __m512i sign = _mm512_srai_epi16(x, 15);
    return half ? _mm512_unpackhi_epi16(x, sign) : _mm512_unpacklo_epi16(x, sign);
}
static inline void n_store_bytes(uint8_t *p, numbers x) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi16_epi8(x));
}
static inline numbers n_add(numbers a, numbers b) { return _mm512_add_epi16(a, b); }
static inline numbers n_sub(numbers a, numbers b) { return _mm512_sub_epi16(a, b); }

#endif
