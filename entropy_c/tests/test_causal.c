/* Causal networks: every sample's whole distribution by the documented rule, on every instruction set;
 * memory, damage, refusals. */
#include "common.h"

#define MOST_WEIGHTS 20000
#define MOST_SAMPLES 6
#define MOST_WINDOW  34 /* pixels */
#define MOST_OUTPUTS 512

typedef struct model_t {
    ec_causal_shape s;
    int8_t weights[MOST_WEIGHTS];
    int32_t bias[MOST_OUTPUTS];
    uint8_t shift[MOST_OUTPUTS];
    uint8_t stream_shift[3 * 16];
    uint8_t own_shift[MOST_SAMPLES * 8];
    int16_t first[(16 + MOST_SAMPLES) * (MOST_WINDOW * 4 + 8)];
    int16_t colour[MOST_SAMPLES * 8 * (MOST_SAMPLES - 1)];
    int16_t couple[MOST_SAMPLES * (MOST_SAMPLES - 1)];
    int32_t inverse[EC_CAUSAL_SCALES];
    uint16_t sigmoid[EC_CAUSAL_STEPS + 1];
    uint16_t exponentials[EC_CAUSAL_EXPONENTIALS];
} model_t;

static uint32_t pixels_of(const model_t *m) { return 1 + m->s.pair; }
static uint32_t samples_of(const model_t *m) { return 3 * pixels_of(m); }

static void random_model(model_t *m) {
    m->s = (ec_causal_shape){1 + below(3),
                             4 * (1 + below(4)),
                             below(3),
                             4 * (1 + below(4)),
                             below(2),
                             4 * (1 + below(2)),
                             1 + below(EC_CAUSAL_MIXTURES),
                             4 * below(3),
                             below(2)};
    if (m->s.pair) m->s.conditions = 0;
    for (size_t i = 0; i < MOST_WEIGHTS; i++) m->weights[i] = (int8_t)between(-30, 30);
    for (size_t i = 0; i < MOST_OUTPUTS; i++) m->bias[i] = between(-3000, 9000);
    for (size_t i = 0; i < MOST_OUTPUTS; i++) m->shift[i] = (uint8_t)between(3, 7);
    for (size_t i = 0; i < sizeof m->stream_shift; i++) m->stream_shift[i] = (uint8_t)below(5);
    for (size_t i = 0; i < sizeof m->own_shift; i++) m->own_shift[i] = (uint8_t)below(5);
    for (size_t i = 0; i < sizeof m->first / 2; i++) m->first[i] = (int16_t)between(-2000, 2600);
    for (size_t i = 0; i < m->s.width + samples_of(m); i++) m->bias[i] = between(-200000, 500000);
    for (size_t i = 0; i < m->s.width + samples_of(m); i++) m->shift[i] = (uint8_t)between(8, 12);
    for (size_t i = 0; i < sizeof m->colour / 2; i++) m->colour[i] = (int16_t)between(-9000, 9000);
    for (size_t i = 0; i < sizeof m->couple / 2; i++) m->couple[i] = (int16_t)between(-16000, 16000);
    for (size_t i = 0; i < EC_CAUSAL_SCALES; i++)
        m->inverse[i] = 1 + between(0, 40000) * (int32_t)(128 - i) / 128;
    for (int i = 0; i <= EC_CAUSAL_STEPS; i++)
        m->sigmoid[i] = (uint16_t)(i == 0 ? 0 : m->sigmoid[i - 1] + between(0, 85));
    m->exponentials[0] = 32768;
    for (size_t i = 1; i < EC_CAUSAL_EXPONENTIALS; i++) m->exponentials[i] = (uint16_t)between(0, 32768);
}

static int create(const model_t *m, ec_causal **out) {
    const ec_causal_parts parts = {m->first,        m->weights,   m->bias,        m->shift,
                                   m->stream_shift, m->own_shift, m->colour,      m->couple,
                                   m->inverse,      m->sigmoid,   m->exponentials};
    return ec_causal_create(&m->s, &parts, out);
}

static int64_t shifted(int64_t x, uint32_t n) {
    const int64_t half = ((int64_t)1 << n) >> 1, by = (int64_t)1 << n;
    x += half;
    return x >= 0 ? x / by : -((-x + by - 1) / by); /* no shift of a negative number */
}

static int64_t clamped(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

static int64_t byte_of(int64_t x, uint32_t n) { return clamped(shifted(x, n), 0, 255); }

/* Where the next matrix is. */
typedef struct place_t {
    size_t weight, output;
} place_t;

/* Results of the next matrix, as bytes or whole. */
static void multiply(const model_t *m, place_t *at, uint32_t outputs, uint32_t inputs, const int64_t *in,
                     int bytes, int64_t *out) {
    for (uint32_t o = 0; o < outputs; o++, at->output++) {
        int64_t sum = m->bias[at->output];
        for (uint32_t i = 0; i < inputs; i++) sum += m->weights[at->weight++] * in[i];
        out[o] = bytes ? byte_of(sum, m->shift[at->output]) : shifted(sum, m->shift[at->output]);
    }
}

/* What blocks saw at the places before: [block][row][column][channel]. */
static int64_t streams[2][8][8][16];

static int64_t seen_at(const model_t *m, uint32_t block, int y, int x, uint32_t width, uint32_t channel) {
    (void)m;
    return y < 0 || x < 0 || x >= (int)width ? 0 : streams[block][y][x][channel];
}

static int64_t pixel_at(const uint8_t *image, int y, int x, uint32_t width, int colour) { /* 3: presence */
    if (y < 0 || x < 0 || x >= (int)width) return colour == 3 ? 0 : 128;
    return colour == 3 ? 64 : image[((size_t)y * width + (size_t)x) * 3 + (size_t)colour];
}

/* All that the pixels before the place (y, x) and the conditions say. Returns the heads' place. */
static place_t look(const model_t *m, const uint8_t *image, const uint8_t *conditions, int y, int x,
                    uint32_t width, int64_t *own, int64_t *linear) {
    static const int around[5][2] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1}, {0, 0}};
    const int pixels = (int)pixels_of(m), r = (int)m->s.radius, reach = (r + pixels - 1) / pixels;
    const uint32_t columns = (width + pixels_of(m) - 1) / pixels_of(m);
    int64_t window[MOST_WINDOW * 4 + 8], h[16], u[16 * 5], v[16], more[16];
    uint32_t n = 0;
    for (int dy = -r; dy <= 0; dy++)
        for (int dx = -reach; dx <= reach && (dy < 0 || dx < 0); dx++)
            for (int p = 0; p < pixels; p++)
                for (int c = 0; c < 4; c++)
                    window[n++] = pixel_at(image, y + dy, (x + dx) * pixels + p, width, c);
    const size_t place = ((size_t)y * width + (size_t)x) * m->s.conditions;
    for (uint32_t i = 0; i < m->s.conditions; i++) window[n++] = conditions[place + i];
    place_t at = {0, 0};
    for (; at.output < m->s.width + samples_of(m); at.output++) {
        int64_t sum = m->bias[at.output];
        for (uint32_t i = 0; i < n; i++) sum += m->first[at.output * n + i] * window[i];
        const int64_t result = shifted(sum, m->shift[at.output]);
        if (at.output < m->s.width)
            h[at.output] = result;
        else
            linear[at.output - m->s.width] = clamped(result, -2048, 6143);
    }
    for (uint32_t b = 0; b < m->s.blocks; b++) {
        for (uint32_t i = 0; i < m->s.width; i++)
            streams[b][y][x][i] = byte_of(h[i], m->stream_shift[b * m->s.width + i]);
        uint32_t count = 0;
        for (int tap = m->s.spatial ? 0 : 4; tap < 5; tap++)
            for (uint32_t i = 0; i < m->s.width; i++)
                u[count++] = seen_at(m, b, y + around[tap][0], x + around[tap][1], columns, i);
        multiply(m, &at, m->s.inner, count, u, 1, v);
        multiply(m, &at, m->s.width, m->s.inner, v, 0, more);
        for (uint32_t i = 0; i < m->s.width; i++) h[i] += more[i];
    }
    for (uint32_t i = 0; i < m->s.width; i++)
        u[i] = byte_of(h[i], m->stream_shift[m->s.blocks * m->s.width + i]);
    multiply(m, &at, samples_of(m) * m->s.hidden, m->s.width, u, 0, own);
    return at;
}

static int64_t logistic(const model_t *m, int64_t z) {
    const int64_t i = clamped(z + (384 << 11), 0, (768 << 11) - 1), low = m->sigmoid[i >> 11];
    return low + (((m->sigmoid[(i >> 11) + 1] - low) * (i & 2047)) >> 11);
}

/* C(0) .. C(255) of sample c of a place, whose others are at `place`. */
static void distribution(const model_t *m, place_t *at, uint32_t c, const int64_t *own, const int64_t *linear,
                         const uint8_t *place, uint16_t *starts) {
    const uint32_t count = m->s.mixtures, others = samples_of(m) - 1;
    int64_t error[MOST_SAMPLES], pull = 0, hidden[8], out[3 * EC_CAUSAL_MIXTURES], weight[EC_CAUSAL_MIXTURES];
    for (uint32_t b = 0; b < c; b++) error[b] = 16 * place[b] - linear[b];
    for (uint32_t i = 0; i < m->s.hidden; i++) {
        int64_t shove = 0;
        for (uint32_t b = 0; b < c; b++)
            shove += m->colour[(c * m->s.hidden + i) * others + b] * clamped(error[b], -2048, 2047);
        const int64_t moved = own[c * m->s.hidden + i] + shifted(shove, 12);
        hidden[i] = byte_of(moved, m->own_shift[c * m->s.hidden + i]);
    }
    multiply(m, at, 3 * count, m->s.hidden, hidden, 0, out);
    for (uint32_t b = 0; b < c; b++) pull += m->couple[others * c + b] * error[b];
    const int64_t mean = linear[c] + shifted(pull, 14);
    int64_t most = out[0], total = 0, first = 32768;
    for (uint32_t k = 1; k < count; k++) most = out[k] > most ? out[k] : most;
    for (uint32_t k = 0; k < count; k++) {
        weight[k] = m->exponentials[clamped(most - out[k], 0, EC_CAUSAL_EXPONENTIALS - 1)];
        total += weight[k];
    }
    for (uint32_t k = 1; k < count; k++) {
        weight[k] = (weight[k] * ((1 << 30) / (128 * (total >> 7) + 128))) >> 15;
        first -= weight[k];
    }
    weight[0] = first;
    starts[0] = 0;
    for (int64_t j = 1; j < 256; j++) {
        int64_t sum = 0;
        for (uint32_t k = 0; k < count; k++) {
            const int64_t centre = clamped(mean + out[count + k], -2048, 6143);
            const int64_t inverse = m->inverse[clamped(out[2 * count + k], 0, EC_CAUSAL_SCALES - 1)];
            sum += weight[k] * logistic(m, (16 * j - 8 - centre) * inverse);
        }
        starts[j] = (uint16_t)(j + (sum >> 15));
    }
}

/* The encoder's states and words, sample after sample with explicit rows. */
static void by_rows(const model_t *m, ec_encoder *e, const uint8_t *images, const uint8_t *conditions,
                    uint32_t height, uint32_t width) {
    const size_t samples = (size_t)height * width * 3;
    uint16_t *starts = take(samples * e->lanes * 512), values[EC_LANES];
    for (uint32_t lane = 0; lane < e->lanes; lane++) {
        const uint8_t *image = images + lane * samples;
        const uint8_t *said = conditions + lane * samples / 3 * m->s.conditions;
        for (uint32_t y = 0; y < height; y++)
            for (uint32_t x = 0; x * pixels_of(m) < width; x++) {
                int64_t own[MOST_SAMPLES * 8], linear[MOST_SAMPLES];
                place_t at = look(m, image, said, (int)y, (int)x, width, own, linear);
                for (uint32_t c = 0; c < samples_of(m) && x * samples_of(m) + c < 3 * width; c++) {
                    const size_t first = (size_t)y * width * 3 + x * samples_of(m);
                    distribution(m, &at, c, own, linear, image + first,
                                 starts + ((first + c) * e->lanes + lane) * 256);
                }
            }
    }
    for (size_t i = samples; i-- > 0;) {
        for (uint32_t lane = 0; lane < e->lanes; lane++) values[lane] = images[lane * samples + i];
        assert(ec_encode_rows(e, starts + i * e->lanes * 256, 256, 16, values) == EC_OK);
    }
    drop(starts);
}

static void against_reference(void) {
    static model_t m;
    for (int round = 0; round < 5; round++) {
        const uint32_t height = 1 + below(4), width = 1 + below(5), lanes = 1 + below(EC_LANES);
        const size_t samples = (size_t)height * width * 3, bytes = lanes * samples;
        ec_causal *model;
        random_model(&m);
        assert(create(&m, &model) == EC_OK && ec_causal_bytes(model) > 0);
        uint8_t *images = take(bytes), *out = take(bytes);
        for (size_t i = 0; i < bytes; i++)
            images[i] = (uint8_t)(i % samples < 3 ? below(256) : (uint32_t)(images[i - 3] + between(-9, 9)));
        const size_t said = bytes / 3 * m.s.conditions;
        uint8_t *conditions = take(said + 1);
        for (size_t i = 0; i < said; i++) conditions[i] = (uint8_t)below(256);
        const size_t bound = ec_encode_bound(lanes, samples);
        uint8_t *buffers[2] = {take(bound), take(bound)};
        void *scratch = take(ec_causal_scratch(model, height, width));
        ec_encoder e[2];
        for (int i = 0; i < 2; i++) {
            assert(ec_encoder_init(&e[i], lanes) == EC_OK);
            ec_encoder_attach(&e[i], buffers[i], bound);
        }
        by_rows(&m, &e[0], images, conditions, height, width);
        const uint8_t *given = said > 0 ? conditions : NULL;
        assert(ec_encode_causal(&e[1], 1, model, images, given, height, width, scratch) == EC_OK);
        assert(e[0].position == e[1].position);
        assert(memcmp(buffers[0] + e[0].position, buffers[1] + e[1].position, bound - e[0].position) == 0);
        assert(memcmp(e[0].state, e[1].state, lanes * sizeof *e[0].state) == 0);

        const size_t words = bound - e[1].position, size = 4 * (size_t)lanes + words;
        uint8_t *stream = take(size);
        for (uint32_t lane = 0; lane < lanes; lane++)
            for (int i = 0; i < 4; i++) stream[4 * lane + (uint32_t)i] = (uint8_t)(e[1].state[lane] >> 8 * i);
        memcpy(stream + 4 * (size_t)lanes, buffers[1] + e[1].position, words);
        ec_decoder d;
        assert(ec_decoder_init(&d, lanes, stream, size) == EC_OK);
        assert(ec_decode_causal(&d, 1, model, given, height, width, out, scratch) == EC_OK);
        assert(ec_decoder_finish(&d) == EC_OK && memcmp(out, images, bytes) == 0);

        for (int damage = 0; damage < 5; damage++) { /* decodes, or says why not */
            stream[below((uint32_t)size)] ^= (uint8_t)(1 + below(255));
            if (ec_decoder_init(&d, lanes, stream, size) != EC_OK) continue;
            const int status = ec_decode_causal(&d, 1, model, given, height, width, out, scratch);
            assert(status == EC_OK || status == EC_ERR_TRUNCATED);
        }
        ec_encoder_attach(&e[0], buffers[0], bound - 1);
        assert(ec_encode_causal(e, 1, model, images, given, height, width, scratch) == EC_ERR_CAPACITY);
        if (said > 0) {
            assert(ec_encode_causal(e, 1, model, images, NULL, height, width, scratch) == EC_ERR_ARGUMENT);
            assert(ec_decode_causal(&d, 1, model, NULL, height, width, out, scratch) == EC_ERR_ARGUMENT);
        }
        drop(conditions);
        drop(stream);
        drop(images);
        drop(out);
        drop(scratch);
        drop(buffers[0]);
        drop(buffers[1]);
        ec_causal_free(model);
    }
}

/* Waves that remember colours, and such that do not. */
typedef struct way_t {
    int (*encode)(ec_encoder *, const ec_causal *, const uint8_t *, uint32_t, uint32_t, uint32_t *);
    int (*decode)(ec_decoder *, const ec_causal *, uint32_t, uint32_t, uint8_t *, uint32_t *);
    size_t (*scratch)(const ec_causal *, uint32_t, uint32_t, uint32_t);
    uint32_t symbols; /* of a sample, at most */
} way_t;

static const way_t ways[2] = {
    {ec_encode_causal_wave, ec_decode_causal_wave, ec_causal_wave_scratch, 1},
    {ec_encode_causal_recall, ec_decode_causal_recall, ec_causal_recall_scratch, 2},
};

/* The rows of one image as lanes: comes back, and damage is noticed or decodes to something. That the bytes
 * are right is for tests/entropy/test_causal.py and tests/codec/test_engine_causal.py. */
static void waves(void) {
    static model_t m;
    for (int round = 0; round < 12; round++) {
        const way_t *way = &ways[round / 6];
        const uint32_t height = 1 + below(80), width = 1 + below(round % 6 < 3 ? 5 : 40),
                       few = 1u << below(5);
        const uint32_t lanes = round % 2 ? EC_LANES : 3 + below(30);
        const size_t bytes = (size_t)height * width * 3, bound = ec_encode_bound(1, way->symbols * bytes);
        ec_causal *model;
        random_model(&m);
        m.s.conditions = 0;
        m.s.pair = (uint32_t)round % 3 > 0;
        assert(create(&m, &model) == EC_OK);
        uint8_t *image = take(bytes), *out = take(bytes), *buffer = take(bound);
        for (size_t i = 0; i < bytes; i++)
            image[i] = (uint8_t)(i < 3 ? below(256) : (uint32_t)(image[i - 3] + (int)few * between(-2, 2)));
        void *scratch = take(way->scratch(model, lanes, height, width));
        ec_encoder e;
        assert(ec_encoder_init(&e, lanes) == EC_OK);
        ec_encoder_attach(&e, buffer, bound);
        assert(way->encode(&e, model, image, height, width, scratch) == EC_OK);
        const size_t words = bound - e.position, size = 4 * (size_t)lanes + words;
        uint8_t *stream = take(size);
        ec_encoder_states(&e, stream);
        memcpy(stream + 4 * (size_t)lanes, buffer + e.position, words);
        ec_decoder d;
        assert(ec_decoder_init(&d, lanes, stream, size) == EC_OK);
        assert(way->decode(&d, model, height, width, out, scratch) == EC_OK);
        assert(ec_decoder_finish(&d) == EC_OK && memcmp(out, image, bytes) == 0);
        for (int damage = 0; damage < 5; damage++) {
            stream[below((uint32_t)size)] ^= (uint8_t)(1 + below(255));
            if (ec_decoder_init(&d, lanes, stream, size) != EC_OK) continue;
            const int status = way->decode(&d, model, height, width, out, scratch);
            assert(status == EC_OK || status == EC_ERR_TRUNCATED);
        }
        ec_encoder_attach(&e, buffer, ec_encode_bound(1, bytes) - 1);
        assert(way->encode(&e, model, image, height, width, scratch) == EC_ERR_CAPACITY);
        drop(stream);
        drop(image);
        drop(out);
        drop(buffer);
        drop(scratch);
        ec_causal_free(model);
    }
}

static void refusals(void) {
    static model_t m, wrong;
    ec_causal *model;
    random_model(&m);
    wrong = m;
    wrong.bias[0] = 1 << 30;
    assert(create(&wrong, &model) == EC_ERR_TABLE && model == NULL);
    wrong = m;
    wrong.first[1] = 32767;
    assert(create(&wrong, &model) == EC_ERR_TABLE);
    wrong = m;
    wrong.shift[1] = 25;
    assert(create(&wrong, &model) == EC_ERR_TABLE);
    wrong = m;
    wrong.s.width = 6;
    assert(create(&wrong, &model) == EC_ERR_ARGUMENT);
    wrong = m;
    wrong.s.conditions = 6;
    assert(create(&wrong, &model) == EC_ERR_ARGUMENT);
    wrong.s.conditions = 68;
    assert(create(&wrong, &model) == EC_ERR_ARGUMENT);
    wrong = m;
    wrong.s.pair = 2;
    assert(create(&wrong, &model) == EC_ERR_ARGUMENT);
    wrong.s.pair = 1;
    wrong.s.conditions = 4;
    assert(create(&wrong, &model) == EC_ERR_ARGUMENT);
    m.s.radius = 3;
    m.s.pair = 0;
    m.s.conditions = 0;
    assert(create(&m, &model) == EC_OK);
    assert(ec_causal_scratch(model, 40000, 1) == 0 && ec_causal_scratch(model, 1, UINT32_MAX) == 0);
    ec_encoder e;
    assert(ec_encoder_init(&e, 1) == EC_OK);
    assert(ec_encode_causal(&e, 1, model, NULL, NULL, UINT32_MAX, UINT32_MAX, NULL) == EC_ERR_ARGUMENT);
    assert(ec_encode_causal(&e, 1, model, NULL, NULL, 0, 7, NULL) == EC_OK);
    for (int i = 0; i < 2; i++) {
        assert(ways[i].scratch(model, 2, 9, 9) == 0 && ways[i].scratch(model, 32, 9, 40000) == 0);
        assert(ways[i].encode(&e, model, NULL, 9, 9, NULL) == EC_ERR_ARGUMENT);
    }
    static const uint8_t pixels[5][3] = {{0, 0, 0}, {255, 255, 255}, {0, 0, 0}, {1, 2, 3}, {3, 2, 1}};
    uint32_t *bits = take(EC_COLOURS_SCRATCH);
    assert(ec_count_colours(pixels[0], 5, bits) == 4 && ec_count_colours(NULL, 0, bits) == 0);
    drop(bits);
    ec_causal_free(model);
    m.s.conditions = 4; /* known in a batch alone */
    assert(create(&m, &model) == EC_OK);
    assert(ec_encoder_init(&e, EC_LANES) == EC_OK);
    for (int i = 0; i < 2; i++) {
        assert(ways[i].scratch(model, 32, 9, 9) == 0);
        assert(ways[i].encode(&e, model, NULL, 9, 9, NULL) == EC_ERR_ARGUMENT);
    }
    ec_causal_free(model);
    ec_causal_free(NULL);
}

int main(void) {
    seed_random(1);
    on_every_isa(against_reference);
    on_every_isa(waves);
    for (int place = GUARD_AFTER; place <= GUARD_BEFORE; place++) {
        guard = (guard_t)place;
        on_every_isa(against_reference);
        on_every_isa(waves);
    }
    guard = GUARD_NONE;
    refusals();
    puts("causal networks as documented");
    return 0;
}
