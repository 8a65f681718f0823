/* Which kernels to use. */
#include <stdlib.h>

#include "net.h"

#if defined(__x86_64__)
#include "../avx_vnni.h"

#define HAS(feature) __builtin_cpu_supports(feature)
#endif

static size_t usable_here(const ec_net_kernels **sets) {
    size_t count = 0;
#if defined(__x86_64__)
    const int has_avx512 = HAS("avx512f") && HAS("avx512bw") && HAS("avx512vl") && HAS("avx512dq");
    if (has_avx512 && HAS("avx512vnni")) sets[count++] = &ec_net_kernels_avx512_vnni;
    if (has_avx512) sets[count++] = &ec_net_kernels_avx512;
    if (HAS("avx2") && has_avx_vnni()) sets[count++] = &ec_net_kernels_avx2_vnni;
    if (HAS("avx2")) sets[count++] = &ec_net_kernels_avx2;
#endif
    sets[count++] = &ec_net_kernels_scalar;
    return count;
}

const ec_net_kernels *ec_net_choose(const char *wanted) {
    static const char *const others[][2] = {{"avx2-gather", "avx2"}, {"sse4", "scalar"}, {"neon", "scalar"}};
    const ec_net_kernels *sets[5];
    const size_t count = usable_here(sets);
    if (wanted == NULL) wanted = getenv("EC_ISA");
    if (wanted == NULL) return sets[0];
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(wanted, others[i][0]) == 0) wanted = others[i][1];
    for (size_t i = 0; i < count; i++)
        if (strcmp(wanted, sets[i]->isa) == 0) return sets[i];
    return sets[0];
}

const char *ec_net_isa(const char *wanted) { return ec_net_choose(wanted)->isa; }
