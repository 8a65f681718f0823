/* Eight lanes in an array: the specification of what the vector kernels do, on any machine. */

#define EC_PLAIN 1
#define WIDTH    8
#define FLOWS    1
typedef struct vec {
    uint32_t lane[8];
} vec;
typedef vec msk; /* all ones in the lanes that it names */
typedef int16_t key16;

#define EACH(expression)                                                                                     \
    vec result;                                                                                              \
    for (int i = 0; i < 8; i++) result.lane[i] = (expression);                                               \
    return result

static inline vec vec_load(const uint32_t *p) { EACH(p[i]); }
static inline vec vec_load16(const uint16_t *p) { EACH(p[i]); }
static inline vec vec_load8(const uint8_t *p) { EACH(p[i]); }
static inline void vec_store(uint32_t *p, vec a) {
    for (int i = 0; i < 8; i++) p[i] = a.lane[i];
}
static inline void vec_store16(uint16_t *p, vec a) {
    for (int i = 0; i < 8; i++) p[i] = (uint16_t)a.lane[i];
}
static inline void vec_store8(uint8_t *p, vec a) {
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)a.lane[i];
}
static inline vec vec_set(uint32_t a) { EACH(a); }
static inline vec vec_add(vec a, vec b) { EACH(a.lane[i] + b.lane[i]); }
static inline vec vec_sub(vec a, vec b) { EACH(a.lane[i] - b.lane[i]); }
static inline vec vec_mul(vec a, vec b) { EACH(a.lane[i] * b.lane[i]); }
static inline vec vec_mul_small(vec a, vec b) { return vec_mul(a, b); }
static inline uint32_t pair_dot(uint32_t a, uint32_t b) {
    const int32_t low = (int16_t)(uint16_t)a * (int16_t)(uint16_t)b;
    return (uint32_t)low + (uint32_t)((int16_t)(uint16_t)(a >> 16) * (int16_t)(uint16_t)(b >> 16));
}
static inline vec vec_pair_dot(vec a, vec b) { EACH(pair_dot(a.lane[i], b.lane[i])); }
static inline vec vec_and(vec a, vec b) { EACH(a.lane[i] & b.lane[i]); }
static inline vec vec_or(vec a, vec b) { EACH(a.lane[i] | b.lane[i]); }
static inline vec vec_xor(vec a, vec b) { EACH(a.lane[i] ^ b.lane[i]); }
static inline vec vec_shr(vec a, uint32_t n) { EACH(a.lane[i] >> n); }
static inline vec vec_shl(vec a, uint32_t n) { EACH(a.lane[i] << n); }
static inline vec vec_shr_each(vec a, vec n) { EACH(n.lane[i] < 32 ? a.lane[i] >> n.lane[i] : 0); }
static inline vec vec_shl_each(vec a, vec n) { EACH(n.lane[i] < 32 ? a.lane[i] << n.lane[i] : 0); }
/* Right shift of a negative number without relying on the compiler's choice. */
static inline vec vec_sar(vec a, uint32_t n) {
    EACH(a.lane[i] >> n | (0u - (a.lane[i] >> 31)) << (31 - n) << 1);
}
static inline vec vec_equal(vec a, vec b) { EACH(0u - (uint32_t)(a.lane[i] == b.lane[i])); }
static inline vec vec_above(vec a, vec b) { EACH(0u - (uint32_t)((int32_t)a.lane[i] > (int32_t)b.lane[i])); }
static inline vec vec_min(vec a, vec b) {
    EACH((int32_t)a.lane[i] < (int32_t)b.lane[i] ? a.lane[i] : b.lane[i]);
}
static inline vec vec_max(vec a, vec b) {
    EACH((int32_t)a.lane[i] > (int32_t)b.lane[i] ? a.lane[i] : b.lane[i]);
}
static inline vec vec_select(msk m, vec a, vec b) {
    EACH((m.lane[i] & a.lane[i]) | (~m.lane[i] & b.lane[i]));
}
static inline vec vec_keep(msk m, vec a) { EACH(m.lane[i] & a.lane[i]); }
static inline vec vec_drop(msk m, vec a) { EACH(~m.lane[i] & a.lane[i]); }
static inline vec vec_increase(vec a, msk m) { EACH(a.lane[i] - m.lane[i]); }
static inline msk msk_or(msk a, msk b) { EACH(a.lane[i] | b.lane[i]); }
static inline uint32_t msk_bits(msk m) {
    uint32_t bits = 0;
    for (int i = 0; i < 8; i++) bits |= (m.lane[i] >> 31) << i;
    return bits;
}
static inline msk msk_of(uint32_t bits) { EACH(0u - (bits >> i & 1)); }

static inline uint32_t load_pair(const uint8_t *p) {
    uint16_t pair[2];
    memcpy(pair, p, sizeof pair);
    return pair[0] | (uint32_t)pair[1] << 16;
}
typedef uint32_t lane_t;
#define LOAD_PAIR(p) load_pair(p)
static inline vec vec_join(const lane_t *one) { EACH(one[i]); }

static inline uint32_t load_word(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}
static inline vec vec_bytes(const void *base, vec offsets) { EACH(((const uint8_t *)base)[offsets.lane[i]]); }
static inline vec vec_pairs(const void *base, vec offsets) {
    EACH(load_pair((const uint8_t *)base + offsets.lane[i]));
}
static inline void vec_quads(const void *base, vec offsets, vec *near, vec *far) {
    *near = vec_pairs(base, offsets);
    *far = vec_pairs((const uint8_t *)base + 4, offsets);
}
static inline vec vec_words(const void *base, vec offsets) {
    EACH(load_word((const uint8_t *)base + offsets.lane[i]));
}

static inline vec vec_ratio(vec x, vec count) { EACH(count.lane[i] > 0 ? x.lane[i] / count.lane[i] : 0); }

/* The next words of a stream for the lanes in `mask`, 0 for the others. */
static inline vec vec_spread(const ec_shuffles *s, const uint8_t *p, uint32_t mask) {
    (void)s;
    vec words;
    for (int i = 0; i < 8; i++) {
        const uint32_t take = mask >> i & 1;
        words.lane[i] = ec_load16(p) & (0u - take);
        p += 2 * take;
    }
    return words;
}

/* Writes the low halves of the lanes in `mask` so that they end at `out`; touches the 16 bytes before it. */
static inline void vec_crowd(const ec_shuffles *s, vec x, uint32_t mask, uint8_t *out) {
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

static inline key16 key16_load(const uint32_t *p) { return (int16_t)(uint16_t)*p; }

static inline uint64_t rank16(const uint16_t *node, key16 key) {
    uint32_t below = 0;
    for (int i = 0; i < 16; i++) below += (uint32_t)((int16_t)node[i] < key);
    return below;
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    return rank16(node, key) + rank16(node + 16, key);
}
