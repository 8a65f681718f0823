/* Encoder and decoder structs: beginning and end of a group's stream. */
#include "rans.h"

int ec_encoder_init(ec_encoder *encoder, uint32_t lanes) {
    if (lanes < 1 || lanes > EC_LANES) return EC_ERR_ARGUMENT;
    memset(encoder, 0, sizeof *encoder);
    encoder->lanes = lanes;
    for (uint32_t lane = 0; lane < lanes; lane++) encoder->state[lane] = EC_LOW;
    return EC_OK;
}

void ec_encoder_attach(ec_encoder *encoder, uint8_t *buffer, size_t capacity) {
    encoder->buffer = buffer;
    encoder->capacity = capacity;
    encoder->position = capacity;
}

size_t ec_encode_bound(uint32_t lanes, size_t positions) {
    return positions > SIZE_MAX / (2 * EC_LANES) ? SIZE_MAX : 2 * (size_t)lanes * positions;
}

void ec_encoder_states(const ec_encoder *encoder, uint8_t *out) {
    for (uint32_t lane = 0; lane < encoder->lanes; lane++) {
        ec_store16(out + 4 * lane, encoder->state[lane]);
        ec_store16(out + 4 * lane + 2, encoder->state[lane] >> 16);
    }
}

int ec_decoder_init(ec_decoder *decoder, uint32_t lanes, const uint8_t *data, size_t bytes) {
    memset(decoder, 0, sizeof *decoder);
    if (lanes < 1 || lanes > EC_LANES) return EC_ERR_ARGUMENT;
    const size_t head = 4 * (size_t)lanes;
    if (bytes < head) return EC_ERR_TRUNCATED;
    if ((bytes - head) % 2 != 0) return EC_ERR_DAMAGED;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const uint32_t state = ec_load16(data + 4 * lane) | (ec_load16(data + 4 * lane + 2) << 16);
        if (state < EC_LOW) return EC_ERR_DAMAGED;
        decoder->state[lane] = state;
    }
    decoder->lanes = lanes;
    decoder->words = data + head;
    decoder->count = (bytes - head) / 2;
    return EC_OK;
}

int ec_decoder_finish(const ec_decoder *decoder) {
    for (uint32_t lane = 0; lane < decoder->lanes; lane++)
        if (decoder->state[lane] != EC_LOW) return EC_ERR_DAMAGED;
    return decoder->next == decoder->count ? EC_OK : EC_ERR_DAMAGED;
}
