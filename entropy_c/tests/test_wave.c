/* Waves in small: all numbers of lanes on images lower and higher than they, neighbours that reach across the
 * lanes in every way. The bytes must be the reference's, whose tables come from the raster order of the
 * image. */
#include "cases.h"
#include "reference.h"

static const struct shape {
    uint32_t order;
    int32_t offsets[EC_MAX_ORDER][3];
} shapes[] = {
    {0, {{0}}},
    {1, {{0, 0, -1}}},
    {2, {{0, -1, 0}, {0, 0, -1}}},
    {2, {{0, -1, -1}, {0, -1, -3}}},            /* up left */
    {2, {{0, -1, 1}, {0, 0, -1}}},              /* up right: two columns behind */
    {2, {{0, -1, 4}, {0, -2, 0}}},              /* far right */
    {2, {{0, -2, 1}, {0, -2, -1}}},             /* two rows up only */
    {3, {{0, -3, 2}, {0, -5, 0}, {0, -1, 0}}},  /* more rows up than some have lanes */
    {3, {{-1, 0, 0}, {-1, 0, 3}, {-1, -1, 2}}}, /* the plane before */
    {4, {{-1, 0, 1}, {-2, -1, -1}, {0, -1, 1}, {0, 0, -2}}},
};

static void check(part_t *part, uint32_t lanes) {
    case_t c = {.groups = 1, .lanes = lanes, .images = 1, .parts = 1};
    stream_t mine, expected;
    int same;
    c.part[0] = *part;
    random_data(&c.part[0], 1);
    open_case(&c);
    encode_case(&c, &mine);
    reference_streams(&c, &expected);
    assert(mine.bytes == expected.bytes && memcmp(mine.data, expected.data, mine.bytes) == 0);
    assert(decode_case(&c, &mine, &same) == EC_OK && same);
    close_case(&c);
    drop_streams(&c, &mine);
    drop_streams(&c, &expected);
    drop(c.part[0].data);
    drop(c.part[0].logits);
    drop(c.part[0].scales);
}

static void fsar(void) {
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (uint32_t lanes = 1; lanes <= EC_LANES; lanes++) {
            part_t part = {.kind = FSAR_WAVE, .symbols = 3, .alphabet = 3, .bits = 10, .planes = 3};
            part.order = shapes[s].order;
            memcpy(part.offsets, shapes[s].offsets, sizeof part.offsets);
            part.contexts = 1;
            for (uint32_t i = 0; i < part.order; i++) part.contexts *= part.class_counts[i] = 4;
            part.tables = part.planes * part.contexts;
            part.counts = take(part.tables * part.alphabet * sizeof *part.counts);
            for (size_t i = 0; i < part.tables; i++)
                random_counts(part.counts + i * part.alphabet, part.alphabet, part.bits);
            part.layout = lanes % 2 ? EC_LAYOUT_TREE : EC_LAYOUT_AUTO;
            for (int i = 0; i < 3; i++) {
                part.height = 1 + below(i == 0 ? 4 : 2 * lanes + 3);
                part.width = 1 + below(i == 1 ? 3 : 12);
                part.positions = (size_t)part.planes * part.height * part.width;
                check(&part, lanes);
            }
            drop(part.counts);
        }
}

static void pixels(void) {
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (uint32_t lanes = 1; lanes <= EC_LANES; lanes += 1 + below(3)) {
            case_t c = {.parts = 1};
            part_t *part = &c.part[0];
            random_part(part, PIXELS_WAVE, lanes, 10);
            for (uint32_t colour = 0, tap = 0; colour < part->colours; colour++) {
                part->tap_counts[colour] = shapes[s].order;
                for (uint32_t i = 0; i < shapes[s].order; i++, tap++) {
                    memcpy(part->taps[tap], shapes[s].offsets[i], sizeof part->taps[tap]);
                    part->taps[tap][0] = (int32_t)below(part->colours) - (int32_t)colour;
                    if (part->taps[tap][1] == 0) part->taps[tap][2] = -1;
                }
            }
            part->height = 1 + below(below(2) ? 4 : 2 * lanes + 3);
            part->width = 1 + below(12);
            part->positions = (size_t)part->colours * part->height * part->width;
            check(part, lanes);
            drop_case(&c);
        }
}

int main(void) {
    on_every_isa(fsar);
    on_every_isa(pixels);
    puts("wave ok");
    return 0;
}
