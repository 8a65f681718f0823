/* What the AVX2 and SSE4 kernels share. */

/* The next words of a stream for the lanes in `mask`, 0 for the others. Reads 16 bytes. */
static inline vec vec_spread(const ec_shuffles *s, const uint8_t *p, uint32_t mask) {
    const __m128i words = _mm_loadu_si128((const __m128i *)p);
    return vec_widen(_mm_shuffle_epi8(words, _mm_loadu_si128((const __m128i *)s->spread[mask])));
}

/* Writes the low halves of the lanes in `mask` so that they end at `out`; touches the 16 bytes before it. */
static inline void vec_crowd(const ec_shuffles *s, vec x, uint32_t mask, uint8_t *out) {
    const __m128i words = vec_narrow(vec_and(x, vec_set(0xFFFF)));
    const __m128i crowded = _mm_shuffle_epi8(words, _mm_loadu_si128((const __m128i *)s->crowd[mask]));
    _mm_storeu_si128((__m128i *)(out - 16), crowded);
}

static inline uint32_t popcount(uint32_t mask) { return (uint32_t)_mm_popcnt_u32(mask); }
