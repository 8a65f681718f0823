/* Which kernels to use. */
#include <stdlib.h>

#include "kernels.h"

const ec_kernels *ec_choose_kernels(void) {
    const char *wanted = getenv("EC_ISA");
    const ec_kernels *usable[3];
    size_t count = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt"))
        usable[count++] = &ec_kernels_avx2;
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
        usable[count++] = &ec_kernels_sse4;
#elif defined(EC_HAS_NEON)
    usable[count++] = &ec_kernels_neon;
#endif
    usable[count++] = &ec_kernels_scalar;
    for (size_t i = 0; wanted != NULL && i < count; i++)
        if (strcmp(wanted, usable[i]->isa) == 0) return usable[i];
    return usable[0];
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
