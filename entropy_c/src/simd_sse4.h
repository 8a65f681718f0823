/* Eight lanes in two SSE registers. Included by kernels_sse4.c only; see kernels.inc for what each name does.
 */
#include <immintrin.h>

#define WIDTH 8
#define FLOWS 1
typedef struct vec {
    __m128i a, b;
} vec;
typedef vec msk;       /* all ones in the lanes that it names */
typedef __m128i key16; /* one 16-bit value in every place */

#define BOTH(op, ...) ((vec){op(a.a, __VA_ARGS__), op(a.b, __VA_ARGS__)})
#define PAIRS(op)     ((vec){op(a.a, b.a), op(a.b, b.b)})

static inline vec vec_load(const uint32_t *p) {
    return (vec){_mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)(p + 4))};
}
static inline void vec_store(uint32_t *p, vec a) {
    _mm_storeu_si128((__m128i *)p, a.a);
    _mm_storeu_si128((__m128i *)(p + 4), a.b);
}
static inline vec vec_widen(__m128i words) {
    return (vec){_mm_cvtepu16_epi32(words), _mm_cvtepu16_epi32(_mm_srli_si128(words, 8))};
}
static inline vec vec_load16(const uint16_t *p) { return vec_widen(_mm_loadu_si128((const __m128i *)p)); }
static inline vec vec_load8(const uint8_t *p) {
    const __m128i x = _mm_loadl_epi64((const __m128i *)p);
    return (vec){_mm_cvtepu8_epi32(x), _mm_cvtepu8_epi32(_mm_srli_si128(x, 4))};
}
static inline __m128i vec_narrow(vec a) { return _mm_packus_epi32(a.a, a.b); }
static inline void vec_store16(uint16_t *p, vec a) { _mm_storeu_si128((__m128i *)p, vec_narrow(a)); }
static inline void vec_store8(uint8_t *p, vec a) {
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(vec_narrow(a), _mm_setzero_si128()));
}
static inline vec vec_set(uint32_t x) { return (vec){_mm_set1_epi32((int)x), _mm_set1_epi32((int)x)}; }
static inline vec vec_add(vec a, vec b) { return PAIRS(_mm_add_epi32); }
static inline vec vec_sub(vec a, vec b) { return PAIRS(_mm_sub_epi32); }
static inline vec vec_mul(vec a, vec b) { return PAIRS(_mm_mullo_epi32); }
static inline vec vec_mul_small(vec a, vec b) { return PAIRS(_mm_madd_epi16); }
static inline vec vec_pair_dot(vec a, vec b) { return PAIRS(_mm_madd_epi16); }
static inline vec vec_and(vec a, vec b) { return PAIRS(_mm_and_si128); }
static inline vec vec_or(vec a, vec b) { return PAIRS(_mm_or_si128); }
static inline vec vec_xor(vec a, vec b) { return PAIRS(_mm_xor_si128); }
static inline vec vec_shr(vec a, uint32_t n) { return BOTH(_mm_srl_epi32, _mm_cvtsi32_si128((int)n)); }
static inline vec vec_sar(vec a, uint32_t n) { return BOTH(_mm_sra_epi32, _mm_cvtsi32_si128((int)n)); }
static inline vec vec_shl(vec a, uint32_t n) { return BOTH(_mm_sll_epi32, _mm_cvtsi32_si128((int)n)); }
static inline vec vec_shr_each(vec a, vec n) {
    uint32_t of[8], by[8];
    vec_store(of, a);
    vec_store(by, n);
    for (int i = 0; i < 8; i++) of[i] = by[i] < 32 ? of[i] >> by[i] : 0;
    return vec_load(of);
}
static inline vec vec_shl_each(vec a, vec n) {
    uint32_t of[8], by[8];
    vec_store(of, a);
    vec_store(by, n);
    for (int i = 0; i < 8; i++) of[i] = by[i] < 32 ? of[i] << by[i] : 0;
    return vec_load(of);
}
static inline vec vec_min(vec a, vec b) { return PAIRS(_mm_min_epi32); }
static inline vec vec_max(vec a, vec b) { return PAIRS(_mm_max_epi32); }

static inline msk vec_equal(vec a, vec b) { return PAIRS(_mm_cmpeq_epi32); }
static inline msk vec_above(vec a, vec b) { return PAIRS(_mm_cmpgt_epi32); }
static inline vec vec_select(msk m, vec a, vec b) {
    return (vec){_mm_blendv_epi8(b.a, a.a, m.a), _mm_blendv_epi8(b.b, a.b, m.b)};
}
static inline vec vec_keep(msk a, vec b) { return PAIRS(_mm_and_si128); }
static inline vec vec_drop(msk a, vec b) { return PAIRS(_mm_andnot_si128); }
static inline vec vec_increase(vec a, msk b) { return PAIRS(_mm_sub_epi32); }
static inline msk msk_or(msk a, msk b) { return PAIRS(_mm_or_si128); }
static inline uint32_t msk_bits(msk m) {
    return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(m.a)) | (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(m.b))
                                                                  << 4;
}
static inline msk msk_of(uint32_t bits) {
    const vec a = {_mm_setr_epi32(1, 2, 4, 8), _mm_setr_epi32(16, 32, 64, 128)};
    const vec b = {_mm_and_si128(_mm_set1_epi32((int)bits), a.a),
                   _mm_and_si128(_mm_set1_epi32((int)bits), a.b)};
    return PAIRS(_mm_cmpeq_epi32);
}

typedef __m128i lane_t;
#define LOAD_PAIR(p) _mm_loadu_si32(p)

static inline vec vec_join(const lane_t *one) {
    return (vec){_mm_unpacklo_epi64(_mm_unpacklo_epi32(one[0], one[1]), _mm_unpacklo_epi32(one[2], one[3])),
                 _mm_unpacklo_epi64(_mm_unpacklo_epi32(one[4], one[5]), _mm_unpacklo_epi32(one[6], one[7]))};
}
static inline vec vec_words(const void *base, vec offsets) {
    uint32_t at[8];
    lane_t one[8];
    vec_store(at, offsets);
    IN_MEMORY(at);
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) one[i] = LOAD_PAIR((const uint8_t *)base + at[i]);
    return vec_join(one);
}
static inline vec vec_pairs(const void *base, vec offsets) { return vec_words(base, offsets); }
static inline void vec_quads(const void *base, vec offsets, vec *near, vec *far) {
    *near = vec_pairs(base, offsets);
    *far = vec_pairs((const uint8_t *)base + 4, offsets);
}
static inline vec vec_bytes(const void *base, vec offsets) {
    return vec_and(vec_words(base, offsets), vec_set(0xFF));
}

/* The conversion takes the number for signed; 2^32 puts that right. */
static inline __m128i ratio4(__m128i x, __m128i count) {
    const __m128 wrapped =
        _mm_castsi128_ps(_mm_and_si128(_mm_srai_epi32(x, 31), _mm_castps_si128(_mm_set1_ps(4294967296.0f))));
    const __m128 value = _mm_add_ps(_mm_cvtepi32_ps(x), wrapped);
    const __m128 more = _mm_mul_ps(_mm_cvtepi32_ps(count), _mm_set1_ps(RATIO_MARGIN));
    return _mm_cvttps_epi32(_mm_div_ps(value, more));
}

static inline vec vec_ratio(vec a, vec b) { return PAIRS(ratio4); }

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
    return (uint64_t)_mm_popcnt_u64((uint64_t)(uint32_t)_mm_movemask_epi8(mask));
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    return rank16(node, key) + rank16(node + 16, key);
}
