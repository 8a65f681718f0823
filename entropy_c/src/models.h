/* What the opaque models hold. */
#ifndef EC_MODELS_H
#define EC_MODELS_H

#include "rans.h"

/* Fused decoder tables of one model: no more than this, and by choice only what a second-level cache holds.
 * Beyond it a fused look-up misses the cache while the rows still fit: measured 3 times slower at 18 MB. */
#define EC_FUSED_LIMIT    ((size_t)64 << 20)
#define EC_FUSED_IN_CACHE ((size_t)512 << 10)

struct ec_tables {
    size_t count;         /* tables */
    uint32_t symbols;     /* K */
    uint32_t bits;        /* counts of a table sum to 2^bits */
    uint32_t bucket_bits; /* a bucket is 2^(bits - bucket_bits) slots */
    int layout;
    size_t stride;   /* uint16 units from row to row */
    uint16_t *rows;  /* per table: starts [K + 1] modulo 2^16, then the bucket index */
    uint32_t *fused; /* [count][2^bits]: symbol | count - 1 | slot - start, or NULL */
};

struct ec_fsar {
    const ec_tables *tables;
    uint32_t order;
    uint32_t groups;
    int32_t offsets[EC_MAX_ORDER][3];
};

#define EC_PIXEL_SHIFT   8 /* an inverse bucket spans 2^8 units of 4 C */
#define EC_PIXEL_BUCKETS (((4 * 65535 + EC_MEAN_MAX) >> EC_PIXEL_SHIFT) + 1)
#define EC_PIXEL_STRIDE  (EC_FINE_STEPS + EC_PIXEL_BUCKETS)

typedef struct ec_tap {
    int32_t colour, row, column, weight;
} ec_tap;

struct ec_pixels {
    uint32_t scales;
    uint32_t colours;
    uint32_t tap_counts[EC_MAX_COLOURS];
    ec_tap taps[EC_MAX_COLOURS][EC_MAX_TAPS];
    int32_t bias[EC_MAX_COLOURS]; /* with the rounding 2^15 added */
    int16_t mean_lut[EC_LOGIT_LEVELS];
    uint16_t rows[]; /* [scales][EC_PIXEL_STRIDE]: F, then the inverse bucket index */
};

/* A neighbour along one row: valid for columns first .. first + length - 1, `back` samples earlier. */
typedef struct ec_span {
    size_t back;
    uint32_t first;
    uint32_t length;
} ec_span;

/* The span of column offset `dc` in a row of `width`, `back` samples away; empty unless `inside`. */
static inline ec_span ec_make_span(int inside, int32_t dc, uint32_t width, size_t back) {
    ec_span span = {back, 0, 0};
    const uint64_t reach = (uint64_t)(dc < 0 ? -(int64_t)dc : (int64_t)dc);
    if (inside && reach < width) {
        span.first = dc < 0 ? (uint32_t)reach : 0;
        span.length = width - (uint32_t)reach;
    }
    return span;
}

static inline int ec_covers(const ec_span *span, uint32_t column) {
    return column - span->first < span->length;
}

static inline const uint16_t *ec_row(const ec_tables *t, size_t table) { return t->rows + table * t->stride; }

/* The (start, count) pair of a symbol below K; a count of zero is the caller's error to report. */
static inline uint32_t ec_symbol_pair(const ec_tables *t, size_t table, uint32_t symbol) {
    const uint16_t *row = ec_row(t, table) + symbol;
    return ec_pair(row[0], (uint16_t)(row[1] - row[0]));
}

/* Decodes one symbol of every lane from tables `ids`; fused slots. */
static inline void ec_get_fused(const ec_tables *t, const uint32_t *ids, uint32_t lanes, uint32_t *x,
                                uint16_t *symbols, ec_reader *r) {
    const uint32_t bits = t->bits;
    const uint32_t mask = (1u << bits) - 1;
    const uint32_t *fused = t->fused;
    const uint8_t *p = r->p;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const uint32_t state = x[lane];
        const uint32_t entry = fused[((size_t)ids[lane] << bits) | (state & mask)];
        const uint32_t count = ((entry >> bits) & mask) + 1;
        symbols[lane] = (uint16_t)(entry >> (2 * bits));
        x[lane] = ec_refill(count * (state >> bits) + (entry & mask), &p);
    }
    r->p = p;
}

/* The same with bucketed rows. A bucket names the symbol of its first slot, and the next bucket's symbol ends
 * the search, so cumulative counts that wrapped to 0 (2^16) are never compared. */
static inline void ec_get_bucketed(const ec_tables *t, const uint32_t *ids, uint32_t lanes, int wide,
                                   uint32_t *x, uint16_t *symbols, ec_reader *r) {
    const uint32_t bits = t->bits;
    const uint32_t mask = (1u << bits) - 1;
    const uint32_t shift = bits - t->bucket_bits;
    const uint8_t *p = r->p;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const uint32_t state = x[lane];
        const uint32_t slot = state & mask;
        const uint16_t *row = ec_row(t, ids[lane]);
        const uint16_t *index = row + t->symbols + 1;
        const uint32_t bucket = slot >> shift;
        uint32_t symbol, last;
        if (wide) {
            symbol = index[bucket];
            last = index[bucket + 1];
        } else {
            symbol = ((const uint8_t *)index)[bucket];
            last = ((const uint8_t *)index)[bucket + 1];
        }
        symbol += (uint32_t)(symbol < last) & (uint32_t)(row[symbol + 1] <= slot);
        while (symbol < last && row[symbol + 1] <= slot) symbol++;
        const uint32_t start = row[symbol];
        const uint32_t count = (uint16_t)(row[symbol + 1] - start);
        symbols[lane] = (uint16_t)symbol;
        x[lane] = ec_refill(count * (state >> bits) + (slot - start), &p);
    }
    r->p = p;
}

/* A decoder body is compiled once per kind of table and once more for full groups: KIND becomes a constant.
 */
enum { EC_KIND_FUSED, EC_KIND_NARROW, EC_KIND_WIDE };

static inline int ec_kind(const ec_tables *t) {
    return t->layout == EC_LAYOUT_FUSED ? EC_KIND_FUSED : t->symbols > 256 ? EC_KIND_WIDE : EC_KIND_NARROW;
}

static inline void ec_get(const ec_tables *t, int kind, const uint32_t *ids, uint32_t lanes, uint32_t *x,
                          uint16_t *symbols, ec_reader *r) {
    if (kind == EC_KIND_FUSED)
        ec_get_fused(t, ids, lanes, x, symbols, r);
    else
        ec_get_bucketed(t, ids, lanes, kind == EC_KIND_WIDE, x, symbols, r);
}

#define EC_DISPATCH(body, kind, lanes, ...)                                                                  \
    ((kind) == EC_KIND_FUSED  ? (lanes) == EC_LANES ? body(EC_KIND_FUSED, EC_LANES, __VA_ARGS__)             \
                                                    : body(EC_KIND_FUSED, lanes, __VA_ARGS__)                \
     : (kind) == EC_KIND_WIDE ? body(EC_KIND_WIDE, lanes, __VA_ARGS__)                                       \
     : (lanes) == EC_LANES    ? body(EC_KIND_NARROW, EC_LANES, __VA_ARGS__)                                  \
                              : body(EC_KIND_NARROW, lanes, __VA_ARGS__))

#endif
