/* A target gets bytes and must neither crash nor fail an assertion. With libFuzzer (make fuzz) they are found
 * by coverage; with replay.c (make test) they are the files of corpus/. */
#ifndef EC_FUZZ_H
#define EC_FUZZ_H

#include "../tests/cases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The instruction set that this input is for. */
static inline void choose_isa(void) {
    size_t count = 0;
    while (all_isas[count] != NULL) count++;
    (void)use_isa(all_isas[below((uint32_t)count)]); /* another one if the processor lacks it */
}

#endif
