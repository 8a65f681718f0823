/* Symbols whose tables the caller names. */
#include "lanes.h"
#include "models.h"

#define TILE 64 /* positions handled at a time: ids and symbols of all lanes take 12 KiB of stack */

/* The table of every symbol, in the caller's width. */
typedef struct index_t {
    const uint8_t *data; /* [lanes][positions], or NULL: table 0 */
    uint32_t bytes;
    size_t positions;
} index_t;

static int below8(const uint8_t *a, size_t count, size_t limit) {
    uint8_t most = 0;
    for (size_t i = 0; i < count; i++) most = a[i] > most ? a[i] : most;
    return count == 0 || most < limit;
}

static int below16(const uint16_t *a, size_t count, size_t limit) {
    uint16_t most = 0;
    for (size_t i = 0; i < count; i++) most = a[i] > most ? a[i] : most;
    return count == 0 || most < limit;
}

static int below32(const uint32_t *a, size_t count, size_t limit) {
    uint32_t most = 0;
    for (size_t i = 0; i < count; i++) most = a[i] > most ? a[i] : most;
    return count == 0 || most < limit;
}

static int index_is_valid(const index_t *index, size_t count, size_t tables) {
    if (index->bytes == 0) return 1;
    if (index->bytes == 1) return below8(index->data, count, tables);
    if (index->bytes == 2) return below16((const uint16_t *)(const void *)index->data, count, tables);
    return below32((const uint32_t *)(const void *)index->data, count, tables);
}

/* Ids [count][EC_LANES] of the positions from `first` on. */
static void weave_ids(const index_t *index, uint32_t lanes, size_t first, size_t count, uint32_t *ids) {
    if (index->bytes == 0) return; /* zeros stay */
    if (index->bytes == 4) {
        const uint32_t *from = (const uint32_t *)(const void *)index->data + first;
        for (uint32_t lane = 0; lane < lanes; lane++)
            for (size_t i = 0; i < count; i++) ids[i * EC_LANES + lane] = from[lane * index->positions + i];
        return;
    }
    uint16_t wide[TILE * EC_LANES] = {0};
    if (index->bytes == 2) {
        const uint16_t *from[EC_LANES] = {0};
        for (uint32_t lane = 0; lane < lanes; lane++)
            from[lane] = (const uint16_t *)(const void *)index->data + lane * index->positions + first;
        ec_weave16(from, lanes, count, 0, wide, EC_LANES);
        for (size_t i = 0; i < count * EC_LANES; i++) ids[i] = wide[i];
    } else {
        uint8_t *narrow = (uint8_t *)wide;
        const uint8_t *from[EC_LANES] = {0};
        for (uint32_t lane = 0; lane < lanes; lane++)
            from[lane] = index->data + lane * index->positions + first;
        ec_weave8(from, lanes, count, narrow, EC_LANES);
        for (size_t i = 0; i < count * EC_LANES; i++) ids[i] = narrow[i];
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
        ec_weave16(from, e->lanes, count, 0, tile, EC_LANES);
        weave_ids(index, e->lanes, first, count, ids);
        const int status =
            t->kernels->encode(t, ids, tile, EC_LANES, 0, count, ec_lane_mask(e->lanes), x, &out);
        if (status != EC_OK) return status;
        end = first;
    }
    e->position = (size_t)(out - e->buffer);
    memcpy(e->state, x, sizeof x);
    return EC_OK;
}

static int decode(ec_decoder *d, const ec_tables *t, const index_t *index, uint16_t *symbols) {
    const size_t positions = index->positions;
    uint32_t x[EC_LANES];
    uint32_t ids[TILE * EC_LANES] = {0};
    uint16_t tile[TILE * EC_LANES];
    ec_reader reader;
    memcpy(x, d->state, sizeof x);
    ec_reader_init(&reader, d);
    for (size_t first = 0; first < positions; first += TILE) {
        const size_t count = positions - first < TILE ? positions - first : TILE;
        weave_ids(index, d->lanes, first, count, ids);
        const int status = t->kernels->decode(t, ids, tile, count, ec_lane_mask(d->lanes), x, &reader);
        if (status != EC_OK) return status;
        uint16_t *to[EC_LANES];
        for (uint32_t lane = 0; lane < d->lanes; lane++) to[lane] = symbols + lane * positions + first;
        ec_unweave16(tile, EC_LANES, d->lanes, count, 0, to);
    }
    return ec_reader_done(&reader, x, d);
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
        if (!below16(symbols, count, tables->symbols)) return EC_ERR_SYMBOL;
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
    for (size_t g = 0; g < groups; g++) {
        ec_decoder *d = decoders + g;
        const size_t count = d->lanes * positions;
        if (!index_is_valid(&ids, count, tables->count)) return EC_ERR_INDEX;
        const int status = decode(d, tables, &ids, symbols);
        if (status != EC_OK) return status;
        symbols += count;
        if (index != NULL) ids.data += count * index_bytes;
    }
    return EC_OK;
}
