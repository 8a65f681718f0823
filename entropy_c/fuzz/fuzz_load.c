/* Hostile saved models. The first byte says what to load and whether length and checksum are put right first,
 * so that the fields behind them are reached, too. */
#include "fuzz.h"

static void set_number(uint8_t *at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static void seal(uint8_t *file, size_t bytes) {
    uint32_t crc = UINT32_MAX;
    set_number(file + 8, bytes, 8);
    for (size_t i = 0; i + 4 < bytes; i++) {
        crc ^= file[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    set_number(file + bytes - 4, ~crc, 4);
}

/* Loaded models can be used, and saved: what is saved loads as the same bytes. */
static void examine(const ec_tables *tables, const ec_fsar *fsar) {
    const size_t bound = fsar != NULL ? ec_fsar_save_bound(fsar) : ec_tables_save_bound(tables);
    stream_t saved[2];
    for (int i = 0; i < 2; i++) {
        saved[i] = (stream_t){take(bound), 0};
        ec_tables *t = NULL;
        ec_fsar *f = NULL;
        if (i == 1)
            assert((fsar != NULL
                        ? ec_fsar_load(saved[0].data, saved[0].bytes, EC_LAYOUT_TREE, &t, &f)
                        : ec_tables_load(saved[0].data, saved[0].bytes, EC_LAYOUT_TREE, &t)) == EC_OK);
        const ec_tables *which = i == 0 ? tables : t;
        const ec_fsar *model = i == 0 ? fsar : f;
        assert((fsar != NULL ? ec_fsar_save(model, saved[i].data, bound, &saved[i].bytes)
                             : ec_tables_save(which, saved[i].data, bound, &saved[i].bytes)) == EC_OK);
        ec_fsar_free(f);
        ec_tables_free(t);
    }
    assert(saved[0].bytes == saved[1].bytes && memcmp(saved[0].data, saved[1].data, saved[0].bytes) == 0);
    drop(saved[0].data);
    drop(saved[1].data);
    if (fsar == NULL) return;
    ec_tables_info info;
    ec_fsar_info shape;
    ec_tables_describe(tables, &info);
    ec_fsar_describe(fsar, &shape);
    const size_t n = (size_t)shape.groups * 2 * 3;
    uint16_t *indices = take(n * sizeof *indices);
    uint32_t *ids = take(n * sizeof *ids);
    for (size_t i = 0; i < n; i++) indices[i] = (uint16_t)(i % info.symbols);
    assert(ec_fsar_table_ids(fsar, indices, 1, 2, 3, ids) == EC_OK);
    for (size_t i = 0; i < n; i++) assert(ids[i] < info.tables);
    drop(indices);
    drop(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 1) return 0;
    const uint8_t how = data[0];
    const size_t size = bytes - 1;
    uint8_t *file = copy_of(data + 1, size);
    if ((how & 1) == 0 && size >= 32) {
        const uint8_t magic[8] = {0x93, 0x46, 0x53, 0x54, 1, 0, how & 2 ? 2 : 1, 0};
        memcpy(file, magic, sizeof magic);
        seal(file, size);
    }
    ec_tables *tables;
    ec_fsar *fsar = NULL;
    const int layout = how >> 2 & 1 ? EC_LAYOUT_AUTO : EC_LAYOUT_TREE;
    const int status = how & 2 ? ec_fsar_load(file, size, layout, &tables, &fsar)
                               : ec_tables_load(file, size, layout, &tables);
    if (status == EC_OK)
        examine(tables, fsar);
    else
        assert(tables == NULL && fsar == NULL && status != EC_ERR_ARGUMENT && status != EC_ERR_TABLE);
    ec_fsar_free(fsar);
    ec_tables_free(tables);
    drop(file);
    return 0;
}
