/* Causal networks. The first byte says how many of the next describe a network, which may break its rules,
 * and sizes; the rest is taken for streams and then for pixels. What create accepts must decode anything to a
 * status, and pixels to themselves; a stream that decodes is the one that its pixels are coded to. */
#include "fuzz.h"

enum { MOST_GROUPS = 2, SIZES = 8 };

typedef struct network_t {
    ec_causal_shape s;
    int16_t *first, *colour, *couple;
    int8_t *weights;
    int32_t *bias, *inverse;
    uint8_t *shift, *stream_shift, *own_shift;
    uint16_t *sigmoid, *exponentials;
    int breaks;   /* one number in so many is out of the ordinary; 0: none */
    uint32_t odd; /* below SIZES: which size is one that no network has */
} network_t;

/* A number from low to high; of a network that breaks rules, sometimes one of the ends of its type. */
static int32_t number(const network_t *n, int32_t low, int32_t high, int32_t least, int32_t most) {
    if (n->breaks > 0 && below((uint32_t)n->breaks) == 0) return below(2) ? least : most;
    return between(low, high);
}

#define FILL(array, count, type, low, high, least, most)                                                     \
    do {                                                                                                     \
        n->array = take((count) * sizeof *n->array);                                                         \
        for (size_t i = 0; i < (count); i++) n->array[i] = (type)number(n, low, high, least, most);          \
    } while (0)

/* A wave's has no conditions. */
static void random_network(network_t *n, int wave) {
    static const int breaks[] = {0, 0, 0, 0, 3, 40, 1000, 30000};
    n->breaks = breaks[below(8)];
    n->s.radius = 1 + below(below(8) ? 2 : 7); /* one by one: in an initializer the order would be open */
    n->s.width = 4 * (1 + below(3));
    n->s.blocks = below(4);
    n->s.inner = 4 * (1 + below(3));
    n->s.spatial = below(2);
    n->s.hidden = 4 * (1 + below(3));
    n->s.mixtures = 1 + below(EC_CAUSAL_MIXTURES);
    n->odd = below(16);
    n->s.pair = below(2);
    seed_random(below(1u << 16)); /* there are more numbers than a fuzzer's bytes */
    n->s.conditions = wave || n->s.pair ? 0 : 4 * below(3);
    const size_t pixels = 1 + n->s.pair, samples = 3 * pixels, reach = (n->s.radius + pixels - 1) / pixels;
    const size_t width = n->s.width, inner = n->s.inner, hidden = n->s.hidden, blocks = n->s.blocks;
    const size_t taps = n->s.spatial ? 5 : 1, heads = 3 * n->s.mixtures;
    const size_t window = (n->s.radius * (2 * reach + 1) + reach) * pixels;
    const size_t outputs = width + samples + blocks * (inner + width) + samples * hidden + samples * heads;
    const size_t weights =
        blocks * (taps * inner * width + inner * width) + samples * hidden * width + samples * heads * hidden;
    FILL(first, (width + samples) * (4 * window + n->s.conditions), int16_t, -2000, 2600, -32768, 32767);
    FILL(weights, weights, int8_t, -30, 30, -128, 127);
    FILL(bias, outputs, int32_t, -3000, 9000, INT32_MIN, INT32_MAX);
    FILL(shift, outputs, uint8_t, 3, 7, 0, 25);
    FILL(stream_shift, (blocks + 1) * width, uint8_t, 0, 4, 24, 25);
    FILL(own_shift, samples * hidden, uint8_t, 0, 4, 24, 25);
    FILL(colour, samples * hidden * (samples - 1), int16_t, -9000, 9000, -32768, 32767);
    FILL(couple, samples * (samples - 1), int16_t, -16000, 16000, -32768, 32767);
    FILL(inverse, EC_CAUSAL_SCALES, int32_t, 1, 40000, 0, 1 << 18);
    FILL(exponentials, EC_CAUSAL_EXPONENTIALS, uint16_t, 0, 32768, 32768, 32769);
    if (below(8)) n->exponentials[0] = 32768;
    if (below(8)) /* the first matrix sees all pixels at full contrast */
        for (size_t i = 0; i < width + samples; i++) n->shift[i] = (uint8_t)between(8, 12);
    n->sigmoid = take((EC_CAUSAL_STEPS + 1) * sizeof *n->sigmoid);
    uint32_t value = 0;
    for (size_t i = 0; i <= EC_CAUSAL_STEPS; i++) {
        n->sigmoid[i] = (uint16_t)value;
        value = (value + (uint32_t)number(n, 0, 85, -1, 32767)) & 0xFFFF;
    }
    uint32_t *const sizes[] = {&n->s.radius,  &n->s.width,  &n->s.blocks,   &n->s.inner,
                               &n->s.spatial, &n->s.hidden, &n->s.mixtures, &n->s.pair};
    const uint32_t least[] = {0, 2, EC_CAUSAL_BLOCKS + 1, 2, 2, 2, 0, 2},
                   most[] = {8, 260, 99, 260, 9, 68, 7, 9};
    if (n->odd < SIZES) *sizes[n->odd] = below(2) ? least[n->odd] : most[n->odd];
}

static int create(const network_t *n, ec_causal **out) {
    const ec_causal_parts parts = {n->first,        n->weights,   n->bias,        n->shift,
                                   n->stream_shift, n->own_shift, n->colour,      n->couple,
                                   n->inverse,      n->sigmoid,   n->exponentials};
    return ec_causal_create(&n->s, &parts, out);
}

static void drop_network(network_t *n) {
    void *const all[] = {n->first,  n->weights, n->bias,    n->shift,   n->stream_shift, n->own_shift,
                         n->colour, n->couple,  n->inverse, n->sigmoid, n->exponentials};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) drop(all[i]);
}

/* Images of one size, 32 in each group but the last, and where they are coded; or one image, a wave. */
typedef struct images_t {
    const ec_causal *model;
    uint32_t height, width;
    uint32_t wave;                /* its lanes, or 0 */
    uint32_t recall;              /* a wave that remembers colours */
    size_t number, groups, bytes; /* of an image */
    uint8_t *conditions;          /* NULL: none */
    uint8_t *streams[MOST_GROUPS];
    size_t sizes[MOST_GROUPS];
    void *scratch;
} images_t;

static uint32_t lanes_in(const images_t *im, size_t group) {
    if (im->wave > 0) return im->wave;
    return group + 1 < im->groups ? EC_LANES : (uint32_t)(im->number - group * EC_LANES);
}

/* Codes the pixels to im->streams. */
static void encode(images_t *im, const uint8_t *pixels) {
    ec_encoder e[MOST_GROUPS];
    uint64_t sizes[MOST_GROUPS];
    const size_t each = 4 * EC_LANES + ec_encode_bound(im->wave > 0 ? 1 : EC_LANES, im->bytes << im->recall);
    uint8_t *buffer = take(im->groups * each);
    if (im->wave > 0)
        assert(ec_encoder_init(e, im->wave) == EC_OK);
    else
        assert(ec_encoders_init(e, im->groups, im->number) == EC_OK);
    ec_encoders_attach(e, im->groups, buffer, each);
    const int status =
        im->recall     ? ec_encode_causal_recall(e, im->model, pixels, im->height, im->width, im->scratch)
        : im->wave > 0 ? ec_encode_causal_wave(e, im->model, pixels, im->height, im->width, im->scratch)
                       : ec_encode_causal(e, im->groups, im->model, pixels, im->conditions, im->height,
                                          im->width, im->scratch);
    assert(status == EC_OK);
    assert(ec_encoders_heads(e, im->groups, sizes) == EC_OK);
    for (size_t i = 0; i < im->groups; i++) {
        im->sizes[i] = (size_t)sizes[i];
        im->streams[i] = copy_of(buffer + (i + 1) * each - sizes[i], im->sizes[i]);
    }
    drop(buffer);
}

/* Decodes im->streams to exactly as much memory as the pixels need. */
static int decode(const images_t *im, uint8_t *pixels) {
    ec_decoder d[MOST_GROUPS];
    for (size_t i = 0; i < im->groups; i++)
        if (ec_decoder_init(&d[i], lanes_in(im, i), im->streams[i], im->sizes[i]) != EC_OK)
            return EC_ERR_DAMAGED;
    const int status =
        im->recall     ? ec_decode_causal_recall(d, im->model, im->height, im->width, pixels, im->scratch)
        : im->wave > 0 ? ec_decode_causal_wave(d, im->model, im->height, im->width, pixels, im->scratch)
                       : ec_decode_causal(d, im->groups, im->model, im->conditions, im->height, im->width,
                                          pixels, im->scratch);
    for (size_t i = 0; i < im->groups && status == EC_OK; i++)
        if (ec_decoder_finish(&d[i]) != EC_OK) return EC_ERR_DAMAGED;
    return status;
}

static void drop_streams_of(images_t *im) {
    for (size_t i = 0; i < im->groups; i++) drop(im->streams[i]);
}

static void hostile_streams(images_t *im, const uint8_t *data, size_t bytes) {
    uint8_t *pixels = take(im->number * im->bytes);
    for (size_t i = 0, at = 0; i < im->groups; at += im->sizes[i++]) {
        im->sizes[i] = i + 1 < im->groups ? bytes / im->groups : bytes - at;
        im->streams[i] = copy_of(data + at, im->sizes[i]);
    }
    const int status = decode(im, pixels);
    assert(status == EC_OK || status == EC_ERR_TRUNCATED || status == EC_ERR_DAMAGED);
    if (status == EC_OK) {
        images_t again = *im;
        encode(&again, pixels);
        for (size_t i = 0; i < im->groups; i++) {
            assert(again.sizes[i] == im->sizes[i]);
            assert(memcmp(again.streams[i], im->streams[i], im->sizes[i]) == 0);
        }
        drop_streams_of(&again);
    }
    drop_streams_of(im);
    drop(pixels);
}

static void round_trip(images_t *im, const uint8_t *data, size_t bytes) {
    const size_t all = im->number * im->bytes;
    uint8_t *pixels = take(all), *out = take(all);
    for (size_t i = 0; i < all; i++) pixels[i] = bytes > 0 ? data[i % bytes] : (uint8_t)i;
    encode(im, pixels);
    assert(decode(im, out) == EC_OK && memcmp(out, pixels, all) == 0);
    if (im->sizes[0] > 0) { /* and damaged: any status, or other pixels */
        im->streams[0][below((uint32_t)im->sizes[0])] ^= (uint8_t)(1 + below(255));
        const int status = decode(im, out);
        assert(status == EC_OK || status == EC_ERR_TRUNCATED || status == EC_ERR_DAMAGED);
    }
    drop_streams_of(im);
    drop(pixels);
    drop(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 1) return 0;
    const size_t rest = bytes - 1, head = data[0] < rest ? data[0] : rest;
    network_t n;
    ec_causal *model;
    feed_random(data + 1, head);
    choose_isa();
    images_t im = {.height = below(4)};
    im.width = below(5);
    if (below(2)) {
        im.wave = 1 + below(below(2) ? 4 : EC_LANES);
        im.recall = below(2);
        im.number = 1;
        im.height += below(6);
    } else
        im.number = 1 + below(below(4) ? 5 : 40);
    random_network(&n, im.wave > 0);
    const int status = create(&n, &model);
    assert(status == EC_OK || status == EC_ERR_TABLE || status == EC_ERR_ARGUMENT);
    assert((status == EC_ERR_ARGUMENT) == (n.odd < SIZES) && (status == EC_OK) == (model != NULL));
    const int too_few = im.wave > 0 && im.wave < n.s.radius;
    if (status == EC_OK && too_few) assert(ec_causal_wave_scratch(model, im.wave, im.height, im.width) == 0);
    if (status == EC_OK && !too_few) {
        const size_t scratch = im.recall ? ec_causal_recall_scratch(model, im.wave, im.height, im.width)
                               : im.wave ? ec_causal_wave_scratch(model, im.wave, im.height, im.width)
                                         : ec_causal_scratch(model, im.height, im.width);
        im.model = model;
        im.groups = (im.number + EC_LANES - 1) / EC_LANES;
        im.bytes = (size_t)im.height * im.width * 3;
        assert(scratch > 0);
        im.scratch = take(scratch);
        const size_t said = im.number * (im.bytes / 3) * n.s.conditions;
        if (n.s.conditions > 0) im.conditions = take(said);
        for (size_t i = 0; i < said; i++) im.conditions[i] = (uint8_t)below(256);
        hostile_streams(&im, data + 1 + head, rest - head);
        round_trip(&im, data + 1 + head, rest - head);
        drop(im.scratch);
        if (n.s.conditions > 0) drop(im.conditions);
    }
    ec_causal_free(model);
    drop_network(&n);
    return 0;
}
