/* Strips of eight positions in arrays, for lanes.inc. */
#define STRIP_STEPS 8
typedef struct strip {
    uint16_t at[8];
} strip;

#define EACH_OF_STRIP(expression)                                                                            \
    strip result;                                                                                            \
    for (int j = 0; j < 8; j++) result.at[j] = (uint16_t)(expression);                                       \
    return result

static inline strip strip_at16(const uint16_t *p) { EACH_OF_STRIP(p[j]); }
static inline strip strip_at8(const uint8_t *p) { EACH_OF_STRIP(p[j]); }
static inline strip strip_plus(strip a, uint32_t n) { EACH_OF_STRIP(a.at[j] + n); }
static inline strip strip_max(strip a, strip b) { EACH_OF_STRIP(a.at[j] > b.at[j] ? a.at[j] : b.at[j]); }
static inline void strip_put16(uint16_t *p, strip a) {
    for (int j = 0; j < 8; j++) p[j] = a.at[j];
}
static inline void strip_put8(uint8_t *p, strip a) {
    for (int j = 0; j < 8; j++) p[j] = (uint8_t)a.at[j];
}
static inline strip strip_load16(const uint16_t *p, size_t far) { return (void)far, strip_at16(p); }
static inline strip strip_load8(const uint8_t *p, size_t far) { return (void)far, strip_at8(p); }
static inline void strip_store16(uint16_t *p, size_t far, strip a) { (void)far, strip_put16(p, a); }
static inline void strip_store8(uint8_t *p, size_t far, strip a) { (void)far, strip_put8(p, a); }
static inline void strip_store32(uint32_t *p, size_t far, strip a) {
    (void)far;
    for (int j = 0; j < 8; j++) p[j] = a.at[j];
}
static inline void strip_transpose(strip *s) {
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) {
            const uint16_t held = s[i].at[j];
            s[i].at[j] = s[j].at[i];
            s[j].at[i] = held;
        }
}
