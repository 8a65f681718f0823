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

/* Whether numbers of 32 bits are below a limit; the kernels see to it themselves with smaller ones. */
static int index_is_valid(const array_t *index, size_t count, size_t limit) {
    const uint32_t *a = (const uint32_t *)(const void *)index->data;
    uint32_t most = 0;
    for (size_t i = 0; index->bytes == 4 && i < count; i++) most = a[i] > most ? a[i] : most;
    return most < limit;
}

/* Ids [count][EC_LANES] of the positions from `first` on. */
static void weave_ids(const ec_kernels *kernels, const array_t *index, uint32_t lanes, size_t first,
                      size_t count, uint32_t *ids) {
    if (index->bytes == 0) return; /* zeros stay */
    const uint8_t *bytes[EC_LANES] = {0};
    const uint16_t *pairs[EC_LANES] = {0};
    for (uint32_t lane = 0; lane < lanes; lane++) {
        bytes[lane] = place_in(index, lane, first);
        pairs[lane] = (const uint16_t *)(const void *)bytes[lane];
        const uint32_t *words = (const uint32_t *)(const void *)bytes[lane];
        for (size_t i = 0; index->bytes == 4 && i < count; i++) ids[i * EC_LANES + lane] = words[i];
    }
    if (index->bytes == 1) kernels->widen8(bytes, lanes, count, ids);
    if (index->bytes == 2) kernels->widen16(pairs, lanes, count, ids);
}

/* Symbols [count][EC_LANES] from the caller's array, and back. */
static void weave_symbols(const ec_kernels *kernels, const array_t *symbols, uint32_t lanes, size_t first,
                          size_t count, uint16_t *tile) {
    const uint8_t *bytes[EC_LANES] = {0};
    const uint16_t *pairs[EC_LANES] = {0};
    for (uint32_t lane = 0; lane < lanes; lane++) {
        bytes[lane] = place_in(symbols, lane, first);
        pairs[lane] = (const uint16_t *)(const void *)bytes[lane];
    }
    if (symbols->bytes == 1)
        kernels->weave8to16(bytes, lanes, count, tile, EC_LANES);
    else
        kernels->weave16(pairs, lanes, count, 0, tile, EC_LANES);
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

static int encode(ec_encoder *e, const ec_tables *t, const array_t *symbols, const array_t *index) {
    uint32_t x[EC_LANES];
    uint32_t ids[TILE * EC_LANES] = {0};
    uint16_t tile[TILE * EC_LANES] = {0};
    memcpy(x, e->state, sizeof x);
    uint8_t *out = e->buffer + e->position;
    for (size_t end = symbols->positions; end > 0;) {
        const size_t count = (end - 1) % TILE + 1;
        const size_t first = end - count;
        weave_symbols(t->kernels, symbols, e->lanes, first, count, tile);
        weave_ids(t->kernels, index, e->lanes, first, count, ids);
        const ec_ahead ahead = first < TILE ? (ec_ahead){{0}, {0}} : fetch_from(index, symbols, first - TILE);
        const int status =
            t->kernels->encode(t, ids, tile, EC_LANES, 0, count, ec_lane_mask(e->lanes), &ahead, x, &out);
        if (status != EC_OK) return status;
        end = first;
    }
    e->position = (size_t)(out - e->buffer);
    memcpy(e->state, x, sizeof x);
    return EC_OK;
}

/* The array of the `group`-th group from this one on. */
static array_t array_after(const array_t *a, uint32_t lanes, size_t group) {
    array_t next = *a;
    if (a->bytes > 0) next.data += group * lanes * a->positions * a->bytes;
    return next;
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
            weave_ids(t->kernels, &own_index[f], d->lanes, first, count, ids[f]);
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
    for (size_t g = 0; g < groups; g++) {
        ec_encoder *e = encoders + g;
        if (ec_encode_bound(e->lanes, positions) > e->position) return EC_ERR_CAPACITY;
        if (!index_is_valid(&ids, e->lanes * positions, tables->count)) return EC_ERR_INDEX;
        const int status = encode(e, tables, &values, &ids);
        if (status != EC_OK) return status;
        values = array_after(&values, e->lanes, 1);
        ids = array_after(&ids, e->lanes, 1);
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
        if (!index_is_valid(&ids, flows * d->lanes * positions, tables->count)) return EC_ERR_INDEX;
        const int status = decode(d, flows, tables, &ids, &values);
        if (status != EC_OK) return status;
        values = array_after(&values, d->lanes, flows);
        ids = array_after(&ids, d->lanes, flows);
    }
    return EC_OK;
}
