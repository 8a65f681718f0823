/* Eight lanes in one AVX2 register. Included by kernels_avx2*.c and kernels_gather.c; see kernels.inc for
 * what each name does. With EC_GATHER the processor's gather instruction looks tables up, else scalar loads:
 * either may be several times faster, which dispatch.c finds out. With EC_VNNI there are dot products of
 * bytes. */
#include <immintrin.h>

#define WIDTH 8
#define HAS_CHOICE
#define FLOWS 1
typedef __m256i vec;
typedef uint32_t u32x8 __attribute__((vector_size(32)));
typedef int32_t i32x8 __attribute__((vector_size(32)));
typedef __m256i msk;   /* all ones in the lanes that it names */
typedef __m256i key16; /* one 16-bit value in every place */

static inline vec vec_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vec_store(uint32_t *p, vec a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline vec vec_widen(__m128i words) { return _mm256_cvtepu16_epi32(words); }
static inline vec vec_load16(const uint16_t *p) { return vec_widen(_mm_loadu_si128((const __m128i *)p)); }
static inline vec vec_load8(const uint8_t *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
static inline __m128i vec_narrow(vec a) {
    return _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}
static inline void vec_store16(uint16_t *p, vec a) { _mm_storeu_si128((__m128i *)p, vec_narrow(a)); }
static inline void vec_store8(uint8_t *p, vec a) {
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(vec_narrow(a), _mm_setzero_si128()));
}
static inline vec vec_set(uint32_t a) { return _mm256_set1_epi32((int)a); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_epi32(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm256_sub_epi32(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm256_mullo_epi32(a, b); }
static inline vec vec_mul_small(vec a, vec b) { return _mm256_madd_epi16(a, b); }
static inline vec vec_pair_dot(vec a, vec b) { return _mm256_madd_epi16(a, b); }

#if defined(EC_VNNI)
/* Four products of unsigned and signed bytes at once. */
#define DOT_UNIT 1
typedef vec quad_t;
static inline quad_t quad_load(const uint32_t *p) { return vec_load(p); }
static inline vec vec_dot(vec sum, quad_t quad, const uint32_t *weights) {
    return _mm256_dpbusd_avx_epi32(sum, quad, _mm256_set1_epi32((int)*weights));
}
#endif
static inline vec vec_and(vec a, vec b) { return _mm256_and_si256(a, b); }
static inline vec vec_or(vec a, vec b) { return _mm256_or_si256(a, b); }
static inline vec vec_xor(vec a, vec b) { return _mm256_xor_si256(a, b); }
/* One operation: by a constant, or else by amounts in every lane, where one in a scalar would take two. */
static inline vec vec_shr(vec a, uint32_t n) {
    return __builtin_constant_p(n) ? (vec)((u32x8)a >> n) : _mm256_srlv_epi32(a, vec_set(n));
}
static inline vec vec_sar(vec a, uint32_t n) {
    return __builtin_constant_p(n) ? (vec)((i32x8)a >> n) : _mm256_srav_epi32(a, vec_set(n));
}
static inline vec vec_shl(vec a, uint32_t n) {
    return __builtin_constant_p(n) ? (vec)((u32x8)a << n) : _mm256_sllv_epi32(a, vec_set(n));
}
static inline vec vec_shr_each(vec a, vec n) { return _mm256_srlv_epi32(a, n); }
static inline vec vec_shl_each(vec a, vec n) { return _mm256_sllv_epi32(a, n); }
static inline vec vec_min(vec a, vec b) { return _mm256_min_epi32(a, b); }
static inline vec vec_max(vec a, vec b) { return _mm256_max_epi32(a, b); }

static inline msk vec_equal(vec a, vec b) { return _mm256_cmpeq_epi32(a, b); }
static inline msk vec_above(vec a, vec b) { return _mm256_cmpgt_epi32(a, b); }
static inline vec vec_select(msk m, vec a, vec b) { return _mm256_blendv_epi8(b, a, m); }
static inline vec vec_keep(msk m, vec a) { return _mm256_and_si256(m, a); }
static inline vec vec_drop(msk m, vec a) { return _mm256_andnot_si256(m, a); }
static inline vec vec_increase(vec a, msk m) { return _mm256_sub_epi32(a, m); }
static inline msk msk_or(msk a, msk b) { return _mm256_or_si256(a, b); }
static inline uint32_t msk_bits(msk m) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(m)); }
static inline msk msk_of(uint32_t bits) {
    const __m256i own = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_cmpeq_epi32(_mm256_and_si256(vec_set(bits), own), own);
}

typedef __m128i lane_t;
#define LOAD_PAIR(p) _mm_loadu_si32(p)

static inline vec vec_join(const lane_t *one) {
    const __m128i low =
        _mm_unpacklo_epi64(_mm_unpacklo_epi32(one[0], one[1]), _mm_unpacklo_epi32(one[2], one[3]));
    const __m128i high =
        _mm_unpacklo_epi64(_mm_unpacklo_epi32(one[4], one[5]), _mm_unpacklo_epi32(one[6], one[7]));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

#if defined(EC_GATHER)
static inline vec vec_words(const void *base, vec offsets) {
    return _mm256_i32gather_epi32((const int *)base, offsets, 1);
}
#else
static inline vec vec_words(const void *base, vec offsets) {
    uint32_t at[8];
    lane_t one[8];
    vec_store(at, offsets);
    IN_MEMORY(at);
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) one[i] = LOAD_PAIR((const uint8_t *)base + at[i]);
    return vec_join(one);
}
#endif
static inline vec vec_pairs(const void *base, vec offsets) { return vec_words(base, offsets); }
static inline void vec_quads(const void *base, vec offsets, vec *near, vec *far) {
    *near = vec_pairs(base, offsets);
    *far = vec_pairs((const uint8_t *)base + 4, offsets);
}
static inline vec vec_choose(const uint32_t *table, vec numbers) {
    const __m256i low = _mm256_permutevar8x32_epi32(vec_load(table), numbers);
    const __m256i high = _mm256_permutevar8x32_epi32(vec_load(table + 8), numbers);
    return vec_select(vec_above(numbers, vec_set(7)), high, low);
}
static inline vec vec_bytes(const void *base, vec offsets) {
    return vec_and(vec_words(base, offsets), vec_set(0xFF));
}

static inline vec vec_ratio(vec x, vec count) {
    /* The conversion takes the number for signed; 2^32 puts that right. */
    const __m256 wrapped = _mm256_castsi256_ps(
        _mm256_and_si256(_mm256_srai_epi32(x, 31), _mm256_castps_si256(_mm256_set1_ps(4294967296.0f))));
    const __m256 value = _mm256_add_ps(_mm256_cvtepi32_ps(x), wrapped);
    const __m256 more = _mm256_mul_ps(_mm256_cvtepi32_ps(count), _mm256_set1_ps(RATIO_MARGIN));
    return _mm256_cvttps_epi32(_mm256_div_ps(value, more));
}

static inline key16 key16_load(const uint32_t *p) {
    int16_t value;
    memcpy(&value, p, sizeof value);
    return _mm256_set1_epi16(value);
}

static inline __m256i below16(const uint16_t *node, key16 key) {
    return _mm256_cmpgt_epi16(key, _mm256_loadu_si256((const __m256i *)node));
}

static inline uint64_t rank16(const uint16_t *node, key16 key) {
    return (uint64_t)_mm_popcnt_u64((uint64_t)(uint32_t)_mm256_movemask_epi8(below16(node, key))) / 2;
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    const __m256i mask = _mm256_packs_epi16(below16(node, key), below16(node + 16, key));
    return (uint64_t)_mm_popcnt_u64((uint64_t)(uint32_t)_mm256_movemask_epi8(mask));
}
