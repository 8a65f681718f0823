/* The kernels in plain C, for every machine. */
#include "simd_scalar.h"

#include "kernels.inc"

const ec_net_kernels ec_net_kernels_scalar = NET_KERNEL_SET("scalar");
