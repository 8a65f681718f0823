/* Pixels whose distributions a small integer network gives from the pixels before them. */
#include "causal.h"
#include "geometry.h"
#include "recall.h"

#define COLOURS EC_CAUSAL_COLOURS

#define WAVE_PAD  16 /* numbers before the lanes of a wave: EC_LANES stay within cache lines */
#define MOST_SIDE ((uint32_t)1 << 15) /* of what is coded at once: larger images are cut into tiles */

/* Copies that a wave still has to make: what the last rows of a turn had, until the first ones of the next
 * need it. Rings of `steps` steps. */
typedef struct handed_t {
    size_t steps;
    uint32_t *pixels;                    /* [steps][pixels of a place][radius] */
    uint32_t *streams[EC_CAUSAL_BLOCKS]; /* [steps][quads] */
} handed_t;

/* Numbers of 32 bits for each array, in the order of open_work. */
typedef struct sizes_t {
    size_t lag, stride, ring, stream_ring;
    size_t pixels, streams, conditions, stream, quads, own, out, handed_pixels, handed_streams, intervals,
        all;
} sizes_t;

/* Places of a row. */
static uint32_t columns_of(const ec_causal *m, uint32_t width) { return (width + m->pixels - 1) / m->pixels; }

/* g: of a wave, or NULL; rows: of intervals that a pixel pushes. */
static sizes_t sizes_of(const ec_causal *m, const ec_geometry *g, uint32_t height, uint32_t width,
                        uint32_t rows) {
    const ec_causal_shape *s = &m->shape;
    const size_t columns = columns_of(m, width), quads = s->width / 4;
    const size_t steps = g ? g->end : height * columns;
    uint32_t widest = s->width > s->inner ? s->width : s->inner;
    widest = widest > s->hidden ? widest : s->hidden;
    sizes_t n = {.lag = g ? g->lag : columns + m->reach, .stride = EC_LANES + (g ? WAVE_PAD : 0)};
    n.ring = (s->radius + 1) * n.lag; /* the window reaches radius * lag + reach steps back */
    n.stream_ring = 2 * n.lag;
    n.pixels = n.ring * m->pixels * n.stride;
    n.streams = s->spatial ? n.stream_ring * quads * n.stride : quads * EC_LANES;
    n.conditions = (size_t)width * (s->conditions / 4) * EC_LANES;
    n.stream = (size_t)ec_padded(2 * (s->width + m->samples)) / 2 * EC_LANES;
    n.quads = (size_t)ec_padded(widest) / 4 * EC_LANES;
    n.own = (size_t)ec_padded(m->samples * s->hidden) * EC_LANES;
    n.out = (size_t)ec_padded(3 * s->mixtures) * EC_LANES;
    n.handed_pixels = g ? (g->skew + 1) * m->pixels * s->radius : 0;
    n.handed_streams = g && s->spatial ? (g->skew + 1) * quads : 0;
    n.intervals = steps * m->pixels * rows * EC_LANES;
    n.all = n.pixels + s->blocks * (n.streams + n.handed_streams) + n.conditions + n.stream + n.quads +
            n.own + n.out + n.handed_pixels + n.intervals;
    return n;
}

static int fits(uint32_t height, uint32_t width) { return height <= MOST_SIDE && width <= MOST_SIDE; }

static void set_all(uint32_t *to, size_t count, uint32_t value) {
    for (size_t i = 0; i < count; i++) to[i] = value;
}

static ec_causal_work open_work(const ec_causal *m, const ec_geometry *g, uint32_t height, uint32_t width,
                                uint32_t *scratch, handed_t *handed) {
    const sizes_t n = sizes_of(m, g, height, width, 0);
    scratch += (64 - (uintptr_t)scratch % 64) % 64 / 4; /* vectors within cache lines */
    ec_causal_work w = {.height = height,
                        .width = width,
                        .columns = columns_of(m, width),
                        .across = g != NULL,
                        .lag = n.lag,
                        .stride = n.stride,
                        .ring = n.ring,
                        .stream_ring = n.stream_ring,
                        .pixels = scratch};
    scratch += n.pixels;
    for (uint32_t b = 0; b < m->shape.blocks; b++, scratch += n.streams) w.streams[b] = scratch;
    w.conditions = scratch;
    w.stream = (int32_t *)(scratch + n.conditions);
    w.quads = (uint32_t *)(w.stream + n.stream);
    w.own = (int32_t *)(w.quads + n.quads);
    w.out = w.own + n.own;
    w.intervals = (uint32_t *)(w.out + n.out);
    set_all(w.pixels, n.pixels, EC_CAUSAL_BORDER);
    for (uint32_t b = 0; b < m->shape.blocks; b++) set_all(w.streams[b], n.streams, 0);
    if (g) {
        scratch = w.intervals;
        *handed = (handed_t){.steps = g->skew + 1, .pixels = scratch};
        set_all(handed->pixels, n.handed_pixels, EC_CAUSAL_BORDER);
        scratch += n.handed_pixels;
        for (uint32_t b = 0; b < m->shape.blocks; b++, scratch += n.handed_streams) {
            handed->streams[b] = scratch;
            set_all(scratch, n.handed_streams, 0);
        }
        w.intervals = scratch;
    }
    return w;
}

static uint32_t pixel_from(const uint8_t *from) {
    return EC_CAUSAL_INSIDE | from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16;
}

static void pixel_to(uint8_t *to, uint32_t pixel) {
    for (int c = 0; c < COLOURS; c++) to[c] = (uint8_t)(pixel >> 8 * c);
}

/* ---- A batch: a lane is an image ---- */

size_t ec_causal_scratch(const ec_causal *m, uint32_t height, uint32_t width) {
    return fits(height, width) ? 4 * sizes_of(m, NULL, height, width, COLOURS).all + 64 : 0;
}

/* Row y in the ring; columns not coded yet hold an older row, which no window sees. */
static void read_row(const ec_causal *m, const ec_causal_work *w, uint32_t y, uint32_t lanes,
                     const uint8_t *images) {
    uint32_t *row = ec_causal_pixels(m, w, y * w->lag, 0);
    const size_t image = (size_t)w->height * w->width * COLOURS;
    for (uint32_t lane = 0; lane < EC_LANES; lane++) {
        const uint8_t *from =
            images + (lane < lanes ? lane : lanes - 1) * image + (size_t)y * w->width * COLOURS;
        for (uint32_t x = 0; x < w->width; x++, from += COLOURS)
            row[(size_t)x * EC_LANES + lane] = pixel_from(from);
        for (uint32_t x = w->width; x < w->columns * m->pixels; x++)
            row[(size_t)x * EC_LANES + lane] = EC_CAUSAL_BORDER;
    }
}

/* What is known of the places of row y. */
static void read_conditions(const ec_causal *m, const ec_causal_work *w, uint32_t y, uint32_t lanes,
                            const uint8_t *conditions) {
    const size_t line = (size_t)w->width * m->shape.conditions;
    if (line == 0) return;
    for (uint32_t lane = 0; lane < EC_LANES; lane++) {
        const uint8_t *from = conditions + ((lane < lanes ? lane : lanes - 1) * (size_t)w->height + y) * line;
        for (size_t quad = 0; quad < line / 4; quad++, from += 4)
            w->conditions[quad * EC_LANES + lane] =
                from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
    }
}

static void write_row(const ec_causal *m, const ec_causal_work *w, uint32_t y, uint32_t lanes,
                      uint8_t *images) {
    const uint32_t *row = ec_causal_pixels(m, w, y * w->lag, 0);
    const size_t image = (size_t)w->height * w->width * COLOURS;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        uint8_t *to = images + lane * image + (size_t)y * w->width * COLOURS;
        for (uint32_t x = 0; x < w->width; x++, to += COLOURS) pixel_to(to, row[(size_t)x * EC_LANES + lane]);
    }
}

int ec_encode_causal(ec_encoder *encoders, size_t groups, const ec_causal *model, const uint8_t *images,
                     const uint8_t *conditions, uint32_t height, uint32_t width, uint32_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    if (!fits(height, width) || (model->shape.conditions > 0 && conditions == NULL)) return EC_ERR_ARGUMENT;
    const size_t said = (size_t)height * width * model->shape.conditions;
    const size_t samples = (size_t)height * width * COLOURS;
    const size_t row = (size_t)columns_of(model, width) * model->samples * EC_LANES;
    for (size_t g = 0; g < groups; g++) {
        ec_encoder *e = encoders + g;
        if (ec_encode_bound(e->lanes, samples) > e->position) return EC_ERR_CAPACITY;
        const ec_causal_work w = open_work(model, NULL, height, width, scratch, NULL);
        for (uint32_t y = 0; y < height; y++) {
            read_row(model, &w, y, e->lanes, images);
            read_conditions(model, &w, y, e->lanes, conditions);
            model->kernels->causal_intervals(model, &w, y * w.lag, w.columns, w.intervals + y * row);
        }
        ec_flow flow;
        ec_flow_begin(&flow, e);
        for (uint32_t y = height; y-- > 0;) /* an odd row's last pixel is outside */
            model->kernels->causal_push(model, w.intervals + y * row, (size_t)width * COLOURS,
                                        ec_lane_mask(e->lanes), flow.x, &flow.out);
        ec_flow_end(&flow, e);
        images += e->lanes * samples;
        if (said > 0) conditions += e->lanes * said;
    }
    return EC_OK;
}

int ec_decode_causal(ec_decoder *decoders, size_t groups, const ec_causal *model, const uint8_t *conditions,
                     uint32_t height, uint32_t width, uint8_t *images, uint32_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    if (!fits(height, width) || (model->shape.conditions > 0 && conditions == NULL)) return EC_ERR_ARGUMENT;
    const size_t said = (size_t)height * width * model->shape.conditions;
    for (size_t g = 0; g < groups; g++) {
        ec_decoder *d = decoders + g;
        const ec_causal_work w = open_work(model, NULL, height, width, scratch, NULL);
        const uint32_t masks[] = {ec_lane_mask(d->lanes), ec_lane_mask(d->lanes)}, half[] = {masks[0], 0};
        const uint32_t whole = width / model->pixels; /* columns */
        ec_flow flow;
        ec_flow_open(&flow, d);
        for (uint32_t y = 0; y < height; y++) {
            read_conditions(model, &w, y, d->lanes, conditions);
            int status = model->kernels->causal_pop(model, &w, y * w.lag, whole, &flow, masks);
            if (status == EC_OK && whole < w.columns)
                status = model->kernels->causal_pop(model, &w, y * w.lag + whole, 1, &flow, half);
            if (status != EC_OK) return status;
            write_row(model, &w, y, d->lanes, images);
        }
        const int status = ec_reader_done(&flow.reader, flow.x, d);
        if (status != EC_OK) return status;
        images += (size_t)d->lanes * height * width * COLOURS;
        if (said > 0) conditions += d->lanes * said;
    }
    return EC_OK;
}

/* ---- A wave: a lane is every n-th row of one image ---- */

static ec_geometry plan(const ec_causal *m, uint32_t lanes, uint32_t height, uint32_t width) {
    const uint32_t reach = m->reach; /* blocks see no farther; also in narrow images all of it counts */
    const ec_span span = {.left = reach, .right = reach, .up = m->shape.radius, .lag = reach + 1};
    return ec_plan(&span, 1, lanes, 1, height, columns_of(m, width), m->samples);
}

static int is_wave(const ec_causal *m, uint32_t lanes, uint32_t height, uint32_t width) {
    return fits(height, width) && lanes >= m->shape.radius && m->shape.conditions == 0;
}

size_t ec_causal_wave_scratch(const ec_causal *m, uint32_t lanes, uint32_t height, uint32_t width) {
    if (!is_wave(m, lanes, height, width)) return 0;
    if (height == 0 || width == 0) return 64;
    const ec_geometry g = plan(m, lanes, height, width);
    return 4 * sizes_of(m, &g, height, width, COLOURS).all + 64;
}

size_t ec_causal_recall_scratch(const ec_causal *m, uint32_t lanes, uint32_t height, uint32_t width) {
    if (!is_wave(m, lanes, height, width)) return 0;
    if (height == 0 || width == 0) return 64;
    const ec_geometry g = plan(m, lanes, height, width);
    return 4 * (sizes_of(m, &g, height, width, EC_RECALL_ROWS).all + ec_recall_size()) + 64;
}

/* The first sample of the image that an active lane codes at a step. */
static size_t sample_of(const ec_causal *m, const ec_causal_work *w, const ec_geometry *g, size_t step,
                        uint32_t lane) {
    uint32_t row, column;
    ec_lane_place(g, step, lane, &row, &column);
    return ((size_t)row * w->width + (size_t)column * m->pixels) * COLOURS;
}

/* The lanes that have each of a place's pixels, of those that have the place. */
static void split_mask(const ec_causal *m, const ec_causal_work *w, const ec_geometry *g, size_t step,
                       uint32_t mask, uint32_t *masks) {
    masks[0] = masks[1] = mask;
    if (w->width % m->pixels == 0) return;
    for (uint32_t lane = 0; lane < g->lanes; lane++) {
        uint32_t row, column = 0;
        if (mask >> lane & 1) ec_lane_place(g, step, lane, &row, &column);
        if (column + 1 == w->columns) masks[1] &= ~((uint32_t)1 << lane);
    }
}

static void clear_lanes(uint32_t *place, uint32_t lanes, uint32_t value) {
    for (uint32_t lane = 0; lanes != 0; lane++, lanes >>= 1)
        if (lanes & 1) place[lane] = value;
}

/* Before lane 0, what the rows above its own had there: the copy of now, and the one that is due. */
static void hand_down(uint32_t *place, uint32_t lanes, uint32_t *in, const uint32_t *out) {
    *in = place[lanes];
    *place = *out;
}

/* After a step: what lanes outside the image computed is not there, and what is below finds its copies. */
static void finish_step(const ec_causal *m, const ec_causal_work *w, const handed_t *handed, uint32_t lanes,
                        size_t step, const uint32_t *masks) {
    const uint32_t r = m->shape.radius, quads = m->shape.width / 4;
    const size_t in = step % handed->steps, out = (step + 1) % handed->steps;
    for (uint32_t p = 0; p < m->pixels; p++) {
        uint32_t *pixels = ec_causal_pixels(m, w, step, p);
        clear_lanes(pixels, ~masks[p], EC_CAUSAL_BORDER);
        for (uint32_t k = 0; k < r; k++)
            hand_down(pixels - 1 - k, lanes, handed->pixels + (in * m->pixels + p) * r + k,
                      handed->pixels + (out * m->pixels + p) * r + k);
    }
    if (!m->shape.spatial) return;
    for (uint32_t b = 0; b < m->shape.blocks; b++) {
        uint32_t *place = w->streams[b] + step % w->stream_ring * quads * w->stride + WAVE_PAD;
        for (uint32_t q = 0; q < quads; q++, place += w->stride) {
            clear_lanes(place, ~masks[0], 0);
            hand_down(place - 1, lanes, handed->streams[b] + in * quads + q,
                      handed->streams[b] + out * quads + q);
        }
    }
}

/* The true pixels of a step. */
static void read_step(const ec_causal *m, const ec_geometry *g, const ec_causal_work *w, size_t step,
                      const uint32_t *masks, const uint8_t *image) {
    for (uint32_t p = 0; p < m->pixels; p++) {
        uint32_t *pixels = ec_causal_pixels(m, w, step, p);
        for (uint32_t lane = 0; lane < EC_LANES; lane++)
            if (masks[p] >> lane & 1)
                pixels[lane] = pixel_from(image + sample_of(m, w, g, step, lane) + (size_t)p * COLOURS);
        clear_lanes(pixels, ~masks[p], EC_CAUSAL_BORDER);
    }
}

static void write_step(const ec_causal *m, const ec_geometry *g, const ec_causal_work *w, size_t step,
                       const uint32_t *masks, uint8_t *image) {
    for (uint32_t p = 0; p < m->pixels; p++) {
        const uint32_t *pixels = ec_causal_pixels(m, w, step, p);
        for (uint32_t lane = 0; lane < EC_LANES; lane++)
            if (masks[p] >> lane & 1)
                pixel_to(image + sample_of(m, w, g, step, lane) + (size_t)p * COLOURS, pixels[lane]);
    }
}

/* Rows of intervals last first, each in the lanes where it is not 0: a single symbol changes nothing. */
static void push_present(const ec_causal *m, const uint32_t *intervals, size_t rows, ec_flow *flow) {
    for (size_t row = rows; row-- > 0;) {
        const uint32_t *interval = intervals + row * EC_LANES;
        uint32_t mask = 0;
        for (uint32_t lane = 0; lane < EC_LANES; lane++) mask |= (uint32_t)(interval[lane] != 0) << lane;
        if (mask != 0) m->kernels->causal_push(m, interval, 1, mask, flow->x, &flow->out);
    }
}

int ec_encode_causal_wave(ec_encoder *e, const ec_causal *model, const uint8_t *image, uint32_t height,
                          uint32_t width, uint32_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    if (!is_wave(model, e->lanes, height, width)) return EC_ERR_ARGUMENT;
    if (ec_encode_bound(1, (size_t)height * width * COLOURS) > e->position) return EC_ERR_CAPACITY;
    const ec_geometry g = plan(model, e->lanes, height, width);
    handed_t handed;
    const ec_causal_work w = open_work(model, &g, height, width, scratch, &handed);
    const size_t each = (size_t)model->samples * EC_LANES;
    for (ec_run run = {0}; ec_next_run(&g, &run);)
        for (size_t step = run.first; step < run.first + run.steps; step++) {
            uint32_t masks[2], *intervals = w.intervals + step * each;
            split_mask(model, &w, &g, step, run.mask, masks);
            read_step(model, &g, &w, step, masks, image);
            model->kernels->causal_intervals(model, &w, step, 1, intervals);
            for (uint32_t c = 0; c < model->samples; c++)
                clear_lanes(intervals + (size_t)c * EC_LANES, ~masks[c / COLOURS], 0);
            finish_step(model, &w, &handed, e->lanes, step, masks);
        }
    ec_flow flow;
    ec_flow_begin(&flow, e);
    push_present(model, w.intervals, g.end * model->samples, &flow);
    ec_flow_end(&flow, e);
    return EC_OK;
}

int ec_decode_causal_wave(ec_decoder *d, const ec_causal *model, uint32_t height, uint32_t width,
                          uint8_t *image, uint32_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    if (!is_wave(model, d->lanes, height, width)) return EC_ERR_ARGUMENT;
    const ec_geometry g = plan(model, d->lanes, height, width);
    handed_t handed;
    const ec_causal_work w = open_work(model, &g, height, width, scratch, &handed);
    ec_flow flow;
    ec_flow_open(&flow, d);
    for (ec_run run = {0}; ec_next_run(&g, &run);)
        for (size_t step = run.first; step < run.first + run.steps; step++) {
            uint32_t masks[2];
            split_mask(model, &w, &g, step, run.mask, masks);
            const int status = model->kernels->causal_pop(model, &w, step, 1, &flow, masks);
            if (status != EC_OK) return status;
            write_step(model, &g, &w, step, masks, image);
            finish_step(model, &w, &handed, d->lanes, step, masks);
        }
    return ec_reader_done(&flow.reader, flow.x, d);
}

/* ---- A wave that remembers colours ---- */

int ec_encode_causal_recall(ec_encoder *e, const ec_causal *model, const uint8_t *image, uint32_t height,
                            uint32_t width, uint32_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    if (!is_wave(model, e->lanes, height, width)) return EC_ERR_ARGUMENT;
    /* Two symbols for a green and a blue. */
    if (ec_encode_bound(1, (size_t)height * width * (2 * COLOURS - 1)) > e->position) return EC_ERR_CAPACITY;
    const ec_geometry g = plan(model, e->lanes, height, width);
    handed_t handed;
    const ec_causal_work w = open_work(model, &g, height, width, scratch, &handed);
    const size_t rows = (size_t)EC_RECALL_ROWS * model->pixels, each = rows * EC_LANES;
    const ec_recall recall = ec_recall_open(w.intervals + g.end * each);
    for (ec_run run = {0}; ec_next_run(&g, &run);)
        for (size_t step = run.first; step < run.first + run.steps; step++) {
            uint32_t masks[2];
            split_mask(model, &w, &g, step, run.mask, masks);
            read_step(model, &g, &w, step, masks, image);
            model->kernels->causal_recall_intervals(model, &w, &recall, step, masks,
                                                    w.intervals + step * each);
            finish_step(model, &w, &handed, e->lanes, step, masks);
        }
    ec_flow flow;
    ec_flow_begin(&flow, e);
    push_present(model, w.intervals, g.end * rows, &flow);
    ec_flow_end(&flow, e);
    return EC_OK;
}

int ec_decode_causal_recall(ec_decoder *d, const ec_causal *model, uint32_t height, uint32_t width,
                            uint8_t *image, uint32_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    if (!is_wave(model, d->lanes, height, width)) return EC_ERR_ARGUMENT;
    const ec_geometry g = plan(model, d->lanes, height, width);
    handed_t handed;
    const ec_causal_work w = open_work(model, &g, height, width, scratch, &handed);
    const ec_recall recall = ec_recall_open(w.intervals);
    ec_flow flow;
    ec_flow_open(&flow, d);
    for (ec_run run = {0}; ec_next_run(&g, &run);)
        for (size_t step = run.first; step < run.first + run.steps; step++) {
            uint32_t masks[2];
            split_mask(model, &w, &g, step, run.mask, masks);
            const int status = model->kernels->causal_recall_pop(model, &w, &recall, step, masks, &flow);
            if (status != EC_OK) return status;
            write_step(model, &g, &w, step, masks, image);
            finish_step(model, &w, &handed, d->lanes, step, masks);
        }
    return ec_reader_done(&flow.reader, flow.x, d);
}

size_t ec_count_colours(const uint8_t *pixels, size_t number, uint32_t *scratch) {
    memset(scratch, 0, EC_COLOURS_SCRATCH);
    size_t colours = 0;
    for (size_t i = 0; i < number; i++, pixels += COLOURS) {
        const uint32_t colour = (uint32_t)pixels[0] << 16 | (uint32_t)pixels[1] << 8 | pixels[2];
        const uint32_t bit = 1u << colour % 32;
        colours += (scratch[colour / 32] & bit) == 0;
        scratch[colour / 32] |= bit;
    }
    return colours;
}
