/* Contexts: every sample by the documented rule on every instruction set; memory, damage, refusals. */
#include "common.h"

#define STATES 4

static const int around[5][2] = {{0, 0}, {0, -1}, {-1, 0}, {-1, -1}, {-1, 1}}; /* row, column */
static const int wide[10][2] = {{0, -1}, {-1, 0}, {-1, -1}, {-1, 1}, {0, -2},
                                {-2, 0}, {-2, 1}, {-1, -2}, {-1, 2}, {-2, -1}};

typedef struct model_t {
    int16_t weights[3][EC_CONTEXT_PLACES][EC_CONTEXT_TAPS];
    int16_t energy[3][EC_CONTEXT_PLACES][EC_CONTEXT_TAPS];
    int32_t bias[3][EC_CONTEXT_PLACES];
    int32_t base[3][EC_CONTEXT_PLACES];
    int32_t thresholds[3][STATES - 1];
} model_t;

/* The same with textures. */
typedef struct textured_t {
    int16_t weights[3][EC_TEXTURE_PLACES][EC_TEXTURES][EC_TEXTURE_TAPS];
    int16_t energy[3][EC_TEXTURE_PLACES][EC_TEXTURES][EC_TEXTURE_ERRORS];
    int32_t bias[3][EC_TEXTURE_PLACES][EC_TEXTURES];
    int32_t base[3][EC_TEXTURE_PLACES][EC_TEXTURES];
    int32_t thresholds[3][STATES - 1];
    int16_t levels[3][EC_TEXTURE_STEPS], slopes[3][EC_TEXTURE_STEPS];
} textured_t;

static uint32_t counts[3 * STATES][256];

static void random_tables(uint32_t bits) {
    for (int t = 0; t < 3 * STATES; t++) {
        uint32_t left = (1u << bits) - 256;
        for (int k = 0; k < 256; k++) {
            const uint32_t more = k == 255 ? left : below(left / 16 + 1);
            counts[t][(k * 37) % 256] = 1 + more;
            left -= more;
        }
    }
}

/* Ordinary numbers, or the largest that are allowed. */
static void random_weights(int16_t *weights, size_t bytes, int large) {
    for (size_t i = 0; i < bytes / sizeof *weights; i++)
        weights[i] = (int16_t)(large ? below(2) ? 32767 : -32768 : between(-900, 1500));
}

static void random_offsets(int32_t *offsets, size_t bytes, int large) {
    for (size_t i = 0; i < bytes / sizeof *offsets; i++)
        offsets[i] = large ? (below(2) ? 1 << 30 : -(1 << 30)) : between(-60000, 60000);
}

static void random_thresholds(int32_t *thresholds, int large) {
    for (int i = 0; i < 3 * (STATES - 1); i++)
        thresholds[i] = between(large ? -2000000000 : -1000, large ? 2000000000 : 500000);
}

static void random_model(model_t *m, int large) {
    random_weights(m->weights[0][0], sizeof m->weights, large);
    random_weights(m->energy[0][0], sizeof m->energy, large);
    random_offsets(m->bias[0], sizeof m->bias, large);
    random_offsets(m->base[0], sizeof m->base, large);
    random_thresholds(m->thresholds[0], large);
}

static void random_textured(textured_t *m, int large) {
    random_weights(m->weights[0][0][0], sizeof m->weights, large);
    random_weights(m->energy[0][0][0], sizeof m->energy, large);
    random_offsets(m->bias[0][0], sizeof m->bias, large);
    random_offsets(m->base[0][0], sizeof m->base, large);
    random_thresholds(m->thresholds[0], large);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < EC_TEXTURE_STEPS; i++) {
            m->levels[c][i] = (int16_t)between(large ? -32768 : 0, large ? 32767 : 400);
            m->slopes[c][i] = (int16_t)between(large ? -32768 : -40, large ? 32767 : 40);
        }
}

static int create(const ec_tables *tables, const model_t *m, ec_context **out) {
    return ec_context_create(tables, STATES, m->weights[0][0], m->bias[0], m->energy[0][0], m->base[0],
                             m->thresholds[0], out);
}

static int create_textured(const ec_tables *tables, const textured_t *m, ec_context **out) {
    return ec_context_create_textured(tables, STATES, m->weights[0][0][0], m->bias[0][0], m->energy[0][0][0],
                                      m->base[0][0], m->thresholds[0], m->levels[0], m->slopes[0], out);
}

/* What is seen at a place, inside or outside the image, from `row`. */
static int seen(const uint8_t *plane, int row, int y, int x, int c, int width, int outside) {
    if (y < 0 && row == 1) y++; /* the first row stands for the one above it */
    if (x < 0) y--, x = 0;
    if (y < 0) return outside;
    if (x >= width) x = width - 1;
    return plane[(y * width + x) * 3 + c];
}

/* Values at the taps; returns how many there are. */
static int seen_taps(const uint8_t *plane, int y, int x, int c, int width, int outside, int own, int before,
                     int *out) {
    int n = 0;
    for (int b = c; b >= 0; b--) {
        if (b < c) out[n++] = seen(plane, y, y, x, b, width, outside);
        for (int i = 0; i < (b == c ? own : before); i++)
            out[n++] = seen(plane, y, y + wide[i][0], x + wide[i][1], b, width, outside);
    }
    return n;
}

/* Symbols and tables of one image, sample after sample, with textures. */
static void textured_reference(const textured_t *m, const uint8_t *image, uint32_t height, uint32_t width,
                               uint8_t *symbols, uint8_t *ids) {
    uint8_t *errors = take(3 * (size_t)height * width);
    for (int y = 0; y < (int)height; y++)
        for (int x = 0; x < (int)width; x++)
            for (int c = 0; c < 3; c++) {
                const int here = (y * (int)width + x) * 3 + c, q = y > 0;
                int v[EC_TEXTURE_TAPS], e[EC_TEXTURE_ERRORS], k = 0;
                const int taps = seen_taps(image, y, x, c, (int)width, 128, 10, 10, v);
                const int error_taps = seen_taps(errors, y, x, c, (int)width, 24, 7, 4, e);
                const int twice = c > 0 ? 2 : 0, same = c > 0 ? 10 : 0;
                const int across = abs(v[0] - v[4]) + abs(v[1] - v[2]) + abs(v[3] - v[1]) +
                                   twice * abs(v[same] - v[same + 1]);
                const int down = abs(v[0] - v[2]) + abs(v[1] - v[5]) + abs(v[3] - v[6]) +
                                 twice * abs(v[same] - v[same + 2]);
                for (int i = 0; i < EC_TEXTURE_STEPS; i++) {
                    k += 4 * (m->levels[c][i] <= across + down);
                    k += m->slopes[c][i] * (across + down + 8) <= 64 * (down - across);
                }
                int64_t p = m->bias[c][q][k] + 2048, a = m->base[c][q][k];
                for (int t = 0; t < taps; t++) p += m->weights[c][q][k][t] * v[t];
                for (int t = 0; t < error_taps; t++) a += m->energy[c][q][k][t] * e[t];
                const int negate = (p & 2048) == 0;
                p >>= 12;
                p = p < 0 ? 0 : p > 255 ? 255 : p;
                const int error = image[here] - (int)p;
                errors[here] = (uint8_t)abs(error);
                symbols[here] = (uint8_t)(negate ? -error : error);
                ids[here] = (uint8_t)(c * STATES);
                for (int s = 0; s < STATES - 1; s++)
                    if (m->thresholds[c][s] <= a) ids[here]++;
            }
    drop(errors);
}

/* Symbols and tables of one image, sample after sample. */
static void reference(const model_t *m, const uint8_t *image, uint32_t height, uint32_t width,
                      uint8_t *symbols, uint8_t *ids) {
    uint8_t *errors = take(3 * (size_t)height * width);
    for (int y = 0; y < (int)height; y++)
        for (int x = 0; x < (int)width; x++)
            for (int c = 0; c < 3; c++) {
                const int place = (y > 0 ? 3 : 0) + (x == 0 ? 0 : x == (int)width - 1 ? 2 : 1);
                int64_t p = m->bias[c][place], a = m->base[c][place];
                for (int t = 0; t < 4 + 5 * c; t++) {
                    const int *at = around[t < 4 ? t + 1 : (t - 4) % 5];
                    const int r = y + at[0], q = x + at[1];
                    if (r < 0 || q < 0 || q >= (int)width) continue;
                    const int there = (r * (int)width + q) * 3 + c - (t < 4 ? 0 : 1 + (t - 4) / 5);
                    p += m->weights[c][place][t] * image[there];
                    a += m->energy[c][place][t] * errors[there];
                }
                p = (p + 2048) >> 12;
                p = p < 0 ? 0 : p > 255 ? 255 : p;
                const int here = (y * (int)width + x) * 3 + c, error = image[here] - (int)p;
                errors[here] = (uint8_t)(error < 0 ? -error : error);
                symbols[here] = (uint8_t)error;
                ids[here] = (uint8_t)(c * STATES);
                for (int s = 0; s < STATES - 1; s++)
                    if (m->thresholds[c][s] <= a) ids[here]++;
            }
    drop(errors);
}

static void against_reference(void) {
    for (int number = 0; number < 48; number++) {
        const uint32_t lanes = 1 + below(32), height = 1 + below(6), width = 1 + below(9);
        const uint32_t groups = lanes == 32 ? 3 : 1, bits = 9 + below(8);
        const size_t samples = 3 * (size_t)height * width, all = groups * lanes * samples;
        const size_t bound = ec_encode_bound(lanes, samples);
        const int textured = number % 2;
        model_t m;
        static textured_t t;
        random_model(&m, number % 3 == 0);
        random_textured(&t, number % 3 == 0);
        random_tables(bits);
        ec_tables *tables;
        ec_context *model;
        assert(ec_tables_create(counts[0], 3 * STATES, 256, bits, 0, EC_LAYOUT_AUTO, &tables) == EC_OK);
        assert((textured ? create_textured(tables, &t, &model) : create(tables, &m, &model)) == EC_OK);
        assert(ec_context_bytes(model) > 0);
        uint8_t *images = take(all), *out = take(all), *symbols = take(all), *ids = take(all);
        uint8_t *scratch = take(ec_context_scratch(height, width));
        uint8_t *buffers[2] = {take(groups * bound), take(groups * bound)};
        for (size_t i = 0; i < all; i++) images[i] = (uint8_t)(128 + between(-20, 20) + (int)(i % 7) * 9);
        for (size_t i = 0; i < all; i += samples)
            if (textured)
                textured_reference(&t, images + i, height, width, symbols + i, ids + i);
            else
                reference(&m, images + i, height, width, symbols + i, ids + i);
        ec_encoder mine[3], plain[3];
        ec_decoder d[3];
        uint8_t *streams[3];
        for (uint32_t g = 0; g < groups; g++) {
            assert(ec_encoder_init(&mine[g], lanes) == EC_OK && ec_encoder_init(&plain[g], lanes) == EC_OK);
            ec_encoder_attach(&mine[g], buffers[0] + g * bound, bound);
            ec_encoder_attach(&plain[g], buffers[1] + g * bound, bound);
        }
        assert(ec_encode_context(mine, groups, model, images, height, width, scratch) == EC_OK);
        assert(ec_encode_indexed(plain, groups, tables, symbols, 1, ids, 1, samples) == EC_OK);
        for (uint32_t g = 0; g < groups; g++) {
            const size_t bytes = bound - mine[g].position;
            assert(mine[g].position == plain[g].position);
            assert(memcmp(mine[g].state, plain[g].state, 4 * lanes) == 0);
            assert(memcmp(mine[g].buffer + mine[g].position, plain[g].buffer + plain[g].position, bytes) ==
                   0);
            streams[g] = take(4 * lanes + bytes);
            ec_encoder_states(&mine[g], streams[g]);
            memcpy(streams[g] + 4 * lanes, mine[g].buffer + mine[g].position, bytes);
            assert(ec_decoder_init(&d[g], lanes, streams[g], 4 * lanes + bytes) == EC_OK);
        }
        assert(ec_decode_context(d, groups, model, height, width, out, scratch) == EC_OK);
        assert(memcmp(out, images, all) == 0);
        for (uint32_t g = 0; g < groups; g++) {
            assert(ec_decoder_finish(&d[g]) == EC_OK);
            const size_t bytes = 4 * lanes + 2 * (size_t)below((uint32_t)(bound - mine[g].position) / 2 + 1);
            streams[g][below((uint32_t)bytes)] ^= (uint8_t)(1 + below(255)); /* decodes, or says why not */
            if (ec_decoder_init(&d[g], lanes, streams[g], bytes) == EC_OK) {
                const int status = ec_decode_context(&d[g], 1, model, height, width, out, scratch);
                assert(status == EC_OK || status == EC_ERR_TRUNCATED);
            }
            drop(streams[g]);
        }
        ec_encoder_attach(&mine[0], buffers[0], bound - 1);
        assert(ec_encode_context(mine, 1, model, images, height, width, scratch) == EC_ERR_CAPACITY);
        drop(images);
        drop(out);
        drop(symbols);
        drop(ids);
        drop(scratch);
        drop(buffers[0]);
        drop(buffers[1]);
        ec_context_free(model);
        ec_tables_free(tables);
    }
}

static void refusals(void) {
    model_t m, wrong;
    ec_tables *tables, *fewer;
    ec_context *model;
    random_model(&m, 0);
    random_tables(12);
    assert(ec_tables_create(counts[0], 3 * STATES, 256, 12, 0, EC_LAYOUT_AUTO, &tables) == EC_OK);
    assert(ec_tables_create(counts[0], 3 * STATES - 1, 256, 12, 0, EC_LAYOUT_AUTO, &fewer) == EC_OK);
    assert(create(fewer, &m, &model) == EC_ERR_TABLE && model == NULL);
    wrong = m;
    wrong.bias[2][5] = (1 << 30) + 1;
    assert(create(tables, &wrong, &model) == EC_ERR_TABLE);
    wrong = m;
    wrong.base[0][0] = -(1 << 30) - 1;
    assert(create(tables, &wrong, &model) == EC_ERR_TABLE);
    for (uint32_t states = 0; states < 100; states += 65)
        assert(ec_context_create(tables, states, m.weights[0][0], m.bias[0], m.energy[0][0], m.base[0],
                                 m.thresholds[0], &model) == EC_ERR_ARGUMENT);
    static textured_t textured;
    random_textured(&textured, 0);
    assert(create_textured(fewer, &textured, &model) == EC_ERR_TABLE && model == NULL);
    textured.bias[2][1][15] = -(1 << 30) - 1;
    assert(create_textured(tables, &textured, &model) == EC_ERR_TABLE);
    textured.bias[2][1][15] = 0;
    textured.base[2][1][15] = (1 << 30) + 1;
    assert(create_textured(tables, &textured, &model) == EC_ERR_TABLE);
    assert(create(tables, &m, &model) == EC_OK);
    assert(ec_context_scratch(UINT32_MAX, UINT32_MAX) == 0 && ec_context_scratch(0, 5) == 0);
    ec_encoder e;
    assert(ec_encoder_init(&e, 1) == EC_OK);
    assert(ec_encode_context(&e, 1, model, NULL, UINT32_MAX, UINT32_MAX, NULL) == EC_ERR_ARGUMENT);
    assert(ec_encode_context(&e, 1, model, NULL, 0, 7, NULL) == EC_OK);
    ec_context_free(model);
    ec_context_free(NULL);
    ec_tables_free(tables);
    ec_tables_free(fewer);
}

int main(void) {
    seed_random(1);
    on_every_isa(against_reference);
    for (int place = GUARD_AFTER; place <= GUARD_BEFORE; place++) {
        guard = (guard_t)place;
        on_every_isa(against_reference);
    }
    guard = GUARD_NONE;
    refusals();
    puts("contexts as documented");
    return 0;
}
