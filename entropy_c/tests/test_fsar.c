/* FSAR latents: the documented table of every symbol, round trips for orders 0 to 4, causality, refusals. */
#include "common.h"

typedef struct {
    uint32_t order;
    int32_t offsets[EC_MAX_ORDER][3];
} shape_t;

static const shape_t shapes[] = {
    {0, {{0}}},
    {1, {{0, -1, 0}}},
    {2, {{0, -1, 0}, {0, 0, -1}}},
    {2, {{-1, 2, 1}, {0, -2, 3}}},
    {3, {{-1, 0, 0}, {0, -1, 0}, {0, 0, -1}}},
    {4, {{-1, 0, 0}, {-2, 0, 0}, {0, -1, 1}, {0, 0, -2}}},
    {1, {{INT32_MIN, INT32_MAX, INT32_MIN}}},
};

/* The rule of the header, word by word, for one image. */
static uint32_t reference(const shape_t *shape, uint32_t symbols, const uint16_t *image, int64_t groups,
                          int64_t h, int64_t w, int64_t g, int64_t r, int64_t c) {
    uint32_t id = (uint32_t)g;
    for (uint32_t i = 0; i < shape->order; i++) {
        const int64_t a = g + shape->offsets[i][0], b = r + shape->offsets[i][1],
                      d = c + shape->offsets[i][2];
        const int inside = a >= 0 && a < groups && b >= 0 && b < h && d >= 0 && d < w;
        id = id * (symbols + 1) + (inside ? image[(a * h + b) * w + d] + 1u : 0);
    }
    return id;
}

static void round_trip(const shape_t *shape, uint32_t symbols, uint32_t groups, uint32_t lanes, uint32_t h,
                       uint32_t w, int layout) {
    size_t tables = groups;
    for (uint32_t i = 0; i < shape->order; i++) tables *= symbols + 1;
    ec_tables *t = random_tables(tables, symbols, 9, layout);
    ec_fsar *model;
    assert(ec_fsar_create(t, shape->offsets[0], shape->order, groups, &model) == EC_OK);
    const size_t image = (size_t)groups * h * w, n = lanes * image, bound = ec_encode_bound(lanes, image);
    uint16_t *in = take(n * 2), *out = take(n * 2), *scratch = take(ec_fsar_scratch(model, lanes, h, w));
    uint32_t *ids = take(n * 4);
    uint8_t *buffer = take(bound);
    for (size_t i = 0; i < n; i++) in[i] = (uint16_t)below(symbols);
    assert(ec_fsar_table_ids(model, in, lanes, h, w, ids) == EC_OK);
    size_t i = 0;
    for (uint32_t l = 0; l < lanes; l++)
        for (uint32_t g = 0; g < groups; g++)
            for (uint32_t r = 0; r < h; r++)
                for (uint32_t c = 0; c < w; c++, i++) {
                    assert(ids[i] < tables);
                    assert(ids[i] == reference(shape, symbols, in + l * image, groups, h, w, g, r, c));
                }
    ec_encoder e;
    ec_decoder d;
    size_t bytes;
    assert(ec_encoder_init(&e, lanes) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    assert(ec_encode_fsar(&e, model, in, h, w) == EC_OK);
    uint8_t *stream = stream_of(&e, &bytes);
    assert(ec_decoder_init(&d, lanes, stream, bytes) == EC_OK);
    assert(ec_decode_fsar(&d, model, h, w, out, scratch) == EC_OK);
    assert(ec_decoder_finish(&d) == EC_OK);
    assert(n == 0 || memcmp(in, out, n * 2) == 0);
    if (n > 0) {
        in[n / 2] = (uint16_t)symbols;
        ec_encoder_attach(&e, buffer, bound);
        assert(ec_encode_fsar(&e, model, in, h, w) == EC_ERR_SYMBOL);
        assert(ec_fsar_table_ids(model, in, lanes, h, w, ids) == EC_ERR_SYMBOL);
        ec_encoder_attach(&e, buffer, bound - 1);
        assert(ec_encode_fsar(&e, model, in, h, w) == EC_ERR_CAPACITY);
    }
    free(stream);
    free(buffer);
    free(ids);
    free(scratch);
    free(in);
    free(out);
    ec_fsar_free(model);
    ec_tables_free(t);
}

int main(void) {
    const uint32_t sizes[][2] = {{1, 1}, {1, 7}, {5, 1}, {6, 4}, {2, 200}, {0, 3}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t z = 0; z < sizeof sizes / sizeof sizes[0]; z++)
            for (uint32_t groups = 1; groups <= 3; groups++) {
                round_trip(&shapes[s], 3, groups, 32, sizes[z][0], sizes[z][1], EC_LAYOUT_AUTO);
                round_trip(&shapes[s], 4, groups, 5, sizes[z][0], sizes[z][1], EC_LAYOUT_BUCKETED);
            }

    ec_tables *t = random_tables(16, 3, 8, EC_LAYOUT_AUTO);
    ec_fsar *model;
    const int32_t good[6] = {0, -1, 0, 0, 0, -1};
    const int32_t bad[][3] = {{0, 0, 0}, {0, 0, 1}, {0, 1, -5}, {1, -1, -1}};
    assert(ec_fsar_create(t, good, 2, 1, &model) == EC_OK);
    assert(ec_fsar_scratch(model, 32, UINT32_MAX, UINT32_MAX) == 0);
    ec_encoder e;
    assert(ec_encoder_init(&e, 1) == EC_OK);
    assert(ec_encode_fsar(&e, model, NULL, UINT32_MAX, UINT32_MAX) == EC_ERR_ARGUMENT);
    ec_fsar_free(model);
    for (size_t i = 0; i < 4; i++) assert(ec_fsar_create(t, bad[i], 1, 4, &model) == EC_ERR_CAUSALITY);
    assert(ec_fsar_create(t, good, 2, 2, &model) == EC_ERR_TABLE && model == NULL);
    assert(ec_fsar_create(t, good, 1, 1, &model) == EC_ERR_TABLE);
    assert(ec_fsar_create(t, good, 1, 0, &model) == EC_ERR_ARGUMENT);
    assert(ec_fsar_create(t, good, 5, 1, &model) == EC_ERR_ARGUMENT);
    ec_tables_free(t);
    puts("fsar ok");
    return 0;
}
