/* Convolutions: the bytes are those of explicit rows whose counts a plain softmax gives; refusals; damage. */
#include <math.h>

#include "common.h"

typedef struct model_t {
    ec_convolution c;
    int32_t *offsets, *bias;
    int16_t *rows;
} model_t;

static model_t random_model(uint32_t groups, uint32_t symbols, uint32_t bits, uint32_t planes,
                            int checkerboard) {
    const uint32_t taps = below(6), outputs = groups * symbols;
    const size_t count = (size_t)taps * groups * symbols * outputs;
    const int32_t reach = below(4) ? 300 : 32767; /* units of 1/256 bit: one bit, or beyond all sense */
    model_t m;
    m.offsets = take(3 * taps * sizeof *m.offsets);
    m.bias = take(outputs * sizeof *m.bias);
    m.rows = take(count * sizeof *m.rows);
    for (uint32_t t = 0; t < taps; t++) {
        int32_t *o = m.offsets + 3 * t;
        const int any = checkerboard; /* order of decoding does not matter: neighbours are given */
        o[0] = between(-2, any ? 2 : 0);
        o[1] = o[0] == 0 && !any ? between(-3, 0) : between(-3, 3);
        o[2] = o[0] == 0 && o[1] == 0 && !any ? between(-3, -1) : between(-3, 3);
        if (checkerboard && (o[1] + o[2]) % 2 == 0) o[2]++;
    }
    for (uint32_t i = 0; i < outputs; i++) m.bias[i] = between(-reach, reach);
    if (below(4) == 0) m.bias[0] = 1 << 24;
    for (size_t i = 0; i < count; i++) m.rows[i] = (int16_t)between(-reach - 1, reach);
    m.c = (ec_convolution){m.offsets, m.rows, m.bias, taps, groups, symbols, bits, planes, checkerboard};
    return m;
}

static void drop_model(model_t *m) {
    drop(m->offsets);
    drop(m->bias);
    drop(m->rows);
}

/* floor(2^(30 - f / 256)): no value but the first is so close to a whole number that doubles could err. */
static uint64_t fraction(uint32_t f) { return (uint64_t)exp2(30 - f / 256.0); }

/* docs/FORMAT-bundle.md, section 5, step by step; starts: [symbols]. */
static void plain_softmax(const int64_t *logits, uint32_t symbols, uint32_t bits, uint16_t *starts) {
    static uint64_t fractions[256];
    if (fractions[0] == 0)
        for (uint32_t f = 0; f < 256; f++) fractions[f] = fraction(f);
    uint64_t *w = take(symbols * sizeof *w), sum = 0, all = 0, before = 0;
    int64_t largest = INT64_MIN;
    for (uint32_t k = 0; k < symbols; k++) largest = logits[k] > largest ? logits[k] : largest;
    for (uint32_t k = 0; k < symbols; k++) {
        const int64_t d = largest - logits[k];
        w[k] = fractions[d % 256] >> (d / 256 < 63 ? d / 256 : 63);
        sum += w[k];
    }
    for (uint32_t k = 0; k < symbols; k++) {
        w[k] = w[k] > sum >> bits ? w[k] - (sum >> bits) : 0;
        all += w[k];
    }
    for (uint32_t k = 0; k < symbols; k++) {
        starts[k] = (uint16_t)(k + before * (((uint64_t)1 << bits) - symbols) / (all > 0 ? all : 1));
        before += w[k];
    }
    drop(w);
}

static size_t at(const ec_convolution *c, uint32_t h, uint32_t w, uint32_t lane, uint32_t g, int64_t z,
                 int64_t y, int64_t x) {
    return ((((size_t)lane * c->planes + (size_t)z) * c->groups + g) * h + (size_t)y) * w + (size_t)x;
}

static void plain_row(const ec_convolution *c, const uint16_t *indices, uint32_t h, uint32_t w, uint32_t lane,
                      uint32_t g, int64_t z, int64_t y, int64_t x, uint16_t *starts) {
    int64_t *logits = take(c->symbols * sizeof *logits);
    for (uint32_t k = 0; k < c->symbols; k++) {
        logits[k] = c->bias[g * c->symbols + k];
        for (uint32_t t = 0; t < c->taps; t++) {
            const int32_t *o = c->offsets + 3 * t;
            const int64_t nz = z + o[0], ny = y + o[1], nx = x + o[2];
            if (nz < 0 || nz >= c->planes || ny < 0 || ny >= h || nx < 0 || nx >= w) continue;
            for (uint32_t n = 0; n < c->groups; n++) {
                const size_t row =
                    ((size_t)t * c->groups + n) * c->symbols + indices[at(c, h, w, lane, n, nz, ny, nx)];
                logits[k] += c->rows[(row * c->groups + g) * c->symbols + k];
            }
        }
    }
    plain_softmax(logits, c->symbols, c->bits, starts);
    drop(logits);
}

/* The same through explicit rows. */
static void plain_encode(ec_encoder *e, const ec_convolution *c, const uint16_t *indices, uint32_t h,
                         uint32_t w) {
    uint16_t *starts = take(2 * (size_t)e->lanes * c->symbols), *values = take(2 * (size_t)e->lanes);
    for (size_t i = (size_t)c->planes * h * w; i-- > 0;) {
        const int64_t z = (int64_t)(i / w / h), y = (int64_t)(i / w % h), x = (int64_t)(i % w);
        if (c->checkerboard && (y + x) % 2) continue;
        for (uint32_t g = c->groups; g-- > 0;) {
            for (uint32_t lane = 0; lane < e->lanes; lane++) {
                plain_row(c, indices, h, w, lane, g, z, y, x, starts + (size_t)lane * c->symbols);
                values[lane] = indices[at(c, h, w, lane, g, z, y, x)];
            }
            assert(ec_encode_rows(e, starts, c->symbols, c->bits, values) == EC_OK);
        }
    }
    drop(starts);
    drop(values);
}

static void round_trip(uint32_t groups, uint32_t symbols, uint32_t bits, uint32_t planes, int checkerboard) {
    model_t m = random_model(groups, symbols, bits, planes, checkerboard);
    const uint32_t lanes = 1 + below(EC_LANES), h = below(6), w = below(6);
    const size_t count = (size_t)lanes * planes * groups * h * w;
    const size_t bound = ec_encode_bound(lanes, planes * groups * h * w);
    uint16_t *in = take(2 * count), *out = take(2 * count);
    uint8_t *buffer = take(bound), *plain = take(bound);
    uint64_t *scratch = take(ec_convolution_scratch(&m.c, lanes));
    for (size_t i = 0; i < count; i++) in[i] = (uint16_t)below(symbols);
    ec_encoder e, p;
    assert(ec_encoder_init(&e, lanes) == EC_OK && ec_encoder_init(&p, lanes) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    ec_encoder_attach(&p, plain, bound);
    assert(ec_encode_convolution(&e, 1, &m.c, in, h, w, scratch) == EC_OK);
    plain_encode(&p, &m.c, in, h, w);
    const size_t words = bound - e.position;
    assert(e.position == p.position && memcmp(e.state, p.state, sizeof e.state) == 0);
    assert(words == 0 || memcmp(buffer + e.position, plain + p.position, words) == 0);

    uint8_t *stream = take(4 * lanes + words);
    ec_encoder_states(&e, stream);
    if (words > 0) memcpy(stream + 4 * lanes, buffer + e.position, words);
    for (size_t i = 0; i < count; i++) { /* on a checkerboard half of them are given */
        const size_t y = i / w % h, x = i % w;
        out[i] = checkerboard && (y + x) % 2 ? in[i] : 65535;
    }
    ec_decoder d;
    assert(ec_decoder_init(&d, lanes, stream, 4 * lanes + words) == EC_OK);
    assert(ec_decode_convolution(&d, 1, &m.c, h, w, out, scratch) == EC_OK);
    assert(ec_decoder_finish(&d) == EC_OK);
    assert(count == 0 || memcmp(in, out, 2 * count) == 0);

    for (int i = 0; i < 4; i++) { /* damage ends with a status, and all that is decoded is a symbol */
        if (words > 0) stream[4 * lanes + below((uint32_t)words)] ^= (uint8_t)(1 + below(255));
        const size_t left = 4 * lanes + 2 * below((uint32_t)words / 2 + 1);
        uint8_t *shorter = copy_of(stream, left);
        assert(ec_decoder_init(&d, lanes, shorter, left) == EC_OK);
        const int status = ec_decode_convolution(&d, 1, &m.c, h, w, out, scratch);
        assert(status == EC_OK || status == EC_ERR_TRUNCATED);
        for (size_t k = 0; status == EC_OK && k < count; k++) assert(out[k] < symbols);
        drop(shorter);
    }
    drop(stream);
    drop(in);
    drop(out);
    drop(buffer);
    drop(plain);
    drop(scratch);
    drop_model(&m);
}

static void refused(int expected, ec_convolution c, const uint16_t *indices) {
    uint8_t buffer[4 * 8 + 16];
    const uint8_t words[20] = {0, 0, 1, 0};
    uint16_t out[8];
    uint64_t scratch[64];
    ec_encoder e;
    ec_decoder d;
    assert(ec_encoder_init(&e, 1) == EC_OK);
    ec_encoder_attach(&e, buffer, sizeof buffer);
    const ec_encoder e_before = e;
    assert(ec_encode_convolution(&e, 1, &c, indices, 2, 2, scratch) == expected);
    assert(memcmp(&e, &e_before, sizeof e) == 0);
    memcpy(out, indices, sizeof out);
    assert(ec_decoder_init(&d, 1, words, sizeof words) == EC_OK);
    const ec_decoder d_before = d;
    assert(ec_decode_convolution(&d, 1, &c, 2, 2, out, scratch) == expected);
    assert(memcmp(&d, &d_before, sizeof d) == 0);
}

static void refusals(void) {
    const uint16_t good[8] = {0}, bad[8] = {0, 0, 3};
    const int16_t rows[2 * 3 * 6] = {0};
    const int32_t bias[6] = {0};
    const int32_t left[3] = {0, 0, -1};
    const ec_convolution c = {left, rows, bias, 1, 2, 3, 8, 1, 1};
    ec_convolution w = c;
    refused(EC_ERR_SYMBOL, c, bad);
    for (uint32_t bits = 7; bits <= 17; bits += 10) w.bits = bits, refused(EC_ERR_ARGUMENT, w, good);
    w = c, w.symbols = 0, refused(EC_ERR_ARGUMENT, w, good);
    w = c, w.symbols = 257, refused(EC_ERR_ARGUMENT, w, good);
    w = c, w.symbols = 65536, w.bits = 16, refused(EC_ERR_ARGUMENT, w, good);
    w = c, w.groups = 0, refused(EC_ERR_ARGUMENT, w, good);
    w = c, w.groups = 4097, refused(EC_ERR_ARGUMENT, w, good);
    w = c, w.taps = 2049, refused(EC_ERR_ARGUMENT, w, good);
    w = c, w.planes = 0, refused(EC_ERR_ARGUMENT, w, good);
    w = c, w.planes = 4097, refused(EC_ERR_ARGUMENT, w, good);
    const int32_t causal[][3] = {{0, 0, 0},   {0, 0, 1},
                                 {0, 1, -1},  {0, INT32_MAX, INT32_MIN},
                                 {1, -1, -1}, {INT32_MAX, INT32_MIN, INT32_MIN}};
    w = c, w.checkerboard = 0;
    for (int i = 0; i < 6; i++) w.offsets = causal[i], refused(EC_ERR_CAUSALITY, w, good);
    const int32_t even[][3] = {{0, 0, 0}, {0, -1, 1}, {-1, 2, 0}, {0, INT32_MAX, -1}, {0, INT32_MIN, 0}};
    w = c;
    for (int i = 0; i < 5; i++) w.offsets = even[i], refused(EC_ERR_CAUSALITY, w, good);
    for (int32_t sign = -1; sign <= 1; sign += 2) {
        const int32_t large[6] = {0, 0, 0, 0, 0, sign * ((1 << 24) + 1)};
        w = c, w.bias = large, refused(EC_ERR_TABLE, w, good);
    }
    ec_encoder e;
    uint8_t buffer[4 * 4 + 15];
    uint64_t scratch[64];
    assert(ec_encoder_init(&e, 1) == EC_OK);
    ec_encoder_attach(&e, buffer, sizeof buffer);
    assert(ec_encode_convolution(&e, 1, &c, good, 2, 2, scratch) == EC_ERR_CAPACITY);
}

int main(void) {
    assert(fraction(0) == 1073741824 && fraction(1) == 1070838486 && fraction(255) == 538326516);
    for (int i = 0; i < 60; i++) {
        const uint32_t bits = 8 + below(9), groups = 1 + below(3);
        round_trip(groups, 1 + below(below(2) ? 5 : 60), bits, 1 + below(below(2) ? 1 : 4), (int)below(2));
    }
    round_trip(1, 256, 8, 1, 0); /* no count is left to give */
    round_trip(2, 255, 8, 1, 1);
    round_trip(1, 300, 16, 1, 0);
    round_trip(1, 256, 14, 3, 0);
    refusals();
    puts("convolution ok");
    return 0;
}
