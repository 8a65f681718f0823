/* Makes networks: checks, then packs. */
#include <stdlib.h>

#include "check.h"

#define INPUT_LIMIT 255 /* of 2 x - 255 */

/* Pieces of scratch that activations live in: as few as their lifetimes allow. */
static void assign_slots(ec_net *net) {
    uint32_t last_use[EC_NET_MAX_LAYERS + 1], owner[EC_NET_MAX_LAYERS + 1];
    for (uint32_t a = 0; a <= net->count; a++) last_use[a] = a; /* layer a reads activation a */
    for (uint32_t i = 0; i < net->count; i++)
        if (net->steps[i].skip >= 0) last_use[net->steps[i].skip] = i; /* layers in order: the last */
    net->slots = 0;
    for (uint32_t a = 0; a <= net->count; a++) {
        uint32_t slot = 0; /* activation a is written by layer a - 1, so all that layer reads must stay */
        while (slot < net->slots && a > 0 && last_use[owner[slot]] >= a - 1) slot++;
        if (slot == net->slots) net->slots++;
        owner[slot] = a;
        net->activations[a].slot = slot;
    }
}

static uint32_t channels_after(const ec_net_layer *layer) {
    return layer->outputs / (layer->kind == EC_NET_SHUFFLE ? 4 : 1);
}

static int build(ec_net *net, uint32_t channels, const ec_net_layer *layers, size_t count,
                 const int64_t *reach) {
    const ec_net_layer *last = layers + count - 1;
    const int has_head =
        net->form == FORM_SYNTHESIS && last->kind == EC_NET_CONV && last->side == 1 && last->skip < 0;
    net->count = (uint32_t)count - (uint32_t)has_head;
    int is_kept = 0; /* whether the input is added somewhere */
    for (uint32_t i = 0; i < net->count; i++) is_kept |= layers[i].skip == 0;
    for (uint32_t a = 0; a <= net->count; a++) {
        if (a > 0) channels = channels_after(layers + a - 1);
        /* Numbers are taken in pairs: a pixel with an odd number of channels gets one more, which is zero.
         * Only the three of an image stay as they are where windows are four pixels wide. */
        const int is_even =
            channels % 2 == 0 || (a == 0 && layers->kind == EC_NET_CONV && layers->side == 4 && !is_kept);
        net->activations[a] = (ec_net_activation){.channels = channels, .stride = channels + !is_even};
    }
    for (uint32_t i = 0; i < net->count; i++) {
        const int status = ec_net_pack_layer(net, i, layers + i, reach + i * EC_NET_MAX_CHANNELS);
        if (status != EC_NET_OK) return status;
    }
    assign_slots(net);
    return has_head ? ec_net_pack_head(net, last, channels) : EC_NET_OK;
}

static void *copy_of(const void *data, size_t bytes) {
    void *memory = ec_net_allocate(bytes);
    return memory == NULL ? NULL : memcpy(memory, data, bytes);
}

static int copy_table(ec_net *net, const ec_net_table *table) {
    const size_t channels = table->channels, rows = (size_t)table->groups * table->size;
    net->table_groups = table->groups;
    net->table_size = table->size;
    net->low = copy_of(table->low, channels * sizeof *table->low);
    net->high = copy_of(table->high, channels * sizeof *table->high);
    net->table = copy_of(table->values, rows * channels * sizeof *table->values);
    if (net->low == NULL || net->high == NULL || net->table == NULL) return EC_NET_ERR_MEMORY;
    if (table->groups == 1) /* one number is no sum: clamp it now */
        for (size_t i = 0; i < rows * channels; i++) {
            int16_t *value = net->table + i;
            if (*value < table->low[i % channels]) *value = table->low[i % channels];
            if (*value > table->high[i % channels]) *value = table->high[i % channels];
        }
    return EC_NET_OK;
}

/* What the forms have in common: a plain network has bounds alone, an analysis a search and no bounds, a
 * synthesis a table and its bounds. */
static int make(ec_net *net, uint32_t channels, const int16_t *low, const int16_t *high,
                const ec_net_layer *layers, size_t count, const ec_net_search *search,
                const ec_net_table *table, int64_t *reach) {
    int status = EC_NET_OK;
    if (low != NULL)
        status = ec_net_check_input(low, high, channels, reach);
    else
        for (uint32_t c = 0; c < channels; c++) reach[c] = INPUT_LIMIT;
    if (status == EC_NET_OK) status = ec_net_check_layers(layers, count, channels, reach);
    if (status != EC_NET_OK) return status;
    const ec_net_layer *last = layers + count - 1;
    const int64_t *out = reach + count * EC_NET_MAX_CHANNELS;
    if (search != NULL) {
        status = ec_net_check_search(search, channels_after(last), out);
        if (status == EC_NET_OK) status = ec_net_pack_search(net, search, out);
    } else if (table != NULL) {
        const uint32_t each = last->kind == EC_NET_SHUFFLE ? 4 : 1; /* outputs of a channel */
        if (channels_after(last) % 2 != 0) return EC_NET_ERR_SHAPE;
        for (uint32_t o = 0; o < last->outputs; o++)
            if (o / each % 2 == 1 && (last->low[o] < 0 || last->high[o] > UINT8_MAX)) return EC_NET_ERR_BOUND;
        status = copy_table(net, table);
    } else if (low != NULL) {
        net->low = copy_of(low, channels * sizeof *low);
        net->high = copy_of(high, channels * sizeof *high);
        if (net->low == NULL || net->high == NULL) return EC_NET_ERR_MEMORY;
    }
    return status == EC_NET_OK ? build(net, channels, layers, count, reach) : status;
}

static int create(int form, uint32_t channels, const int16_t *low, const int16_t *high,
                  const ec_net_layer *layers, size_t count, const ec_net_search *search,
                  const ec_net_table *table, const char *isa, ec_net **out) {
    *out = NULL;
    if (count == 0 || count > EC_NET_MAX_LAYERS || channels == 0 || channels > EC_NET_MAX_CHANNELS)
        return EC_NET_ERR_ARGUMENT;
    ec_net *net = ec_net_allocate(sizeof *net);
    int64_t *reach = calloc(count + 1, EC_NET_MAX_CHANNELS * sizeof *reach);
    int status = EC_NET_ERR_MEMORY;
    if (net != NULL && reach != NULL) {
        net->form = form;
        net->kernels = ec_net_choose(isa);
        status = make(net, channels, low, high, layers, count, search, table, reach);
    }
    free(reach);
    if (status == EC_NET_OK)
        *out = net;
    else
        ec_net_free(net);
    return status;
}

int ec_net_create(uint32_t channels, const int16_t *low, const int16_t *high, const ec_net_layer *layers,
                  size_t count, const char *isa, ec_net **out) {
    return create(FORM_PLAIN, channels, low, high, layers, count, NULL, NULL, isa, out);
}

int ec_net_create_analysis(uint32_t channels, const ec_net_layer *layers, size_t count,
                           const ec_net_search *search, const char *isa, ec_net **out) {
    return create(FORM_ANALYSIS, channels, NULL, NULL, layers, count, search, NULL, isa, out);
}

int ec_net_create_synthesis(const ec_net_table *table, const ec_net_layer *layers, size_t count,
                            const char *isa, ec_net **out) {
    *out = NULL;
    const int status = ec_net_check_table(table);
    if (status != EC_NET_OK) return status;
    return create(FORM_SYNTHESIS, table->channels, table->low, table->high, layers, count, NULL, table, isa,
                  out);
}

static void free_rows(ec_net_rows *rows) {
    free(rows->weight);
    free(rows->bias);
    free(rows->shift);
    free(rows->low);
}

void ec_net_free(ec_net *net) {
    if (net == NULL) return;
    for (uint32_t i = 0; i < EC_NET_MAX_LAYERS; i++) {
        free(net->steps[i].memory);
        free(net->steps[i].points);
    }
    free_rows(&net->search);
    free_rows(&net->head);
    free(net->low);
    free(net->high);
    free(net->table);
    free(net);
}
