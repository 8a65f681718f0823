/* The vector kernels, one set for each instruction set, chosen when a model is created.
 *
 * A kernel works on steps: one symbol of every lane. Its arrays are [step][EC_LANES], whatever the number of
 * lanes in use, so that eight neighbouring lanes are one vector load. The logic is written once, in
 * kernels.inc, over a vector of eight lanes ("v8"); simd_*.h say what v8 is on each machine.
 */
#ifndef EC_KERNELS_H
#define EC_KERNELS_H

#include "rans.h"

/* Byte shuffles by lane mask: spread hands consecutive words of a stream to the lanes of the mask, crowd puts
 * the words of those lanes one behind the other at the end of a vector. */
typedef struct ec_shuffles {
    uint8_t spread[256][16];
    uint8_t crowd[256][16];
} ec_shuffles;

/* Where a neighbour of the current step is: here - back, moving along, or a place of zeros standing still. */
typedef struct ec_reach {
    ptrdiff_t back; /* elements of the history */
    int outside;
} ec_reach;

typedef struct ec_kernels {
    const char *isa;

    /* Codes symbols with tables ids [steps][EC_LANES], last step first. A symbol is `less` below what stands
     * in `symbols`, steps `pitch` apart; every id and symbol is in range. Returns EC_ERR_SYMBOL if a symbol
     * has no count in its table. */
    int (*encode)(const ec_tables *tables, const uint32_t *ids, const uint16_t *symbols, size_t pitch,
                  uint32_t less, size_t steps, uint32_t mask, uint32_t *x, uint8_t **out);
    /* Symbols to [steps][EC_LANES]. */
    int (*decode)(const ec_tables *tables, const uint32_t *ids, uint16_t *symbols, size_t steps,
                  uint32_t mask, uint32_t *x, ec_reader *reader);

    /* Tables of consecutive steps of a group; `here` is the first in a history of states, steps `pitch`
     * apart. */
    void (*fsar_ids)(const ec_fsar *model, uint32_t group, const ec_reach *reach, const uint16_t *here,
                     size_t pitch, size_t steps, uint32_t *ids);
    int (*fsar_decode)(const ec_fsar *model, uint32_t group, const ec_reach *reach, uint16_t *here,
                       size_t pitch, size_t steps, uint32_t mask, uint32_t *x, ec_reader *reader);

    /* Pixels: logits and scales [steps][colours][EC_LANES], history of samples [step][colour] `pitch` apart.
     */
    int (*pixels_encode)(const ec_pixels *model, const ec_reach *reach, const uint8_t *here, size_t pitch,
                         const int16_t *logits, const uint8_t *scales, size_t steps, uint32_t mask,
                         uint32_t *x, uint8_t **out);
    int (*pixels_decode)(const ec_pixels *model, const ec_reach *reach, uint8_t *here, size_t pitch,
                         const int16_t *logits, const uint8_t *scales, size_t steps, uint32_t mask,
                         uint32_t *x, ec_reader *reader);
} ec_kernels;

extern const ec_kernels ec_kernels_scalar;
#if defined(__x86_64__)
extern const ec_kernels ec_kernels_sse4;
extern const ec_kernels ec_kernels_avx2;
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define EC_HAS_NEON 1
extern const ec_kernels ec_kernels_neon;
#endif

/* The fastest set that this processor has, or the one that the environment variable EC_ISA names. */
const ec_kernels *ec_choose_kernels(void);
/* To be freed; NULL if there is no memory. */
ec_shuffles *ec_make_shuffles(void);

#endif
