/* The kernels in plain C. */
#include "kernels.h"
#include "simd_scalar.h"
#include "strips_plain.h"

#include "kernels.inc"

#include "causal.inc"
#include "context.inc"

const ec_kernels ec_kernels_scalar = EC_KERNEL_SET("scalar", 0, FLOWS);
