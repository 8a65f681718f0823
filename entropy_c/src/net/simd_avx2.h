/* Eight 32-bit lanes: AVX2, with NET_VNNI the dot product of AVX-VNNI. */
#ifndef EC_NET_SIMD_AVX2_H
#define EC_NET_SIMD_AVX2_H

#include <immintrin.h>

#include "simd_x86.h"

#define LANES  8
#define PIXELS 4 /* of a tile: 8 sums, 2 weights and what a product needs are 12 of 16 registers */
#define ROWS   4

typedef __m256i vec;     /* sums */
typedef __m256i numbers; /* 2 * LANES activations, or LANES pairs of them */

static inline vec v_all(int32_t x) { return _mm256_set1_epi32(x); }
static inline vec v_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void v_store(int32_t *p, vec x) { _mm256_storeu_si256((__m256i *)p, x); }
static inline vec v_add(vec a, vec b) { return _mm256_add_epi32(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm256_sub_epi32(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm256_mullo_epi32(a, b); }
static inline vec v_max(vec a, vec b) { return _mm256_max_epi32(a, b); }
static inline vec v_shift(vec a, vec by) { return _mm256_srav_epi32(a, by); }
/* Where a > b, x, else y. */
static inline vec v_greater(vec a, vec b, vec x, vec y) {
    return _mm256_blendv_epi8(y, x, _mm256_cmpgt_epi32(a, b));
}
static inline vec v_dot(vec sum, numbers a, numbers b) {
#ifdef NET_VNNI
    return _mm256_dpwssd_avx_epi32(sum, a, b);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
}

static inline numbers n_load(const int16_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void n_store(int16_t *p, numbers x) { _mm256_storeu_si256((__m256i *)p, x); }
static inline void n_store_some(int16_t *p, numbers x, size_t count) {
    int16_t all[2 * LANES];
    n_store(all, x);
    memcpy(p, all, count * sizeof *p);
}
static inline numbers n_all(int16_t x) { return _mm256_set1_epi16(x); }
static inline numbers n_pair(const int16_t *p) { return _mm256_set1_epi32(load_pair(p)); }
static inline numbers n_clamp(numbers x, numbers low, numbers high) {
    return _mm256_min_epi16(_mm256_max_epi16(x, low), high);
}
/* With saturation; four of a, four of b, and so on. */
static inline numbers n_pack(vec a, vec b) { return _mm256_packs_epi32(a, b); }
static inline numbers n_pack_unsigned(vec a, vec b) { return _mm256_packus_epi32(a, b); }
/* The other way round. */
static inline vec n_unpack(numbers x, int half) {
    const __m256i sign = _mm256_srai_epi16(x, 15);
    return half ? _mm256_unpackhi_epi16(x, sign) : _mm256_unpacklo_epi16(x, sign);
}
static inline void n_store_bytes(uint8_t *p, numbers x) {
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(x, x), 0xD8);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(packed));
}
static inline numbers n_add(numbers a, numbers b) { return _mm256_add_epi16(a, b); }
static inline numbers n_sub(numbers a, numbers b) { return _mm256_sub_epi16(a, b); }

#endif
