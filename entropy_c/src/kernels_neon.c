/* The kernels for 64-bit ARM processors, which all have NEON. */
#include "kernels.h"

#if defined(EC_HAS_NEON)

#include "simd_neon.h"
#include "strips_plain.h"

#include "kernels.inc"

#include "causal.inc"
#include "context.inc"

const ec_kernels ec_kernels_neon = EC_KERNEL_SET("neon", 0, FLOWS);

#else
typedef int ec_not_this_machine; /* an empty file is not C */
#endif
