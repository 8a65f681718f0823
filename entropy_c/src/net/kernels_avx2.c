/* The kernels for x86-64 processors with AVX2. */
#if defined(__x86_64__)

/* Every function of this file, and no other, may use these instructions. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#include "simd_avx2.h"

#include "kernels.inc"

const ec_net_kernels ec_net_kernels_avx2 = NET_KERNEL_SET("avx2");

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
typedef int ec_net_not_this_machine; /* an empty file is not C */
#endif
