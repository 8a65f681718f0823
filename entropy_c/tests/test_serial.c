/* Saved models come back; no bytes whatever make loading do harm. */
#include "cases.h"

/* Bit by bit, as the definition has it. */
static uint32_t crc32_of(const uint8_t *data, size_t bytes) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

static void set_number(uint8_t *at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* Makes length and checksum right again, so that only the fields can be wrong. */
static void seal(stream_t *file) {
    set_number(file->data + 8, file->bytes, 8);
    set_number(file->data + file->bytes - 4, crc32_of(file->data, file->bytes - 4), 4);
}

/* `fsar` NULL: the tables alone. */
static stream_t saved(const ec_tables *tables, const ec_fsar *fsar) {
    const size_t bound = fsar != NULL ? ec_fsar_save_bound(fsar) : ec_tables_save_bound(tables);
    stream_t file = {take(bound), SIZE_MAX};
    assert((fsar != NULL ? ec_fsar_save(fsar, file.data, bound - 1, &file.bytes)
                         : ec_tables_save(tables, file.data, bound - 1, &file.bytes)) == EC_ERR_CAPACITY);
    assert((fsar != NULL ? ec_fsar_save(fsar, file.data, bound, &file.bytes)
                         : ec_tables_save(tables, file.data, bound, &file.bytes)) == EC_OK);
    assert(file.bytes <= bound);
    stream_t exact = {copy_of(file.data, file.bytes), file.bytes};
    drop(file.data);
    return exact;
}

static int load(const stream_t *file, int with_fsar, int layout, ec_tables **tables, ec_fsar **fsar) {
    *fsar = NULL;
    const int status = with_fsar ? ec_fsar_load(file->data, file->bytes, layout, tables, fsar)
                                 : ec_tables_load(file->data, file->bytes, layout, tables);
    assert((status == EC_OK) == (*tables != NULL) && (status == EC_OK && with_fsar) == (*fsar != NULL));
    return status;
}

static void release(ec_tables *tables, ec_fsar *fsar) {
    ec_fsar_free(fsar);
    ec_tables_free(tables);
}

static void same_counts(const part_t *part, const ec_tables *tables) {
    ec_tables_info info;
    ec_tables_describe(tables, &info);
    assert(info.tables == part->tables && info.symbols == part->symbols && info.bits == part->bits);
    assert(info.escape == part->escape);
    uint32_t *row = take(part->alphabet * sizeof *row);
    for (size_t i = 0; i < part->tables; i++) {
        assert(ec_tables_counts(tables, i, row) == EC_OK);
        assert(memcmp(row, part->counts + i * part->alphabet, part->alphabet * sizeof *row) == 0);
    }
    drop(row);
}

static void same_model(const part_t *part, const ec_fsar *fsar) {
    ec_fsar_info info;
    ec_fsar_describe(fsar, &info);
    assert(info.groups == part->planes && info.order == part->order && info.contexts == part->contexts);
    assert(info.has_classes == (part->classes != NULL) && info.has_map == (part->map != NULL));
    assert(memcmp(info.offsets, part->offsets, part->order * sizeof info.offsets[0]) == 0);
    assert(memcmp(info.class_counts, part->class_counts, part->order * sizeof info.class_counts[0]) == 0);
    const size_t states = part->symbols + 1, entries = (size_t)part->planes * part->order * states;
    const size_t contexts = (size_t)part->planes * part->contexts;
    uint16_t *classes = take(entries * sizeof *classes);
    uint32_t *map = take(contexts * sizeof *map);
    ec_fsar_classes(fsar, classes);
    ec_fsar_context_map(fsar, map);
    for (size_t i = 0; i < entries; i++)
        assert(classes[i] == (part->classes != NULL ? part->classes[i] : i % states));
    for (size_t c = 0; c < contexts; c++) assert(map[c] == (part->map != NULL ? part->map[c] : c));
    drop(classes);
    drop(map);
}

/* A random part with its models made; neither data nor indices. */
static void open_part(case_t *c, int with_fsar) {
    memset(c, 0, sizeof *c);
    c->parts = 1;
    random_part(&c->part[0], with_fsar ? FSAR : INDEXED, 1, 4);
    part_t *part = &c->part[0];
    /* Runs, as merging makes them. */
    for (size_t i = 1; part->map != NULL && i < (size_t)part->planes * part->contexts; i++)
        if (i % 7 > 0) part->map[i] = part->map[i - 1];
    open_case(c);
}

static void round_trips(void) {
    for (int number = 0; number < 400; number++) {
        const int with_fsar = number % 2;
        case_t c;
        open_part(&c, with_fsar);
        const part_t *part = &c.part[0];
        stream_t file = saved(part->made_tables, with_fsar ? part->made_fsar : NULL);
        ec_tables *tables;
        ec_fsar *fsar;
        assert(load(&file, with_fsar, ec_tables_layout(part->made_tables), &tables, &fsar) == EC_OK);
        same_counts(part, tables);
        if (with_fsar) same_model(part, fsar);
        stream_t again = saved(tables, fsar);
        assert(again.bytes == file.bytes && memcmp(again.data, file.data, file.bytes) == 0);
        drop(again.data);
        release(tables, fsar);
        drop(file.data);
        close_case(&c);
        drop_case(&c);
    }
}

/* Every prefix and every single bit of a small file. */
static void damage(int with_fsar) {
    case_t c;
    ec_tables *tables;
    ec_fsar *fsar;
    stream_t file;
    for (;;) {
        open_part(&c, with_fsar);
        file = saved(c.part[0].made_tables, c.part[0].made_fsar);
        close_case(&c);
        drop_case(&c);
        if (file.bytes < 400) break;
        drop(file.data);
    }
    for (size_t bytes = 0; bytes < file.bytes; bytes++) {
        stream_t cut = {copy_of(file.data, bytes), bytes};
        assert(load(&cut, with_fsar, EC_LAYOUT_TREE, &tables, &fsar) == EC_ERR_TRUNCATED);
        drop(cut.data);
    }
    for (size_t bit = 0; bit < 8 * file.bytes; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const int status = load(&file, with_fsar, EC_LAYOUT_TREE, &tables, &fsar);
        assert(status == EC_ERR_DAMAGED || (status == EC_ERR_VERSION && bit / 32 == 1) ||
               (status == EC_ERR_TRUNCATED && bit / 64 == 1));
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert(load(&file, !with_fsar, EC_LAYOUT_TREE, &tables, &fsar) == EC_ERR_DAMAGED); /* the other kind */
    stream_t more = {take(file.bytes + 1), file.bytes + 1};
    memcpy(more.data, file.data, file.bytes);
    more.data[file.bytes] = 0;
    assert(load(&more, with_fsar, EC_LAYOUT_TREE, &tables, &fsar) == EC_ERR_DAMAGED);
    seal(&more);
    assert(load(&more, with_fsar, EC_LAYOUT_TREE, &tables, &fsar) == EC_ERR_DAMAGED);
    file.data[4] = 2; /* a newer version need not even have a checksum */
    assert(load(&file, with_fsar, EC_LAYOUT_TREE, &tables, &fsar) == EC_ERR_VERSION);
    drop(more.data);
    drop(file.data);
}

/* Whatever was loaded keeps the promise on memory, chooses tables that exist and can be saved. */
static void examine(const stream_t *file, ec_tables *tables, ec_fsar *fsar) {
    const size_t held = ec_tables_bytes(tables) + (fsar != NULL ? ec_fsar_bytes(fsar) : 0);
    assert(held <= 100 * file->bytes + (128 << 10));
    ec_tables_info info;
    ec_tables_describe(tables, &info);
    if (fsar != NULL) {
        ec_fsar_info shape;
        ec_fsar_describe(fsar, &shape);
        const size_t n = (size_t)shape.groups * 4 * 3;
        uint16_t *indices = take(n * sizeof *indices);
        uint32_t *ids = take(n * sizeof *ids);
        for (size_t i = 0; i < n; i++) indices[i] = (uint16_t)below(info.symbols);
        assert(ec_fsar_table_ids(fsar, indices, 1, 4, 3, ids) == EC_OK);
        for (size_t i = 0; i < n; i++) assert(ids[i] < info.tables);
        drop(indices);
        drop(ids);
    }
    stream_t again = saved(tables, fsar);
    drop(again.data);
}

/* Some bytes of the head or anywhere, at times a part missing; length and checksum right again. */
static stream_t mutant(const stream_t *file) {
    const size_t bytes = below(4) == 0 ? 32 + below((uint32_t)(file->bytes - 31)) : file->bytes;
    stream_t bad = {copy_of(file->data, bytes), bytes};
    for (uint32_t i = below(5); i > 0; i--) {
        const size_t reach = below(2) && bytes > 100 ? 100 : bytes;
        uint8_t *byte = bad.data + 6 + below((uint32_t)(reach - 6));
        const uint32_t how = below(3);
        *byte = (uint8_t)(how == 0 ? below(256) : how == 1 ? *byte + 1u : *byte ^ 1u << below(8));
    }
    seal(&bad);
    return bad;
}

static void mutants(size_t models) {
    size_t accepted = 0, refused = 0;
    for (size_t number = 0; number < models; number++) {
        const int with_fsar = number % 4 != 0;
        case_t c;
        open_part(&c, with_fsar);
        stream_t file = saved(c.part[0].made_tables, c.part[0].made_fsar);
        close_case(&c);
        drop_case(&c);
        for (int i = 0; i < 40 && file.bytes < 20000; i++) {
            stream_t bad = mutant(&file);
            ec_tables *tables;
            ec_fsar *fsar;
            const int layout = below(2) ? EC_LAYOUT_AUTO : EC_LAYOUT_TREE;
            const int status = load(&bad, with_fsar, layout, &tables, &fsar);
            assert(status == EC_OK || status == EC_ERR_DAMAGED);
            if (status == EC_OK) examine(&bad, tables, fsar);
            *(status == EC_OK ? &accepted : &refused) += 1;
            release(tables, fsar);
            drop(bad.data);
        }
        drop(file.data);
    }
    assert(accepted > 100 && refused > 1000);
}

/* Promises of much in a few bytes are seen before anything is allocated. */
static void promises(void) {
    const uint32_t counts[4] = {100, 56, 50, 50};
    const int32_t left[3] = {0, 0, -1};
    const uint32_t map[2 * 4] = {0}, classes_of[1] = {4};
    const uint16_t classes[2 * 4] = {0, 1, 2, 3, 3, 2, 1, 0};
    ec_tables *tables, *other;
    ec_fsar *model, *loaded;
    assert(ec_tables_create(counts, 1, 3, 8, 1, EC_LAYOUT_AUTO, &tables) == EC_OK);
    assert(ec_fsar_create(tables, left, 1, 2, classes_of, classes, map, &model) == EC_OK);
    stream_t file = saved(tables, model);
    assert(load(&file, 1, -1, &other, &loaded) == EC_ERR_ARGUMENT);
    assert(load(&file, 1, EC_LAYOUT_FUSED, &other, &loaded) == EC_OK);
    assert(ec_tables_layout(other) == EC_LAYOUT_FUSED);
    release(other, loaded);
    const struct { /* each impossible */
        size_t at, bytes;
        uint64_t value;
    } changes[] = {{16, 4, 0},          {16, 4, 0x7FFFFFFF}, {16, 4, UINT32_MAX}, {20, 4, 0}, {20, 4, 65535},
                   {20, 4, UINT32_MAX}, {24, 1, 7},          {24, 1, 17},         {25, 1, 2}, {26, 2, 1},
                   {28, 4, 0},          {28, 4, 262144},     {28, 4, UINT32_MAX}, {32, 1, 5}, {33, 1, 2},
                   {34, 2, 2},          {36, 4, 1},          {44, 4, 0},          {48, 4, 0}, {48, 4, 524288},
                   {48, 4, UINT32_MAX}, {33, 1, 0},          {4, 2, 0},           {6, 2, 3}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        stream_t bad = {copy_of(file.data, file.bytes), file.bytes};
        set_number(bad.data + changes[i].at, changes[i].value, changes[i].bytes);
        seal(&bad);
        assert(load(&bad, 1, EC_LAYOUT_AUTO, &other, &loaded) == EC_ERR_DAMAGED);
        drop(bad.data);
    }
    drop(file.data);
    release(tables, model);
}

int main(int argc, char **argv) {
    assert(crc32_of((const uint8_t *)"123456789", 9) == 0xCBF43926);
    seed_random(0);
    round_trips();
    for (int i = 0; i < 10; i++) damage(i % 2);
    mutants(argument(argc, argv, 250));
    promises();
    puts("serial ok");
    return 0;
}
