/* The vector kernels, one set for each instruction set, chosen when a model is created.
 *
 * A kernel works on steps: one symbol of every lane. Its arrays are [step][EC_LANES], whatever the number of
 * lanes in use, so that eight neighbouring lanes are one vector load. The logic is written once, in
 * kernels.inc, over a vector of eight lanes ("v8"); simd_*.h say what v8 is on each machine.
 */
#ifndef EC_KERNELS_H
#define EC_KERNELS_H

#include "rans.h"

/* Between a vector store and scalar loads, or the other way round: through memory is fewer operations than
 * the extractions and insertions that compilers make of it. */
#if defined(__GNUC__)
#define IN_MEMORY(array) __asm__("" : "+m"(array))
#else
#define IN_MEMORY(array) (void)0
#endif

/* What a divisor is multiplied by so that a quotient in single precision is never too large: more than the
 * roundings of both operands, of this product and of the quotient can make up together. */
#define RATIO_MARGIN (1.0f + 1.0f / 2097152.0f)

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

/* Most groups that a kernel codes side by side. With enough registers that is faster than one after the
 * other: a coder waits most of the time for what it has just looked up or computed, and two wait together. */
#define EC_FLOWS 2

/* The lanes of a group in a mask. */
static inline uint32_t ec_lane_mask(uint32_t lanes) { return lanes == 32 ? 0xFFFFFFFFu : (1u << lanes) - 1; }

/* What will be wanted after the current steps: of two arrays two cache lines a lane, so that one line of each
 * can be fetched with every step. Lanes that are arrays far apart are more streams than processors follow
 * by themselves. */
#define EC_LINE 64
typedef struct ec_ahead {
    uintptr_t at[2]; /* 0: nothing. Only ever fetched, so they may lie outside of everything */
    size_t pitch[2]; /* from lane to lane */
} ec_ahead;

static inline void ec_fetch(const ec_ahead *ahead, size_t step) {
#if defined(__GNUC__)
    for (int i = 0; i < 2; i++) {
        const uintptr_t line = ahead->at[i] + step / 2 * ahead->pitch[i] + step % 2 * EC_LINE;
        if (ahead->at[i] != 0) __builtin_prefetch((const void *)line, 0, 2);
    }
#else
    (void)ahead, (void)step;
#endif
}

/* One of the groups that a kernel codes: all of the same mask, which is all lanes if there are two. */
typedef struct ec_flow {
    uint32_t x[EC_LANES];
    ec_reader reader; /* decoding */
    uint8_t *out;     /* encoding: the words written last begin here */
    const uint32_t *ids;
    uint16_t *symbols;
    uint8_t *samples;
    const int16_t *logits;
    const uint8_t *scales;
    ec_ahead ahead;
} ec_flow;

struct ec_kernels;
struct ec_causal_work;
struct ec_history;
struct ec_recall;
/* How many of the next groups to code side by side: as many full ones as the kernels want, or one. */
size_t ec_flows_from(const struct ec_kernels *kernels, const ec_decoder *decoders, size_t groups);
size_t ec_flows_to(const struct ec_kernels *kernels, const ec_encoder *encoders, size_t groups);
/* Scratch for as many groups of `lanes` lanes, from that of one; 0 if it is beyond any memory. */
size_t ec_flows_scratch(uint32_t lanes, size_t bytes);
void ec_flow_open(ec_flow *flow, const ec_decoder *decoder);
void ec_flow_begin(ec_flow *flow, const ec_encoder *encoder);
void ec_flow_end(const ec_flow *flow, ec_encoder *encoder);
/* Stores states and places in the decoders, or returns EC_ERR_TRUNCATED. */
int ec_flows_close(const ec_flow *flow, size_t flows, ec_decoder *decoders);

typedef struct ec_kernels {
    const char *isa;
    int gathers;  /* many table entries at once are cheaper than one by one */
    size_t flows; /* groups decoded side by side */

    /* to[i * pitch + lane] = from[lane][i] + add for all i < count and lanes below `lanes`, of at most
     * EC_LANES. Other lanes below EC_LANES may be written, too, with what the last one has.
     * All but weave8 return the largest value read. */
    uint32_t (*weave16)(const uint16_t *const *from, uint32_t lanes, size_t count, uint32_t add, uint16_t *to,
                        size_t pitch);
    void (*weave8)(const uint8_t *const *from, uint32_t lanes, size_t count, uint8_t *to, size_t pitch);
    uint32_t (*weave8to16)(const uint8_t *const *from, uint32_t lanes, size_t count, uint16_t *to,
                           size_t pitch);
    /* The same to 32 bits, add = 0 and pitch = EC_LANES. */
    uint32_t (*widen16)(const uint16_t *const *from, uint32_t lanes, size_t count, uint32_t *to);
    uint32_t (*widen8)(const uint8_t *const *from, uint32_t lanes, size_t count, uint32_t *to);
    /* to[lane][i] = from[i * pitch + lane] - less. */
    void (*unweave16)(const uint16_t *from, size_t pitch, uint32_t lanes, size_t count, uint32_t less,
                      uint16_t *const *to);
    /* Values below 256. */
    void (*unweave16to8)(const uint16_t *from, size_t pitch, uint32_t lanes, size_t count,
                         uint8_t *const *to);
    void (*unweave8)(const uint8_t *from, size_t pitch, uint32_t lanes, size_t count, uint8_t *const *to);

    /* Codes symbols of `flows` groups with tables flow.ids [steps][EC_LANES], last step first. A symbol is
     * `less` below what stands in flow.symbols, steps `pitch` apart; every id and symbol is in range. Returns
     * EC_ERR_SYMBOL if a symbol has no count in its table. */
    int (*encode)(const ec_tables *tables, size_t flows, ec_flow *flow, size_t pitch, uint32_t less,
                  size_t steps, uint32_t mask);
    /* Symbols of `flows` groups with tables flow.ids, all in range, to flow.symbols, both [steps][EC_LANES].
     */
    int (*decode)(const ec_tables *tables, size_t flows, ec_flow *flow, size_t steps, uint32_t mask);

    /* Tables of consecutive steps of a group; `here` is the first in a history of states, steps `pitch`
     * apart. */
    void (*fsar_ids)(const ec_fsar *model, uint32_t group, const ec_reach *reach, const uint16_t *here,
                     size_t pitch, size_t steps, uint32_t *ids);
    /* flow.symbols: the first step in the history. */
    int (*fsar_decode)(const ec_fsar *model, uint32_t group, const ec_reach *reach, size_t flows,
                       ec_flow *flow, size_t pitch, size_t steps, uint32_t mask);

    /* Pixels: logits and scales [steps][colours][EC_LANES], history of samples [step][colour] `pitch` apart.
     */
    int (*pixels_encode)(const ec_pixels *model, const ec_reach *reach, const uint8_t *here, size_t pitch,
                         const int16_t *logits, const uint8_t *scales, size_t steps, uint32_t mask,
                         uint32_t *x, uint8_t **out);
    int (*pixels_decode)(const ec_pixels *model, const ec_reach *reach, size_t flows, ec_flow *flow,
                         size_t pitch, size_t steps, uint32_t mask);

    /* Causal networks (causal.h): how weights are stored, [outputs / dot_rows][quads][dot_rows][dot_unit];
     * dot_unit 1: four bytes, 2: two pairs of 16 bits, of the even and of the odd bytes. */
    uint32_t dot_rows, dot_unit;
    /* Intervals of the samples of `count` steps; pushing `count` of these rows, last first; decoding, in the
     * lanes that have each of a place's pixels. */
    void (*causal_intervals)(const ec_causal *model, const struct ec_causal_work *work, size_t first,
                             size_t count, uint32_t *intervals);
    void (*causal_push)(const ec_causal *model, const uint32_t *intervals, size_t count, uint32_t mask,
                        uint32_t *x, uint8_t **out);
    int (*causal_pop)(const ec_causal *model, const struct ec_causal_work *work, size_t first, size_t count,
                      ec_flow *flow, const uint32_t *masks);
    /* The same of one step that remembers colours (recall.h), which learns from it; intervals as rows
     * [pixels of a place][EC_RECALL_ROWS][EC_LANES], 0 where a lane codes nothing. */
    void (*causal_recall_intervals)(const ec_causal *model, const struct ec_causal_work *work,
                                    const struct ec_recall *recall, size_t step, const uint32_t *masks,
                                    uint32_t *rows);
    int (*causal_recall_pop)(const ec_causal *model, const struct ec_causal_work *work,
                             const struct ec_recall *recall, size_t step, const uint32_t *masks,
                             ec_flow *flow);

    /* Contexts (context.h), at the pixel or the sample `at` bytes into the history: symbols, states and
     * errors of all colours; guesses (context.inc) and tables of one colour's next sample; that sample and
     * its error. */
    void (*context_analyse)(const ec_context *model, const struct ec_history *history, uint32_t place,
                            size_t at);
    void (*context_look)(const ec_context *model, const struct ec_history *history, uint32_t colour,
                         uint32_t place, size_t at, uint32_t *guesses, uint32_t *ids);
    void (*context_learn)(const struct ec_history *history, size_t at, const uint32_t *guesses,
                          const uint16_t *symbols);
} ec_kernels;

extern const ec_kernels ec_kernels_scalar;
#if defined(__x86_64__)
extern const ec_kernels ec_kernels_sse4;
extern const ec_kernels ec_kernels_avx2;
extern const ec_kernels ec_kernels_gather;
extern const ec_kernels ec_kernels_avx2_vnni;
extern const ec_kernels ec_kernels_avx512;
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define EC_HAS_NEON 1
extern const ec_kernels ec_kernels_neon;
#endif

/* The fastest set that this processor has, or the one that the environment variable EC_ISA names. */
const ec_kernels *ec_choose_kernels(void);
/* To be freed; NULL if there is no memory. */
ec_shuffles *ec_make_shuffles(void);

#endif
