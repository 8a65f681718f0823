/* What the opaque models hold. */
#ifndef EC_MODELS_H
#define EC_MODELS_H

#include "kernels.h"

/* How the decoder finds the symbol of a slot.
 *
 * A row is a search tree with nodes of 16 values, each compared at once with the slot. Its last level holds
 * for every symbol the last slot that it owns, -1 if that is before the first; the levels above hold every
 * 16th value of the level below. All levels are padded with the last slot, 2^bits - 1, which no slot exceeds,
 * so that searching never leaves the row, and the value before a level's first is -1 modulo 2^bits. Values
 * are compared as signed 16-bit numbers; at 16 bits they are stored and compared with the top bit flipped. */
enum { EC_KIND_FLAT16, EC_KIND_FLAT32, EC_KIND_TREE, EC_KIND_DEEP, EC_KIND_FUSED, EC_KINDS };

#define EC_MAX_LEVELS 4

struct ec_tables {
    size_t count;         /* tables */
    uint32_t symbols;     /* K, without the escape */
    uint32_t bits;        /* counts of a table sum to 2^bits */
    uint32_t escape;      /* 1: symbol K is the escape */
    uint32_t escape_bits; /* raw bits of an escaped symbol */
    int kind;
    uint32_t bias;                    /* 0x8000 at 16 bits, else 0 */
    uint32_t levels;                  /* of a row */
    uint32_t level_at[EC_MAX_LEVELS]; /* bytes from the row's beginning */
    uint32_t row_bytes;
    uint16_t *block; /* the allocation; rows begin after a guard */
    uint16_t *rows;
    uint32_t *fused; /* [count][2^bits]: symbol | count - 1 | slot - start, or NULL */
    uint32_t field;  /* bits of the two lower fields of an entry */
    const ec_kernels *kernels;
    ec_shuffles *shuffles;
};

/* The place of a symbol (K for the escape). */
static inline ec_interval ec_interval_of(const ec_tables *t, size_t table, uint32_t symbol) {
    const uint8_t *row = (const uint8_t *)t->rows + table * t->row_bytes + t->level_at[t->levels - 1];
    uint16_t pair[2]; /* the last slots of the symbol before and of this one */
    memcpy(pair, row + 2 * (size_t)symbol - 2, sizeof pair);
    /* Unused first symbols end at slot -1, and what follows is 0; at 16 bits there are none. */
    const uint32_t wrap = t->bits == 16 ? 0x1FFFF : 0xFFFF;
    const uint32_t start = symbol == 0 ? 0 : ((uint16_t)(pair[0] ^ t->bias) + 1u) & wrap;
    const uint32_t end = ((uint16_t)(pair[1] ^ t->bias) + 1u) & wrap;
    return (ec_interval){start, end - start};
}

/* The symbol of a slot, and its place. */
static inline uint32_t ec_find(const ec_tables *t, size_t table, uint32_t slot, ec_interval *place) {
    const uint8_t *row = (const uint8_t *)t->rows + table * t->row_bytes;
    uint32_t index = 0;
    for (uint32_t level = 0; level < t->levels; level++) {
        const uint16_t *node =
            (const uint16_t *)(const void *)(row + t->level_at[level]) + 16 * (size_t)index;
        uint32_t rank = 0;
        for (uint32_t i = 0; i < 16; i++) rank += (int16_t)node[i] < (int16_t)(uint16_t)(slot ^ t->bias);
        index = 16 * index + rank;
        if (t->levels == 1 && t->row_bytes == 64 && rank == 16) /* two nodes and no tree above them */
            for (uint32_t i = 16; i < 32; i++)
                index += (int16_t)node[i] < (int16_t)(uint16_t)(slot ^ t->bias);
    }
    *place = ec_interval_of(t, table, index);
    return index;
}

/* The escapes of one step, after (decoding) or before (encoding) its ordinary symbols. */
int ec_pop_escapes(const ec_tables *t, uint32_t lanes, uint32_t *x, uint32_t add, uint16_t *symbols,
                   ec_reader *r);
int ec_push_escapes(const ec_tables *t, uint32_t lanes, const uint32_t *ids, const uint16_t *symbols,
                    uint32_t less, uint32_t *x, uint32_t *starts, uint32_t *counts, uint8_t **out);

struct ec_fsar {
    const ec_tables *tables;
    uint32_t order;
    uint32_t groups;
    uint32_t states; /* K + 1 */
    int32_t offsets[EC_MAX_ORDER][3];
    uint32_t class_counts[EC_MAX_ORDER];
    uint32_t weights[EC_MAX_ORDER]; /* of the digits of a context number */
    uint64_t contexts;              /* C, of one group */
    uint32_t *steps;    /* [groups][order][K+1]: the state's class times the weight of its digit */
    int has_classes;    /* 0: every state is its own class */
    void *map;          /* [groups][contexts] of uint16 or uint32, or NULL: table = context */
    uint32_t map_shift; /* log2 of the bytes of an entry */
    uint32_t map_mask;
};

static inline uint32_t ec_fsar_map(const ec_fsar *model, size_t context) {
    if (model->map == NULL) return (uint32_t)context;
    return model->map_shift == 1 ? ((const uint16_t *)model->map)[context]
                                 : ((const uint32_t *)model->map)[context];
}

/* The table of a symbol from the states of its neighbours. */
static inline uint32_t ec_fsar_table(const ec_fsar *model, uint32_t group, const uint32_t *states) {
    const uint32_t *steps = model->steps + (size_t)group * model->order * model->states;
    size_t context = group * (size_t)model->contexts;
    for (uint32_t i = 0; i < model->order; i++, steps += model->states) context += steps[states[i]];
    return ec_fsar_map(model, context);
}

/* A fine cdf is stored as four rows, t = 4 i + r - 1022 for r = 0 .. 3, so that the values of neighbouring
 * samples are neighbours: with u = 1020 - m, F[4 j - 2 - m] is entry (u >> 2) + j of row u & 3. */
#define EC_FINE_ROW      528 /* 512 entries, and room for reading on */
#define EC_PIXEL_SHIFT   8   /* an inverse bucket spans 2^8 units of 4 C */
#define EC_PIXEL_BUCKETS (((4 * 65535 + EC_MEAN_MAX) >> EC_PIXEL_SHIFT) + 1)
#define EC_INVERSE_ROW   (EC_PIXEL_BUCKETS + 1)

typedef struct ec_tap {
    int32_t colour, row, column, weight;
} ec_tap;

struct ec_pixels {
    uint32_t scales;
    uint32_t colours;
    uint32_t tap_counts[EC_MAX_COLOURS];
    ec_tap taps[EC_MAX_COLOURS][EC_MAX_TAPS];
    int32_t bias[EC_MAX_COLOURS]; /* with the rounding 2^15 added */
    int16_t mean_lut[EC_LOGIT_LEVELS + 1];
    uint16_t *fine;    /* [scales][4][EC_FINE_ROW] */
    uint16_t *inverse; /* [scales][EC_INVERSE_ROW] */
    const ec_kernels *kernels;
    ec_shuffles *shuffles;
};

#endif
