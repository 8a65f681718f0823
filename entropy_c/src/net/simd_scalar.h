/* Four 32-bit lanes in the vectors of GNU C, which every machine has in some way: for processors without
 * better kernels, 64-bit ARM among them. */
#ifndef EC_NET_SIMD_SCALAR_H
#define EC_NET_SIMD_SCALAR_H

#include "net.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define LANES  4
#define PIXELS 4
#define ROWS   4

typedef int32_t vec __attribute__((vector_size(16)));
typedef int16_t numbers __attribute__((vector_size(16)));
typedef uint32_t wrapping
    __attribute__((vector_size(16))); /* sums may wrap around, and bits are shifted out */

static inline vec v_all(int32_t x) { return (vec){x, x, x, x}; }
static inline vec v_load(const int32_t *p) {
    vec r;
    memcpy(&r, p, sizeof r);
    return r;
}
static inline void v_store(int32_t *p, vec x) { memcpy(p, &x, sizeof x); }
static inline vec v_add(vec a, vec b) { return (vec)((wrapping)a + (wrapping)b); }
static inline vec v_sub(vec a, vec b) { return (vec)((wrapping)a - (wrapping)b); }
static inline vec v_mul(vec a, vec b) { return (vec)((wrapping)a * (wrapping)b); }
static inline vec v_shift(vec a, vec by) { return a >> by; }
/* Where a > b, x, else y. */
static inline vec v_greater(vec a, vec b, vec x, vec y) {
    const vec mask = a > b;
    return (mask & x) | (~mask & y);
}
static inline vec v_max(vec a, vec b) { return v_greater(a, b, a, b); }

/* Products of pairs are the one operation that every x86-64 and 64-bit ARM processor has better than C says.
 */
#if defined(__SSE2__)
static inline vec v_dot(vec sum, numbers a, numbers b) {
    return v_add(sum, (vec)_mm_madd_epi16((__m128i)a, (__m128i)b));
}
#elif defined(__aarch64__)
static inline vec v_dot(vec sum, numbers a, numbers b) {
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
    return v_add(sum, (vec)vpaddq_s32(low, vmull_high_s16(x, y)));
}
#else
/* One number of every pair, with its sign: no matter which, the pairs of both factors are alike. */
static inline vec one_of(numbers x) { return (vec)((wrapping)x << 16) >> 16; }
static inline vec other_of(numbers x) { return (vec)x >> 16; }
static inline vec v_dot(vec sum, numbers a, numbers b) {
    return v_add(sum, v_add(v_mul(one_of(a), one_of(b)), v_mul(other_of(a), other_of(b))));
}
#endif

static inline numbers n_load(const int16_t *p) {
    numbers r;
    memcpy(&r, p, sizeof r);
    return r;
}
static inline void n_store(int16_t *p, numbers x) { memcpy(p, &x, sizeof x); }
static inline void n_store_some(int16_t *p, numbers x, size_t count) { memcpy(p, &x, count * sizeof *p); }
static inline numbers n_all(int16_t x) { return (numbers){x, x, x, x, x, x, x, x}; }
static inline numbers n_pair(const int16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return (numbers)v_all(pair);
}
static inline numbers n_clamp(numbers x, numbers low, numbers high) {
    const numbers below = x<low, above = x> high;
    return (below & low) | (above & high) | (~below & ~above & x);
}
static inline int32_t within(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : x;
}
/* With saturation; four of a, four of b. */
static inline numbers n_pack(vec a, vec b) {
    numbers r = n_all(0);
    for (int i = 0; i < LANES; i++) {
        r[i] = (int16_t)within(a[i], INT16_MIN, INT16_MAX);
        r[LANES + i] = (int16_t)within(b[i], INT16_MIN, INT16_MAX);
    }
    return r;
}
static inline numbers n_pack_unsigned(vec a, vec b) {
    numbers r = n_all(0);
    for (int i = 0; i < LANES; i++) {
        r[i] = (int16_t)(uint16_t)within(a[i], 0, UINT16_MAX);
        r[LANES + i] = (int16_t)(uint16_t)within(b[i], 0, UINT16_MAX);
    }
    return r;
}
/* The other way round. */
static inline vec n_unpack(numbers x, int half) {
    vec r = v_all(0);
    for (int i = 0; i < LANES; i++) r[i] = x[LANES * half + i];
    return r;
}
static inline void n_store_bytes(uint8_t *p, numbers x) {
    for (int i = 0; i < 2 * LANES; i++) p[i] = (uint8_t)within(x[i], 0, UINT8_MAX);
}
typedef uint16_t wrapping_numbers __attribute__((vector_size(16)));
static inline numbers n_add(numbers a, numbers b) {
    return (numbers)((wrapping_numbers)a + (wrapping_numbers)b);
}
static inline numbers n_sub(numbers a, numbers b) {
    return (numbers)((wrapping_numbers)a - (wrapping_numbers)b);
}

static inline void turn_four(const int16_t *const *from, size_t at, int shift, int16_t *to, size_t line) {
    for (size_t pair = 0; pair < 4; pair++)
        for (size_t pixel = 0; pixel < 4; pixel++)
            for (size_t i = 0; i < 2; i++)
                to[pair * line + 2 * pixel + i] = (int16_t)(from[pixel][at + 2 * pair + i] * (1 << shift));
}

#endif
