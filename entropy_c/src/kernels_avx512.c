/* The kernels for x86-64 processors with AVX-512 and its byte and word instructions. */
#if defined(__x86_64__)

/* Every function of this file, and no other, may use these instructions. */
#if defined(__clang__)
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2,avx512vnni,popcnt"))),             \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2,avx512vnni,popcnt")
#endif

#include "kernels.h"
#include "simd_avx512.h"
#include "strips_avx2.h"

#include "kernels.inc"

#include "causal.inc"
#include "context.inc"

const ec_kernels ec_kernels_avx512 = EC_KERNEL_SET("avx512", 1, FLOWS);

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
typedef int ec_not_this_machine; /* an empty file is not C */
#endif
