/* Whether the processor has dot products of bytes in registers of 256 bits. */
#ifndef AVX_VNNI_H
#define AVX_VNNI_H

#include <cpuid.h>

/* Compilers learnt to ask for it only lately. With it and AVX2 the operating system needs to save no more. */
static inline int has_avx_vnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

#endif
