/* Strips of sixteen positions in AVX2 registers, for lanes.inc. */
#define STRIP_STEPS 16
typedef __m256i strip;

static inline strip strip_at16(const uint16_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline strip strip_at8(const uint8_t *p) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
}
static inline strip strip_load16(const uint16_t *p, size_t far) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)),
                                   _mm_loadu_si128((const __m128i *)(p + far)), 1);
}
static inline strip strip_load8(const uint8_t *p, size_t far) {
    return _mm256_cvtepu8_epi16(
        _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)p), _mm_loadl_epi64((const __m128i *)(p + far))));
}
static inline strip strip_plus(strip a, uint32_t n) {
    return _mm256_add_epi16(a, _mm256_set1_epi16((short)n));
}
static inline strip strip_max(strip a, strip b) { return _mm256_max_epu16(a, b); }
static inline void strip_store16(uint16_t *p, size_t far, strip a) {
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(a));
    _mm_storeu_si128((__m128i *)(p + far), _mm256_extracti128_si256(a, 1));
}
static inline void strip_store32(uint32_t *p, size_t far, strip a) {
    _mm256_storeu_si256((__m256i *)p, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)));
    _mm256_storeu_si256((__m256i *)(p + far), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1)));
}
static inline __m128i strip_bytes(strip a) {
    return _mm_packus_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}
static inline void strip_store8(uint8_t *p, size_t far, strip a) {
    const __m128i bytes = strip_bytes(a);
    _mm_storel_epi64((__m128i *)p, bytes);
    _mm_storel_epi64((__m128i *)(p + far), _mm_srli_si128(bytes, 8));
}
static inline void strip_put16(uint16_t *p, strip a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline void strip_put8(uint8_t *p, strip a) { _mm_storeu_si128((__m128i *)p, strip_bytes(a)); }
/* Both halves apart. */
static inline void strip_transpose(strip *s) {
    strip a[8], b[8];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi16(s[2 * i], s[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi16(s[2 * i], s[2 * i + 1]);
    }
    _Pragma("GCC unroll 2") for (int i = 0; i < 2; i++) _Pragma("GCC unroll 2") for (int j = 0; j < 2; j++) {
        b[4 * i + 2 * j] = _mm256_unpacklo_epi32(a[4 * i + j], a[4 * i + j + 2]);
        b[4 * i + 2 * j + 1] = _mm256_unpackhi_epi32(a[4 * i + j], a[4 * i + j + 2]);
    }
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) {
        s[2 * i] = _mm256_unpacklo_epi64(b[i], b[i + 4]);
        s[2 * i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 4]);
    }
}
