/* The kernels for x86-64 processors with SSE4. */
#if defined(__x86_64__)

/* Every function of this file, and no other, may use these instructions. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("sse4.2,popcnt"))), apply_to = function)
#else
#pragma GCC target("sse4.2,popcnt")
#endif

#include "kernels.h"
#include "simd_sse4.h"
#include "simd_x86.h"
#include "strips_sse4.h"

#include "kernels.inc"

#include "causal.inc"
#include "context.inc"

const ec_kernels ec_kernels_sse4 = EC_KERNEL_SET("sse4", 0, FLOWS);

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
typedef int ec_not_this_machine; /* an empty file is not C */
#endif
