/* What the AVX2 and SSE4 kernels share. */

/* The next words of a stream for the lanes in `mask`, 0 for the others. Reads 16 bytes. */
static inline v8 v8_spread(const ec_shuffles *s, const uint8_t *p, uint32_t mask) {
    const __m128i words = _mm_loadu_si128((const __m128i *)p);
    return v8_widen(_mm_shuffle_epi8(words, _mm_loadu_si128((const __m128i *)s->spread[mask])));
}

/* Writes the low halves of the lanes in `mask` so that they end at `out`; touches the 16 bytes before it. */
static inline void v8_crowd(const ec_shuffles *s, v8 x, uint32_t mask, uint8_t *out) {
    const __m128i words = v8_narrow(v8_and(x, v8_set(0xFFFF)));
    const __m128i crowded = _mm_shuffle_epi8(words, _mm_loadu_si128((const __m128i *)s->crowd[mask]));
    _mm_storeu_si128((__m128i *)(out - 16), crowded);
}

static inline uint32_t popcount(uint32_t mask) { return (uint32_t)_mm_popcnt_u32(mask); }

/* How many of eight ascending values, each increased by 1, 2, .. 8, are at most `key`. */
static inline uint64_t rank_fine(const uint16_t *values, uint32_t key) {
    const __m128i steps = _mm_setr_epi16(1, 2, 3, 4, 5, 6, 7, 8);
    const __m128i sums = _mm_add_epi16(_mm_loadu_si128((const __m128i *)values), steps);
    const __m128i keys = _mm_set1_epi16((int16_t)(uint16_t)key);
    const __m128i low = _mm_cmpeq_epi16(_mm_min_epu16(sums, keys), sums);
    return (uint64_t)_mm_popcnt_u64((uint64_t)(uint32_t)_mm_movemask_epi8(low)) / 2;
}
