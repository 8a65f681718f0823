/* Sixteen lanes in one AVX-512 register. Included by kernels_avx512.c only; see kernels.inc for what each
 * name does. */
#include <immintrin.h>

#define WIDTH 16
#define FLOWS EC_FLOWS
#define HAS_MERGES
#define HAS_CHOICE
typedef __m512i vec;
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef __mmask16 msk;
typedef __m256i key16; /* one 16-bit value in every place */

static inline vec vec_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline void vec_store(uint32_t *p, vec a) { _mm512_storeu_si512(p, a); }
static inline vec vec_load16(const uint16_t *p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}
static inline vec vec_load8(const uint8_t *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
static inline void vec_store16(uint16_t *p, vec a) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(a));
}
static inline void vec_store8(uint8_t *p, vec a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }
static inline vec vec_set(uint32_t a) { return _mm512_set1_epi32((int)a); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_epi32(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm512_sub_epi32(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm512_mullo_epi32(a, b); }
static inline vec vec_mul_small(vec a, vec b) { return _mm512_madd_epi16(a, b); }
static inline vec vec_pair_dot(vec a, vec b) { return _mm512_madd_epi16(a, b); }

/* Four products of unsigned and signed bytes at once. */
#define DOT_UNIT 1
#define DOT_ROWS 8
typedef vec quad_t;
static inline quad_t quad_load(const uint32_t *p) { return vec_load(p); }
static inline vec vec_dot(vec sum, quad_t quad, const uint32_t *weights) {
    return _mm512_dpbusd_epi32(sum, quad, _mm512_set1_epi32((int)*weights));
}
static inline vec vec_and(vec a, vec b) { return _mm512_and_si512(a, b); }
static inline vec vec_or(vec a, vec b) { return _mm512_or_si512(a, b); }
static inline vec vec_xor(vec a, vec b) { return _mm512_xor_si512(a, b); }
/* One operation: by a constant, or else by amounts in every lane, where one in a scalar would take two. */
static inline vec vec_shr(vec a, uint32_t n) {
    return __builtin_constant_p(n) ? (vec)((u32x16)a >> n) : _mm512_srlv_epi32(a, vec_set(n));
}
static inline vec vec_sar(vec a, uint32_t n) {
    return __builtin_constant_p(n) ? (vec)((i32x16)a >> n) : _mm512_srav_epi32(a, vec_set(n));
}
static inline vec vec_shl(vec a, uint32_t n) {
    return __builtin_constant_p(n) ? (vec)((u32x16)a << n) : _mm512_sllv_epi32(a, vec_set(n));
}
static inline vec vec_shr_each(vec a, vec n) { return _mm512_srlv_epi32(a, n); }
static inline vec vec_shl_each(vec a, vec n) { return _mm512_sllv_epi32(a, n); }
static inline vec vec_min(vec a, vec b) { return _mm512_min_epi32(a, b); }
static inline vec vec_max(vec a, vec b) { return _mm512_max_epi32(a, b); }

static inline msk vec_equal(vec a, vec b) { return _mm512_cmpeq_epi32_mask(a, b); }
static inline msk vec_above(vec a, vec b) { return _mm512_cmpgt_epi32_mask(a, b); }
static inline msk vec_at_least(vec a, vec b) { return _mm512_cmpge_epi32_mask(a, b); }
static inline vec vec_add_where(msk m, vec a, vec b) { return _mm512_mask_add_epi32(a, m, a, b); }
static inline vec vec_select(msk m, vec a, vec b) { return _mm512_mask_blend_epi32(m, b, a); }
static inline vec vec_keep(msk m, vec a) { return _mm512_maskz_mov_epi32(m, a); }
static inline vec vec_drop(msk m, vec a) { return _mm512_maskz_mov_epi32((msk)~m, a); }
static inline vec vec_increase(vec a, msk m) { return _mm512_mask_add_epi32(a, m, a, vec_set(1)); }
static inline msk msk_or(msk a, msk b) { return (msk)(a | b); }
/* Through a general register: gcc 12 now and then spills a mask that has been widened to 32 bits with a store
 * of sixteen (kmovw to memory) and reads what stood behind it as the upper half. */
static inline uint32_t msk_bits(msk m) {
    uint32_t bits = m;
    __asm__("" : "+r"(bits));
    return bits;
}
static inline msk msk_of(uint32_t bits) { return (msk)bits; }

typedef uint32_t lane_t;
static inline uint32_t load_pair(const void *p) {
    uint32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair;
}
#define LOAD_PAIR(p) load_pair(p)

static inline vec vec_join(const lane_t *one) { return vec_load(one); }

/* A gather merges into its destination, which compilers leave as it is if they see that every lane is taken:
 * then it waits for whatever was last computed in that register. Zero comes for free. */
static inline __mmask16 every_lane(void) {
    __mmask16 every = 0xFFFF;
    __asm__("" : "+Yk"(every));
    return every;
}

static inline vec vec_words(const void *base, vec offsets) {
    return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), every_lane(), offsets, base, 1);
}
static inline vec vec_pairs(const void *base, vec offsets) { return vec_words(base, offsets); }
static inline vec vec_pairs_at(const void *base, vec numbers) {
    return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), every_lane(), numbers, base, 2);
}
static inline void vec_quads(const void *base, vec offsets, vec *near, vec *far) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i low =
        _mm512_mask_i32gather_epi64(zero, (__mmask8)every_lane(), _mm512_castsi512_si256(offsets), base, 1);
    const __m512i high = _mm512_mask_i32gather_epi64(zero, (__mmask8)every_lane(),
                                                     _mm512_extracti64x4_epi64(offsets, 1), base, 1);
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *near = _mm512_permutex2var_epi32(low, even, high);
    *far = _mm512_permutex2var_epi32(low, _mm512_add_epi32(even, vec_set(1)), high);
}
static inline vec vec_choose(const uint32_t *table, vec numbers) {
    return _mm512_permutexvar_epi32(numbers, vec_load(table));
}
static inline vec vec_bytes(const void *base, vec offsets) {
    return vec_and(vec_words(base, offsets), vec_set(0xFF));
}

static inline vec vec_ratio(vec x, vec count) {
    /* Rounded towards zero throughout: never too large. */
    const __m512 value = _mm512_cvt_roundepu32_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m512 quotient =
        _mm512_div_round_ps(value, _mm512_cvtepi32_ps(count), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    return _mm512_cvttps_epu32(quotient);
}

static inline key16 key16_load(const uint32_t *p) {
    int16_t value;
    memcpy(&value, p, sizeof value);
    return _mm256_set1_epi16(value);
}

static inline uint32_t popcount(uint32_t mask) { return (uint32_t)_mm_popcnt_u32(mask); }

static inline uint64_t rank16(const uint16_t *node, key16 key) {
    return popcount(_mm256_cmpgt_epi16_mask(key, _mm256_loadu_si256((const __m256i *)node)));
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    return rank16(node, key) + rank16(node + 16, key);
}

/* The next words of a stream for the lanes in `mask`, 0 for the others. Reads 32 bytes. */
static inline vec vec_spread(const ec_shuffles *s, const uint8_t *p, uint32_t mask) {
    (void)s;
    const __m256i words = _mm256_loadu_si256((const __m256i *)p);
    return _mm512_cvtepu16_epi32(_mm256_maskz_expand_epi16((msk)mask, words));
}

/* All words of a step at once, ending at `out`. */
#define CROWDS_STEPS
static inline void crowd_all(const ec_shuffles *s, int vectors, const vec *x, uint32_t giving, uint8_t *out) {
    (void)s;
    const uint32_t count = popcount(giving);
    const __m512i low = _mm512_castsi256_si512(_mm512_cvtepi32_epi16(x[0]));
    const __m512i both = vectors > 1 ? _mm512_inserti64x4(low, _mm512_cvtepi32_epi16(x[1]), 1) : low;
    const __m512i words = _mm512_maskz_compress_epi16(giving, both);
    _mm512_mask_storeu_epi16(out - 2 * count, (__mmask32)(((uint64_t)1 << count) - 1), words);
}
