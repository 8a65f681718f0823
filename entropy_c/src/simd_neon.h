/* Eight lanes in two NEON registers, little-endian. Included by kernels_neon.c only; see kernels.h for what
 * each name does. */
#include <arm_neon.h>

typedef struct v8 {
    uint32x4_t a, b;
} v8;
typedef int16x8_t key16; /* one 16-bit value in every place */
typedef uint32_t lane_t;

#define PAIRS(op)       ((v8){op(a.a, b.a), op(a.b, b.b)})
#define SHIFT(n)        vdupq_n_s32((int32_t)(n)) /* to the right if negative */
#define SIGNED(x)       vreinterpretq_s32_u32(x)
#define UNSIGNED(x)     vreinterpretq_u32_s32(x)
#define SIGNED_PAIRS(f) ((v8){f(SIGNED(a.a), SIGNED(b.a)), f(SIGNED(a.b), SIGNED(b.b))})

static inline v8 v8_load(const uint32_t *p) { return (v8){vld1q_u32(p), vld1q_u32(p + 4)}; }
static inline void v8_store(uint32_t *p, v8 a) {
    vst1q_u32(p, a.a);
    vst1q_u32(p + 4, a.b);
}
static inline v8 v8_widen(uint16x8_t words) {
    return (v8){vmovl_u16(vget_low_u16(words)), vmovl_high_u16(words)};
}
static inline v8 v8_load16(const uint16_t *p) { return v8_widen(vld1q_u16(p)); }
static inline v8 v8_load8(const uint8_t *p) { return v8_widen(vmovl_u8(vld1_u8(p))); }
static inline uint16x8_t v8_narrow(v8 a) { return vcombine_u16(vmovn_u32(a.a), vmovn_u32(a.b)); }
static inline void v8_store16(uint16_t *p, v8 a) { vst1q_u16(p, v8_narrow(a)); }
static inline void v8_store8(uint8_t *p, v8 a) { vst1_u8(p, vmovn_u16(v8_narrow(a))); }
static inline v8 v8_set(uint32_t x) { return (v8){vdupq_n_u32(x), vdupq_n_u32(x)}; }
static inline v8 v8_add(v8 a, v8 b) { return PAIRS(vaddq_u32); }
static inline uint32x4_t add16(uint32x4_t a, uint32x4_t b) {
    return vreinterpretq_u32_u16(vaddq_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)));
}
static inline v8 v8_add16(v8 a, v8 b) { return PAIRS(add16); }
static inline v8 v8_sub(v8 a, v8 b) { return PAIRS(vsubq_u32); }
static inline v8 v8_mul(v8 a, v8 b) { return PAIRS(vmulq_u32); }
static inline v8 v8_and(v8 a, v8 b) { return PAIRS(vandq_u32); }
static inline v8 v8_andnot(v8 a, v8 b) { return (v8){vbicq_u32(b.a, a.a), vbicq_u32(b.b, a.b)}; }
static inline v8 v8_or(v8 a, v8 b) { return PAIRS(vorrq_u32); }
static inline v8 v8_xor(v8 a, v8 b) { return PAIRS(veorq_u32); }
static inline v8 v8_shl(v8 a, uint32_t n) { return (v8){vshlq_u32(a.a, SHIFT(n)), vshlq_u32(a.b, SHIFT(n))}; }
static inline v8 v8_shr(v8 a, uint32_t n) {
    return (v8){vshlq_u32(a.a, SHIFT(0u - n)), vshlq_u32(a.b, SHIFT(0u - n))};
}
static inline v8 v8_sar(v8 a, uint32_t n) {
    return (v8){UNSIGNED(vshlq_s32(SIGNED(a.a), SHIFT(0u - n))),
                UNSIGNED(vshlq_s32(SIGNED(a.b), SHIFT(0u - n)))};
}
static inline v8 v8_equal(v8 a, v8 b) { return PAIRS(vceqq_u32); }
static inline v8 v8_above(v8 a, v8 b) { return SIGNED_PAIRS(vcgtq_s32); }
static inline uint32x4_t smaller(int32x4_t a, int32x4_t b) { return UNSIGNED(vminq_s32(a, b)); }
static inline uint32x4_t larger(int32x4_t a, int32x4_t b) { return UNSIGNED(vmaxq_s32(a, b)); }
static inline v8 v8_min(v8 a, v8 b) { return SIGNED_PAIRS(smaller); }
static inline v8 v8_max(v8 a, v8 b) { return SIGNED_PAIRS(larger); }
static inline v8 v8_select(v8 mask, v8 a, v8 b) {
    return (v8){vbslq_u32(mask.a, a.a, b.a), vbslq_u32(mask.b, a.b, b.b)};
}
static inline uint32_t v8_bits(v8 mask) {
    static const uint32_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const v8 own = v8_and(mask, v8_load(bits));
    return vaddvq_u32(vorrq_u32(own.a, own.b));
}

static inline uint32_t load_word(const void *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}
#define LOAD_PAIR(p) load_word(p)
#define LOAD_WORD(p) load_word(p)

static inline v8 v8_join(const lane_t *eight) { return v8_load(eight); }

/* Doubles hold every 32-bit number, and quotients are never rounded up to the next integer. */
static inline uint32x2_t quotient2(uint32x2_t x, uint32x2_t count) {
    const float64x2_t value = vcvtq_f64_u64(vmovl_u32(x));
    return vmovn_u64(vcvtq_u64_f64(vdivq_f64(value, vcvtq_f64_u64(vmovl_u32(count)))));
}

static inline uint32x4_t quotient4(uint32x4_t x, uint32x4_t count) {
    return vcombine_u32(quotient2(vget_low_u32(x), vget_low_u32(count)),
                        quotient2(vget_high_u32(x), vget_high_u32(count)));
}

static inline v8 v8_quotient(v8 a, v8 b) { return PAIRS(quotient4); }

static inline key16 key16_load(const uint32_t *p) { return vdupq_n_s16((int16_t)(uint16_t)*p); }

static inline int16x8_t below8(const uint16_t *node, key16 key) { /* -1 where it is */
    return vreinterpretq_s16_u16(vcgtq_s16(key, vreinterpretq_s16_u16(vld1q_u16(node))));
}

static inline uint64_t rank16(const uint16_t *node, key16 key) {
    return (uint64_t)(-2 * vaddvq_s16(vaddq_s16(below8(node, key), below8(node + 8, key))));
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    const int16x8_t low = vaddq_s16(below8(node, key), below8(node + 8, key));
    const int16x8_t high = vaddq_s16(below8(node + 16, key), below8(node + 24, key));
    return (uint64_t)(-2 * vaddvq_s16(vaddq_s16(low, high)));
}

/* The next words of a stream for the lanes in `mask`, 0 for the others. Reads 16 bytes. */
static inline v8 v8_spread(const ec_shuffles *s, const uint8_t *p, uint32_t mask) {
    return v8_widen(vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8(p), vld1q_u8(s->spread[mask]))));
}

/* Writes the low halves of the lanes in `mask` so that they end at `out`; touches the 16 bytes before it. */
static inline void v8_crowd(const ec_shuffles *s, v8 x, uint32_t mask, uint8_t *out) {
    vst1q_u8(out - 16, vqtbl1q_u8(vreinterpretq_u8_u16(v8_narrow(x)), vld1q_u8(s->crowd[mask])));
}

static inline uint32_t popcount(uint32_t mask) { return (uint32_t)__builtin_popcount(mask); }

/* How many of eight ascending values, each increased by 1, 2, .. 8, are at most `key`. */
static inline uint32_t rank_fine(const uint16_t *values, uint32_t key) {
    static const uint16_t steps[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const uint16x8_t sums = vaddq_u16(vld1q_u16(values), vld1q_u16(steps));
    const uint16x8_t low = vcleq_u16(sums, vdupq_n_u16((uint16_t)key));
    return (uint32_t)-vaddvq_s16(vreinterpretq_s16_u16(low));
}
