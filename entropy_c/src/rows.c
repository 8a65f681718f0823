/* Distributions that the caller computes, one position at a time, and raw bits; on the states of a group. */
#include "rows.h"

int ec_encode_rows(ec_encoder *encoder, const uint16_t *starts, uint32_t symbols, uint32_t bits,
                   const uint16_t *values) {
    const uint32_t lanes = encoder->lanes;
    if (!ec_row_sizes_are_valid(symbols, bits)) return EC_ERR_ARGUMENT;
    if (ec_encode_bound(lanes, 1) > encoder->position) return EC_ERR_CAPACITY;
    uint32_t x[EC_LANES];
    uint8_t *out = encoder->buffer + encoder->position;
    for (uint32_t lane = lanes; lane-- > 0;) {
        const uint16_t *row = starts + (size_t)lane * symbols;
        if (!ec_row_is_valid(row, symbols, bits)) return EC_ERR_TABLE;
        if (values[lane] >= symbols) return EC_ERR_SYMBOL;
        const ec_interval s = ec_row_interval(row, symbols, bits, values[lane]);
        if (s.count == 0) return EC_ERR_SYMBOL;
        x[lane] = ec_push(encoder->state[lane], s, bits, &out);
    }
    encoder->position = (size_t)(out - encoder->buffer);
    memcpy(encoder->state, x, lanes * sizeof *x);
    return EC_OK;
}

int ec_decode_rows(ec_decoder *decoder, const uint16_t *starts, uint32_t symbols, uint32_t bits,
                   uint16_t *values) {
    const uint32_t lanes = decoder->lanes;
    if (!ec_row_sizes_are_valid(symbols, bits)) return EC_ERR_ARGUMENT;
    uint32_t x[EC_LANES];
    ec_reader reader;
    memcpy(x, decoder->state, sizeof x);
    ec_reader_init(&reader, decoder);
    if (!ec_reader_has(&reader)) return EC_ERR_TRUNCATED;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const uint16_t *row = starts + (size_t)lane * symbols;
        if (!ec_row_is_valid(row, symbols, bits)) return EC_ERR_TABLE;
        const uint32_t symbol = ec_row_find(row, symbols, x[lane] & ((1u << bits) - 1));
        const ec_interval s = ec_row_interval(row, symbols, bits, symbol);
        values[lane] = (uint16_t)symbol;
        x[lane] = ec_refill(ec_pop(x[lane], s, bits), &reader);
    }
    return ec_reader_done(&reader, x, decoder);
}

/* Raw bits are symbols of count 1 in a table of 2^bits. */
int ec_encode_bypass(ec_encoder *encoder, uint32_t bits, const uint16_t *values, size_t positions) {
    const uint32_t lanes = encoder->lanes;
    if (bits < 1 || bits > 16) return EC_ERR_ARGUMENT;
    if (ec_encode_bound(lanes, positions) > encoder->position) return EC_ERR_CAPACITY;
    uint32_t all = 0;
    for (size_t i = 0; i < lanes * positions; i++) all |= values[i];
    if (all >> bits != 0) return EC_ERR_SYMBOL;
    uint32_t x[EC_LANES];
    memcpy(x, encoder->state, sizeof x);
    uint8_t *out = encoder->buffer + encoder->position;
    for (size_t p = positions; p-- > 0;)
        for (uint32_t lane = lanes; lane-- > 0;) {
            const ec_interval s = {values[lane * positions + p], 1};
            x[lane] = ec_push(x[lane], s, bits, &out);
        }
    encoder->position = (size_t)(out - encoder->buffer);
    memcpy(encoder->state, x, sizeof x);
    return EC_OK;
}

int ec_decode_bypass(ec_decoder *decoder, uint32_t bits, size_t positions, uint16_t *values) {
    const uint32_t lanes = decoder->lanes;
    if (bits < 1 || bits > 16) return EC_ERR_ARGUMENT;
    uint32_t x[EC_LANES];
    memcpy(x, decoder->state, sizeof x);
    ec_reader reader;
    ec_reader_init(&reader, decoder);
    for (size_t p = 0; p < positions; p++) {
        if (!ec_reader_has(&reader)) return EC_ERR_TRUNCATED;
        for (uint32_t lane = 0; lane < lanes; lane++) {
            values[lane * positions + p] = (uint16_t)(x[lane] & ((1u << bits) - 1));
            x[lane] = ec_refill(x[lane] >> bits, &reader);
        }
    }
    return ec_reader_done(&reader, x, decoder);
}
