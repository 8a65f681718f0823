/* Indexed symbols come back for every precision, layout, alphabet, number of lanes and width of the index;
 * what cannot be coded is refused, and refusals leave no trace. */
#include "cases.h"

enum { TABLES = 5 };

typedef struct sizes_t {
    uint32_t bits, symbols, lanes, index_bytes;
    int layout;
    size_t positions;
} sizes_t;

static void put(void *index, uint32_t bytes, size_t i, uint32_t value) {
    if (bytes == 1) ((uint8_t *)index)[i] = (uint8_t)value;
    if (bytes == 2) ((uint16_t *)index)[i] = (uint16_t)value;
    if (bytes == 4) ((uint32_t *)index)[i] = value;
}

static uint32_t *some_counts(uint32_t symbols, uint32_t bits) {
    uint32_t *counts = take(TABLES * symbols * sizeof *counts);
    for (uint32_t i = 0; i < TABLES; i++) random_counts(counts + i * symbols, symbols, bits);
    return counts;
}

/* Symbols of one byte give the bytes that two-byte ones give, and come back. */
static void as_bytes(const ec_tables *t, sizes_t s, const uint16_t *in, const void *which,
                     uint8_t *const *stream, const size_t *sizes) {
    const size_t n = (EC_LANES + s.lanes) * s.positions;
    if (s.symbols > 256) {
        ec_encoder e[2];
        ec_decoder d[2];
        for (int i = 0; i < 2; i++) assert(ec_encoder_init(&e[i], i == 0 ? EC_LANES : s.lanes) == EC_OK);
        for (int i = 0; i < 2; i++) assert(ec_decoder_init(&d[i], e[i].lanes, stream[i], sizes[i]) == EC_OK);
        assert(ec_encode_indexed(e, 2, t, in, 1, which, s.index_bytes, 0) == EC_ERR_ARGUMENT);
        assert(ec_decode_indexed(d, 2, t, which, s.index_bytes, 0, NULL, 1) == EC_ERR_ARGUMENT);
        return;
    }
    uint8_t *bytes = take(n), *out = take(n);
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)in[i];
    ec_encoder e[2];
    ec_decoder d[2];
    uint8_t *buffer[2];
    for (int i = 0; i < 2; i++) {
        assert(ec_encoder_init(&e[i], i == 0 ? EC_LANES : s.lanes) == EC_OK);
        const size_t bound = ec_encode_bound(e[i].lanes, s.positions) + 4 * (size_t)e[i].lanes;
        buffer[i] = take(bound);
        ec_encoder_attach(&e[i], buffer[i], bound);
    }
    assert(ec_encode_indexed(e, 2, t, bytes, 1, which, s.index_bytes, s.positions) == EC_OK);
    for (int i = 0; i < 2; i++) {
        uint8_t states[4 * EC_LANES];
        const size_t head = 4 * (size_t)e[i].lanes, words = e[i].capacity - e[i].position;
        ec_encoder_states(&e[i], states);
        assert(head + words == sizes[i] && memcmp(states, stream[i], head) == 0);
        uint64_t size;
        assert(ec_encoders_heads(&e[i], 1, &size) == EC_OK && size == sizes[i]);
        assert(memcmp(buffer[i] + e[i].capacity - size, stream[i], sizes[i]) == 0);
        assert(memcmp(buffer[i] + e[i].position, stream[i] + head, words) == 0);
        assert(ec_decoder_init(&d[i], e[i].lanes, stream[i], sizes[i]) == EC_OK);
    }
    const size_t room[2] = {e[0].position, e[1].position};
    assert(ec_encoders_room(e, 2) == (room[0] < room[1] ? room[0] : room[1]));
    e[1].position = 4 * (size_t)e[1].lanes - 1; /* one byte too few for the states */
    uint64_t both[2];
    assert(ec_encoders_heads(e, 2, both) == EC_ERR_CAPACITY);
    drop(buffer[0]);
    drop(buffer[1]);
    assert(ec_decode_indexed(d, 2, t, which, s.index_bytes, s.positions, out, 1) == EC_OK);
    assert(ec_decoder_finish(&d[0]) == EC_OK && ec_decoder_finish(&d[1]) == EC_OK);
    assert(ec_decoders_finished(d, 2) == 2);
    d[1].state[0]++;
    assert(ec_decoders_finished(d, 2) == 1 && ec_decoders_finished(d + 1, 1) == 0);
    assert(memcmp(bytes, out, n) == 0);
    drop(bytes);
    drop(out);
}

/* Two groups, the first of EC_LANES lanes; the second one's data are spoilt at first. */
static void round_trip(sizes_t s) {
    ec_tables *t;
    uint32_t *counts = some_counts(s.symbols, s.bits);
    const int status = ec_tables_create(counts, TABLES, s.symbols, s.bits, 0, s.layout, &t);
    if (status != EC_OK) {
        assert(status == EC_ERR_ARGUMENT);
        assert(s.layout == EC_LAYOUT_FUSED || (s.layout >= EC_LAYOUT_BUCKETS && s.symbols > 257));
        drop(counts);
        return;
    }
    const size_t n = (EC_LANES + s.lanes) * s.positions;
    const size_t bound[2] = {ec_encode_bound(EC_LANES, s.positions), ec_encode_bound(s.lanes, s.positions)};
    uint16_t *in = take(n * sizeof *in), *out = take(n * sizeof *out);
    void *index = take(n * s.index_bytes), *which = s.index_bytes > 0 ? index : NULL;
    uint8_t *buffer[2] = {take(bound[0]), take(bound[1])};
    for (size_t i = 0; i < n; i++) {
        const uint32_t table = s.index_bytes > 0 ? below(TABLES) : 0;
        put(index, s.index_bytes, i, table);
        do in[i] = (uint16_t)below(s.symbols);
        while (counts[table * s.symbols + in[i]] == 0);
    }
    ec_encoder e[2], before;
    assert(ec_encoder_init(&e[0], EC_LANES) == EC_OK && ec_encoder_init(&e[1], s.lanes) == EC_OK);
    if (n > 0) {
        const size_t last = n - 1;
        ec_encoder_attach(&e[1], buffer[1], bound[1]);
        before = e[1];
#define ENCODE()                                                                                             \
    (ec_encoder_attach(&e[0], buffer[0], bound[0]),                                                          \
     ec_encode_indexed(e, 2, t, in, 2, which, s.index_bytes, s.positions))
        const uint16_t symbol = in[last];
        if (s.symbols < 65536) {
            in[last] = (uint16_t)s.symbols;
            assert(ENCODE() == EC_ERR_SYMBOL && memcmp(&e[1], &before, sizeof before) == 0);
            in[last] = symbol;
        }
        if (s.index_bytes > 0) {
            put(index, s.index_bytes, last, TABLES);
            assert(ENCODE() == EC_ERR_INDEX && memcmp(&e[1], &before, sizeof before) == 0);
            put(index, s.index_bytes, last, 0);
            for (uint32_t k = 0; k < s.symbols; k++) /* one that table 0 can code */
                if (counts[k] > 0) in[last] = (uint16_t)k;
        }
        ec_encoder_attach(&e[1], buffer[1], bound[1] - 1);
        assert(ENCODE() == EC_ERR_CAPACITY);
        assert(e[0].position < e[0].capacity || memcmp(e[0].state, e[1].state, sizeof e[0].state) != 0);
        assert(ec_encoder_init(&e[0], EC_LANES) == EC_OK);
    }
    for (int i = 0; i < 2; i++) ec_encoder_attach(&e[i], buffer[i], bound[i]);
    assert(ec_encode_indexed(e, 2, t, in, 2, which, s.index_bytes, s.positions) == EC_OK);
    ec_decoder d[2];
    uint8_t *stream[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        const size_t head = 4 * (size_t)e[i].lanes, words = e[i].capacity - e[i].position;
        sizes[i] = head + words;
        stream[i] = take(sizes[i]);
        ec_encoder_states(&e[i], stream[i]);
        memcpy(stream[i] + head, buffer[i] + e[i].position, words);
        assert(ec_decoder_init(&d[i], e[i].lanes, stream[i], head + words) == EC_OK);
    }
    assert(ec_decode_indexed(d, 2, t, which, s.index_bytes, s.positions, out, 2) == EC_OK);
    assert(ec_decoder_finish(&d[0]) == EC_OK && ec_decoder_finish(&d[1]) == EC_OK);
    assert(memcmp(in, out, n * sizeof *in) == 0);
    as_bytes(t, s, in, which, stream, sizes);
    if (n > 0 && s.index_bytes > 0) {
        put(index, s.index_bytes, 0, TABLES);
        assert(ec_decode_indexed(d, 2, t, which, s.index_bytes, s.positions, out, 2) == EC_ERR_INDEX);
    }
    void *const all[] = {counts, in, out, index, buffer[0], buffer[1], stream[0], stream[1]};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) drop(all[i]);
    ec_tables_free(t);
}

static void all_sizes(void) {
    const uint32_t alphabets[] = {2, 16, 17, 32, 33, 256, 257, 700};
    const uint32_t lanes[] = {1, 2, 8, 9, 31, 32}, widths[] = {0, 1, 2, 4};
    const size_t positions[] = {0, 1, 7, 63, 64, 65, 129};
    for (uint32_t bits = 8; bits <= 16; bits++)
        for (int layout = EC_LAYOUT_FUSED; layout <= EC_LAYOUT_SPLITS; layout++)
            for (size_t a = 0; a < sizeof alphabets / sizeof alphabets[0]; a++)
                for (size_t i = 0; i < 3; i++)
                    round_trip((sizes_t){bits, alphabets[a], lanes[below(6)], widths[below(4)], layout,
                                         positions[i == 0 ? below(7) : 3 + below(4)]});
}

static void escapes(void) {
    const uint32_t counts[2][4] = {{200, 0, 0, 56}, {100, 56, 100, 0}}; /* over 3 symbols and the escape */
    const uint16_t symbols[6] = {1, 0, 2, 1, 2, 0};
    const uint8_t tables[6] = {0, 0, 0, 1, 1, 1}, none = 1;
    uint8_t buffer[4 * 6 + 16], stream[4 + 4 * 6];
    uint16_t out[6];
    ec_tables *t;
    ec_encoder e;
    ec_decoder d;
    assert(ec_tables_create(counts[0], 2, 3, 8, 1, EC_LAYOUT_AUTO, &t) == EC_OK);
    assert(ec_encoder_init(&e, 1) == EC_OK);
    ec_encoder_attach(&e, buffer, sizeof buffer);
    assert(ec_encode_indexed(&e, 1, t, symbols, 2, tables, 1, 6) == EC_OK);
    ec_encoder_states(&e, stream);
    const size_t words = e.capacity - e.position;
    memcpy(stream + 4, buffer + e.position, words);
    assert(ec_decoder_init(&d, 1, stream, 4 + words) == EC_OK);
    assert(ec_decode_indexed(&d, 1, t, tables, 1, 6, out, 2) == EC_OK && ec_decoder_finish(&d) == EC_OK);
    assert(memcmp(out, symbols, sizeof out) == 0);
    /* The escape owns the slots from 200 on; its raw bits are then slot modulo 4, and 3 is no symbol. */
    for (uint32_t slot = 200; slot < 256; slot++) {
        const uint8_t state[4] = {(uint8_t)slot, 0, 0, 3};
        assert(ec_decoder_init(&d, 1, state, 4) == EC_OK);
        const int status = ec_decode_indexed(&d, 1, t, tables, 1, 1, out, 2);
        assert(status == (slot % 4 == 3 ? EC_ERR_DAMAGED : EC_OK));
        assert(status != EC_OK || out[0] == slot % 4);
    }
    ec_tables_free(t);
    assert(ec_tables_create(counts[0], 2, 4, 8, 0, EC_LAYOUT_AUTO, &t) == EC_OK); /* and without an escape */
    ec_encoder_attach(&e, buffer, sizeof buffer);
    assert(ec_encode_indexed(&e, 1, t, symbols, 2, tables, 1, 1) == EC_ERR_SYMBOL);
    ec_tables_free(t);
    const uint32_t no_escape[4] = {200, 0, 56, 0};
    assert(ec_tables_create(no_escape, 1, 3, 8, 1, EC_LAYOUT_AUTO, &t) ==
           EC_OK); /* this row has no count for it */
    assert(ec_encode_indexed(&e, 1, t, symbols, 2, NULL, 0, 1) == EC_ERR_SYMBOL);
    assert(ec_encode_indexed(&e, 1, t, symbols + 1, 2, &none, 1, 1) == EC_ERR_INDEX);
    assert(ec_encode_indexed(&e, 1, t, symbols + 1, 2, &none, 3, 1) == EC_ERR_ARGUMENT);
    assert(ec_encode_indexed(&e, 1, t, symbols + 1, 2, NULL, 1, 1) == EC_ERR_ARGUMENT);
    assert(ec_encode_indexed(&e, 1, t, symbols + 1, 4, NULL, 0, 1) == EC_ERR_ARGUMENT);
    assert(ec_decode_indexed(&d, 1, t, &none, 0, 1, out, 2) == EC_ERR_ARGUMENT);
    ec_tables_free(t);
}

static void ends(void) {
    uint8_t data[8] = {0, 0, 1, 0, 0, 0, 0, 0}; /* one state of 2^16, then two words */
    ec_encoder e;
    ec_decoder d;
    assert(ec_encoder_init(&e, 0) == EC_ERR_ARGUMENT && ec_encoder_init(&e, 33) == EC_ERR_ARGUMENT);
    assert(ec_decoder_init(&d, 0, data, 4) == EC_ERR_ARGUMENT &&
           ec_decoder_init(&d, 33, data, 8) == EC_ERR_ARGUMENT);
    assert(ec_decoder_init(&d, 1, data, 3) == EC_ERR_TRUNCATED);
    assert(ec_decoder_init(&d, 1, data, 5) == EC_ERR_DAMAGED);
    assert(ec_decoder_init(&d, 2, data, 8) == EC_ERR_DAMAGED); /* the second state is 0 */
    assert(ec_decoder_init(&d, 1, data, 4) == EC_OK && ec_decoder_finish(&d) == EC_OK);
    assert(ec_decoder_init(&d, 1, data, 6) == EC_OK && ec_decoder_finish(&d) == EC_ERR_DAMAGED);
    data[0] = 1;
    assert(ec_decoder_init(&d, 1, data, 4) == EC_OK && ec_decoder_finish(&d) == EC_ERR_DAMAGED);
    assert(ec_encode_bound(32, SIZE_MAX / 2) == SIZE_MAX);
    assert(ec_encode_bound(3, 5) == 4 * 3 * 5 + 16);
}

int main(void) {
    on_every_isa(all_sizes);
    on_every_isa(escapes);
    ends();
    puts("indexed ok");
    return 0;
}
