/* Symbols whose tables the caller names. */
#include "models.h"

int ec_encode_indexed(ec_encoder *encoder, const ec_tables *tables, const uint16_t *symbols,
                      const uint32_t *index, size_t positions) {
    const uint32_t lanes = encoder->lanes;
    if (ec_encode_bound(lanes, positions) > encoder->position) return EC_ERR_CAPACITY;
    uint32_t x[EC_LANES];
    uint32_t pairs[EC_TILE * EC_LANES];
    memcpy(x, encoder->state, sizeof x);
    uint8_t *out = encoder->buffer + encoder->position;
    for (size_t end = positions; end > 0;) {
        const size_t count = (end - 1) % EC_TILE + 1;
        const size_t first = end - count;
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const uint16_t *symbol = symbols + lane * positions + first;
            const uint32_t *table = index + lane * positions + first;
            for (size_t i = 0; i < count; i++) {
                if (table[i] >= tables->count) return EC_ERR_INDEX;
                if (symbol[i] >= tables->symbols) return EC_ERR_SYMBOL;
                const uint32_t pair = ec_symbol_pair(tables, table[i], symbol[i]);
                if (pair < EC_LOW) return EC_ERR_SYMBOL;
                pairs[i * lanes + lane] = pair;
            }
        }
        out = lanes == EC_LANES ? ec_put(pairs, count, EC_LANES, tables->bits, x, out)
                                : ec_put(pairs, count, lanes, tables->bits, x, out);
        end = first;
    }
    encoder->position = (size_t)(out - encoder->buffer);
    memcpy(encoder->state, x, sizeof x);
    return EC_OK;
}

static inline int decode(int kind, uint32_t lanes, ec_decoder *decoder, const ec_tables *tables,
                         const uint32_t *index, size_t positions, uint16_t *symbols) {
    uint32_t x[EC_LANES];
    uint32_t ids[EC_TILE * EC_LANES];
    uint16_t got[EC_TILE * EC_LANES];
    ec_reader reader;
    memcpy(x, decoder->state, sizeof x);
    ec_reader_init(&reader, decoder);
    for (size_t first = 0; first < positions; first += EC_TILE) {
        const size_t count = positions - first < EC_TILE ? positions - first : EC_TILE;
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const uint32_t *table = index + lane * positions + first;
            for (size_t i = 0; i < count; i++) {
                if (table[i] >= tables->count) return EC_ERR_INDEX;
                ids[i * lanes + lane] = table[i];
            }
        }
        for (size_t i = 0; i < count; i++) {
            ec_reserve(&reader, decoder);
            ec_get(tables, kind, ids + i * lanes, lanes, x, got + i * lanes, &reader);
            if (ec_overrun(&reader)) return EC_ERR_TRUNCATED;
        }
        for (uint32_t lane = 0; lane < lanes; lane++) {
            uint16_t *symbol = symbols + lane * positions + first;
            for (size_t i = 0; i < count; i++) symbol[i] = got[i * lanes + lane];
        }
    }
    decoder->next = ec_reader_next(&reader, decoder);
    memcpy(decoder->state, x, sizeof x);
    return EC_OK;
}

int ec_decode_indexed(ec_decoder *decoder, const ec_tables *tables, const uint32_t *index, size_t positions,
                      uint16_t *symbols) {
    return EC_DISPATCH(decode, ec_kind(tables), decoder->lanes, decoder, tables, index, positions, symbols);
}
