/* The kernels for x86-64 processors with AVX-512 and its dot products of 16-bit numbers. */
#if defined(__x86_64__)

/* Every function of this file, and no other, may use these instructions. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))),       \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#endif

#define NET_VNNI
#include "simd_avx512.h"

#include "kernels.inc"

const ec_net_kernels ec_net_kernels_avx512_vnni = NET_KERNEL_SET("avx512");

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
typedef int ec_net_not_this_machine; /* an empty file is not C */
#endif
