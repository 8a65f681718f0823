/* Damaged streams: whatever the bytes, decoding ends with a status and touches nothing outside its arrays
 * (everything is allocated to the byte for the address sanitizer). Also counts what the end checks catch. */
#include "common.h"

enum { LANES = 9, H = 6, W = 5, G = 2, K = 6, POSITIONS = 40 };

typedef struct {
    ec_tables *indexed, *latents;
    ec_fsar *fsar;
    ec_pixels *pixels;
    uint16_t symbols[LANES * POSITIONS], indices[LANES * G * H * W];
    uint32_t index[LANES * POSITIONS];
    uint8_t images[LANES * 3 * H * W], scales[LANES * 3 * H * W];
    int16_t logits[LANES * 3 * H * W];
} data_t;

static uint8_t *encode(const data_t *v, size_t *bytes) {
    const size_t room = ec_encode_bound(LANES, POSITIONS) + ec_encode_bound(LANES, G * H * W) +
                        ec_encode_bound(LANES, 3 * H * W);
    uint8_t *buffer = take(room);
    ec_encoder e;
    assert(ec_encoder_init(&e, LANES) == EC_OK);
    ec_encoder_attach(&e, buffer, room);
    assert(ec_encode_pixels(&e, v->pixels, v->images, v->logits, v->scales, H, W) == EC_OK);
    assert(ec_encode_fsar(&e, v->fsar, v->indices, H, W) == EC_OK);
    assert(ec_encode_indexed(&e, v->indexed, v->symbols, v->index, POSITIONS) == EC_OK);
    uint8_t *stream = stream_of(&e, bytes);
    free(buffer);
    return stream;
}

/* The first bad status; *same tells whether everything came back as it was. */
static int decode(const data_t *v, const uint8_t *stream, size_t bytes, int *same) {
    uint16_t *symbols = take(sizeof v->symbols), *indices = take(sizeof v->indices);
    uint16_t *scratch = take(ec_fsar_scratch(v->fsar, LANES, H, W));
    uint8_t *images = take(sizeof v->images), *history = take(ec_pixels_scratch(v->pixels, LANES, H, W));
    ec_decoder d;
    int status = ec_decoder_init(&d, LANES, stream, bytes);
    if (status == EC_OK) status = ec_decode_indexed(&d, v->indexed, v->index, POSITIONS, symbols);
    if (status == EC_OK) status = ec_decode_fsar(&d, v->fsar, H, W, indices, scratch);
    if (status == EC_OK)
        status = ec_decode_pixels(&d, v->pixels, v->logits, v->scales, H, W, images, history);
    if (status == EC_OK) status = ec_decoder_finish(&d);
    *same = status == EC_OK && memcmp(symbols, v->symbols, sizeof v->symbols) == 0 &&
            memcmp(indices, v->indices, sizeof v->indices) == 0 &&
            memcmp(images, v->images, sizeof v->images) == 0;
    free(symbols);
    free(indices);
    free(scratch);
    free(images);
    free(history);
    return status;
}

static void damage(const data_t *v, const uint8_t *stream, size_t bytes) {
    size_t tried = 0, caught = 0;
    int same;
    assert(decode(v, stream, bytes, &same) == EC_OK && same);
    for (size_t cut = 0; cut < bytes; cut++) { /* every truncation is caught */
        uint8_t *copy = take(cut);
        memcpy(copy, stream, cut);
        assert(decode(v, copy, cut, &same) != EC_OK);
        free(copy);
    }
    for (int i = 0; i < 4000; i++) {
        const size_t extra = i % 4 == 3 ? 1 + below(70) : 0;
        uint8_t *copy = take(bytes + extra);
        memcpy(copy, stream, bytes);
        for (size_t k = 0; k < extra; k++) copy[bytes + k] = (uint8_t)below(256);
        if (i % 4 == 0) copy[below((uint32_t)bytes)] ^= (uint8_t)(1u << below(8));
        if (i % 4 == 1) copy[below((uint32_t)bytes)] = (uint8_t)below(256);
        if (i % 4 == 2)
            for (uint32_t k = below(200); k > 0; k--) copy[below((uint32_t)bytes)] = (uint8_t)below(256);
        const int altered = extra > 0 || memcmp(copy, stream, bytes) != 0;
        const int status = decode(v, copy, bytes + extra, &same);
        assert(status == EC_OK || status == EC_ERR_TRUNCATED || status == EC_ERR_DAMAGED);
        assert(same == !altered);
        tried += (size_t)altered;
        caught += (size_t)(altered && status != EC_OK);
        free(copy);
    }
    printf("%zu of %zu alterations caught by the stream's own checks; ", caught, tried);
    fflush(stdout);
    assert(caught >=
           tried - tried / 50); /* symbols of count 1 change places unnoticed; these tables have many */
}

/* Data that look like the model: what decoding random words gives. */
static void draw(data_t *v) {
    const size_t bytes = 4 * LANES + 2 * LANES * (POSITIONS + G * H * W + 3 * H * W);
    uint8_t *noise = take(bytes), *history = take(ec_pixels_scratch(v->pixels, LANES, H, W));
    uint16_t *scratch = take(ec_fsar_scratch(v->fsar, LANES, H, W));
    for (size_t i = 0; i < bytes; i++) noise[i] = (uint8_t)(below(255) + 1); /* states are at least 2^16 */
    ec_decoder d;
    assert(ec_decoder_init(&d, LANES, noise, bytes) == EC_OK);
    assert(ec_decode_indexed(&d, v->indexed, v->index, POSITIONS, v->symbols) == EC_OK);
    assert(ec_decode_fsar(&d, v->fsar, H, W, v->indices, scratch) == EC_OK);
    assert(ec_decode_pixels(&d, v->pixels, v->logits, v->scales, H, W, v->images, history) == EC_OK);
    assert(ec_decoder_finish(&d) == EC_ERR_DAMAGED);
    free(noise);
    free(history);
    free(scratch);
}

int main(void) {
    static data_t v;
    const int32_t offsets[6] = {0, -1, 0, -1, 0, 0};
    v.pixels = some_pixels();
    for (size_t i = 0; i < sizeof v.images; i++) {
        v.scales[i] = (uint8_t)(1 + below(SCALES - 1));
        v.logits[i] = (int16_t)((int32_t)below(4096) - 2048);
    }
    for (size_t i = 0; i < LANES * POSITIONS; i++) v.index[i] = below(3);
    for (int layout = EC_LAYOUT_FUSED; layout <= EC_LAYOUT_BUCKETED; layout++) {
        size_t bytes;
        v.indexed = random_tables(3, 200, 11, layout);
        v.latents = random_tables(G * (K + 1) * (K + 1), K, 12, layout);
        assert(ec_fsar_create(v.latents, offsets, 2, G, &v.fsar) == EC_OK);
        draw(&v);
        uint8_t *stream = encode(&v, &bytes);
        damage(&v, stream, bytes);
        free(stream);
        ec_fsar_free(v.fsar);
        ec_tables_free(v.indexed);
        ec_tables_free(v.latents);
    }
    ec_pixels_free(v.pixels);
    puts("damage ok");
    return 0;
}
