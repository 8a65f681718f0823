/* The ends of a network: its input with a border, its output without. */
#include "state.h"

void ec_net_clear_border(const ec_net_state *s, uint32_t a) {
    const ec_net_sides sides = s->plan->sides[a];
    const size_t pixel = s->net->activations[a].stride * sizeof(int16_t);
    memset(ec_net_at(s, a, 0, 0), 0, (sides.width + 3) * pixel);
    for (ptrdiff_t y = 1; y < (ptrdiff_t)sides.height; y++) /* the last of a line and the next one's first */
        memset(ec_net_at(s, a, y, sides.width + 1), 0, 2 * pixel);
    memset(ec_net_at(s, a, sides.height, sides.width + 1), 0, (sides.width + 3) * pixel);
}

void ec_net_load_image(const ec_net_state *s, const uint8_t *image) {
    const ec_net_activation *a = s->net->activations;
    const ec_net_sides sides = s->plan->sides[0];
    ec_net_clear_border(s, 0);
    for (ptrdiff_t y = 0; y < (ptrdiff_t)sides.height; y++) {
        int16_t *to = ec_net_at(s, 0, 1 + y, 1);
        if (a->stride == a->channels) {
            const size_t count = (size_t)sides.width * a->channels;
            for (size_t i = 0; i < count; i++) to[i] = (int16_t)(2 * image[i] - 255);
            image += count;
            continue;
        }
        for (uint32_t x = 0; x < sides.width; x++, to += a->stride, image += a->channels) {
            for (uint32_t c = 0; c < a->channels; c++) to[c] = (int16_t)(2 * image[c] - 255);
            to[a->channels] = 0;
        }
    }
}

static int16_t clamped(int32_t x, int16_t low, int16_t high) {
    return (int16_t)(x < low ? low : x > high ? high : x);
}

void ec_net_load_activations(const ec_net_state *s, const int16_t *in) {
    const ec_net_activation *a = s->net->activations;
    const ec_net_sides sides = s->plan->sides[0];
    ec_net_clear_border(s, 0);
    for (ptrdiff_t y = 0; y < (ptrdiff_t)sides.height; y++) {
        int16_t *to = ec_net_at(s, 0, 1 + y, 1);
        for (uint32_t x = 0; x < sides.width; x++, to += a->stride, in += a->channels) {
            for (uint32_t c = 0; c < a->channels; c++)
                to[c] = clamped(in[c], s->net->low[c], s->net->high[c]);
            if (a->stride > a->channels) to[a->channels] = 0;
        }
    }
}

/* One pixel's sum over groups; indices are `pixels` apart. */
static void sum_codes(const ec_net *net, const uint16_t *indices, size_t pixels, int16_t *to) {
    enum { PIECE = 64 };
    const uint32_t channels = net->activations[0].channels;
    for (uint32_t begin = 0; begin < channels; begin += PIECE) {
        const uint32_t count = channels - begin < PIECE ? channels - begin : PIECE;
        int32_t sums[PIECE] = {0};
        for (uint32_t g = 0; g < net->table_groups; g++) {
            const size_t row = (size_t)g * net->table_size + indices[g * pixels];
            const int16_t *values = net->table + row * channels + begin;
            for (uint32_t c = 0; c < count; c++) sums[c] += values[c];
        }
        for (uint32_t c = 0; c < count; c++)
            to[begin + c] = clamped(sums[c], net->low[begin + c], net->high[begin + c]);
    }
}

int ec_net_load_codes(const ec_net_state *s, const uint16_t *indices) {
    const ec_net *net = s->net;
    const ec_net_activation *a = net->activations;
    const ec_net_sides sides = s->plan->sides[0];
    const size_t pixels = (size_t)sides.height * sides.width;
    for (size_t i = 0; i < pixels * net->table_groups; i++)
        if (indices[i] >= net->table_size) return EC_NET_ERR_INDEX;
    ec_net_clear_border(s, 0);
    for (ptrdiff_t y = 0; y < (ptrdiff_t)sides.height; y++) {
        int16_t *to = ec_net_at(s, 0, 1 + y, 1);
        for (uint32_t x = 0; x < sides.width; x++, to += a->stride, indices++) {
            if (net->table_groups == 1)
                memcpy(to, net->table + (size_t)*indices * a->channels, a->channels * sizeof *to);
            else
                sum_codes(net, indices, pixels, to);
            if (a->stride > a->channels) to[a->channels] = 0;
        }
    }
    return EC_NET_OK;
}

void ec_net_store_activations(const ec_net_state *s, int16_t *out) {
    const ec_net_activation *a = s->net->activations + s->net->count;
    const ec_net_sides sides = s->plan->sides[s->net->count];
    for (ptrdiff_t y = 0; y < (ptrdiff_t)sides.height; y++)
        for (ptrdiff_t x = 0; x < (ptrdiff_t)sides.width; x++, out += a->channels)
            memcpy(out, ec_net_at(s, s->net->count, 1 + y, 1 + x), a->channels * sizeof *out);
}

void ec_net_store_parameters(const ec_net_state *s, int16_t *logits, uint8_t *scales) {
    const ec_net_activation *a = s->net->activations + s->net->count;
    const ec_net_sides sides = s->plan->sides[s->net->count];
    const size_t pixels = (size_t)sides.height * sides.width;
    for (ptrdiff_t y = 0; y < (ptrdiff_t)sides.height; y++) {
        const int16_t *from = ec_net_at(s, s->net->count, 1 + y, 1);
        for (uint32_t x = 0; x < sides.width; x++, logits++, scales++, from += a->stride)
            for (uint32_t c = 0; c < a->channels; c += 2) {
                logits[c / 2 * pixels] = from[c];
                scales[c / 2 * pixels] = (uint8_t)from[c + 1];
            }
    }
}
