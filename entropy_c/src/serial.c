/* Tables and FSAR models as bytes; docs/FORMAT-tables.md specifies them. */
#include <stdlib.h>

#include "compact.h"
#include "crc32.h"
#include "models.h"

enum { KIND_TABLES = 1, KIND_FSAR = 2 };

#define MAGIC               0x54534693u /* 93 46 53 54 */
#define VERSION             1
#define HEAD_BYTES          28
#define NEIGHBOURHOOD_BYTES 8 /* and 16 for each neighbour */
#define CHECK_BYTES         4

/* The distance of contexts that differ by one in the neighbour before the last. */
static size_t map_row(const ec_fsar_info *info) {
    return info->order > 0 ? info->class_counts[info->order - 1] : 1;
}

/* ---- Saving ---- */

static void put_head(ec_bit_writer *w, const ec_tables *t, uint32_t kind) {
    ec_put_bits(w, MAGIC, 32);
    ec_put_bits(w, VERSION, 16);
    ec_put_bits(w, kind, 16);
    ec_put_bits(w, 0, 32); /* the length, set at the end */
    ec_put_bits(w, 0, 32);
    ec_put_bits(w, (uint32_t)t->count, 32);
    ec_put_bits(w, t->symbols, 32);
    ec_put_bits(w, t->bits, 8);
    ec_put_bits(w, t->escape, 24);
}

static void put_neighbourhood(ec_bit_writer *w, const ec_fsar_info *info) {
    ec_put_bits(w, info->groups, 32);
    ec_put_bits(w, info->order, 8);
    ec_put_bits(w, (uint32_t)info->has_classes, 8);
    ec_put_bits(w, (uint32_t)info->has_map, 16);
    for (uint32_t i = 0; i < info->order; i++) {
        for (uint32_t axis = 0; axis < 3; axis++) ec_put_bits(w, (uint32_t)info->offsets[i][axis], 32);
        ec_put_bits(w, info->class_counts[i], 32);
    }
}

static void put_tables(ec_bit_writer *w, const ec_tables *t, uint32_t *row) {
    for (size_t i = 0; i < t->count; i++) {
        (void)ec_tables_counts(t, i, row);
        ec_put_row(w, row, t->symbols + t->escape - 1);
    }
}

static size_t finish(ec_bit_writer *w) {
    const size_t body = (size_t)((w->at + 7) / 8), bytes = body + CHECK_BYTES;
    ec_bit_writer length = {w->out + 8, 0}, check = {w->out + body, 0};
    ec_put_bits(&length, (uint32_t)bytes, 32);
    ec_put_bits(&length, (uint32_t)((uint64_t)bytes >> 32), 32);
    ec_put_bits(&check, ec_crc32(w->out, body), 32);
    return bytes;
}

static uint64_t tables_bits(const ec_tables *t) {
    return t->count * (EC_ROW_BITS + EC_COUNT_BITS * (uint64_t)(t->symbols + t->escape - 1));
}

static size_t class_entries(const ec_fsar *m) { return (size_t)m->groups * m->order * m->states; }
static size_t map_entries(const ec_fsar *m) { return (size_t)m->groups * (size_t)m->contexts; }

size_t ec_tables_save_bound(const ec_tables *tables) {
    return HEAD_BYTES + CHECK_BYTES + (size_t)(tables_bits(tables) / 8) + 1;
}

size_t ec_fsar_save_bound(const ec_fsar *model) {
    uint64_t bits = tables_bits(model->tables);
    if (model->has_classes) bits += 1 + 16 * (uint64_t)class_entries(model); /* classes are 16-bit numbers */
    if (model->map != NULL)
        bits += 1 + map_entries(model) * (uint64_t)ec_id_bits((uint32_t)model->tables->count);
    return HEAD_BYTES + NEIGHBOURHOOD_BYTES + 16 * model->order + CHECK_BYTES + (size_t)(bits / 8) + 1;
}

int ec_tables_save(const ec_tables *tables, uint8_t *out, size_t capacity, size_t *bytes) {
    if (capacity < ec_tables_save_bound(tables)) return EC_ERR_CAPACITY;
    uint32_t *row = malloc((tables->symbols + tables->escape) * sizeof *row);
    if (row == NULL) return EC_ERR_MEMORY;
    ec_bit_writer w = {out, 0};
    put_head(&w, tables, KIND_TABLES);
    put_tables(&w, tables, row);
    *bytes = finish(&w);
    free(row);
    return EC_OK;
}

/* Classes are 16-bit numbers whatever their count. */
static uint32_t class_limit(const ec_fsar_info *info) {
    uint32_t most = 1;
    for (uint32_t i = 0; i < info->order; i++)
        if (info->class_counts[i] > most) most = info->class_counts[i];
    return most < 65536 ? most : 65536;
}

static void put_classes(ec_bit_writer *w, const ec_fsar *m, const ec_fsar_info *info, uint32_t *ids) {
    for (size_t i = 0; i < class_entries(m); i++) ids[i] = m->steps[i] / m->weights[i / m->states % m->order];
    ec_put_ids(w, ids, class_entries(m), class_limit(info), m->states);
}

static void put_map(ec_bit_writer *w, const ec_fsar *m, const ec_fsar_info *info, uint32_t *ids) {
    ec_fsar_context_map(m, ids);
    ec_put_ids(w, ids, map_entries(m), (uint32_t)m->tables->count, map_row(info));
}

int ec_fsar_save(const ec_fsar *model, uint8_t *out, size_t capacity, size_t *bytes) {
    if (capacity < ec_fsar_save_bound(model)) return EC_ERR_CAPACITY;
    ec_fsar_info info;
    ec_fsar_describe(model, &info);
    size_t most =
        model->tables->symbols + model->tables->escape; /* one room for a row, the classes, the map */
    if (model->has_classes && most < class_entries(model)) most = class_entries(model);
    if (model->map != NULL && most < map_entries(model)) most = map_entries(model);
    uint32_t *scratch = malloc(most * sizeof *scratch);
    if (scratch == NULL) return EC_ERR_MEMORY;
    ec_bit_writer w = {out, 0};
    put_head(&w, model->tables, KIND_FSAR);
    put_neighbourhood(&w, &info);
    put_tables(&w, model->tables, scratch);
    if (model->has_classes) put_classes(&w, model, &info, scratch);
    if (model->map != NULL) put_map(&w, model, &info, scratch);
    *bytes = finish(&w);
    free(scratch);
    return EC_OK;
}

/* ---- Loading ---- */

/* Everything that does not depend on the kind. On EC_OK the reader stands behind the head and ends before the
 * check. */
static int open_file(const uint8_t *data, size_t bytes, uint32_t kind, ec_bit_reader *r,
                     ec_tables_info *info) {
    *r = (ec_bit_reader){data, 0, 8 * (uint64_t)bytes, 0};
    if (ec_get_bits(r, 32) != MAGIC) return bytes < 4 ? EC_ERR_TRUNCATED : EC_ERR_DAMAGED;
    const uint32_t version = ec_get_bits(r, 16), its_kind = ec_get_bits(r, 16);
    if (!r->failed && version > VERSION) return EC_ERR_VERSION;
    uint64_t length = ec_get_bits(r, 32);
    length |= (uint64_t)ec_get_bits(r, 32) << 32;
    if (r->failed || bytes < length) return EC_ERR_TRUNCATED;
    if (bytes > length || bytes < HEAD_BYTES + CHECK_BYTES) return EC_ERR_DAMAGED;
    ec_bit_reader check = {data, r->end - 8 * CHECK_BYTES, r->end, 0};
    if (ec_get_bits(&check, 32) != ec_crc32(data, bytes - CHECK_BYTES)) return EC_ERR_DAMAGED;
    r->end -= 8 * CHECK_BYTES;
    info->tables = ec_get_bits(r, 32);
    info->symbols = ec_get_bits(r, 32);
    info->bits = ec_get_bits(r, 8);
    const uint32_t escape = ec_get_bits(r, 24);
    info->escape = escape == 1;
    const int sound = version == VERSION && its_kind == kind && escape <= 1 && info->tables >= 1 &&
                      info->tables <= 0x7FFFFFFF && info->symbols >= 1 && info->symbols <= 65536 - escape &&
                      info->bits >= 8 && info->bits <= 16;
    return sound ? EC_OK : EC_ERR_DAMAGED;
}

/* Whether every bit was needed, but for zeros up to the end of the last byte. */
static int is_complete(ec_bit_reader *r) {
    const uint64_t rest = r->end - r->at;
    return rest < 8 && ec_get_bits(r, (uint32_t)rest) == 0 && !r->failed;
}

/* What is wrong in a file is not the caller's fault, except for a layout that it does not fit. */
static int of_file(int status) {
    return status == EC_ERR_TABLE || status == EC_ERR_CAUSALITY ? EC_ERR_DAMAGED : status;
}

static int get_tables(ec_bit_reader *r, const ec_tables_info *info, int layout, ec_tables **out) {
    const uint32_t coded = info->symbols + (uint32_t)info->escape - 1;
    if (info->tables * (uint64_t)(EC_ROW_BITS + coded) > r->end - r->at) return EC_ERR_DAMAGED;
    uint32_t *counts = malloc(info->tables * ((size_t)coded + 1) * sizeof *counts);
    if (counts == NULL) return EC_ERR_MEMORY;
    int status = EC_OK;
    for (size_t i = 0; status == EC_OK && i < info->tables; i++)
        if (!ec_get_row(r, counts + i * ((size_t)coded + 1), coded, 1u << info->bits))
            status = EC_ERR_DAMAGED;
    if (status == EC_OK)
        status = of_file(
            ec_tables_create(counts, info->tables, info->symbols, info->bits, info->escape, layout, out));
    free(counts);
    return status;
}

int ec_tables_load(const uint8_t *data, size_t bytes, int layout, ec_tables **out) {
    *out = NULL;
    ec_bit_reader r;
    ec_tables_info info;
    ec_tables *tables = NULL;
    int status = open_file(data, bytes, KIND_TABLES, &r, &info);
    if (status == EC_OK) status = get_tables(&r, &info, layout, &tables);
    if (status == EC_OK && !is_complete(&r)) status = EC_ERR_DAMAGED;
    if (status == EC_OK)
        *out = tables;
    else
        ec_tables_free(tables);
    return status;
}

/* Returns 0 unless the contexts fit the tables or, with classes or a map, their limit. */
static int get_neighbourhood(ec_bit_reader *r, const ec_tables_info *tables, ec_fsar_info *info) {
    memset(info, 0, sizeof *info);
    info->groups = ec_get_bits(r, 32);
    info->order = ec_get_bits(r, 8);
    const uint32_t has_classes = ec_get_bits(r, 8), has_map = ec_get_bits(r, 16);
    if (info->groups < 1 || info->order > EC_MAX_ORDER || has_classes > 1 || has_map > 1 ||
        tables->symbols > 65535)
        return 0;
    info->has_classes = has_classes == 1;
    info->has_map = has_map == 1;
    const uint64_t limit = has_classes || has_map ? EC_MAX_CONTEXTS : tables->tables;
    uint64_t all = info->groups;
    for (uint32_t i = 0; i < info->order; i++) {
        for (uint32_t axis = 0; axis < 3; axis++) info->offsets[i][axis] = (int32_t)ec_get_bits(r, 32);
        const uint32_t classes = info->class_counts[i] = ec_get_bits(r, 32);
        if (all > limit || classes < 1 || (!has_classes && classes != tables->symbols + 1)) return 0;
        all *= classes;
    }
    info->contexts = (size_t)(all / info->groups);
    return !r->failed && all <= limit && (has_map || all == tables->tables);
}

static int get_classes(ec_bit_reader *r, const ec_fsar_info *info, uint32_t states, uint16_t **out) {
    int status;
    const uint64_t entries = (uint64_t)info->groups * info->order * states;
    uint32_t *ids = ec_get_ids(r, entries, class_limit(info), states, &status);
    if (ids == NULL) return status;
    *out = malloc((entries > 0 ? (size_t)entries : 1) * sizeof **out);
    for (size_t i = 0; *out != NULL && i < entries; i++) (*out)[i] = (uint16_t)ids[i];
    free(ids);
    return *out != NULL ? EC_OK : EC_ERR_MEMORY;
}

static int get_model(ec_bit_reader *r, const ec_fsar_info *info, const ec_tables *tables, ec_fsar **out) {
    uint16_t *classes = NULL;
    uint32_t *map = NULL;
    int status = info->has_classes ? get_classes(r, info, tables->symbols + 1, &classes) : EC_OK;
    if (status == EC_OK && info->has_map)
        map = ec_get_ids(r, info->groups * (uint64_t)info->contexts, (uint32_t)tables->count, map_row(info),
                         &status);
    if (status == EC_OK && !is_complete(r)) status = EC_ERR_DAMAGED;
    if (status == EC_OK)
        status = of_file(ec_fsar_create(tables, info->offsets[0], info->order, info->groups,
                                        info->class_counts, classes, map, out));
    free(classes);
    free(map);
    return status;
}

int ec_fsar_load(const uint8_t *data, size_t bytes, int layout, ec_tables **tables, ec_fsar **model) {
    *tables = NULL;
    *model = NULL;
    ec_bit_reader r;
    ec_tables_info shape;
    ec_fsar_info info;
    ec_tables *made = NULL;
    int status = open_file(data, bytes, KIND_FSAR, &r, &shape);
    if (status == EC_OK && !get_neighbourhood(&r, &shape, &info)) status = EC_ERR_DAMAGED;
    if (status == EC_OK) status = get_tables(&r, &shape, layout, &made);
    if (status == EC_OK) status = get_model(&r, &info, made, model);
    if (status == EC_OK)
        *tables = made;
    else
        ec_tables_free(made);
    return status;
}
