/* Eight lanes in two NEON registers, little-endian. Included by kernels_neon.c only; see kernels.inc for
 * what each name does. */
#include <arm_neon.h>

#define WIDTH 8
#define FLOWS 1
typedef struct vec {
    uint32x4_t a, b;
} vec;
typedef vec msk;         /* all ones in the lanes that it names */
typedef int16x8_t key16; /* one 16-bit value in every place */

#define PAIRS(op)       ((vec){op(a.a, b.a), op(a.b, b.b)})
#define SHIFT(n)        vdupq_n_s32((int32_t)(n)) /* to the right if negative */
#define SIGNED(x)       vreinterpretq_s32_u32(x)
#define UNSIGNED(x)     vreinterpretq_u32_s32(x)
#define SIGNED_PAIRS(f) ((vec){f(SIGNED(a.a), SIGNED(b.a)), f(SIGNED(a.b), SIGNED(b.b))})

static inline vec vec_load(const uint32_t *p) { return (vec){vld1q_u32(p), vld1q_u32(p + 4)}; }
static inline void vec_store(uint32_t *p, vec a) {
    vst1q_u32(p, a.a);
    vst1q_u32(p + 4, a.b);
}
static inline vec vec_widen(uint16x8_t words) {
    return (vec){vmovl_u16(vget_low_u16(words)), vmovl_high_u16(words)};
}
static inline vec vec_load16(const uint16_t *p) { return vec_widen(vld1q_u16(p)); }
static inline vec vec_load8(const uint8_t *p) { return vec_widen(vmovl_u8(vld1_u8(p))); }
static inline uint16x8_t vec_narrow(vec a) { return vcombine_u16(vmovn_u32(a.a), vmovn_u32(a.b)); }
static inline void vec_store16(uint16_t *p, vec a) { vst1q_u16(p, vec_narrow(a)); }
static inline void vec_store8(uint8_t *p, vec a) { vst1_u8(p, vmovn_u16(vec_narrow(a))); }
static inline vec vec_set(uint32_t x) { return (vec){vdupq_n_u32(x), vdupq_n_u32(x)}; }
static inline vec vec_add(vec a, vec b) { return PAIRS(vaddq_u32); }
static inline vec vec_sub(vec a, vec b) { return PAIRS(vsubq_u32); }
static inline vec vec_mul(vec a, vec b) { return PAIRS(vmulq_u32); }
static inline vec vec_mul_small(vec a, vec b) { return vec_mul(a, b); }
static inline uint32x4_t pair_dot4(uint32x4_t a, uint32x4_t b) {
    const int16x8_t x = vreinterpretq_s16_u32(a), y = vreinterpretq_s16_u32(b);
    const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
    return vreinterpretq_u32_s32(vpaddq_s32(low, vmull_high_s16(x, y)));
}
static inline vec vec_pair_dot(vec a, vec b) { return PAIRS(pair_dot4); }
static inline vec vec_and(vec a, vec b) { return PAIRS(vandq_u32); }
static inline vec vec_or(vec a, vec b) { return PAIRS(vorrq_u32); }
static inline vec vec_xor(vec a, vec b) { return PAIRS(veorq_u32); }
static inline vec vec_shl(vec a, uint32_t n) {
    return (vec){vshlq_u32(a.a, SHIFT(n)), vshlq_u32(a.b, SHIFT(n))};
}
static inline vec vec_shr(vec a, uint32_t n) {
    return (vec){vshlq_u32(a.a, SHIFT(0u - n)), vshlq_u32(a.b, SHIFT(0u - n))};
}
static inline vec vec_sar(vec a, uint32_t n) {
    return (vec){UNSIGNED(vshlq_s32(SIGNED(a.a), SHIFT(0u - n))),
                 UNSIGNED(vshlq_s32(SIGNED(a.b), SHIFT(0u - n)))};
}
static inline vec vec_shl_each(vec a, vec n) {
    return (vec){vshlq_u32(a.a, SIGNED(n.a)), vshlq_u32(a.b, SIGNED(n.b))};
}
static inline vec vec_shr_each(vec a, vec n) { return vec_shl_each(a, vec_sub(vec_set(0), n)); }
static inline uint32x4_t smaller(int32x4_t a, int32x4_t b) { return UNSIGNED(vminq_s32(a, b)); }
static inline uint32x4_t larger(int32x4_t a, int32x4_t b) { return UNSIGNED(vmaxq_s32(a, b)); }
static inline vec vec_min(vec a, vec b) { return SIGNED_PAIRS(smaller); }
static inline vec vec_max(vec a, vec b) { return SIGNED_PAIRS(larger); }

static inline msk vec_equal(vec a, vec b) { return PAIRS(vceqq_u32); }
static inline msk vec_above(vec a, vec b) { return SIGNED_PAIRS(vcgtq_s32); }
static inline vec vec_select(msk m, vec a, vec b) {
    return (vec){vbslq_u32(m.a, a.a, b.a), vbslq_u32(m.b, a.b, b.b)};
}
static inline vec vec_keep(msk a, vec b) { return PAIRS(vandq_u32); }
static inline vec vec_drop(msk m, vec a) { return (vec){vbicq_u32(a.a, m.a), vbicq_u32(a.b, m.b)}; }
static inline vec vec_increase(vec a, msk b) { return PAIRS(vsubq_u32); }
static inline msk msk_or(msk a, msk b) { return PAIRS(vorrq_u32); }

static const uint32_t lane_bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};

static inline uint32_t msk_bits(msk m) {
    const vec own = vec_and(m, vec_load(lane_bits));
    return vaddvq_u32(vorrq_u32(own.a, own.b));
}
static inline msk msk_of(uint32_t bits) {
    const vec own = vec_load(lane_bits);
    return vec_equal(vec_and(vec_set(bits), own), own);
}

typedef uint32_t lane_t;
static inline uint32_t load_pair(const void *p) {
    uint32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair;
}
#define LOAD_PAIR(p) load_pair(p)
static inline vec vec_join(const lane_t *one) { return vec_load(one); }

static inline vec vec_words(const void *base, vec offsets) {
    uint32_t at[8];
    vec_store(at, offsets);
    IN_MEMORY(at);
    for (int i = 0; i < 8; i++) memcpy(at + i, (const uint8_t *)base + at[i], sizeof *at);
    IN_MEMORY(at);
    return vec_load(at);
}
static inline vec vec_pairs(const void *base, vec offsets) { return vec_words(base, offsets); }
static inline void vec_quads(const void *base, vec offsets, vec *near, vec *far) {
    *near = vec_pairs(base, offsets);
    *far = vec_pairs((const uint8_t *)base + 4, offsets);
}
static inline vec vec_bytes(const void *base, vec offsets) {
    return vec_and(vec_words(base, offsets), vec_set(0xFF));
}

static inline uint32x4_t ratio4(uint32x4_t x, uint32x4_t count) {
    const float32x4_t more = vmulq_n_f32(vcvtq_f32_u32(count), RATIO_MARGIN);
    return vcvtq_u32_f32(vdivq_f32(vcvtq_f32_u32(x), more));
}

static inline vec vec_ratio(vec a, vec b) { return PAIRS(ratio4); }

static inline key16 key16_load(const uint32_t *p) { return vdupq_n_s16((int16_t)(uint16_t)*p); }

static inline int16x8_t below8(const uint16_t *node, key16 key) { /* -1 where it is */
    return vreinterpretq_s16_u16(vcgtq_s16(key, vreinterpretq_s16_u16(vld1q_u16(node))));
}

static inline uint64_t rank16(const uint16_t *node, key16 key) {
    return (uint64_t)(-vaddvq_s16(vaddq_s16(below8(node, key), below8(node + 8, key))));
}

static inline uint64_t rank32(const uint16_t *node, key16 key) {
    const int16x8_t low = vaddq_s16(below8(node, key), below8(node + 8, key));
    const int16x8_t high = vaddq_s16(below8(node + 16, key), below8(node + 24, key));
    return (uint64_t)(-vaddvq_s16(vaddq_s16(low, high)));
}

/* The next words of a stream for the lanes in `mask`, 0 for the others. Reads 16 bytes. */
static inline vec vec_spread(const ec_shuffles *s, const uint8_t *p, uint32_t mask) {
    return vec_widen(vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8(p), vld1q_u8(s->spread[mask]))));
}

/* Writes the low halves of the lanes in `mask` so that they end at `out`; touches the 16 bytes before it. */
static inline void vec_crowd(const ec_shuffles *s, vec x, uint32_t mask, uint8_t *out) {
    vst1q_u8(out - 16, vqtbl1q_u8(vreinterpretq_u8_u16(vec_narrow(x)), vld1q_u8(s->crowd[mask])));
}

static inline uint32_t popcount(uint32_t mask) { return (uint32_t)__builtin_popcount(mask); }
