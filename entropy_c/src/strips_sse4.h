/* Strips of eight positions in SSE registers, for lanes.inc. */
#define STRIP_STEPS 8
typedef __m128i strip;

static inline strip strip_at16(const uint16_t *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline strip strip_at8(const uint8_t *p) {
    return _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)p));
}
static inline strip strip_plus(strip a, uint32_t n) { return _mm_add_epi16(a, _mm_set1_epi16((short)n)); }
static inline strip strip_max(strip a, strip b) { return _mm_max_epu16(a, b); }
static inline void strip_put16(uint16_t *p, strip a) { _mm_storeu_si128((__m128i *)p, a); }
static inline void strip_put8(uint8_t *p, strip a) { _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(a, a)); }
static inline strip strip_load16(const uint16_t *p, size_t far) { return (void)far, strip_at16(p); }
static inline strip strip_load8(const uint8_t *p, size_t far) { return (void)far, strip_at8(p); }
static inline void strip_store16(uint16_t *p, size_t far, strip a) { (void)far, strip_put16(p, a); }
static inline void strip_store8(uint8_t *p, size_t far, strip a) { (void)far, strip_put8(p, a); }
static inline void strip_store32(uint32_t *p, size_t far, strip a) {
    (void)far;
    _mm_storeu_si128((__m128i *)p, _mm_cvtepu16_epi32(a));
    _mm_storeu_si128((__m128i *)(p + 4), _mm_cvtepu16_epi32(_mm_srli_si128(a, 8)));
}
static inline void strip_transpose(strip *s) {
    strip a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm_unpacklo_epi16(s[2 * i], s[2 * i + 1]);
        a[2 * i + 1] = _mm_unpackhi_epi16(s[2 * i], s[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            b[4 * i + 2 * j] = _mm_unpacklo_epi32(a[4 * i + j], a[4 * i + j + 2]);
            b[4 * i + 2 * j + 1] = _mm_unpackhi_epi32(a[4 * i + j], a[4 * i + j + 2]);
        }
    for (int i = 0; i < 4; i++) {
        s[2 * i] = _mm_unpacklo_epi64(b[i], b[i + 4]);
        s[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[i + 4]);
    }
}
