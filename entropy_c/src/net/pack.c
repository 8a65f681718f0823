/* Weights and constants laid out for the kernels. */
#include <stdlib.h>

#include "check.h"

#define MOST_POINTS (512 << 10) /* bytes, of one pass */

void *ec_net_allocate(size_t bytes) {
    if (bytes > SIZE_MAX - 2 * EC_NET_ALIGN) return NULL;
    bytes = (bytes + EC_NET_ALIGN) / EC_NET_ALIGN * EC_NET_ALIGN;
    void *memory = aligned_alloc(EC_NET_ALIGN, bytes);
    return memory == NULL ? NULL : memset(memory, 0, bytes);
}

/* The convolution's output that is output `o` of a pass. */
static uint32_t output_of(const ec_net_layer *layer, uint32_t pass, uint32_t o) {
    return layer->kind == EC_NET_SHUFFLE ? 4 * o + pass : o;
}

/* Weight of a tap of a pass's window. A transposed layer's output (2 y + p, 2 x + q) sees the inputs at rows
 * y + p - 1 and y + p, through weight rows 3 - p and 1 - p; the same holds for columns. */
static int16_t weight_of(const ec_net_layer *layer, uint32_t inputs, uint32_t pass, uint32_t o, uint32_t i,
                         uint32_t row, uint32_t column) {
    const size_t side = layer->side, at = ((size_t)output_of(layer, pass, o) * inputs + i) * side * side;
    if (layer->kind == EC_NET_TRANSPOSED)
        return layer->weight[at + (3 - pass / 2 - 2 * row) * side + (3 - pass % 2 - 2 * column)];
    return layer->weight[at + row * side + column];
}

static void pack_blocks(const ec_net_step *step, const ec_net_layer *layer, uint32_t number, uint32_t lanes,
                        ec_net_block *blocks) {
    for (uint32_t at = 0; at < step->outputs; at += 2 * lanes, blocks++)
        for (uint32_t half = 0; half < 2; half++)
            for (uint32_t lane = 0; lane < lanes; lane++) {
                const uint32_t place = ec_net_place(half, lane), slot = half * lanes + lane;
                if (at + place >= step->outputs) continue;
                const uint32_t o = output_of(layer, number, at + place);
                blocks->bias[slot] = layer->bias[o] + ec_net_half(layer->shift[o]);
                blocks->shift[slot] = layer->shift[o];
                blocks->multiplier[slot] = layer->skip < 0 ? 0 : layer->skip_multiplier[o];
                blocks->low[place] = layer->low[o];
                blocks->high[place] = layer->high[o];
            }
}

static void pack_weights(const ec_net_step *step, const ec_net_layer *layer, uint32_t number,
                         const ec_net_activation *input, uint32_t lanes, int16_t *weight) {
    const ec_net_pass *pass = &step->pass[number];
    const uint32_t pairs = pass->columns * input->stride / 2;
    for (uint32_t at = 0; at < step->outputs; at += 2 * lanes)
        for (uint32_t row = 0; row < pass->rows; row++)
            for (uint32_t pair = 0; pair < pairs; pair++)
                for (uint32_t slot = 0; slot < 4 * lanes; slot++, weight++) {
                    const uint32_t o = at + ec_net_place(slot / (2 * lanes), slot / 2 % lanes);
                    const uint32_t column = (2 * pair + slot % 2) / input->stride;
                    const uint32_t i = (2 * pair + slot % 2) % input->stride;
                    if (o < step->outputs && i < input->channels)
                        *weight = weight_of(layer, input->channels, number, o, i, row, column);
                }
}

/* One weight's transform in one dimension: `taps` numbers to taps + 1. Three are doubled, see winograd.inc.
 */
static void transform(const int32_t *g, int32_t *t, int apart, uint32_t taps) {
    if (taps == 3) {
        t[0] = 2 * g[0];
        t[apart] = g[0] + g[apart] + g[2 * apart];
        t[2 * apart] = g[0] - g[apart] + g[2 * apart];
        t[3 * apart] = 2 * g[2 * apart];
    } else {
        t[0] = g[0];
        t[apart] = g[0] + g[apart];
        t[2 * apart] = g[apart];
    }
}

/* All points of one weight, [4][4] of which (taps + 1)^2 are used. */
static void transform_weight(const ec_net_layer *layer, uint32_t inputs, uint32_t number, uint32_t o,
                             uint32_t i, uint32_t taps, int32_t *points) {
    int32_t g[16] = {0}, lines[16] = {0};
    for (uint32_t row = 0; row < taps; row++)
        for (uint32_t column = 0; column < taps; column++)
            g[4 * row + column] = weight_of(layer, inputs, number, o, i, row, column);
    for (uint32_t row = 0; row < taps; row++) transform(g + 4 * row, lines + 4 * row, 1, taps);
    for (uint32_t column = 0; column <= taps; column++) transform(lines + column, points + column, 4, taps);
}

/* The points of a pass; 0 if one of them is too large. */
static int pack_points(const ec_net_step *step, const ec_net_layer *layer, uint32_t number,
                       const ec_net_activation *input, uint32_t lanes, int16_t *to) {
    const uint32_t taps = step->pass[number].rows, side = taps + 1, pairs = input->stride / 2;
    const size_t apart = (size_t)4 * lanes * pairs;
    for (uint32_t at = 0; at < step->outputs; at += 2 * lanes, to += side * side * apart)
        for (uint32_t slot = 0; slot < apart; slot++) {
            const uint32_t in_pair = slot % (4 * lanes), i = slot / (4 * lanes) * 2 + in_pair % 2;
            const uint32_t o = at + ec_net_place(in_pair / (2 * lanes), in_pair / 2 % lanes);
            int32_t points[16];
            if (o >= step->outputs || i >= input->channels) continue;
            transform_weight(layer, input->channels, number, o, i, taps, points);
            for (uint32_t k = 0; k < side * side; k++) {
                const int32_t point = points[k / side * 4 + k % side];
                if (point > INT16_MAX || point < -INT16_MAX) return 0;
                to[k * apart + slot] = (int16_t)point;
            }
        }
    return 1;
}

/* Winograd's convolution where it may be used and pays: inputs whose transforms fit int16, weights whose
 * transforms do and stay in the second-level cache. */
static int add_points(const ec_net_activation *input, const ec_net_layer *layer, uint32_t lanes,
                      ec_net_step *step, const int64_t *reach) {
    const uint32_t taps = step->pass->rows;
    const size_t blocks = (step->outputs + 2 * lanes - 1) / (2 * lanes);
    const size_t each = blocks * (taps + 1) * (taps + 1) * 2 * lanes * input->stride;
    if (step->stride != 1 || (taps != 3 && taps != 2) || input->channels < 8 ||
        each * sizeof(int16_t) > MOST_POINTS)
        return EC_NET_OK;
    for (uint32_t c = 0; c < input->channels; c++)
        if (4 * reach[c] > INT16_MAX) return EC_NET_OK;
    int16_t *points = step->points = ec_net_allocate(step->passes * each * sizeof *points);
    if (points == NULL) return EC_NET_ERR_MEMORY;
    int fits = 1;
    for (uint32_t p = 0; p < step->passes && fits; p++)
        fits = pack_points(step, layer, p, input, lanes, points + p * each);
    for (uint32_t p = 0; p < step->passes && fits; p++) step->pass[p].points = points + p * each;
    return EC_NET_OK;
}

int ec_net_pack_layer(ec_net *net, uint32_t number, const ec_net_layer *layer, const int64_t *reach) {
    const ec_net_activation *input = net->activations + number;
    const uint32_t lanes = net->kernels->lanes;
    ec_net_step *step = net->steps + number;
    const int is_conv = layer->kind == EC_NET_CONV, is_transposed = layer->kind == EC_NET_TRANSPOSED;
    step->stride = is_conv && layer->side == 4 ? 2 : 1;
    step->spacing = is_conv ? 1 : 2;
    step->outputs = layer->kind == EC_NET_SHUFFLE ? layer->outputs / 4 : layer->outputs;
    step->skip = layer->skip < 0 ? -1 : layer->skip;
    step->passes = is_conv ? 1 : 4;
    const uint32_t side = is_transposed ? 2 : layer->side;
    const size_t blocks = (step->outputs + 2 * lanes - 1) / (2 * lanes);
    const size_t weights = blocks * 2 * lanes * side * side * input->stride;
    const size_t bytes = blocks * sizeof(ec_net_block) + weights * sizeof(int16_t);
    uint8_t *memory = step->memory = ec_net_allocate(step->passes * bytes);
    if (memory == NULL) return EC_NET_ERR_MEMORY;
    for (uint32_t p = 0; p < step->passes; p++, memory += bytes) {
        ec_net_block *packed = (ec_net_block *)memory;
        int16_t *weight = (int16_t *)(packed + blocks);
        const uint32_t y = p / 2, x = p % 2, edge = layer->side == 1; /* 1x1 does not look at the border */
        step->pass[p] = (ec_net_pass){.rows = side,
                                      .columns = side,
                                      .from_y = is_transposed ? y : edge,
                                      .from_x = is_transposed ? x : edge,
                                      .to_y = y,
                                      .to_x = x,
                                      .weight = weight,
                                      .blocks = packed};
        pack_blocks(step, layer, p, lanes, packed);
        pack_weights(step, layer, p, input, lanes, weight);
    }
    return add_points(input, layer, lanes, step, reach);
}

/* Rows of an odd number of weights get a zero. */
static int pack_rows(ec_net_rows *rows, const int16_t *weight) {
    const size_t count = (size_t)rows->groups * rows->size;
    rows->pairs = (rows->dim + 1) / 2;
    rows->weight = ec_net_allocate(count * 2 * rows->pairs * sizeof *rows->weight);
    rows->bias = ec_net_allocate(count * sizeof *rows->bias);
    if (rows->weight == NULL || rows->bias == NULL) return EC_NET_ERR_MEMORY;
    for (size_t k = 0; k < count; k++)
        memcpy(rows->weight + k * 2 * rows->pairs, weight + k * rows->dim, rows->dim * sizeof *weight);
    return EC_NET_OK;
}

int ec_net_pack_head(ec_net *net, const ec_net_layer *layer, uint32_t inputs) {
    ec_net_rows *head = &net->head;
    *head = (ec_net_rows){.groups = 1, .size = layer->outputs, .dim = inputs};
    if (pack_rows(head, layer->weight) != EC_NET_OK) return EC_NET_ERR_MEMORY;
    head->shift = ec_net_allocate(head->size);
    head->low = ec_net_allocate(2 * head->size * sizeof *head->low);
    if (head->shift == NULL || head->low == NULL) return EC_NET_ERR_MEMORY;
    head->high = head->low + head->size;
    memcpy(head->shift, layer->shift, head->size);
    memcpy(head->low, layer->low, head->size * sizeof *head->low);
    memcpy(head->high, layer->high, head->size * sizeof *head->high);
    for (uint32_t o = 0; o < head->size; o++) head->bias[o] = layer->bias[o] + ec_net_half(layer->shift[o]);
    return EC_NET_OK;
}

int ec_net_pack_search(ec_net *net, const ec_net_search *search, const int64_t *reach) {
    ec_net_rows *rows = &net->search;
    *rows = (ec_net_rows){.groups = search->groups, .size = search->size, .dim = search->dim};
    int64_t largest = 0;
    for (uint32_t c = 0; c < search->groups * search->dim; c++)
        if (reach[c] > largest) largest = reach[c];
    /* Shifted activations must fit int16, and shifted scores, below 2^24 as they are, int32. */
    while (rows->index_bits < 6 && largest << (rows->index_bits + 1) <= INT16_MAX) rows->index_bits++;
    if (pack_rows(rows, search->weight) != EC_NET_OK) return EC_NET_ERR_MEMORY;
    const int32_t scale = 1 << rows->index_bits;
    for (size_t k = 0; k < (size_t)rows->groups * rows->size; k++)
        rows->bias[k] = search->bias[k] * scale + (scale - 1 - (int32_t)(k % rows->size) % scale);
    return EC_NET_OK;
}
