/* Integer networks: random ones against their definition, on every instruction set; inputs, outputs and
 * scratch end or begin at an unreadable page, descriptions are damaged. Argument: the number of cases. */
#include "common.h"

#include "integer_net.h"

#define MOST_LAYERS   5
#define MOST_CHANNELS 70
#define MOST_OUTPUTS  (4 * MOST_CHANNELS)

static const char *const names[] = {"avx512", "avx512-plain", "avx2-vnni", "avx2", "scalar"};
static size_t cases = 40;

typedef struct network_t {
    uint32_t channels; /* of the input */
    int16_t low[MOST_CHANNELS], high[MOST_CHANNELS];
    size_t count;
    ec_net_layer layers[MOST_LAYERS];
    uint32_t widths[MOST_LAYERS + 1];
    int halvings[MOST_LAYERS + 1];
} network_t;

typedef struct picture_t {
    uint32_t height, width, channels;
    int64_t *data; /* [height][width][channels] */
} picture_t;

static int64_t reach(int16_t low, int16_t high) { return -low > high ? -low : high; }

static void random_bounds(int16_t *low, int16_t *high, uint32_t count) {
    const int32_t limit = below(3) == 0 ? 32767 : between(1, 2000);
    for (uint32_t i = 0; i < count; i++) {
        low[i] = (int16_t)(below(2) ? -limit : between(-limit, 0));
        high[i] = (int16_t)(below(2) ? limit : between(0, limit));
    }
}

/* Bounds of the input of layer `i`; of four outputs that are shuffled into one channel, the widest. */
static int64_t reach_of(const network_t *n, size_t i, uint32_t channel) {
    if (i == 0) return reach(n->low[channel], n->high[channel]);
    const ec_net_layer *layer = n->layers + i - 1;
    if (layer->kind != EC_NET_SHUFFLE) return reach(layer->low[channel], layer->high[channel]);
    int64_t most = 0;
    for (uint32_t o = 4 * channel; o < 4 * channel + 4; o++)
        if (reach(layer->low[o], layer->high[o]) > most) most = reach(layer->low[o], layer->high[o]);
    return most;
}

/* A layer whose last output's sums reach 2^24 - 1, if that can be. */
static void random_layer(network_t *n, size_t i, uint32_t width) {
    ec_net_layer *layer = n->layers + i;
    const uint32_t inputs = n->widths[i];
    static const uint32_t kinds[][2] = {{EC_NET_CONV, 1},       {EC_NET_CONV, 3},    {EC_NET_CONV, 4},
                                        {EC_NET_TRANSPOSED, 4}, {EC_NET_SHUFFLE, 1}, {EC_NET_SHUFFLE, 3}};
    const uint32_t pick = below(6);
    layer->kind = (int32_t)kinds[pick][0];
    layer->side = kinds[pick][1];
    n->halvings[i + 1] = n->halvings[i] + (pick == 2 ? 1 : pick > 2 ? -1 : 0);
    layer->skip = -1;
    for (uint32_t a = 0; a <= i && pick < 4; a++)
        if (n->halvings[a] == n->halvings[i + 1] && below(3) == 0) layer->skip = (int32_t)a;
    n->widths[i + 1] = layer->skip < 0 ? width : n->widths[layer->skip];
    layer->outputs = n->widths[i + 1] * (layer->kind == EC_NET_SHUFFLE ? 4 : 1);
    const uint32_t outputs = layer->outputs, taps = layer->side * layer->side;
    int16_t *weight = take(sizeof *weight * outputs * inputs * taps), *low = take(sizeof *low * outputs);
    int16_t *high = take(sizeof *high * outputs);
    int32_t *bias = take(sizeof *bias * outputs), *multiplier = take(sizeof *multiplier * outputs);
    uint8_t *shift = take(outputs);
    random_bounds(low, high, outputs);
    for (uint32_t o = 0; o < outputs; o++) {
        int64_t left = (1 << 24) - 1;
        shift[o] = (uint8_t)below(below(4) ? 12 : 24);
        left -= (int32_t)(1u << shift[o] >> 1);
        for (uint32_t k = 0; k < inputs * taps; k++) {
            const int64_t r = reach_of(n, i, k / taps);
            int64_t most = r == 0 ? 32767 : left / 2 / r;
            if (most > 511 && below(8)) most = 511;
            if (most > 32767) most = 32767;
            const int32_t w = between((int32_t)-most, (int32_t)most);
            weight[o * inputs * taps + k] = (int16_t)w;
            left -= (w < 0 ? -w : w) * r;
        }
        multiplier[o] = 0;
        if (layer->skip >= 0) {
            const int64_t r = reach_of(n, (size_t)layer->skip, o), most = left / (r + 1);
            multiplier[o] = between((int32_t)-most, (int32_t)most);
            left -= (multiplier[o] < 0 ? -multiplier[o] : multiplier[o]) * r;
        }
        bias[o] = (int32_t)(below(2) ? left : -left);
        if (o + 1 < outputs) bias[o] = between(bias[o] < 0 ? bias[o] : -bias[o], 0) / 16;
    }
    *layer = (ec_net_layer){layer->kind, layer->side, outputs, layer->skip, weight,
                            bias,        shift,       low,     high,        multiplier};
}

static void random_network(network_t *n, uint32_t channels, size_t count) {
    n->channels = n->widths[0] = channels;
    n->halvings[0] = 0;
    n->count = count;
    random_bounds(n->low, n->high, channels);
    for (size_t i = 0; i < count; i++) random_layer(n, i, 1 + below(below(3) ? 9 : MOST_CHANNELS));
}

static void drop_network(network_t *n) {
    for (size_t i = 0; i < n->count; i++) {
        const ec_net_layer *l = n->layers + i;
        const void *const all[] = {l->weight, l->bias, l->shift, l->low, l->high, l->skip_multiplier};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) drop((void *)(uintptr_t)all[k]);
    }
}

static picture_t new_picture(uint32_t height, uint32_t width, uint32_t channels) {
    picture_t p = {height, width, channels, calloc((size_t)height * width * channels + 1, sizeof(int64_t))};
    assert(p.data != NULL);
    return p;
}

static int64_t *at(const picture_t *p, int64_t y, int64_t x) {
    return y < 0 || x < 0 || y >= p->height || x >= p->width
               ? NULL
               : p->data + ((size_t)y * p->width + (size_t)x) * p->channels;
}

/* The definition, one product at a time. Also counts where the accumulator is at its largest. */
static picture_t reference_layer(const ec_net_layer *l, const picture_t *in, const picture_t *skip) {
    const int up = l->kind == EC_NET_TRANSPOSED, stride = l->side == 4 ? 2 : 1, padding = l->side > 1;
    const int32_t side = (int32_t)l->side;
    picture_t out = new_picture(up ? 2 * in->height : in->height / (uint32_t)stride,
                                up ? 2 * in->width : in->width / (uint32_t)stride, l->outputs);
    for (int64_t y = 0; y < out.height; y++)
        for (int64_t x = 0; x < out.width; x++)
            for (uint32_t o = 0; o < l->outputs; o++) {
                int64_t sum = l->bias[o] + (int32_t)(1u << l->shift[o] >> 1);
                for (int32_t t = 0; t < side * side; t++) {
                    const int64_t *a;
                    if (up) { /* out[2 y' - 1 + k] receives weight[k] * a[y'] */
                        const int64_t v = y + 1 - t / side, u = x + 1 - t % side;
                        a = v % 2 || u % 2 ? NULL : at(in, v / 2, u / 2);
                    } else
                        a = at(in, y * stride - padding + t / side, x * stride - padding + t % side);
                    for (uint32_t i = 0; a != NULL && i < in->channels; i++)
                        sum +=
                            a[i] * l->weight[(o * in->channels + i) * (uint32_t)(side * side) + (uint32_t)t];
                }
                if (skip != NULL) sum += l->skip_multiplier[o] * at(skip, y, x)[o];
                assert(sum > -(1 << 24) && sum < 1 << 24);
                const int64_t z = sum >> l->shift[o];
                at(&out, y, x)[o] = z < l->low[o] ? l->low[o] : z > l->high[o] ? l->high[o] : z;
            }
    if (l->kind != EC_NET_SHUFFLE) return out;
    picture_t large = new_picture(2 * out.height, 2 * out.width, l->outputs / 4);
    for (int64_t y = 0; y < large.height; y++)
        for (int64_t x = 0; x < large.width; x++)
            for (uint32_t c = 0; c < large.channels; c++)
                at(&large, y, x)[c] = at(&out, y / 2, x / 2)[4 * c + (uint32_t)(y % 2 * 2 + x % 2)];
    free(out.data);
    return large;
}

/* 0 if images of this size are not for this network. */
static int reference(const network_t *n, picture_t *all) {
    int fits = 1;
    size_t made = 1;
    for (size_t i = 0; i < n->count && fits; i++, made++) {
        const ec_net_layer *l = n->layers + i;
        const uint32_t down = l->kind == EC_NET_CONV && l->side == 4 ? 2 : 1;
        const uint32_t up = l->kind == EC_NET_CONV ? 1 : 2;
        const uint32_t height = all[i].height / down * up, width = all[i].width / down * up;
        fits = height > 0 && width > 0 &&
               (l->skip < 0 || (all[l->skip].height == height && all[l->skip].width == width));
        if (!fits) break;
        all[i + 1] = reference_layer(l, all + i, l->skip < 0 ? NULL : all + l->skip);
    }
    if (!fits)
        for (size_t i = 0; i < made; i++) free(all[i].data);
    return fits;
}

static void plain(const char *isa) {
    network_t n;
    random_network(&n, 1 + below(below(4) ? 8 : MOST_CHANNELS), 1 + below(MOST_LAYERS));
    const uint32_t height = 1 + below(9), width = 1 + below(24), images = 1 + below(2);
    ec_net *net;
    assert(ec_net_create(n.channels, n.low, n.high, n.layers, n.count, isa, &net) == EC_NET_OK);
    const size_t numbers = (size_t)height * width * n.channels;
    int16_t *in = take(images * numbers * sizeof *in), *out = NULL;
    void *scratch = NULL;
    const size_t bytes = ec_net_scratch(net, height, width);
    uint32_t h = 0, w = 0;
    for (uint32_t image = 0; image < images; image++) {
        picture_t all[MOST_LAYERS + 1] = {new_picture(height, width, n.channels)};
        for (size_t k = 0; k < numbers; k++) {
            const uint32_t c = (uint32_t)k % n.channels;
            const int32_t low = n.low[c], high = n.high[c];
            all[0].data[k] = in[image * numbers + k] = (int16_t)(below(3) ? between(low, high) : high);
        }
        if (!reference(&n, all)) {
            assert(bytes == 0 && ec_net_output_size(net, height, width, &h, &w) == EC_NET_ERR_ARGUMENT);
            break;
        }
        const picture_t *wanted = all + n.count;
        const size_t given = (size_t)wanted->height * wanted->width * wanted->channels;
        if (image == 0) {
            scratch = take(bytes);
            out = take(images * given * sizeof *out);
            assert(ec_net_output_size(net, height, width, &h, &w) == EC_NET_OK);
            assert(ec_net_run(net, in, 0, height, width, out, scratch, bytes) == EC_NET_OK);
            assert(ec_net_run(net, in, 1, height, width, out, scratch, bytes - 1) == EC_NET_ERR_SCRATCH);
        }
        assert(h == wanted->height && w == wanted->width && n.widths[n.count] == wanted->channels);
        if (image + 1 == images)
            assert(ec_net_run(net, in, images, height, width, out, scratch, bytes) == EC_NET_OK);
        else /* what the last image's run must find again in its place */
            assert(ec_net_run(net, in + image * numbers, 1, height, width, out + image * given, scratch,
                              bytes) == EC_NET_OK);
        for (size_t k = 0; k < given; k++) assert(out[image * given + k] == wanted->data[k]);
        for (size_t i = 0; i <= n.count; i++) free(all[i].data);
    }
    drop(in);
    if (scratch != NULL) {
        drop(scratch);
        drop(out);
    }
    ec_net_free(net);
    drop_network(&n);
}

/* Analysis and synthesis: searches with many equal scores, tables of several groups, narrow heads. */
static void both_forms(const char *isa) {
    network_t n;
    const uint32_t groups = 1 + below(3), dim = 1 + below(9), size = 1 + below(below(2) ? 20 : 300);
    const uint32_t height = 2 + below(9), width = 2 + below(24);
    do { /* one layer: only the forms are looked at */
        n.channels = n.widths[0] = 3;
        n.halvings[0] = 0;
        n.count = 1;
        for (int c = 0; c < 3; c++) n.low[c] = -255, n.high[c] = 255;
        random_layer(&n, 0, groups * dim);
        if (n.layers->skip < 0) break;
        drop_network(&n);
    } while (1);
    int64_t most = 1;
    for (uint32_t c = 0; c < groups * dim; c++)
        if (reach_of(&n, 1, c) > most) most = reach_of(&n, 1, c);
    const int32_t largest = below(2) ? 1 : (int32_t)(((1 << 24) - 6) / (most * dim)); /* at most 32767 */
    int16_t *weight = take(sizeof *weight * groups * size * dim);
    int32_t *bias = take(sizeof *bias * groups * size);
    for (uint32_t k = 0; k < groups * size * dim; k++)
        weight[k] = (int16_t)between(largest > 32767 ? -32767 : -largest, largest > 32767 ? 32767 : largest);
    for (uint32_t k = 0; k < groups * size; k++) bias[k] = between(-5, 5);
    const ec_net_search search = {groups, size, dim, weight, bias};
    ec_net *net;
    assert(ec_net_create_analysis(3, n.layers, 1, &search, isa, &net) == EC_NET_OK);
    picture_t all[2] = {new_picture(height, width, 3)};
    uint8_t *image = take((size_t)height * width * 3);
    for (size_t k = 0; k < (size_t)height * width * 3; k++)
        all[0].data[k] = 2 * (image[k] = (uint8_t)below(256)) - 255;
    assert(reference(&n, all));
    const size_t pixels = (size_t)all[1].height * all[1].width, bytes = ec_net_scratch(net, height, width);
    void *scratch = take(bytes);
    uint16_t *indices = take(pixels * groups * sizeof *indices);
    assert(ec_net_analyse(net, image, 1, height, width, indices, scratch, bytes) == EC_NET_OK);
    assert(ec_net_run(net, NULL, 1, height, width, NULL, scratch, bytes) == EC_NET_ERR_ARGUMENT);
    for (size_t k = 0; k < pixels * groups; k++) {
        const size_t g = k / pixels;
        int64_t best = INT64_MIN;
        uint32_t index = 0;
        for (uint32_t code = 0; code < size; code++) {
            int64_t score = bias[g * size + code];
            for (uint32_t d = 0; d < dim; d++)
                score += weight[(g * size + code) * dim + d] *
                         all[1].data[k % pixels * groups * dim + g * dim + d];
            if (score > best) best = score, index = code;
        }
        assert(indices[k] == index);
    }
    ec_net_free(net);
    drop(scratch);
    drop(image);
    free(all[0].data);
    drop_network(&n);

    /* The indices, through a table and one layer with an even number of outputs. */
    const uint32_t channels = 1 + below(40), down = 1 + below(4), outputs = 2 * (1 + below(7));
    const uint32_t lines = all[1].height, columns = all[1].width;
    free(all[1].data);
    n.channels = n.widths[0] = channels;
    random_bounds(n.low, n.high, channels);
    do {
        random_layer(&n, 0, outputs);
        if (n.layers->skip < 0 && (n.layers->side != 4 || n.layers->kind != EC_NET_CONV || down > 3)) break;
        drop_network(&n);
    } while (1);
    const uint32_t each = n.layers->kind == EC_NET_SHUFFLE ? 4 : 1;
    int16_t *low = (int16_t *)(uintptr_t)n.layers->low, *high = (int16_t *)(uintptr_t)n.layers->high;
    for (uint32_t o = 0; o < n.layers->outputs; o++)
        if (o / each % 2) low[o] = 0, high[o] = (int16_t)(high[o] & 255);
    int16_t *values = take(sizeof *values * groups * size * channels);
    for (size_t k = 0; k < (size_t)groups * size * channels; k++) values[k] = (int16_t)between(-32768, 32767);
    const ec_net_table table = {groups, size, channels, values, n.low, n.high};
    assert(ec_net_create_synthesis(&table, n.layers, 1, isa, &net) == EC_NET_OK);
    all[0] = new_picture(lines, columns, channels);
    for (size_t k = 0; k < pixels * channels; k++) {
        const uint32_t c = (uint32_t)(k % channels);
        int64_t sum = 0;
        for (uint32_t g = 0; g < groups; g++)
            sum += values[((size_t)g * size + indices[g * pixels + k / channels]) * channels + c];
        all[0].data[k] = sum < n.low[c] ? n.low[c] : sum > n.high[c] ? n.high[c] : sum;
    }
    const size_t needed = ec_net_scratch(net, lines, columns);
    if (reference(&n, all)) {
        const size_t area = (size_t)all[1].height * all[1].width;
        int16_t *logits = take(sizeof *logits * area * outputs / 2);
        uint8_t *scales = take(area * outputs / 2);
        scratch = take(needed);
        assert(ec_net_synthesise(net, indices, 1, lines, columns, logits, scales, scratch, needed) ==
               EC_NET_OK);
        for (size_t k = 0; k < area * outputs; k++) {
            const size_t o = k % outputs, where = o / 2 * area + k / outputs;
            assert(all[1].data[k] == (o % 2 ? scales[where] : logits[where]));
        }
        indices[below((uint32_t)(pixels * groups))] = (uint16_t)size;
        assert(ec_net_synthesise(net, indices, 1, lines, columns, logits, scales, scratch, needed) ==
               EC_NET_ERR_INDEX);
        drop(scratch);
        drop(logits);
        drop(scales);
        free(all[0].data);
        free(all[1].data);
    } else
        assert(needed == 0);
    ec_net_free(net);
    drop_network(&n);
    drop(values);
    drop(weight);
    drop(bias);
    drop(indices);
}

/* Anything may be in a description whose arrays are large enough: a status, or a network that runs. */
static void damaged(const char *isa) {
    enum { WEIGHTS = MOST_OUTPUTS * MOST_CHANNELS * 16 };
    static int16_t weight[WEIGHTS], low[MOST_OUTPUTS], high[MOST_OUTPUTS];
    static int32_t bias[MOST_OUTPUTS], multiplier[MOST_OUTPUTS];
    static uint8_t shift[MOST_OUTPUTS];
    static const int32_t wild[] = {-2147483647 - 1, -2, -1, 0, 1, 2, 3, 4, 5, 16, 2147483647};
    const uint32_t kinds = sizeof wild / sizeof *wild;
    const int is_wild = below(2) == 0;
    for (size_t k = 0; k < WEIGHTS; k += 1 + below(40))
        weight[k] = (int16_t)(is_wild ? between(-32768, 32767) : between(-1, 1));
    for (size_t o = 0; o < MOST_OUTPUTS; o++) {
        low[o] = (int16_t)(below(9) || !is_wild ? between(-9, 0) : between(-32768, 32767));
        high[o] = (int16_t)(below(9) || !is_wild ? between(0, 9) : between(-32768, 32767));
        bias[o] = below(9) || !is_wild ? between(-9, 9) : wild[below(kinds)];
        multiplier[o] = below(9) || !is_wild ? between(-9, 9) : wild[below(kinds)];
        shift[o] = (uint8_t)below(below(99) ? 24 : 256);
    }
    ec_net_layer layers[3];
    uint32_t width = 1 + below(MOST_CHANNELS);
    const uint32_t channels = width;
    for (int i = 0; i < 3; i++) {
        layers[i] = (ec_net_layer){below(8) ? (int32_t)below(3) : wild[below(kinds)],
                                   below(8) ? 1 + below(4) : (uint32_t)wild[below(kinds)],
                                   0,
                                   below(4) ? -1 : wild[below(kinds)],
                                   weight,
                                   bias,
                                   shift,
                                   low,
                                   high,
                                   multiplier};
        width = below(8) ? 1 + below(MOST_CHANNELS) : below(2) ? 0 : 5000 * 4;
        layers[i].outputs = width * (layers[i].kind == EC_NET_SHUFFLE && below(8) ? 4 : 1);
    }
    ec_net *net;
    const int status = ec_net_create(channels, low, high, layers, below(4), isa, &net);
    assert((status == EC_NET_OK) == (net != NULL));
    assert(status <= 0 && status >= EC_NET_ERR_BOUND);
    if (net == NULL) return;
    const size_t bytes = ec_net_scratch(net, 4, 4);
    uint32_t h, w;
    if (bytes > 0) {
        assert(ec_net_output_size(net, 4, 4, &h, &w) == EC_NET_OK);
        int16_t *in = take(sizeof *in * 16 * channels), *out = take(sizeof *out * h * w * MOST_OUTPUTS);
        void *scratch = take(bytes);
        for (uint32_t k = 0; k < 16 * channels; k++) in[k] = (int16_t)between(-32768, 32767);
        assert(ec_net_run(net, in, 1, 4, 4, out, scratch, bytes) == EC_NET_OK);
        drop(in);
        drop(out);
        drop(scratch);
    }
    ec_net_free(net);
}

static void sizes_beyond_memory(void) {
    static const int16_t weight = 1, low = -1, high = 1;
    static const int32_t bias = 0;
    static const uint8_t shift = 0;
    const ec_net_layer layer = {EC_NET_CONV, 1, 1, -1, &weight, &bias, &shift, &low, &high, NULL};
    ec_net *net;
    uint32_t h, w;
    assert(ec_net_create(1, &low, &high, &layer, 1, NULL, &net) == EC_NET_OK);
    assert(ec_net_scratch(net, 0, 1) == 0 && ec_net_scratch(net, 1, 0) == 0);
    assert(ec_net_scratch(net, EC_NET_MAX_SIDE + 1, 1) == 0 && ec_net_scratch(net, 1, UINT32_MAX) == 0);
    assert(ec_net_scratch(net, EC_NET_MAX_SIDE, EC_NET_MAX_SIDE) > (size_t)1 << 40);
    assert(ec_net_output_size(net, EC_NET_MAX_SIDE, 1, &h, &w) == EC_NET_OK && h == EC_NET_MAX_SIDE);
    ec_net_free(net);
    ec_net_free(NULL);
    assert(ec_net_create(1, &low, &high, &layer, 0, NULL, &net) == EC_NET_ERR_ARGUMENT && net == NULL);
    assert(ec_net_create(0, &low, &high, &layer, 1, NULL, &net) == EC_NET_ERR_ARGUMENT && net == NULL);
}

int main(int argc, char **argv) {
    cases = argument(argc, argv, cases);
    sizes_beyond_memory();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(ec_net_isa(names[i]), names[i]) != 0) {
            printf("(this processor lacks %s) ", names[i]);
            continue;
        }
        seed_random(0);
        for (size_t number = 0; number < cases; number++) {
            guard = number % 2 ? GUARD_AFTER : GUARD_BEFORE;
            plain(names[i]);
            both_forms(names[i]);
            damaged(names[i]);
            guard = GUARD_NONE;
        }
    }
    printf("network ok: %zu cases\n", cases);
    return 0;
}
