/* Explicit rows and raw bits by themselves: round trips, exact sizes, refusals. Among the other kinds of
 * data, and damaged, they are in the random cases of the other programs. */
#include "cases.h"
#include "rows_common.h"

/* The whole stream of a group, allocated to the byte. */
static stream_t stream_of(const ec_encoder *e) {
    const size_t head = 4 * (size_t)e->lanes, words = e->capacity - e->position;
    const stream_t stream = {take(head + words), head + words};
    ec_encoder_states(e, stream.data);
    memcpy(stream.data + head, e->buffer + e->position, words);
    return stream;
}

static void rows(uint32_t lanes, size_t positions, uint32_t symbols, uint32_t bits) {
    const size_t n = lanes * positions, bound = ec_encode_bound(lanes, positions);
    uint16_t *starts = take(2 * n * symbols), *in = take(2 * n), *out = take(2 * n);
    uint8_t *buffer = take(bound);
    for (size_t i = 0; i < n; i++) {
        random_row(starts + i * symbols, symbols, bits);
        in[i] = row_symbol(starts + i * symbols, symbols, bits);
    }
    ec_encoder e;
    ec_decoder d;
    assert(ec_encoder_init(&e, lanes) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    for (size_t p = positions; p-- > 0;) {
        const size_t at = p * lanes;
        assert(ec_encode_rows(&e, starts + at * symbols, symbols, bits, in + at) == EC_OK);
    }
    const stream_t stream = stream_of(&e);
    assert(ec_decoder_init(&d, lanes, stream.data, stream.bytes) == EC_OK);
    for (size_t p = 0; p < positions; p++) {
        const size_t at = p * lanes;
        assert(ec_decode_rows(&d, starts + at * symbols, symbols, bits, out + at) == EC_OK);
    }
    assert(ec_decoder_finish(&d) == EC_OK);
    assert(n == 0 || memcmp(in, out, 2 * n) == 0);
    drop(stream.data);
    drop(buffer);
    drop(starts);
    drop(in);
    drop(out);
}

static void bypass(uint32_t lanes, size_t positions, uint32_t bits) {
    const size_t n = lanes * positions, bound = ec_encode_bound(lanes, positions);
    uint16_t *in = take(2 * n), *out = take(2 * n);
    uint8_t *buffer = take(bound);
    for (size_t i = 0; i < n; i++) in[i] = (uint16_t)below(1u << bits);
    ec_encoder e;
    ec_decoder d;
    assert(ec_encoder_init(&e, lanes) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    assert(ec_encode_bypass(&e, bits, in, positions) == EC_OK);
    const stream_t stream = stream_of(&e);
    size_t held = 0; /* exactly `bits` bits each, in words or above the leading one of a state */
    for (uint32_t lane = 0; lane < lanes; lane++) {
        uint32_t log = 0;
        while (e.state[lane] >> log > 1) log++;
        held += log - 16;
    }
    assert(8 * (stream.bytes - 4 * lanes) + held == bits * n);
    assert(ec_decoder_init(&d, lanes, stream.data, stream.bytes) == EC_OK);
    assert(ec_decode_bypass(&d, bits, positions, out) == EC_OK);
    assert(ec_decoder_finish(&d) == EC_OK);
    assert(n == 0 || memcmp(in, out, 2 * n) == 0);
    if (n > 0) {
        const ec_encoder before = e;
        if (bits < 16) {
            in[below((uint32_t)n)] |= (uint16_t)(1u << bits);
            ec_encoder_attach(&e, buffer, bound);
            assert(ec_encode_bypass(&e, bits, in, positions) == EC_ERR_SYMBOL);
        }
        ec_encoder_attach(&e, buffer, bound - 1);
        assert(ec_encode_bypass(&e, bits, in, positions) == EC_ERR_CAPACITY);
        assert(memcmp(before.state, e.state, sizeof e.state) == 0 && e.position == bound - 1);
        assert(ec_encode_bypass(&e, 0, in, positions) == EC_ERR_ARGUMENT);
        assert(ec_encode_bypass(&e, 17, in, positions) == EC_ERR_ARGUMENT);
        assert(ec_decode_bypass(&d, 0, positions, out) == EC_ERR_ARGUMENT);
        assert(ec_decode_bypass(&d, 17, positions, out) == EC_ERR_ARGUMENT);
        if (positions >= 2) assert(ec_decode_bypass(&d, 16, 2, out) == EC_ERR_TRUNCATED);
    }
    drop(stream.data);
    drop(buffer);
    drop(in);
    drop(out);
}

/* A refused call leaves encoder and decoder as they were. */
static void refused(int expected, const uint16_t starts[2][3], uint32_t symbols, uint32_t bits,
                    uint16_t first) {
    uint8_t buffer[4 * 2 + 16];
    const uint8_t words[12] = {0, 0, 1, 0, 0, 0, 1, 0, 7, 7, 7, 7};
    uint16_t values[2] = {first, 1}, out[2];
    ec_encoder e, e_before;
    ec_decoder d, d_before;
    assert(ec_encoder_init(&e, 2) == EC_OK);
    ec_encoder_attach(&e, buffer, sizeof buffer);
    e_before = e;
    assert(ec_encode_rows(&e, starts[0], symbols, bits, values) == expected);
    assert(memcmp(&e, &e_before, sizeof e) == 0);
    if (expected == EC_ERR_SYMBOL) return;
    assert(ec_decoder_init(&d, 2, words, sizeof words) == EC_OK);
    d_before = d;
    assert(ec_decode_rows(&d, starts[0], symbols, bits, out) == expected);
    assert(memcmp(&d, &d_before, sizeof d) == 0);
}

static void refusals(void) {
    const uint16_t good[2][3] = {{0, 10, 20}, {0, 10, 20}};
    refused(EC_ERR_ARGUMENT, good, 0, 8, 0);
    refused(EC_ERR_ARGUMENT, good, 65537, 8, 0);
    refused(EC_ERR_ARGUMENT, good, 3, 7, 0);
    refused(EC_ERR_ARGUMENT, good, 3, 17, 0);
    refused(EC_ERR_SYMBOL, good, 3, 8, 3);
    const uint16_t gap[2][3] = {{0, 0, 20}, {0, 10, 20}};
    refused(EC_ERR_SYMBOL, gap, 3, 8, 0);
    const uint16_t full[2][3] = {{0, 10, 256}, {0, 10, 20}};
    refused(EC_ERR_SYMBOL, full, 3, 8, 2);
    const uint16_t bad[][2][3] = {
        {{1, 10, 20}, {0, 10, 20}},  {{0, 10, 9}, {0, 10, 20}}, {{0, 10, 257}, {0, 10, 20}},
        {{0, 400, 20}, {0, 10, 20}}, {{0, 10, 20}, {5, 4, 20}}, {{0, 10, 20}, {65535, 65535, 65535}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) refused(EC_ERR_TABLE, bad[i], 3, 8, 1);

    ec_encoder e;
    uint8_t buffer[4 * 2 + 16];
    const uint16_t values[2] = {1, 1};
    uint16_t out[2];
    assert(ec_encoder_init(&e, 2) == EC_OK);
    ec_encoder_attach(&e, buffer, sizeof buffer - 1);
    assert(ec_encode_rows(&e, good[0], 3, 8, values) == EC_ERR_CAPACITY);

    /* Two states that need a word each after a symbol of count 10 in 256: one word is not enough. */
    const uint8_t stream[10] = {10, 0, 1, 0, 10, 0, 1, 0, 5, 5};
    ec_decoder d;
    assert(ec_decoder_init(&d, 2, stream, sizeof stream) == EC_OK);
    assert(ec_decode_rows(&d, good[0], 3, 8, out) == EC_ERR_TRUNCATED);
    assert(d.next == 0 && d.state[0] == 65546 && d.state[1] == 65546);
}

int main(void) {
    for (uint32_t bits = 8; bits <= 16; bits++)
        for (int i = 0; i < 20; i++)
            rows(1 + below(EC_LANES), below(30), 1 + below(below(2) ? 5 : 400), bits);
    rows(EC_LANES, 3, 256, 16);
    rows(2, 2, 65536, 16);
    rows(3, 1, 65536, 8);
    for (uint32_t bits = 1; bits <= 16; bits++)
        for (int i = 0; i < 8; i++) bypass(1 + below(EC_LANES), below(70), bits);
    refusals();
    puts("rows ok");
    return 0;
}
