/* What the opaque models hold. */
#ifndef EC_MODELS_H
#define EC_MODELS_H

#include "kernels.h"

/* How the decoder finds the symbol of a slot.
 *
 * A row holds for every symbol the last slot that it owns, -1 if that is before the first; values are 16-bit
 * numbers, at 16 bits with the top bit flipped, so that they compare as signed ones. What stands before the
 * first value is -1 modulo 2^bits. A slot's symbol is the first one whose last slot is not below it. To find
 * it quickly,
 * - where many table entries can be gathered at once, a row of at most 257 symbols has "buckets" of equally
 *   many slots, each with the symbol of its first slot (or 255, if that is less): the right symbol is mostly
 *   one or two further;
 * - or a row of at most 256 symbols has "splits": buckets of at most 256 slots that say in eight bytes where
 *   up to four of their symbols begin and end, so that one look into the memory mostly suffices. A bucket's
 *   lower word is the start of its first symbol (16 bits), that symbol, and the last slot of it relative to
 *   the bucket; the upper word the last slot of its fourth or last symbol (16 bits) and those of the second
 *   and third. 255 stands for one that is not in the bucket;
 * - else a row is a search tree with nodes of 16 values, each compared at once with the slot: the last level
 *   is the row itself, the levels above hold every 16th value of the level below. Up to 32 symbols are two
 *   nodes and no level above. All levels are padded with the last slot, 2^bits - 1, which no slot exceeds.
 * A few tables in the cache may be "fused": an entry for every slot. */
enum { EC_KIND_BUCKETS, EC_KIND_SPLITS, EC_KIND_TREE1, EC_KIND_TREE2, EC_KIND_TREE, EC_KIND_FUSED };

#define EC_MAX_LEVELS 4

struct ec_tables {
    size_t count;         /* tables */
    uint32_t symbols;     /* K, without the escape */
    uint32_t bits;        /* counts of a table sum to 2^bits */
    uint32_t escape;      /* 1: symbol K is the escape */
    uint32_t escape_bits; /* raw bits of an escaped symbol */
    int kind;
    uint32_t bias; /* 0x8000 at 16 bits, else 0 */
    uint32_t row_bytes;
    uint32_t last_at;   /* bytes from a row's beginning to the last slot of its first symbol */
    uint32_t bucket_at; /* to its buckets, of 2^bucket_shift slots: a byte each, or two words for splits */
    uint32_t bucket_shift;
    uint32_t levels;                  /* of a tree; 0 with buckets */
    uint32_t level_at[EC_MAX_LEVELS]; /* bytes from the row's beginning */
    uint16_t *block;                  /* the allocation; rows begin after a guard */
    uint16_t *rows;
    uint32_t *fused; /* [count][2^bits]: symbol | count - 1 | slot - start, or NULL */
    uint32_t field;  /* bits of the two lower fields of an entry */
    const ec_kernels *kernels;
    ec_shuffles *shuffles;
};

/* The first and the last of a row's split buckets are cut finer once more, behind the others: the ends of an
 * ordered alphabet are where rare symbols crowd. */
#define EC_END_BUCKETS 16 /* eight for each end, at most */
static inline uint32_t ec_end_shift(const ec_tables *t) {
    return t->bucket_shift > 3 ? t->bucket_shift - 3 : 0;
}

/* The last slots of a table's symbols; the one before the first is at -1. */
static inline const uint16_t *ec_last_slots(const ec_tables *t, size_t table) {
    const uint8_t *row = (const uint8_t *)t->rows + table * t->row_bytes;
    return (const uint16_t *)(const void *)(row + t->last_at);
}

static inline ec_interval ec_place(const ec_tables *t, const uint16_t *last, uint32_t symbol) {
    const uint32_t start = symbol == 0 ? 0 : (uint16_t)((last[(ptrdiff_t)symbol - 1] ^ t->bias) + 1u);
    return (ec_interval){start, (uint16_t)((last[symbol] ^ t->bias) + 1u - start)};
}

/* The place of a symbol (K for the escape). */
static inline ec_interval ec_interval_of(const ec_tables *t, size_t table, uint32_t symbol) {
    return ec_place(t, ec_last_slots(t, table), symbol);
}

/* The symbol of a slot, and its place. */
static inline uint32_t ec_find(const ec_tables *t, size_t table, uint32_t slot, ec_interval *place) {
    const uint8_t *row = (const uint8_t *)t->rows + table * t->row_bytes;
    const int32_t wanted = (int16_t)(uint16_t)(slot ^ t->bias);
    uint32_t index = 0;
    const uint32_t bucket = slot >> t->bucket_shift;
    if (t->kind == EC_KIND_BUCKETS) index = row[t->bucket_at + bucket];
    if (t->kind == EC_KIND_SPLITS) index = row[t->bucket_at + 8 * bucket + 2];
    for (uint32_t level = 0; level + 1 < t->levels; level++) {
        const uint16_t *node =
            (const uint16_t *)(const void *)(row + t->level_at[level]) + 16 * (size_t)index;
        uint32_t rank = 0;
        while ((int16_t)node[rank] < wanted) rank++;
        index = 16 * index + rank;
    }
    if (t->levels > 0) index *= 16;
    const uint16_t *last = ec_last_slots(t, table);
    while ((int16_t)last[index] < wanted) index++;
    *place = ec_place(t, last, index);
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
