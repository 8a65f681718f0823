/* Eight lanes in two SSE registers. Included by kernels_sse4.c only; see kernels.h for what each name does.
 */
#include <immintrin.h>

typedef struct v8 {
    __m128i a, b;
} v8;
typedef __m128i key16; /* one 16-bit value in every place */

#define BOTH(op, ...) ((v8){op(a.a, __VA_ARGS__), op(a.b, __VA_ARGS__)})
#define PAIRS(op)     ((v8){op(a.a, b.a), op(a.b, b.b)})

static inline v8 v8_load(const uint32_t *p) {
    return (v8){_mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)(p + 4))};
}
static inline void v8_store(uint32_t *p, v8 a) {
    _mm_storeu_si128((__m128i *)p, a.a);
    _mm_storeu_si128((__m128i *)(p + 4), a.b);
}
static inline v8 v8_widen(__m128i words) {
    return (v8){_mm_cvtepu16_epi32(words), _mm_cvtepu16_epi32(_mm_srli_si128(words, 8))};
}
static inline v8 v8_load16(const uint16_t *p) { return v8_widen(_mm_loadu_si128((const __m128i *)p)); }
static inline v8 v8_load8(const uint8_t *p) {
    const __m128i x = _mm_loadl_epi64((const __m128i *)p);
    return (v8){_mm_cvtepu8_epi32(x), _mm_cvtepu8_epi32(_mm_srli_si128(x, 4))};
}
static inline __m128i v8_narrow(v8 a) { return _mm_packus_epi32(a.a, a.b); }
static inline void v8_store16(uint16_t *p, v8 a) { _mm_storeu_si128((__m128i *)p, v8_narrow(a)); }
static inline void v8_store8(uint8_t *p, v8 a) {
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(v8_narrow(a), _mm_setzero_si128()));
}
static inline v8 v8_set(uint32_t x) { return (v8){_mm_set1_epi32((int)x), _mm_set1_epi32((int)x)}; }
static inline v8 v8_add(v8 a, v8 b) { return PAIRS(_mm_add_epi32); }
static inline v8 v8_add16(v8 a, v8 b) { return PAIRS(_mm_add_epi16); }
static inline v8 v8_sub(v8 a, v8 b) { return PAIRS(_mm_sub_epi32); }
static inline v8 v8_mul(v8 a, v8 b) { return PAIRS(_mm_mullo_epi32); }
static inline v8 v8_and(v8 a, v8 b) { return PAIRS(_mm_and_si128); }
static inline v8 v8_andnot(v8 a, v8 b) { return PAIRS(_mm_andnot_si128); }
static inline v8 v8_or(v8 a, v8 b) { return PAIRS(_mm_or_si128); }
static inline v8 v8_xor(v8 a, v8 b) { return PAIRS(_mm_xor_si128); }
static inline v8 v8_shr(v8 a, uint32_t n) { return BOTH(_mm_srl_epi32, _mm_cvtsi32_si128((int)n)); }
static inline v8 v8_sar(v8 a, uint32_t n) { return BOTH(_mm_sra_epi32, _mm_cvtsi32_si128((int)n)); }
static inline v8 v8_shl(v8 a, uint32_t n) { return BOTH(_mm_sll_epi32, _mm_cvtsi32_si128((int)n)); }
static inline v8 v8_equal(v8 a, v8 b) { return PAIRS(_mm_cmpeq_epi32); }
static inline v8 v8_above(v8 a, v8 b) { return PAIRS(_mm_cmpgt_epi32); }
static inline v8 v8_min(v8 a, v8 b) { return PAIRS(_mm_min_epi32); }
static inline v8 v8_max(v8 a, v8 b) { return PAIRS(_mm_max_epi32); }
static inline v8 v8_select(v8 mask, v8 a, v8 b) {
    return (v8){_mm_blendv_epi8(b.a, a.a, mask.a), _mm_blendv_epi8(b.b, a.b, mask.b)};
}
static inline uint32_t v8_bits(v8 mask) {
    return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(mask.a)) |
           (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(mask.b)) << 4;
}

#define LOAD_PAIR(p) _mm_loadu_si32(p)
#define LOAD_WORD(p) _mm_loadu_si32(p)
typedef __m128i lane_t;

static inline v8 v8_join(const __m128i *four) {
    return (v8){
        _mm_unpacklo_epi64(_mm_unpacklo_epi32(four[0], four[1]), _mm_unpacklo_epi32(four[2], four[3])),
        _mm_unpacklo_epi64(_mm_unpacklo_epi32(four[4], four[5]), _mm_unpacklo_epi32(four[6], four[7]))};
}

/* Doubles hold every 32-bit number, and quotients are never rounded up to the next integer. */
static inline __m128i quotient2(__m128i x, __m128i count) {
    const __m128d signed_x = _mm_cvtepi32_pd(_mm_xor_si128(x, _mm_set1_epi32(INT32_MIN)));
    const __m128d value = _mm_add_pd(signed_x, _mm_set1_pd(2147483648.0));
    return _mm_cvttpd_epi32(_mm_div_pd(value, _mm_cvtepi32_pd(count)));
}

static inline __m128i quotient4(__m128i x, __m128i count) {
    return _mm_unpacklo_epi64(quotient2(x, count),
                              quotient2(_mm_unpackhi_epi64(x, x), _mm_unpackhi_epi64(count, count)));
}

static inline v8 v8_quotient(v8 a, v8 b) { return PAIRS(quotient4); }

static inline key16 key16_load(const uint32_t *p) {
    int16_t value;
    memcpy(&value, p, sizeof value);
    return _mm_set1_epi16(value);
}

static inline __m128i below8(const uint16_t *node, key16 key) {
    return _mm_cmpgt_epi16(key, _mm_loadu_si128((const __m128i *)node));
}

static inline uint64_t rank16(const uint16_t *node, key16 key) {
    const __m128i mask = _mm_packs_epi16(below8(node, key), below8(node + 8, key));
    return 2 * (uint64_t)_mm_popcnt_u64((uint64_t)(uint32_t)_mm_movemask_epi8(mask));
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    return rank16(node, key) + rank16(node + 16, key);
}
