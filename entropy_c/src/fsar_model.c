/* Neighbourhoods of FSAR models: validation, and the table of every symbol. */
#include <stdlib.h>

#include "models.h"

static int is_causal(const int32_t *o) {
    return o[0] < 0 || (o[0] == 0 && (o[1] < 0 || (o[1] == 0 && o[2] < 0)));
}

/* Class numbers to steps of the context number. Returns 0 if a class is too large. */
static int fill_steps(ec_fsar *model, const uint16_t *classes, uint32_t states) {
    for (uint32_t g = 0; g < model->groups; g++) {
        uint64_t weight = model->contexts;
        for (uint32_t i = 0; i < model->order; i++) {
            weight /= model->class_counts[i];
            model->weights[i] = (uint32_t)weight;
            const size_t row = ((size_t)g * model->order + i) * states;
            for (uint32_t s = 0; s < states; s++) {
                const uint32_t class = classes != NULL ? classes[row + s] : s;
                if (class >= model->class_counts[i]) return 0;
                model->steps[row + s] = class * (uint32_t)weight;
            }
        }
    }
    return 1;
}

int ec_fsar_create(const ec_tables *tables, const int32_t *offsets, uint32_t order, uint32_t groups,
                   const uint32_t *class_counts, const uint16_t *classes, const uint32_t *map,
                   ec_fsar **out) {
    *out = NULL;
    if (order > EC_MAX_ORDER || groups < 1 || tables->symbols > 65535 ||
        (classes != NULL && class_counts == NULL))
        return EC_ERR_ARGUMENT;
    for (uint32_t i = 0; i < order; i++)
        if (!is_causal(offsets + 3 * i)) return EC_ERR_CAUSALITY;
    const uint32_t states = tables->symbols + 1;
    const int reduced = classes != NULL || map != NULL;
    const uint64_t limit = reduced ? EC_MAX_CONTEXTS : tables->count;
    uint64_t all = groups;
    for (uint32_t i = 0; i < order && all <= limit; i++) {
        const uint32_t n = classes != NULL ? class_counts[i] : states;
        if (n < 1) return EC_ERR_TABLE;
        all *= n;
    }
    if (all > limit || (map == NULL && all != tables->count)) return EC_ERR_TABLE;
    for (uint64_t c = 0; map != NULL && c < all; c++)
        if (map[c] >= tables->count) return EC_ERR_TABLE;

    ec_fsar *model = calloc(1, sizeof *model);
    if (model == NULL) return EC_ERR_MEMORY;
    model->tables = tables;
    model->order = order;
    model->groups = groups;
    model->states = states;
    model->contexts = all / groups;
    model->has_classes = classes != NULL;
    for (uint32_t i = 0; i < order; i++) {
        memcpy(model->offsets[i], offsets + 3 * i, sizeof model->offsets[i]);
        model->class_counts[i] = classes != NULL ? class_counts[i] : states;
    }
    model->steps = malloc(((size_t)groups * order * states + 1) * sizeof *model->steps);
    model->map_shift = tables->count <= 65536 ? 1 : 2;
    model->map_mask = tables->count <= 65536 ? 0xFFFF : 0xFFFFFFFF;
    /* One entry more: kernels read four bytes wherever an entry is. */
    if (map != NULL) model->map = malloc(((size_t)all + 1) << model->map_shift);
    if (model->steps == NULL || (map != NULL && model->map == NULL)) {
        ec_fsar_free(model);
        return EC_ERR_MEMORY;
    }
    for (size_t c = 0; map != NULL && c < all; c++) {
        if (model->map_shift == 1)
            ((uint16_t *)model->map)[c] = (uint16_t)map[c];
        else
            ((uint32_t *)model->map)[c] = map[c];
    }
    if (!fill_steps(model, classes, states)) {
        ec_fsar_free(model);
        return EC_ERR_TABLE;
    }
    *out = model;
    return EC_OK;
}

void ec_fsar_free(ec_fsar *model) {
    if (model == NULL) return;
    free(model->steps);
    free(model->map);
    free(model);
}

size_t ec_fsar_bytes(const ec_fsar *model) {
    const size_t steps = (size_t)model->groups * model->order * model->states;
    const size_t map = model->map != NULL ? model->groups * (size_t)model->contexts + 1 : 0;
    return sizeof *model + 4 * steps + (map << model->map_shift);
}

/* Table of the symbol at `symbols`, which stands at (group, row, column) of its tensor. */
static uint32_t table_of(const ec_fsar *model, uint32_t group, uint32_t row, uint32_t column, uint32_t height,
                         uint32_t width, const uint16_t *symbols) {
    uint32_t states[EC_MAX_ORDER];
    for (uint32_t i = 0; i < model->order; i++) {
        const int32_t *o = model->offsets[i];
        const int64_t g = (int64_t)group + o[0], r = (int64_t)row + o[1], c = (int64_t)column + o[2];
        const int inside = g >= 0 && r >= 0 && r < (int64_t)height && c >= 0 && c < (int64_t)width;
        const int64_t ahead = ((int64_t)o[0] * height + o[1]) * (int64_t)width + o[2];
        states[i] = inside ? symbols[ahead] + 1u : 0;
    }
    return ec_fsar_table(model, group, states);
}

int ec_fsar_table_ids(const ec_fsar *model, const uint16_t *indices, size_t images, uint32_t height,
                      uint32_t width, uint32_t *out) {
    const size_t positions = (size_t)model->groups * height * width;
    for (size_t i = 0; i < images * positions; i++)
        if (indices[i] >= model->tables->symbols) return EC_ERR_SYMBOL;
    for (size_t image = 0; image < images; image++)
        for (uint32_t group = 0; group < model->groups; group++)
            for (uint32_t row = 0; row < height; row++)
                for (uint32_t column = 0; column < width; column++)
                    *out++ = table_of(model, group, row, column, height, width, indices++);
    return EC_OK;
}
