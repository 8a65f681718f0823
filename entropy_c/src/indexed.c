/* Symbols whose tables the caller names. */
#include "models.h"

#define TILE 64 /* positions handled at a time: ids and symbols of all lanes take 12 KiB of stack */

/* The table of every symbol, in the caller's width. */
typedef struct index_t {
    const uint8_t *data; /* [lanes][positions], or NULL: table 0 */
    uint32_t bytes;
    size_t positions;
} index_t;

/* Whether numbers of 32 bits are below a limit; the kernels see to it themselves with smaller ones. */
static int index_is_valid(const index_t *index, size_t count, size_t limit) {
    const uint32_t *a = (const uint32_t *)(const void *)index->data;
    uint32_t most = 0;
    for (size_t i = 0; index->bytes == 4 && i < count; i++) most = a[i] > most ? a[i] : most;
    return most < limit;
}

/* Ids [count][EC_LANES] of the positions from `first` on. */
static void weave_ids(const ec_kernels *kernels, const index_t *index, uint32_t lanes, size_t first,
                      size_t count, uint32_t *ids) {
    if (index->bytes == 0) return; /* zeros stay */
    if (index->bytes == 4) {
        const uint32_t *from = (const uint32_t *)(const void *)index->data + first;
        for (uint32_t lane = 0; lane < lanes; lane++)
            for (size_t i = 0; i < count; i++) ids[i * EC_LANES + lane] = from[lane * index->positions + i];
        return;
    }
    const uint8_t *from[EC_LANES] = {0};
    for (uint32_t lane = 0; lane < lanes; lane++)
        from[lane] = index->data + (lane * index->positions + first) * index->bytes;
    if (index->bytes == 1) {
        kernels->widen8(from, lanes, count, ids);
    } else {
        const uint16_t *wide[EC_LANES] = {0};
        for (uint32_t lane = 0; lane < lanes; lane++) wide[lane] = (const uint16_t *)(const void *)from[lane];
        kernels->widen16(wide, lanes, count, ids);
    }
}

static int encode(ec_encoder *e, const ec_tables *t, const uint16_t *symbols, const index_t *index) {
    const size_t positions = index->positions;
    uint32_t x[EC_LANES];
    uint32_t ids[TILE * EC_LANES] = {0};
    uint16_t tile[TILE * EC_LANES] = {0};
    memcpy(x, e->state, sizeof x);
    uint8_t *out = e->buffer + e->position;
    for (size_t end = positions; end > 0;) {
        const size_t count = (end - 1) % TILE + 1;
        const size_t first = end - count;
        const uint16_t *from[EC_LANES] = {0};
        for (uint32_t lane = 0; lane < e->lanes; lane++) from[lane] = symbols + lane * positions + first;
        t->kernels->weave16(from, e->lanes, count, 0, tile, EC_LANES);
        weave_ids(t->kernels, index, e->lanes, first, count, ids);
        const int status =
            t->kernels->encode(t, ids, tile, EC_LANES, 0, count, ec_lane_mask(e->lanes), x, &out);
        if (status != EC_OK) return status;
        end = first;
    }
    e->position = (size_t)(out - e->buffer);
    memcpy(e->state, x, sizeof x);
    return EC_OK;
}

/* Decodes `flows` groups side by side; their data follow each other. */
static int decode(ec_decoder *d, size_t flows, const ec_tables *t, const index_t *index, uint16_t *symbols) {
    const size_t positions = index->positions, all = d->lanes * positions;
    uint32_t ids[EC_FLOWS][TILE * EC_LANES] = {{0}};
    uint16_t tile[EC_FLOWS][TILE * EC_LANES];
    ec_flow flow[EC_FLOWS];
    index_t own[EC_FLOWS];
    for (size_t f = 0; f < flows; f++) {
        ec_flow_open(&flow[f], d + f);
        flow[f].ids = ids[f];
        flow[f].symbols = tile[f];
        own[f] = *index;
        if (index->bytes > 0) own[f].data += f * all * index->bytes;
    }
    for (size_t first = 0; first < positions; first += TILE) {
        const size_t count = positions - first < TILE ? positions - first : TILE;
        for (size_t f = 0; f < flows; f++) weave_ids(t->kernels, &own[f], d->lanes, first, count, ids[f]);
        const int status = t->kernels->decode(t, flows, flow, count, ec_lane_mask(d->lanes));
        if (status != EC_OK) return status;
        for (size_t f = 0; f < flows; f++) {
            uint16_t *to[EC_LANES];
            for (uint32_t lane = 0; lane < d->lanes; lane++)
                to[lane] = symbols + f * all + lane * positions + first;
            t->kernels->unweave16(tile[f], EC_LANES, d->lanes, count, 0, to);
        }
    }
    return ec_flows_close(flow, flows, d);
}

static int is_index_width(const void *index, uint32_t bytes) {
    return index == NULL ? bytes == 0 : bytes == 1 || bytes == 2 || bytes == 4;
}

int ec_encode_indexed(ec_encoder *encoders, size_t groups, const ec_tables *tables, const uint16_t *symbols,
                      const void *index, uint32_t index_bytes, size_t positions) {
    if (!is_index_width(index, index_bytes)) return EC_ERR_ARGUMENT;
    index_t ids = {index, index_bytes, positions};
    for (size_t g = 0; g < groups; g++) {
        ec_encoder *e = encoders + g;
        const size_t count = e->lanes * positions;
        if (ec_encode_bound(e->lanes, positions) > e->position) return EC_ERR_CAPACITY;
        if (!index_is_valid(&ids, count, tables->count)) return EC_ERR_INDEX;
        const int status = encode(e, tables, symbols, &ids);
        if (status != EC_OK) return status;
        symbols += count;
        if (index != NULL) ids.data += count * index_bytes;
    }
    return EC_OK;
}

int ec_decode_indexed(ec_decoder *decoders, size_t groups, const ec_tables *tables, const void *index,
                      uint32_t index_bytes, size_t positions, uint16_t *symbols) {
    if (!is_index_width(index, index_bytes)) return EC_ERR_ARGUMENT;
    index_t ids = {index, index_bytes, positions};
    for (size_t g = 0, flows; g < groups; g += flows) {
        ec_decoder *d = decoders + g;
        flows = ec_flows_from(tables->kernels, d, groups - g);
        const size_t count = flows * d->lanes * positions;
        if (!index_is_valid(&ids, count, tables->count)) return EC_ERR_INDEX;
        const int status = decode(d, flows, tables, &ids, symbols);
        if (status != EC_OK) return status;
        symbols += count;
        if (index != NULL) ids.data += count * index_bytes;
    }
    return EC_OK;
}
