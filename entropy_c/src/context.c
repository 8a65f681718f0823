/* Pixels predicted linearly in fixed point; their errors coded with tables that the errors around choose. */
#include <stdlib.h>

#include "context.h"
#include "models.h"

#define COLOURS EC_CONTEXT_COLOURS
#define MARGIN  2  /* columns on both sides, and rows above */
#define TILE    64 /* samples encoded at a time: ids and symbols of all lanes take 12 KiB of stack */

/* What is outside where there is nothing to repeat. */
#define GREY  128
#define ERROR 24

/* Neighbours, row and column: those of a colour's own are the first few, of colours before also the same. */
static const int around[10][2] = {{0, -1}, {-1, 0}, {-1, -1}, {-1, 1}, {0, -2},
                                  {-2, 0}, {-2, 1}, {-1, -2}, {-1, 2}, {-2, -1}};
typedef struct reach_t {
    uint32_t own, before;
} reach_t;
static const reach_t plain = {4, 4}, wide = {10, 10}, wide_errors = {7, 4};

static uint32_t taps_of(const reach_t *reach, uint32_t colour) {
    return reach->own + colour * (1 + reach->before);
}

static size_t pixel_bytes(void) { return (size_t)COLOURS * EC_LANES; }

/* Bytes of one of the arrays; 0 if that is beyond any memory. */
static size_t plane_bytes(uint32_t height, uint32_t width) {
    const uint64_t rows = (uint64_t)height + MARGIN, columns = (uint64_t)width + 2 * MARGIN;
    const uint64_t most = SIZE_MAX / (8 * EC_FLOWS * pixel_bytes());
    if (height == 0 || width == 0 || rows > most / columns) return 0;
    return (size_t)(rows * columns) * pixel_bytes();
}

size_t ec_context_scratch(uint32_t height, uint32_t width) {
    return 4 * EC_FLOWS * plane_bytes(height, width);
}

static size_t place_of(const ec_history *h, uint32_t row, uint32_t column) {
    return (((size_t)row + MARGIN) * ((size_t)h->width + 2 * MARGIN) + column + MARGIN) * pixel_bytes();
}

/* All taps of the last colour, the other colours' first. What is beyond them, weighing 0, is where the first
 * is. */
static void place_taps(const reach_t *reach, uint32_t width, ptrdiff_t *taps) {
    const ptrdiff_t pixel = (ptrdiff_t)pixel_bytes(), row = ((ptrdiff_t)width + 2 * MARGIN) * pixel;
    uint32_t t = 0;
    for (uint32_t back = 0; back < COLOURS; back++) {
        const uint32_t count = back == 0 ? reach->own : reach->before;
        if (back > 0) taps[t++] = -(ptrdiff_t)back * EC_LANES;
        for (uint32_t i = 0; i < count; i++)
            taps[t++] = around[i][0] * row + around[i][1] * pixel - (ptrdiff_t)back * EC_LANES;
    }
    for (; t < 2 * EC_CONTEXT_PAIRS; t++) taps[t] = taps[0];
}

/* The arrays of group `f`, their margins as the first row sees them. */
static ec_history open_history(const ec_context *m, uint32_t height, uint32_t width, size_t f,
                               uint8_t *scratch) {
    const size_t bytes = plane_bytes(height, width);
    ec_history h = {.samples = scratch + 4 * f * bytes, .height = height, .width = width};
    h.errors = h.samples + bytes;
    h.symbols = h.errors + bytes;
    h.states = h.symbols + bytes;
    memset(h.samples, m->textured ? GREY : 0, bytes);
    memset(h.errors, m->textured ? ERROR : 0, bytes);
    place_taps(m->textured ? &wide : &plain, width, h.sample_taps);
    place_taps(m->textured ? &wide_errors : &plain, width, h.error_taps);
    return h;
}

/* Before a row other than the first: what it sees outside the image, repeated from inside. */
static void frame_row(const ec_context *m, const ec_history *h, uint32_t row) {
    if (!m->textured || row == 0) return;
    const size_t pixel = pixel_bytes(), first = place_of(h, row - 1, 0), here = place_of(h, row, 0);
    const size_t end = first + h->width * pixel, row_bytes = here - first;
    uint8_t *const planes[2] = {h->samples, h->errors};
    for (size_t i = 0; i < 2; i++) {
        uint8_t *p = planes[i];
        for (size_t k = 1; k <= MARGIN; k++) {
            memcpy(p + end + (k - 1) * pixel, p + end - pixel, pixel);
            memcpy(p + here - k * pixel, p + first, pixel);
        }
        if (row == 1) memcpy(p + first - MARGIN * pixel - row_bytes, p + first - MARGIN * pixel, row_bytes);
    }
}

static uint32_t place_at(const ec_context *m, const ec_history *h, uint32_t row, uint32_t column) {
    if (m->textured) return row > 0;
    const uint32_t side = column == 0 ? 0 : column + 1 == h->width ? 2 : 1;
    return (row > 0 ? 3 : 0) + side;
}

/* The lanes' images into the samples, or out of them. */
static void fill(const ec_kernels *kernels, const ec_history *h, uint32_t lanes, const uint8_t *images) {
    const size_t row_samples = (size_t)h->width * COLOURS;
    for (uint32_t row = 0; row < h->height; row++) {
        const uint8_t *from[EC_LANES];
        for (uint32_t lane = 0; lane < lanes; lane++)
            from[lane] = images + ((size_t)lane * h->height + row) * row_samples;
        kernels->weave8(from, lanes, row_samples, h->samples + place_of(h, row, 0), EC_LANES);
    }
}

static void read_out(const ec_kernels *kernels, const ec_history *h, uint32_t lanes, uint8_t *images) {
    const size_t row_samples = (size_t)h->width * COLOURS;
    for (uint32_t row = 0; row < h->height; row++) {
        uint8_t *to[EC_LANES];
        for (uint32_t lane = 0; lane < lanes; lane++)
            to[lane] = images + ((size_t)lane * h->height + row) * row_samples;
        kernels->unweave8(h->samples + place_of(h, row, 0), EC_LANES, lanes, row_samples, to);
    }
}

/* Errors, symbols and states of every sample, first to last. */
static void analyse(const ec_context *m, const ec_history *h) {
    for (uint32_t row = 0; row < h->height; row++) {
        frame_row(m, h, row);
        for (uint32_t column = 0; column < h->width; column++)
            m->tables->kernels->context_analyse(m, h, place_at(m, h, row, column), place_of(h, row, column));
    }
}

/* Encodes what `analyse` found, last to first. */
static int encode(ec_encoder *e, size_t flows, const ec_context *m, const ec_history *h) {
    uint32_t ids[EC_FLOWS][TILE * EC_LANES];
    uint16_t symbols[EC_FLOWS][TILE * EC_LANES];
    ec_flow flow[EC_FLOWS];
    for (size_t f = 0; f < flows; f++) {
        ec_flow_begin(&flow[f], e + f);
        flow[f].ids = ids[f];
        flow[f].symbols = symbols[f];
    }
    const size_t samples = (size_t)h->width * COLOURS;
    for (uint32_t row = h->height; row-- > 0;)
        for (size_t end = samples; end > 0;) {
            const size_t count = (end - 1) % TILE + 1, first = end - count;
            for (size_t f = 0; f < flows; f++) {
                const size_t at = place_of(h, row, 0) + first * EC_LANES;
                for (size_t i = 0; i < count * EC_LANES; i++) {
                    const uint32_t colour = (uint32_t)((first + i / EC_LANES) % COLOURS);
                    ids[f][i] = colour * m->states + h[f].states[at + i];
                    symbols[f][i] = h[f].symbols[at + i];
                }
            }
            const int status = m->tables->kernels->encode(m->tables, flows, flow, EC_LANES, 0, count,
                                                          ec_lane_mask(e->lanes));
            if (status != EC_OK) return status;
            end = first;
        }
    for (size_t f = 0; f < flows; f++) ec_flow_end(&flow[f], e + f);
    return EC_OK;
}

/* Decodes `flows` groups side by side. */
static int decode(ec_decoder *d, size_t flows, const ec_context *m, ec_history *h) {
    const ec_kernels *kernels = m->tables->kernels;
    uint32_t ids[EC_FLOWS][EC_LANES], guesses[EC_FLOWS][EC_LANES];
    uint16_t symbols[EC_FLOWS][EC_LANES] = {{0}};
    ec_flow flow[EC_FLOWS];
    for (size_t f = 0; f < flows; f++) {
        ec_flow_open(&flow[f], d + f);
        flow[f].ids = ids[f];
    }
    for (uint32_t row = 0; row < h->height; row++) {
        for (size_t f = 0; f < flows; f++) frame_row(m, &h[f], row);
        for (uint32_t column = 0; column < h->width; column++) {
            const uint32_t place = place_at(m, h, row, column);
            size_t at = place_of(h, row, column);
            for (uint32_t c = 0; c < COLOURS; c++, at += EC_LANES) {
                for (size_t f = 0; f < flows; f++) {
                    kernels->context_look(m, &h[f], c, place, at, guesses[f], ids[f]);
                    flow[f].symbols = symbols[f];
                }
                const int status = kernels->decode(m->tables, flows, flow, 1, ec_lane_mask(d->lanes));
                if (status != EC_OK) return status;
                for (size_t f = 0; f < flows; f++) kernels->context_learn(&h[f], at, guesses[f], symbols[f]);
            }
        }
    }
    return ec_flows_close(flow, flows, d);
}

/* Two weights of 16 bits in one number; taps beyond the last weigh nothing. */
static void pair_up(const int16_t *weights, uint32_t taps, size_t texture, ec_context_sum *sum) {
    for (uint32_t t = 0; t < taps; t += 2) {
        const int16_t second = t + 1 < taps ? weights[t + 1] : 0;
        sum->weights[t / 2][texture] = (uint32_t)(uint16_t)weights[t] | (uint32_t)(uint16_t)second << 16;
    }
}

static int bounded(const int32_t *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (values[i] < -(1 << 30) || values[i] > 1 << 30) return 0;
    return 1;
}

/* What both kinds have; the weights of colour, place and texture follow each other in this order. */
typedef struct parts_t {
    size_t places, textures;
    const int16_t *weights, *energy;
    size_t weights_each, energy_each; /* of a place and texture, those of the last colour */
    const int32_t *bias, *base, *thresholds;
} parts_t;

static int create(const ec_tables *tables, uint32_t states, const parts_t *parts, ec_context **out) {
    *out = NULL;
    if (states < 1 || states > EC_MAX_STATES) return EC_ERR_ARGUMENT;
    if (tables->count != (size_t)COLOURS * states || tables->symbols != 256 || tables->escape)
        return EC_ERR_TABLE;
    /* 32 * 255 * 2^15 + 2^30 + 2^11 < 2^31 */
    const size_t all = COLOURS * parts->places * parts->textures;
    if (!bounded(parts->bias, all) || !bounded(parts->base, all)) return EC_ERR_TABLE;
    ec_context *model = calloc(1, sizeof *model);
    if (model == NULL) return EC_ERR_MEMORY;
    model->tables = tables;
    model->states = states;
    model->textured = parts->textures > 1;
    const reach_t *samples = model->textured ? &wide : &plain;
    const reach_t *errors = model->textured ? &wide_errors : &plain;
    size_t i = 0;
    for (uint32_t c = 0; c < COLOURS; c++) {
        model->sample_pairs[c] = (taps_of(samples, c) + 1) / 2;
        model->error_pairs[c] = (taps_of(errors, c) + 1) / 2;
        for (size_t place = 0; place < parts->places; place++)
            for (size_t k = 0; k < parts->textures; k++, i++) {
                ec_context_sum *prediction = &model->prediction[c][place];
                ec_context_sum *activity = &model->activity[c][place];
                pair_up(parts->weights + i * parts->weights_each, taps_of(samples, c), k, prediction);
                pair_up(parts->energy + i * parts->energy_each, taps_of(errors, c), k, activity);
                prediction->start[k] = (uint32_t)(parts->bias[i] + (1 << (EC_CONTEXT_SHIFT - 1)));
                activity->start[k] = (uint32_t)parts->base[i];
            }
        for (size_t s = 0; s + 1 < states; s++)
            model->thresholds[c][s] = parts->thresholds[c * (states - 1) + s];
    }
    *out = model;
    return EC_OK;
}

int ec_context_create(const ec_tables *tables, uint32_t states, const int16_t *weights, const int32_t *bias,
                      const int16_t *energy, const int32_t *base, const int32_t *thresholds,
                      ec_context **out) {
    const parts_t parts = {.places = EC_CONTEXT_PLACES,
                           .textures = 1,
                           .weights = weights,
                           .energy = energy,
                           .weights_each = EC_CONTEXT_TAPS,
                           .energy_each = EC_CONTEXT_TAPS,
                           .bias = bias,
                           .base = base,
                           .thresholds = thresholds};
    return create(tables, states, &parts, out);
}

int ec_context_create_textured(const ec_tables *tables, uint32_t states, const int16_t *weights,
                               const int32_t *bias, const int16_t *energy, const int32_t *base,
                               const int32_t *thresholds, const int16_t *levels, const int16_t *slopes,
                               ec_context **out) {
    const parts_t parts = {.places = EC_TEXTURE_PLACES,
                           .textures = EC_TEXTURES,
                           .weights = weights,
                           .energy = energy,
                           .weights_each = EC_TEXTURE_TAPS,
                           .energy_each = EC_TEXTURE_ERRORS,
                           .bias = bias,
                           .base = base,
                           .thresholds = thresholds};
    const int status = create(tables, states, &parts, out);
    if (status != EC_OK) return status;
    memcpy((*out)->levels, levels, sizeof(*out)->levels);
    memcpy((*out)->slopes, slopes, sizeof(*out)->slopes);
    return EC_OK;
}

void ec_context_free(ec_context *model) { free(model); }

size_t ec_context_bytes(const ec_context *model) { return sizeof *model; }

int ec_encode_context(ec_encoder *encoders, size_t groups, const ec_context *model, const uint8_t *images,
                      uint32_t height, uint32_t width, uint8_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    if (plane_bytes(height, width) == 0) return EC_ERR_ARGUMENT;
    const size_t samples = (size_t)height * width * COLOURS;
    for (size_t g = 0; g < groups; g++) {
        ec_encoder *e = encoders + g;
        if (ec_encode_bound(e->lanes, samples) > e->position) return EC_ERR_CAPACITY;
        const ec_history h = open_history(model, height, width, 0, scratch);
        fill(model->tables->kernels, &h, e->lanes, images);
        analyse(model, &h);
        const int status = encode(e, 1, model, &h);
        if (status != EC_OK) return status;
        images += e->lanes * samples;
    }
    return EC_OK;
}

int ec_decode_context(ec_decoder *decoders, size_t groups, const ec_context *model, uint32_t height,
                      uint32_t width, uint8_t *images, uint8_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    if (plane_bytes(height, width) == 0) return EC_ERR_ARGUMENT;
    const ec_kernels *kernels = model->tables->kernels;
    const size_t samples = (size_t)height * width * COLOURS;
    for (size_t g = 0, flows; g < groups; g += flows) {
        ec_decoder *d = decoders + g;
        flows = ec_flows_from(kernels, d, groups - g);
        ec_history h[EC_FLOWS];
        for (size_t f = 0; f < flows; f++) h[f] = open_history(model, height, width, f, scratch);
        const int status = decode(d, flows, model, h);
        if (status != EC_OK) return status;
        for (size_t f = 0; f < flows; f++, images += d->lanes * samples)
            read_out(kernels, &h[f], d->lanes, images);
    }
    return EC_OK;
}
