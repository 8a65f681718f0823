/* What models were made of. */
#include "models.h"

void ec_tables_describe(const ec_tables *tables, ec_tables_info *info) {
    *info = (ec_tables_info){tables->count, tables->symbols, tables->bits, (int)tables->escape};
}

void ec_fsar_describe(const ec_fsar *model, ec_fsar_info *info) {
    memset(info, 0, sizeof *info);
    info->groups = model->groups;
    info->order = model->order;
    memcpy(info->offsets, model->offsets, sizeof info->offsets);
    memcpy(info->class_counts, model->class_counts, sizeof info->class_counts);
    info->contexts = (size_t)model->contexts;
    info->has_classes = model->has_classes;
    info->has_map = model->map != NULL;
}

void ec_fsar_classes(const ec_fsar *model, uint16_t *out) {
    const uint32_t *step = model->steps;
    for (uint32_t g = 0; g < model->groups; g++)
        for (uint32_t i = 0; i < model->order; i++)
            for (uint32_t s = 0; s < model->states; s++) *out++ = (uint16_t)(*step++ / model->weights[i]);
}

void ec_fsar_context_map(const ec_fsar *model, uint32_t *out) {
    const size_t contexts = model->groups * (size_t)model->contexts;
    for (size_t c = 0; c < contexts; c++) out[c] = ec_fsar_map(model, c);
}
