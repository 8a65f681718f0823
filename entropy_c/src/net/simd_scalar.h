/* Four 32-bit lanes in plain C, which compilers may or may not turn into vectors. */
#ifndef EC_NET_SIMD_SCALAR_H
#define EC_NET_SIMD_SCALAR_H

#include "net.h"

#define LANES  4
#define PIXELS 4
#define ROWS   4

typedef struct vec {
    int32_t lane[LANES];
} vec;
typedef struct numbers {
    int16_t at[2 * LANES];
} numbers;

#define EACH(expression)                                                                                     \
    do {                                                                                                     \
        for (int i = 0; i < LANES; i++) r.lane[i] = (expression);                                            \
        return r;                                                                                            \
    } while (0)

static inline int32_t wrapped(uint32_t x) { return (int32_t)x; }
static inline vec v_all(int32_t x) {
    vec r;
    EACH(x);
}
static inline vec v_load(const int32_t *p) {
    vec r;
    EACH(p[i]);
}
static inline void v_store(int32_t *p, vec x) { memcpy(p, x.lane, sizeof x.lane); }
static inline vec v_add(vec a, vec b) {
    vec r;
    EACH(wrapped((uint32_t)a.lane[i] + (uint32_t)b.lane[i]));
}
static inline vec v_sub(vec a, vec b) {
    vec r;
    EACH(wrapped((uint32_t)a.lane[i] - (uint32_t)b.lane[i]));
}
static inline vec v_mul(vec a, vec b) {
    vec r;
    EACH(wrapped((uint32_t)a.lane[i] * (uint32_t)b.lane[i]));
}
static inline vec v_max(vec a, vec b) {
    vec r;
    EACH(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]);
}
static inline vec v_shift(vec a, vec by) {
    vec r;
    EACH(a.lane[i] >> by.lane[i]);
}
/* Where a > b, x, else y. */
static inline vec v_greater(vec a, vec b, vec x, vec y) {
    vec r;
    EACH(a.lane[i] > b.lane[i] ? x.lane[i] : y.lane[i]);
}
static inline vec v_dot(vec sum, numbers a, numbers b) {
    vec r;
    EACH(wrapped((uint32_t)sum.lane[i] + (uint32_t)(a.at[2 * i] * b.at[2 * i]) +
                 (uint32_t)(a.at[2 * i + 1] * b.at[2 * i + 1])));
}

static inline numbers n_load(const int16_t *p) {
    numbers r;
    memcpy(r.at, p, sizeof r.at);
    return r;
}
static inline void n_store(int16_t *p, numbers x) { memcpy(p, x.at, sizeof x.at); }
static inline void n_store_some(int16_t *p, numbers x, size_t count) { memcpy(p, x.at, count * sizeof *p); }
static inline numbers n_all(int16_t x) {
    numbers r;
    for (int i = 0; i < 2 * LANES; i++) r.at[i] = x;
    return r;
}
static inline numbers n_pair(const int16_t *p) {
    numbers r;
    for (int i = 0; i < LANES; i++) memcpy(r.at + 2 * i, p, 2 * sizeof *p);
    return r;
}
static inline numbers n_clamp(numbers x, numbers low, numbers high) {
    for (int i = 0; i < 2 * LANES; i++) {
        if (x.at[i] < low.at[i]) x.at[i] = low.at[i];
        if (x.at[i] > high.at[i]) x.at[i] = high.at[i];
    }
    return x;
}
static inline int32_t within(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : x;
}
/* With saturation; four of a, four of b. */
static inline numbers n_pack(vec a, vec b) {
    numbers r;
    for (int i = 0; i < LANES; i++) {
        r.at[i] = (int16_t)within(a.lane[i], INT16_MIN, INT16_MAX);
        r.at[LANES + i] = (int16_t)within(b.lane[i], INT16_MIN, INT16_MAX);
    }
    return r;
}
static inline numbers n_pack_unsigned(vec a, vec b) {
    numbers r;
    for (int i = 0; i < LANES; i++) {
        r.at[i] = (int16_t)(uint16_t)within(a.lane[i], 0, UINT16_MAX);
        r.at[LANES + i] = (int16_t)(uint16_t)within(b.lane[i], 0, UINT16_MAX);
    }
    return r;
}
/* The other way round. */
static inline vec n_unpack(numbers x, int half) {
    vec r;
    EACH(x.at[LANES * half + i]);
}
static inline void n_store_bytes(uint8_t *p, numbers x) {
    for (int i = 0; i < 2 * LANES; i++) p[i] = (uint8_t)within(x.at[i], 0, UINT8_MAX);
}
static inline numbers n_add(numbers a, numbers b) {
    for (int i = 0; i < 2 * LANES; i++) a.at[i] = (int16_t)(a.at[i] + b.at[i]);
    return a;
}
static inline numbers n_sub(numbers a, numbers b) {
    for (int i = 0; i < 2 * LANES; i++) a.at[i] = (int16_t)(a.at[i] - b.at[i]);
    return a;
}

static inline void turn_four(const int16_t *const *from, size_t at, int shift, int16_t *to, size_t line) {
    for (size_t pair = 0; pair < 4; pair++)
        for (size_t pixel = 0; pixel < 4; pixel++)
            for (size_t i = 0; i < 2; i++)
                to[pair * line + 2 * pixel + i] = (int16_t)(from[pixel][at + 2 * pair + i] * (1 << shift));
}

#endif
