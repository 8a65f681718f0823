/* Indexed symbols come back for every precision, layout, alphabet and number of lanes; bad input is refused.
 */
#include "common.h"

static void round_trip(uint32_t bits, int layout, uint32_t symbols, uint32_t lanes, size_t positions) {
    ec_tables *t;
    uint32_t *counts = random_counts(5, symbols, bits);
    const int status = ec_tables_create(counts, 5, symbols, bits, layout, &t);
    free(counts);
    if (status == EC_ERR_ARGUMENT) return; /* no fused layout for these sizes */
    assert(status == EC_OK);
    const size_t n = lanes * positions, bound = ec_encode_bound(lanes, positions);
    uint16_t *in = take(n * sizeof *in), *out = take(n * sizeof *out);
    uint32_t *index = take(n * sizeof *index);
    uint8_t *buffer = take(bound);
    for (size_t i = 0; i < n; i++) {
        in[i] = (uint16_t)below(symbols);
        index[i] = below(5);
    }
    ec_encoder e;
    ec_decoder d;
    size_t bytes;
    assert(ec_encoder_init(&e, lanes) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    assert(ec_encode_indexed(&e, t, in, index, positions) == EC_OK);
    uint8_t *stream = stream_of(&e, &bytes);
    assert(ec_decoder_init(&d, lanes, stream, bytes) == EC_OK);
    assert(ec_decode_indexed(&d, t, index, positions, out) == EC_OK);
    assert(ec_decoder_finish(&d) == EC_OK);
    assert(memcmp(in, out, n * sizeof *in) == 0);

    if (n > 0) { /* refusals leave the encoder as it was */
        ec_encoder before = e;
        uint8_t *more = take(bound);
        ec_encoder_attach(&e, more, bound);
        const ec_encoder attached = e;
        const uint16_t symbol = in[n - 1];
        in[n - 1] = (uint16_t)symbols;
        assert(ec_encode_indexed(&e, t, in, index, positions) == EC_ERR_SYMBOL);
        in[n - 1] = symbol;
        index[0] = 5;
        assert(ec_encode_indexed(&e, t, in, index, positions) == EC_ERR_INDEX);
        assert(ec_decoder_init(&d, lanes, stream, bytes) == EC_OK);
        assert(ec_decode_indexed(&d, t, index, positions, out) == EC_ERR_INDEX);
        index[0] = 0;
        assert(memcmp(&e, &attached, sizeof e) == 0);
        ec_encoder_attach(&e, more, bound - 1);
        assert(ec_encode_indexed(&e, t, in, index, positions) == EC_ERR_CAPACITY);
        assert(memcmp(e.state, before.state, sizeof e.state) == 0);
        free(more);
    }
    free(stream);
    free(buffer);
    free(index);
    free(in);
    free(out);
    ec_tables_free(t);
}

int main(void) {
    const uint32_t alphabets[] = {2, 17, 200, 256, 700};
    const uint32_t lanes[] = {1, 2, 31, 32};
    const size_t positions[] = {0, 1, 191, 192, 193, 500};
    for (uint32_t bits = 8; bits <= 16; bits++)
        for (int layout = EC_LAYOUT_FUSED; layout <= EC_LAYOUT_BUCKETED; layout++)
            for (size_t a = 0; a < 5; a++)
                for (size_t l = 0; l < 4; l++)
                    for (size_t p = 0; p < 6; p++)
                        if (alphabets[a] <= 1u << bits)
                            round_trip(bits, layout, alphabets[a], lanes[l], positions[p]);

    const uint32_t counts[4] = {200, 0, 0, 56}; /* a symbol without a count */
    const uint16_t symbol = 1;
    const uint32_t index = 0;
    uint8_t buffer[2];
    ec_tables *t;
    ec_encoder e;
    ec_decoder d;
    assert(ec_tables_create(counts, 1, 4, 8, EC_LAYOUT_AUTO, &t) == EC_OK);
    assert(ec_encoder_init(&e, 1) == EC_OK);
    ec_encoder_attach(&e, buffer, sizeof buffer);
    assert(ec_encode_indexed(&e, t, &symbol, &index, 1) == EC_ERR_SYMBOL);
    ec_tables_free(t);
    assert(ec_encoder_init(&e, 0) == EC_ERR_ARGUMENT && ec_encoder_init(&e, 33) == EC_ERR_ARGUMENT);
    assert(ec_decoder_init(&d, 0, buffer, 2) == EC_ERR_ARGUMENT);
    assert(ec_encode_bound(32, SIZE_MAX / 2) == SIZE_MAX);
    puts("indexed ok");
    return 0;
}
