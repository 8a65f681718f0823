/* The kernels for x86-64 processors with AVX2, its dot products of bytes and a fast gather instruction. */
#if defined(__x86_64__)

/* Every function of this file, and no other, may use these instructions. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,avxvnni,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,avxvnni,popcnt")
#endif

#define EC_GATHER 1
#define EC_VNNI   1
#include "kernels.h"
#include "simd_avx2.h"
#include "simd_x86.h"
#include "strips_avx2.h"

#include "kernels.inc"

#include "causal.inc"
#include "context.inc"

const ec_kernels ec_kernels_avx2_vnni = EC_KERNEL_SET("avx2-vnni", 0, FLOWS);

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
typedef int ec_not_this_machine; /* an empty file is not C */
#endif
