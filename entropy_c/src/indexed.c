/* Symbols whose tables the caller names. */
#include "models.h"

#define TILE 64 /* positions handled at a time: ids and symbols of all lanes take 12 KiB of stack */

/* A number for every symbol, [lanes][positions] in the caller's width, or no array at all (bytes = 0). */
typedef struct array_t {
    uint8_t *data;
    uint32_t bytes;
    size_t positions;
} array_t;

static uint8_t *place_in(const array_t *a, uint32_t lane, size_t position) {
    return a->data + (lane * a->positions + position) * a->bytes;
}

/* What to fetch while the positions before those from `first` on are coded. */
static ec_ahead fetch_from(const array_t *index, const array_t *symbols, size_t first) {
    ec_ahead ahead = {{(uintptr_t)symbols->data + first * symbols->bytes, 0},
                      {symbols->positions * symbols->bytes, index->positions * index->bytes}};
    if (index->bytes > 0) ahead.at[1] = (uintptr_t)index->data + first * index->bytes;
    return ahead;
}

/* Ids [count][EC_LANES] of the positions from `first` on; returns the largest one. */
static uint32_t weave_ids(const ec_kernels *kernels, const array_t *index, uint32_t lanes, size_t first,
                          size_t count, uint32_t *ids) {
    const uint8_t *bytes[EC_LANES] = {0};
    const uint16_t *pairs[EC_LANES] = {0};
    uint32_t most = 0;
    for (uint32_t lane = 0; index->bytes > 0 && lane < lanes; lane++) {
        bytes[lane] = place_in(index, lane, first);
        pairs[lane] = (const uint16_t *)(const void *)bytes[lane];
        const uint32_t *words = (const uint32_t *)(const void *)bytes[lane];
        for (size_t i = 0; index->bytes == 4 && i < count; i++) {
            most = words[i] > most ? words[i] : most;
            ids[i * EC_LANES + lane] = words[i];
        }
    }
    if (index->bytes == 1) return kernels->widen8(bytes, lanes, count, ids);
    if (index->bytes == 2) return kernels->widen16(pairs, lanes, count, ids);
    return most; /* without an index zeros stay */
}

/* Symbols [count][EC_LANES] from the caller's array, and back. */
static uint32_t weave_symbols(const ec_kernels *kernels, const array_t *symbols, uint32_t lanes, size_t first,
                              size_t count, uint16_t *tile) {
    const uint8_t *bytes[EC_LANES] = {0};
    const uint16_t *pairs[EC_LANES] = {0};
    for (uint32_t lane = 0; lane < lanes; lane++) {
        bytes[lane] = place_in(symbols, lane, first);
        pairs[lane] = (const uint16_t *)(const void *)bytes[lane];
    }
    return symbols->bytes == 1 ? kernels->weave8to16(bytes, lanes, count, tile, EC_LANES)
                               : kernels->weave16(pairs, lanes, count, 0, tile, EC_LANES);
}

static void unweave_symbols(const ec_kernels *kernels, const uint16_t *tile, const array_t *symbols,
                            uint32_t lanes, size_t first, size_t count) {
    uint8_t *bytes[EC_LANES] = {0};
    uint16_t *pairs[EC_LANES] = {0};
    for (uint32_t lane = 0; lane < lanes; lane++) {
        bytes[lane] = place_in(symbols, lane, first);
        pairs[lane] = (uint16_t *)(void *)bytes[lane];
    }
    if (symbols->bytes == 1)
        kernels->unweave16to8(tile, EC_LANES, lanes, count, bytes);
    else
        kernels->unweave16(tile, EC_LANES, lanes, count, 0, pairs);
}

/* The array of the `group`-th group from this one on. */
static array_t array_after(const array_t *a, uint32_t lanes, size_t group) {
    array_t next = *a;
    if (a->bytes > 0) next.data += group * lanes * a->positions * a->bytes;
    return next;
}

/* Encodes `flows` groups side by side; their data follow each other. */
static int encode(ec_encoder *e, size_t flows, const ec_tables *t, const array_t *symbols,
                  const array_t *index) {
    uint32_t ids[EC_FLOWS][TILE * EC_LANES] = {{0}};
    uint16_t tile[EC_FLOWS][TILE * EC_LANES] = {{0}};
    ec_flow flow[EC_FLOWS];
    array_t own_index[EC_FLOWS], own_symbols[EC_FLOWS];
    for (size_t f = 0; f < flows; f++) {
        ec_flow_begin(&flow[f], e + f);
        flow[f].ids = ids[f];
        flow[f].symbols = tile[f];
        own_index[f] = array_after(index, e->lanes, f);
        own_symbols[f] = array_after(symbols, e->lanes, f);
    }
    for (size_t end = symbols->positions; end > 0;) {
        const size_t count = (end - 1) % TILE + 1;
        const size_t first = end - count;
        for (size_t f = 0; f < flows; f++) {
            const uint32_t symbol =
                weave_symbols(t->kernels, &own_symbols[f], e->lanes, first, count, tile[f]);
            const uint32_t id = weave_ids(t->kernels, &own_index[f], e->lanes, first, count, ids[f]);
            if (id >= t->count) return EC_ERR_INDEX;
            if (symbol >= t->symbols) return EC_ERR_SYMBOL;
            flow[f].ahead = first < TILE ? (ec_ahead){{0}, {0}}
                                         : fetch_from(&own_index[f], &own_symbols[f], first - TILE);
        }
        const int status = t->kernels->encode(t, flows, flow, EC_LANES, 0, count, ec_lane_mask(e->lanes));
        if (status != EC_OK) return status;
        end = first;
    }
    for (size_t f = 0; f < flows; f++) ec_flow_end(&flow[f], e + f);
    return EC_OK;
}

/* Decodes `flows` groups side by side; their data follow each other. */
static int decode(ec_decoder *d, size_t flows, const ec_tables *t, const array_t *index,
                  const array_t *symbols) {
    const size_t positions = symbols->positions;
    uint32_t ids[EC_FLOWS][TILE * EC_LANES] = {{0}};
    uint16_t tile[EC_FLOWS][TILE * EC_LANES];
    ec_flow flow[EC_FLOWS];
    array_t own_index[EC_FLOWS], own_symbols[EC_FLOWS];
    for (size_t f = 0; f < flows; f++) {
        ec_flow_open(&flow[f], d + f);
        flow[f].ids = ids[f];
        flow[f].symbols = tile[f];
        own_index[f] = array_after(index, d->lanes, f);
        own_symbols[f] = array_after(symbols, d->lanes, f);
    }
    for (size_t first = 0; first < positions; first += TILE) {
        const size_t count = positions - first < TILE ? positions - first : TILE;
        for (size_t f = 0; f < flows; f++) {
            if (weave_ids(t->kernels, &own_index[f], d->lanes, first, count, ids[f]) >= t->count)
                return EC_ERR_INDEX;
            flow[f].ahead = fetch_from(&own_index[f], &own_symbols[f], first + TILE);
        }
        const int status = t->kernels->decode(t, flows, flow, count, ec_lane_mask(d->lanes));
        if (status != EC_OK) return status;
        for (size_t f = 0; f < flows; f++)
            unweave_symbols(t->kernels, tile[f], &own_symbols[f], d->lanes, first, count);
    }
    return ec_flows_close(flow, flows, d);
}

static int arguments_fit(const ec_tables *tables, uint32_t symbol_bytes, const void *index,
                         uint32_t index_bytes) {
    if (symbol_bytes != 2 && (symbol_bytes != 1 || tables->symbols > 256)) return 0;
    if (index == NULL) return index_bytes == 0;
    return index_bytes == 1 || index_bytes == 2 || index_bytes == 4;
}

int ec_encode_indexed(ec_encoder *encoders, size_t groups, const ec_tables *tables, const void *symbols,
                      uint32_t symbol_bytes, const void *index, uint32_t index_bytes, size_t positions) {
    if (!arguments_fit(tables, symbol_bytes, index, index_bytes)) return EC_ERR_ARGUMENT;
    /* Only read from. */
    array_t values = {(uint8_t *)(uintptr_t)symbols, symbol_bytes, positions};
    array_t ids = {(uint8_t *)(uintptr_t)index, index_bytes, positions};
    int alone = 0;
    for (size_t g = 0; g < groups;) {
        ec_encoder *e = encoders + g;
        const size_t flows = alone ? 1 : ec_flows_to(tables->kernels, e, groups - g);
        int status = EC_OK;
        for (size_t f = 0; f < flows && status == EC_OK; f++)
            if (ec_encode_bound(e[f].lanes, positions) > e[f].position) status = EC_ERR_CAPACITY;
        if (status == EC_OK) status = encode(e, flows, tables, &values, &ids);
        if (status != EC_OK && flows == 1) return status;
        alone = status != EC_OK; /* which of these groups was it? */
        if (alone) continue;
        values = array_after(&values, e->lanes, flows);
        ids = array_after(&ids, e->lanes, flows);
        g += flows;
    }
    return EC_OK;
}

int ec_decode_indexed(ec_decoder *decoders, size_t groups, const ec_tables *tables, const void *index,
                      uint32_t index_bytes, size_t positions, void *symbols, uint32_t symbol_bytes) {
    if (!arguments_fit(tables, symbol_bytes, index, index_bytes)) return EC_ERR_ARGUMENT;
    array_t values = {symbols, symbol_bytes, positions};
    array_t ids = {(uint8_t *)(uintptr_t)index, index_bytes, positions}; /* only read from */
    for (size_t g = 0, flows; g < groups; g += flows) {
        ec_decoder *d = decoders + g;
        flows = ec_flows_from(tables->kernels, d, groups - g);
        const int status = decode(d, flows, tables, &ids, &values);
        if (status != EC_OK) return status;
        values = array_after(&values, d->lanes, flows);
        ids = array_after(&ids, d->lanes, flows);
    }
    return EC_OK;
}
