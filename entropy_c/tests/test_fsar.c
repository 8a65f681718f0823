/* FSAR models: the documented table of every symbol, refusals. Round trips are in the other programs. */
#include "cases.h"
#include "reference.h"

/* ec_fsar_table_ids agrees with the document, and changing a symbol changes no table up to its own. */
static void table_ids(void) {
    for (int number = 0; number < 300; number++) {
        case_t c;
        random_case(&c, 1u << FSAR, 7);
        open_case(&c);
        for (uint32_t i = 0; i < c.parts; i++) {
            part_t *part = &c.part[i];
            const size_t n = c.images * part->positions;
            uint32_t *ids = take(n * sizeof *ids), *after = take(n * sizeof *after);
            uint16_t *data = part->data;
            assert(ec_fsar_table_ids(part->made_fsar, data, c.images, part->height, part->width, ids) ==
                   EC_OK);
            size_t at = 0;
            for (uint32_t image = 0; image < c.images; image++)
                for (uint32_t plane = 0; plane < part->planes; plane++)
                    for (uint32_t row = 0; row < part->height; row++)
                        for (uint32_t column = 0; column < part->width; column++, at++)
                            assert(ids[at] ==
                                   reference_table(part, data + image * part->positions, plane, row, column));
            if (n > 0) {
                const size_t changed = below((uint32_t)n);
                data[changed] = (uint16_t)below(part->symbols);
                assert(ec_fsar_table_ids(part->made_fsar, data, c.images, part->height, part->width, after) ==
                       EC_OK);
                assert(memcmp(ids, after, (changed + 1) * sizeof *ids) == 0);
                data[changed] = (uint16_t)part->symbols;
                assert(ec_fsar_table_ids(part->made_fsar, data, c.images, part->height, part->width, after) ==
                       EC_ERR_SYMBOL);
            }
            drop(ids);
            drop(after);
        }
        close_case(&c);
        drop_case(&c);
    }
}

static ec_tables *flat_tables(size_t tables) { /* over 3 symbols at 8 bits */
    uint32_t *counts = take(tables * 3 * sizeof *counts);
    for (size_t i = 0; i < tables; i++) memcpy(counts + 3 * i, (const uint32_t[]){100, 56, 100}, 12);
    ec_tables *t;
    assert(ec_tables_create(counts, tables, 3, 8, 0, EC_LAYOUT_AUTO, &t) == EC_OK);
    drop(counts);
    return t;
}

static void models(void) {
    ec_tables *t = flat_tables(16);
    ec_fsar *model;
    const int32_t good[6] = {0, -1, 0, 0, 0, -1};
    const int32_t bad[][3] = {{0, 0, 0}, {0, 0, 1}, {0, 1, -5}, {1, -1, -1}};
    for (size_t i = 0; i < 4; i++)
        assert(ec_fsar_create(t, bad[i], 1, 4, NULL, NULL, NULL, &model) == EC_ERR_CAUSALITY &&
               model == NULL);
    assert(ec_fsar_create(t, good, 2, 2, NULL, NULL, NULL, &model) == EC_ERR_TABLE && model == NULL);
    assert(ec_fsar_create(t, good, 1, 1, NULL, NULL, NULL, &model) == EC_ERR_TABLE);
    assert(ec_fsar_create(t, good, 1, 0, NULL, NULL, NULL, &model) == EC_ERR_ARGUMENT);
    assert(ec_fsar_create(t, good, 5, 1, NULL, NULL, NULL, &model) == EC_ERR_ARGUMENT);
    assert(ec_fsar_create(t, good, 0, UINT32_MAX, NULL, NULL, NULL, &model) == EC_ERR_TABLE);
    const uint16_t classes[2][4] = {{0, 1, 1, 0}, {0, 1, 2, 3}};
    const uint32_t sizes[2] = {2, 4}, none[2] = {2, 0}, small[2] = {2, 3}, vast[2] = {1u << 31, 1u << 31};
    uint32_t map[8] = {0, 15, 3, 3, 1, 2, 3, 4};
    assert(ec_fsar_create(t, good, 2, 1, sizes, classes[0], map, &model) == EC_OK);
    assert(ec_fsar_bytes(model) > 0);
    ec_fsar_free(model);
    assert(ec_fsar_create(t, good, 2, 2, NULL, classes[0], map, &model) == EC_ERR_ARGUMENT);
    assert(ec_fsar_create(t, good, 2, 1, none, classes[0], map, &model) == EC_ERR_TABLE);
    assert(ec_fsar_create(t, good, 2, 1, small, classes[0], map, &model) == EC_ERR_TABLE); /* class 3 of 3 */
    assert(ec_fsar_create(t, good, 2, 1, vast, classes[0], map, &model) == EC_ERR_TABLE);
    assert(ec_fsar_create(t, good, 2, 1, sizes, classes[0], NULL, &model) == EC_ERR_TABLE); /* 8 of 16 */
    map[7] = 16;
    assert(ec_fsar_create(t, good, 2, 1, sizes, classes[0], map, &model) == EC_ERR_TABLE);
    ec_tables_free(t);
}

static void coding(void) {
    ec_tables *t = flat_tables(8);
    ec_fsar *model, *down;
    const int32_t up[3] = {0, -1, 0}, below_before[3] = {-1, 1, 0};
    assert(ec_fsar_create(t, up, 1, 2, NULL, NULL, NULL, &model) == EC_OK);
    assert(ec_fsar_create(t, below_before, 1, 2, NULL, NULL, NULL, &down) == EC_OK);
    enum { H = 3, W = 5, LANES = 9, N = 2 * H * W };
    uint16_t data[LANES * N] = {0}, out[LANES * N];
    uint16_t *scratch = take(ec_fsar_scratch(model, LANES, H, W));
    uint8_t buffer[4 * LANES * N + 16], state[4] = {0, 0, 1, 0};
    ec_encoder e;
    ec_decoder d;
    assert(ec_encoder_init(&e, LANES) == EC_OK);
    ec_encoder_attach(&e, buffer, sizeof buffer);
    const ec_encoder fresh = e;
    data[LANES * N - 1] = 3;
    assert(ec_encode_fsar(&e, 1, model, data, H, W, scratch) == EC_ERR_SYMBOL);
    assert(memcmp(&e, &fresh, sizeof e) == 0);
    data[LANES * N - 1] = 0;
    ec_encoder_attach(&e, buffer, sizeof buffer - 1);
    assert(ec_encode_fsar(&e, 1, model, data, H, W, scratch) == EC_ERR_CAPACITY);
    /* Waves do not reach down; a row below that is outside anyway does not count. */
    assert(ec_fsar_scratch(down, 4, H, W) > 0 && ec_fsar_wave_scratch(down, 4, H, W) == 0);
    assert(ec_fsar_wave_scratch(down, 4, 1, W) > 0);
    assert(ec_encode_fsar_wave(&e, down, data, H, W, scratch) == EC_ERR_ARGUMENT);
    assert(ec_decoder_init(&d, 1, state, 4) == EC_OK);
    assert(ec_decode_fsar_wave(&d, down, H, W, out, scratch) == EC_ERR_ARGUMENT);
    /* Sizes beyond any memory, and none at all. */
    const uint32_t huge[][2] = {{UINT32_MAX, UINT32_MAX}, {1u << 21, 1u << 20}, {UINT32_MAX, 1u << 20}};
    for (size_t i = 0; i < 3; i++) {
        assert(ec_fsar_scratch(model, 32, huge[i][0], huge[i][1]) == 0);
        assert(ec_fsar_wave_scratch(model, 1, huge[i][0], huge[i][1]) == 0);
        assert(ec_encode_fsar(&e, 1, model, NULL, huge[i][0], huge[i][1], NULL) == EC_ERR_ARGUMENT);
        assert(ec_decode_fsar(&d, 1, model, huge[i][0], huge[i][1], NULL, NULL) == EC_ERR_ARGUMENT);
        assert(ec_decode_fsar_wave(&d, model, huge[i][0], huge[i][1], NULL, NULL) == EC_ERR_ARGUMENT);
    }
    assert(ec_fsar_scratch(model, 1, 0, 7) == 0 && ec_encode_fsar(&e, 1, model, NULL, 0, 7, NULL) == EC_OK);
    assert(ec_decode_fsar(&d, 1, model, 7, 0, NULL, NULL) == EC_OK && ec_decoder_finish(&d) == EC_OK);
    drop(scratch);
    ec_fsar_free(model);
    ec_fsar_free(down);
    ec_tables_free(t);
}

int main(void) {
    seed_random(0);
    table_ids();
    models();
    on_every_isa(coding);
    puts("fsar ok");
    return 0;
}
