/* Which kernels to use. */
#include <stdatomic.h>
#include <stdlib.h>

#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "avx_vnni.h"
#endif

#if defined(__x86_64__)
#define HAS(feature) __builtin_cpu_supports(feature)

/* The processor's gather instruction may be several times faster than loads one by one, or, on some and with
 * some microcode, several times slower. The least time of many rounds tells: vectors are slow in the first
 * microseconds in which a core uses them, and a neighbour on the same core disturbs. */
static __attribute__((target("avx2"))) int measure_gather(void) {
    enum { PLACES = 256 };
    const unsigned long long duration = 200000; /* ticks: some 80 microseconds */
    uint32_t data[PLACES], loaded = 0;
    for (uint32_t i = 0; i < PLACES; i++) data[i] = (i * 37 + 11) % PLACES;
    unsigned long long best[2] = {~0ull, ~0ull};
    __m256i gathered = _mm256_setzero_si256();
    const unsigned long long start = __rdtsc();
    for (unsigned long long begin = start, now; begin - start < duration; begin = now) {
        for (int i = 0; i < PLACES; i += 8)
            gathered = _mm256_add_epi32(
                gathered, _mm256_i32gather_epi32((const int *)data,
                                                 _mm256_loadu_si256((const __m256i *)(data + i)), 4));
        now = __rdtsc();
        if (now - begin < best[0]) best[0] = now - begin;
        begin = now;
        for (int i = 0; i < PLACES; i++) {
            const volatile uint32_t *at = data + data[i];
            loaded += *at;
        }
        now = __rdtsc();
        if (now - begin < best[1]) best[1] = now - begin;
    }
    const volatile uint32_t used = loaded + (uint32_t)_mm256_extract_epi32(gathered, 0);
    (void)used;
    return best[0] < best[1] + best[1] / 4;
}

/* Measured once, so that all models of a process have the same kernels; threads that come first together may
 * all measure. */
static int gather_is_fast(void) {
    static atomic_int known; /* 0: not yet; 1: slow; 2: fast */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == 0) {
        answer = 1 + measure_gather();
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer - 1;
}

static size_t usable_here(const ec_kernels **sets) {
    size_t count = 0;
    const int has_avx2 = HAS("avx2") && HAS("popcnt");
    const int is_fast = has_avx2 && gather_is_fast();
    if (is_fast && HAS("avx512f") && HAS("avx512bw") && HAS("avx512vl") && HAS("avx512dq") &&
        HAS("avx512vbmi2") && HAS("avx512vnni"))
        sets[count++] = &ec_kernels_avx512;
    const int has_dots = has_avx2 && has_avx_vnni();
    if (has_dots && is_fast) sets[count++] = &ec_kernels_avx2_vnni;
    if (has_avx2) {
        sets[count++] = is_fast ? &ec_kernels_gather : &ec_kernels_avx2;
        sets[count++] = is_fast ? &ec_kernels_avx2 : &ec_kernels_gather;
    }
    if (has_dots && !is_fast) sets[count++] = &ec_kernels_avx2_vnni; /* for those who name it */
    if (HAS("sse4.2") && HAS("popcnt")) sets[count++] = &ec_kernels_sse4;
    return count;
}
#elif defined(EC_HAS_NEON)
static size_t usable_here(const ec_kernels **sets) {
    sets[0] = &ec_kernels_neon;
    return 1;
}
#else
static size_t usable_here(const ec_kernels **sets) {
    (void)sets;
    return 0;
}
#endif

const ec_kernels *ec_choose_kernels(void) {
    const char *wanted = getenv("EC_ISA");
    const ec_kernels *sets[7];
    size_t count = usable_here(sets);
    sets[count++] = &ec_kernels_scalar;
    for (size_t i = 0; wanted != NULL && i < count; i++)
        if (strcmp(wanted, sets[i]->isa) == 0) return sets[i];
    return sets[0];
}

const char *ec_isa(void) { return ec_choose_kernels()->isa; }

ec_shuffles *ec_make_shuffles(void) {
    ec_shuffles *shuffles = malloc(sizeof *shuffles);
    if (shuffles == NULL) return NULL;
    for (unsigned mask = 0; mask < 256; mask++) {
        unsigned lanes[8], count = 0;
        for (unsigned i = 0; i < 8; i++)
            if (mask >> i & 1) lanes[count++] = i;
        memset(shuffles->spread[mask], 0x80, 16); /* 0x80 makes a zero */
        memset(shuffles->crowd[mask], 0x80, 16);
        for (unsigned k = 0; k < count; k++)
            for (unsigned half = 0; half < 2; half++) {
                shuffles->spread[mask][2 * lanes[k] + half] = (uint8_t)(2 * k + half);
                shuffles->crowd[mask][2 * (8 - count + k) + half] = (uint8_t)(2 * lanes[k] + half);
            }
    }
    return shuffles;
}
