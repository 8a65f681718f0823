/* Eight lanes in an array: the specification of what the vector kernels do, on any machine. */

typedef struct v8 {
    uint32_t lane[8];
} v8;
typedef int16_t key16;
typedef uint32_t lane_t;

#define EACH(expression)                                                                                     \
    v8 result;                                                                                               \
    for (int i = 0; i < 8; i++) result.lane[i] = (expression);                                               \
    return result

static inline v8 v8_load(const uint32_t *p) { EACH(p[i]); }
static inline v8 v8_load16(const uint16_t *p) { EACH(p[i]); }
static inline v8 v8_load8(const uint8_t *p) { EACH(p[i]); }
static inline void v8_store(uint32_t *p, v8 a) {
    for (int i = 0; i < 8; i++) p[i] = a.lane[i];
}
static inline void v8_store16(uint16_t *p, v8 a) {
    for (int i = 0; i < 8; i++) p[i] = (uint16_t)a.lane[i];
}
static inline void v8_store8(uint8_t *p, v8 a) {
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)a.lane[i];
}
static inline v8 v8_set(uint32_t a) { EACH(a); }
static inline v8 v8_add(v8 a, v8 b) { EACH(a.lane[i] + b.lane[i]); }
/* Halves apart. */
static inline v8 v8_add16(v8 a, v8 b) {
    EACH(((a.lane[i] + b.lane[i]) & 0xFFFF) | ((a.lane[i] >> 16) + (b.lane[i] >> 16)) << 16);
}
static inline v8 v8_sub(v8 a, v8 b) { EACH(a.lane[i] - b.lane[i]); }
static inline v8 v8_mul(v8 a, v8 b) { EACH(a.lane[i] * b.lane[i]); }
static inline v8 v8_and(v8 a, v8 b) { EACH(a.lane[i] & b.lane[i]); }
static inline v8 v8_andnot(v8 a, v8 b) { EACH(~a.lane[i] & b.lane[i]); }
static inline v8 v8_or(v8 a, v8 b) { EACH(a.lane[i] | b.lane[i]); }
static inline v8 v8_xor(v8 a, v8 b) { EACH(a.lane[i] ^ b.lane[i]); }
static inline v8 v8_shr(v8 a, uint32_t n) { EACH(a.lane[i] >> n); }
static inline v8 v8_shl(v8 a, uint32_t n) { EACH(a.lane[i] << n); }
/* Right shift of a negative number without relying on the compiler's choice. */
static inline v8 v8_sar(v8 a, uint32_t n) {
    EACH(a.lane[i] >> n | (0u - (a.lane[i] >> 31)) << (31 - n) << 1);
}
static inline v8 v8_equal(v8 a, v8 b) { EACH(0u - (uint32_t)(a.lane[i] == b.lane[i])); }
static inline v8 v8_above(v8 a, v8 b) { EACH(0u - (uint32_t)((int32_t)a.lane[i] > (int32_t)b.lane[i])); }
static inline v8 v8_min(v8 a, v8 b) { EACH((int32_t)a.lane[i] < (int32_t)b.lane[i] ? a.lane[i] : b.lane[i]); }
static inline v8 v8_max(v8 a, v8 b) { EACH((int32_t)a.lane[i] > (int32_t)b.lane[i] ? a.lane[i] : b.lane[i]); }
static inline v8 v8_select(v8 mask, v8 a, v8 b) {
    EACH((mask.lane[i] & a.lane[i]) | (~mask.lane[i] & b.lane[i]));
}
static inline uint32_t v8_bits(v8 mask) {
    uint32_t bits = 0;
    for (int i = 0; i < 8; i++) bits |= (mask.lane[i] >> 31) << i;
    return bits;
}
static inline v8 v8_quotient(v8 x, v8 count) { EACH(count.lane[i] > 0 ? x.lane[i] / count.lane[i] : 0); }

static inline uint32_t load_pair(const void *p) {
    uint16_t pair[2];
    memcpy(pair, p, sizeof pair);
    return pair[0] | (uint32_t)pair[1] << 16;
}
static inline uint32_t load_word(const void *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}
#define LOAD_PAIR(p) load_pair(p)
#define LOAD_WORD(p) load_word(p)

/* The next words of a stream for the lanes in `mask`, 0 for the others. */
static inline v8 v8_spread(const ec_shuffles *s, const uint8_t *p, uint32_t mask) {
    (void)s;
    v8 words;
    for (int i = 0; i < 8; i++) {
        const uint32_t take = mask >> i & 1;
        words.lane[i] = ec_load16(p) & (0u - take);
        p += 2 * take;
    }
    return words;
}

/* Writes the low halves of the lanes in `mask` so that they end at `out`; touches the 16 bytes before it. */
static inline void v8_crowd(const ec_shuffles *s, v8 x, uint32_t mask, uint8_t *out) {
    (void)s;
    for (int i = 7; i >= 0; i--) {
        ec_store16(out - 2, x.lane[i]);
        out -= 2 * (mask >> i & 1);
    }
}

static inline uint32_t popcount(uint32_t mask) {
    uint32_t count = 0;
    for (; mask != 0; mask &= mask - 1) count++;
    return count;
}

static inline v8 v8_join(const lane_t *eight) { EACH(eight[i]); }

static inline key16 key16_load(const uint32_t *p) { return (int16_t)(uint16_t)*p; }

static inline uint64_t rank16(const uint16_t *node, key16 key) {
    uint32_t below = 0;
    for (int i = 0; i < 16; i++) below += (uint32_t)((int16_t)node[i] < key);
    return 2 * below;
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    return rank16(node, key) + rank16(node + 16, key);
}

/* How many of eight ascending values, each increased by 1, 2, .. 8, are at most `key`. */
static inline uint64_t rank_fine(const uint16_t *values, uint32_t key) {
    uint32_t low = 0;
    for (uint32_t i = 0; i < 8; i++) low += (uint32_t)(values[i] + i + 1 <= key);
    return low;
}
