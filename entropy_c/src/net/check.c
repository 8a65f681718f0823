/* Checks of what a network is made from: shapes, bounds, and the proof that every partial sum stays exact. */
#include "check.h"

/* Largest magnitude within the bounds, for each channel; the bounds are checked on the way. */
static int reach_of(const int16_t *low, const int16_t *high, uint32_t channels, int64_t *reach) {
    for (uint32_t c = 0; c < channels; c++) {
        const int64_t down = low[c] < 0 ? -(int64_t)low[c] : low[c];
        const int64_t up = high[c] < 0 ? -(int64_t)high[c] : high[c];
        if (low[c] > high[c] || low[c] == INT16_MIN) return EC_NET_ERR_BOUND;
        reach[c] = down > up ? down : up;
    }
    return EC_NET_OK;
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

static int known(const ec_net_layer *layer) {
    switch (layer->kind) {
    case EC_NET_CONV:
        return layer->side == 1 || layer->side == 3 || layer->side == 4;
    case EC_NET_TRANSPOSED:
        return layer->side == 4;
    case EC_NET_SHUFFLE:
        return (layer->side == 1 || layer->side == 3) && layer->outputs % 4 == 0 && layer->skip < 0;
    default:
        return 0;
    }
}

/* Sums of one layer. skip: reach of each channel of the added activation, or NULL. At most 2^12 * 4 * 4
 * products of less than 2^30: int64_t holds all that the largest weights can make. */
static int check_sums(const ec_net_layer *layer, uint32_t inputs, const int64_t *reach, const int64_t *skip) {
    const uint32_t taps = layer->side * layer->side;
    const int16_t *weight = layer->weight;
    for (uint32_t o = 0; o < layer->outputs; o++) {
        if (layer->shift[o] > MAX_SHIFT) return EC_NET_ERR_SHAPE;
        int64_t sum = magnitude(layer->bias[o]) + ec_net_half(layer->shift[o]);
        for (uint32_t i = 0; i < inputs; i++)
            for (uint32_t t = 0; t < taps; t++) sum += magnitude(*weight++) * reach[i];
        if (skip != NULL) sum += magnitude(layer->skip_multiplier[o]) * skip[o];
        if (sum >= EC_NET_EXACT) return EC_NET_ERR_BOUND;
    }
    return EC_NET_OK;
}

int ec_net_check_layers(const ec_net_layer *layers, size_t count, uint32_t channels, int64_t *reach) {
    uint32_t widths[EC_NET_MAX_LAYERS + 1] = {channels};
    int32_t halvings[EC_NET_MAX_LAYERS + 1] = {0};
    for (size_t i = 0; i < count; i++) {
        const ec_net_layer *layer = layers + i;
        const int is_shuffle = layer->kind == EC_NET_SHUFFLE;
        if (layer->outputs == 0 || layer->outputs > EC_NET_MAX_CHANNELS * (is_shuffle ? 4u : 1u) ||
            !known(layer))
            return EC_NET_ERR_SHAPE;
        widths[i + 1] = layer->outputs / (is_shuffle ? 4 : 1);
        halvings[i + 1] = halvings[i];
        if (layer->kind != EC_NET_CONV)
            halvings[i + 1]--;
        else if (layer->side == 4)
            halvings[i + 1]++;
        const int64_t *skip = NULL;
        if (layer->skip >= 0) {
            if ((size_t)layer->skip > i || widths[layer->skip] != layer->outputs ||
                halvings[layer->skip] != halvings[i + 1])
                return EC_NET_ERR_SHAPE;
            skip = reach + (size_t)layer->skip * EC_NET_MAX_CHANNELS;
        }
        const int64_t *from = reach + i * EC_NET_MAX_CHANNELS;
        int64_t *to = reach + (i + 1) * EC_NET_MAX_CHANNELS;
        int status = check_sums(layer, widths[i], from, skip);
        if (status != EC_NET_OK) return status;
        if (!is_shuffle) {
            status = reach_of(layer->low, layer->high, layer->outputs, to);
            if (status != EC_NET_OK) return status;
            continue;
        }
        for (uint32_t c = 0; c < widths[i + 1]; c++) { /* the four outputs that become one channel */
            int64_t four[4];
            status = reach_of(layer->low + 4 * c, layer->high + 4 * c, 4, four);
            if (status != EC_NET_OK) return status;
            to[c] = 0;
            for (int p = 0; p < 4; p++)
                if (four[p] > to[c]) to[c] = four[p];
        }
    }
    return EC_NET_OK;
}

int ec_net_check_input(const int16_t *low, const int16_t *high, uint32_t channels, int64_t *reach) {
    return reach_of(low, high, channels, reach);
}

int ec_net_check_search(const ec_net_search *search, uint32_t channels, const int64_t *reach) {
    if (search->groups == 0 || search->size == 0 || search->size > MAX_SIZE || search->dim == 0 ||
        (uint64_t)search->groups * search->dim != channels)
        return EC_NET_ERR_SHAPE;
    const int16_t *weight = search->weight;
    const int32_t *bias = search->bias;
    for (uint32_t g = 0; g < search->groups; g++, reach += search->dim)
        for (uint32_t k = 0; k < search->size; k++) {
            int64_t sum = magnitude(*bias++);
            for (uint32_t d = 0; d < search->dim; d++) sum += magnitude(*weight++) * reach[d];
            if (sum >= EC_NET_EXACT) return EC_NET_ERR_BOUND;
        }
    return EC_NET_OK;
}

int ec_net_check_table(const ec_net_table *table) {
    if (table->groups == 0 || table->groups > EC_NET_MAX_CHANNELS || table->size == 0 ||
        table->size > MAX_SIZE || table->channels == 0 || table->channels > EC_NET_MAX_CHANNELS)
        return EC_NET_ERR_SHAPE;
    return EC_NET_OK;
}
