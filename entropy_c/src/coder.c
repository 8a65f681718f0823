/* Encoder and decoder structs: beginning and end of a group's stream. */
#include "rans.h"

int ec_encoder_init(ec_encoder *encoder, uint32_t lanes) {
    memset(encoder, 0, sizeof *encoder);
    if (lanes < 1 || lanes > EC_LANES) return EC_ERR_ARGUMENT;
    encoder->lanes = lanes;
    for (uint32_t lane = 0; lane < EC_LANES; lane++) encoder->state[lane] = EC_LOW;
    return EC_OK;
}

/* Lanes of group g. */
static uint32_t lanes_of(size_t g, size_t images) {
    const size_t left = images - g * EC_LANES;
    return left < EC_LANES ? (uint32_t)left : EC_LANES;
}

static int are_groups_of(size_t groups, size_t images) {
    return groups == images / EC_LANES + (images % EC_LANES > 0);
}

int ec_encoders_init(ec_encoder *encoders, size_t groups, size_t images) {
    if (!are_groups_of(groups, images)) return EC_ERR_ARGUMENT;
    for (size_t g = 0; g < groups; g++) (void)ec_encoder_init(encoders + g, lanes_of(g, images));
    return EC_OK;
}

void ec_encoder_attach(ec_encoder *encoder, uint8_t *buffer, size_t capacity) {
    encoder->buffer = buffer;
    encoder->capacity = capacity;
    encoder->position = capacity;
}

void ec_encoders_attach(ec_encoder *encoders, size_t groups, uint8_t *buffer, size_t each) {
    for (size_t g = 0; g < groups; g++) ec_encoder_attach(encoders + g, buffer + g * each, each);
}

size_t ec_encoders_words(const ec_encoder *encoders, size_t groups, uint8_t *out, uint64_t *sizes) {
    size_t total = 0;
    for (size_t g = 0; g < groups; g++) {
        const ec_encoder *e = encoders + g;
        sizes[g] = e->capacity - e->position;
        if (out != NULL && sizes[g] > 0) memcpy(out + total, e->buffer + e->position, (size_t)sizes[g]);
        total += (size_t)sizes[g];
    }
    return total;
}

size_t ec_encoders_room(const ec_encoder *encoders, size_t groups) {
    size_t room = SIZE_MAX;
    for (size_t g = 0; g < groups; g++)
        if (encoders[g].position < room) room = encoders[g].position;
    return room;
}

size_t ec_encode_bound(uint32_t lanes, size_t positions) {
    if (positions > (SIZE_MAX - EC_SLACK) / (4 * EC_LANES)) return SIZE_MAX;
    return 4 * (size_t)lanes * positions + EC_SLACK;
}

void ec_encoder_states(const ec_encoder *encoder, uint8_t *out) {
    for (uint32_t lane = 0; lane < encoder->lanes; lane++) {
        ec_store16(out + 4 * lane, encoder->state[lane]);
        ec_store16(out + 4 * lane + 2, encoder->state[lane] >> 16);
    }
}

int ec_encoders_heads(const ec_encoder *encoders, size_t groups, uint64_t *sizes) {
    for (size_t g = 0; g < groups; g++) {
        const ec_encoder *e = encoders + g;
        const size_t head = 4 * (size_t)e->lanes;
        if (e->position < head) return EC_ERR_CAPACITY;
        ec_encoder_states(e, e->buffer + e->position - head);
        sizes[g] = head + e->capacity - e->position;
    }
    return EC_OK;
}

int ec_decoder_init(ec_decoder *decoder, uint32_t lanes, const uint8_t *data, size_t bytes) {
    memset(decoder, 0, sizeof *decoder);
    if (lanes < 1 || lanes > EC_LANES) return EC_ERR_ARGUMENT;
    const size_t head = 4 * (size_t)lanes;
    if (bytes < head) return EC_ERR_TRUNCATED;
    if ((bytes - head) % 2 != 0) return EC_ERR_DAMAGED;
    for (uint32_t lane = 0; lane < EC_LANES; lane++) decoder->state[lane] = EC_LOW;
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

int ec_decoders_init(ec_decoder *decoders, size_t groups, size_t images, const uint8_t *data,
                     const uint64_t *sizes) {
    if (!are_groups_of(groups, images)) return EC_ERR_ARGUMENT;
    for (size_t g = 0; g < groups; g++) {
        const int status = ec_decoder_init(decoders + g, lanes_of(g, images), data, (size_t)sizes[g]);
        if (status != EC_OK) return status;
        data += sizes[g];
    }
    return EC_OK;
}

int ec_decoder_finish(const ec_decoder *decoder) {
    for (uint32_t lane = 0; lane < decoder->lanes; lane++)
        if (decoder->state[lane] != EC_LOW) return EC_ERR_DAMAGED;
    return decoder->next == decoder->count ? EC_OK : EC_ERR_DAMAGED;
}

size_t ec_decoders_finished(const ec_decoder *decoders, size_t groups) {
    size_t finished = 0;
    while (finished < groups && ec_decoder_finish(decoders + finished) == EC_OK) finished++;
    return finished;
}

int ec_reader_ready(ec_reader *r) {
    if (r->in_tail) return r->p <= r->end;
    const size_t left = (size_t)(r->end - r->p);
    memset(r->tail, 0, sizeof r->tail);
    memcpy(r->tail, r->p, left);
    r->p = r->tail;
    r->end = r->tail + left;
    r->in_tail = 1;
    return 1;
}

int ec_reader_done(const ec_reader *r, const uint32_t *x, ec_decoder *d) {
    if (r->p > r->end) return EC_ERR_TRUNCATED;
    memcpy(d->state, x, sizeof d->state);
    d->next = d->count - (size_t)(r->end - r->p) / 2;
    return EC_OK;
}
