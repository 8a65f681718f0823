/* Eight lanes in one AVX2 register. Included by kernels_avx2.c only; see kernels.h for what each name does.
 */
#include <immintrin.h>

typedef __m256i v8;
typedef __m256i key16; /* one 16-bit value in every place */

static inline v8 v8_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void v8_store(uint32_t *p, v8 a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline v8 v8_widen(__m128i words) { return _mm256_cvtepu16_epi32(words); }
static inline v8 v8_load16(const uint16_t *p) { return v8_widen(_mm_loadu_si128((const __m128i *)p)); }
static inline v8 v8_load8(const uint8_t *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
static inline __m128i v8_narrow(v8 a) {
    return _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}
static inline void v8_store16(uint16_t *p, v8 a) { _mm_storeu_si128((__m128i *)p, v8_narrow(a)); }
static inline void v8_store8(uint8_t *p, v8 a) {
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(v8_narrow(a), _mm_setzero_si128()));
}
static inline v8 v8_set(uint32_t a) { return _mm256_set1_epi32((int)a); }
static inline v8 v8_add(v8 a, v8 b) { return _mm256_add_epi32(a, b); }
static inline v8 v8_add16(v8 a, v8 b) { return _mm256_add_epi16(a, b); }
static inline v8 v8_sub(v8 a, v8 b) { return _mm256_sub_epi32(a, b); }
static inline v8 v8_mul(v8 a, v8 b) { return _mm256_mullo_epi32(a, b); }
static inline v8 v8_and(v8 a, v8 b) { return _mm256_and_si256(a, b); }
static inline v8 v8_andnot(v8 a, v8 b) { return _mm256_andnot_si256(a, b); }
static inline v8 v8_or(v8 a, v8 b) { return _mm256_or_si256(a, b); }
static inline v8 v8_xor(v8 a, v8 b) { return _mm256_xor_si256(a, b); }
static inline v8 v8_shr(v8 a, uint32_t n) { return _mm256_srl_epi32(a, _mm_cvtsi32_si128((int)n)); }
static inline v8 v8_sar(v8 a, uint32_t n) { return _mm256_sra_epi32(a, _mm_cvtsi32_si128((int)n)); }
static inline v8 v8_shl(v8 a, uint32_t n) { return _mm256_sll_epi32(a, _mm_cvtsi32_si128((int)n)); }
static inline v8 v8_equal(v8 a, v8 b) { return _mm256_cmpeq_epi32(a, b); }
static inline v8 v8_above(v8 a, v8 b) { return _mm256_cmpgt_epi32(a, b); }
static inline v8 v8_min(v8 a, v8 b) { return _mm256_min_epi32(a, b); }
static inline v8 v8_max(v8 a, v8 b) { return _mm256_max_epi32(a, b); }
static inline v8 v8_select(v8 mask, v8 a, v8 b) { return _mm256_blendv_epi8(b, a, mask); }
static inline uint32_t v8_bits(v8 mask) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(mask)); }

static inline v8 v8_join(const __m128i *four) {
    const __m128i low =
        _mm_unpacklo_epi64(_mm_unpacklo_epi32(four[0], four[1]), _mm_unpacklo_epi32(four[2], four[3]));
    const __m128i high =
        _mm_unpacklo_epi64(_mm_unpacklo_epi32(four[4], four[5]), _mm_unpacklo_epi32(four[6], four[7]));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* Scalar loads beat the gather instruction on the machines measured, by a factor of up to 1.5. */
#define LOAD_PAIR(p) _mm_loadu_si32(p)
#define LOAD_WORD(p) _mm_loadu_si32(p)
typedef __m128i lane_t;

/* Doubles hold every 32-bit number, and quotients are never rounded up to the next integer. */
static inline __m128i quotient4(__m128i x, __m128i count) {
    const __m256d signed_x = _mm256_cvtepi32_pd(_mm_xor_si128(x, _mm_set1_epi32(INT32_MIN)));
    const __m256d value = _mm256_add_pd(signed_x, _mm256_set1_pd(2147483648.0));
    return _mm256_cvttpd_epi32(_mm256_div_pd(value, _mm256_cvtepi32_pd(count)));
}

static inline v8 v8_quotient(v8 x, v8 count) {
    const __m128i low = quotient4(_mm256_castsi256_si128(x), _mm256_castsi256_si128(count));
    const __m128i high = quotient4(_mm256_extracti128_si256(x, 1), _mm256_extracti128_si256(count, 1));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

static inline key16 key16_load(const uint32_t *p) {
    int16_t value;
    memcpy(&value, p, sizeof value);
    return _mm256_set1_epi16(value);
}

static inline uint64_t ones(__m256i mask) {
    return (uint64_t)_mm_popcnt_u64((uint64_t)(uint32_t)_mm256_movemask_epi8(mask));
}

static inline uint64_t rank16(const uint16_t *node, key16 key) {
    return ones(_mm256_cmpgt_epi16(key, _mm256_loadu_si256((const __m256i *)node)));
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    const __m256i a = _mm256_cmpgt_epi16(key, _mm256_loadu_si256((const __m256i *)node));
    const __m256i b = _mm256_cmpgt_epi16(key, _mm256_loadu_si256((const __m256i *)(node + 16)));
    return 2 * ones(_mm256_packs_epi16(a, b));
}
