/* Pixels: causal linear prediction of the mean in fixed point, then one fine cdf per scale. */
#include "geometry.h"
#include "models.h"

#define TILE 48 /* samples of all lanes prepared at a time: logits and scales take 4.5 KiB of stack */

typedef ec_reach taps_t[EC_MAX_COLOURS][EC_MAX_TAPS];

/* What one group codes: the first image of a batch, or the only one of a wave. */
typedef struct group_t {
    const ec_pixels *model;
    ec_geometry g;
    const int16_t *logits; /* [lanes][colours][height][width], as are the scales */
    const uint8_t *scales;
    taps_t taps;
} group_t;

static ec_geometry plan(const ec_pixels *model, int wave, uint32_t lanes, uint32_t height, uint32_t width) {
    ec_span span = {0};
    for (uint32_t c = 0; c < model->colours; c++)
        for (uint32_t i = 0; i < model->tap_counts[c]; i++)
            ec_span_add(&span, model->taps[c][i].row, model->taps[c][i].column, height, width);
    return ec_plan(&span, wave, lanes, 1, height, width, model->colours);
}

static void find_taps(const ec_pixels *model, const ec_geometry *g, taps_t taps) {
    for (uint32_t c = 0; c < model->colours; c++)
        for (uint32_t i = 0; i < model->tap_counts[c]; i++) {
            const ec_tap *tap = &model->taps[c][i];
            taps[c][i].outside = !ec_is_near(tap->row, tap->column, g->height, g->width);
            if (taps[c][i].outside) continue;
            const ptrdiff_t rows = g->wave ? (ptrdiff_t)g->lag : (ptrdiff_t)g->row;
            const ptrdiff_t steps = tap->row * rows + tap->column;
            const ptrdiff_t samples = steps * (ptrdiff_t)model->colours + tap->colour;
            taps[c][i].back = -(samples * (ptrdiff_t)g->pitch + (g->wave ? tap->row : 0));
        }
}

static size_t positions_of(const ec_pixels *model, uint32_t height, uint32_t width) {
    return (size_t)model->colours * height * width;
}

/* First element of a row in the history. */
static size_t row_place(const ec_geometry *g, uint32_t row) {
    return ec_row_step(g, 0, row) * g->depth * g->pitch + g->wrap + ec_row_lane(g, row);
}

/* As in fsar.c: column -k from column n - k, itself a copy if the taps reach further up than there are lanes.
 */
static void copy_wrap(const ec_geometry *g, size_t step, size_t steps, uint8_t *history) {
    uint8_t *from = history + step * g->depth * g->pitch;
    uint8_t *to = from + g->skew * g->depth * g->pitch;
    for (size_t i = 0; i < steps * g->depth; i++)
        for (size_t k = 1; k <= g->wrap; k++)
            to[i * g->pitch + g->wrap - k] = from[i * g->pitch + g->wrap + g->lanes - k];
}

static void fill_history(const ec_kernels *kernels, const ec_geometry *g, const uint8_t *images,
                         uint8_t *history) {
    const size_t samples = (size_t)g->width * g->depth;
    for (uint32_t row = 0; row < g->height; row++) {
        uint8_t *to = history + row_place(g, row);
        const uint8_t *from[EC_LANES];
        from[0] = images + row * samples;
        if (g->wave) {
            for (size_t i = 0; i < samples; i++) to[i * g->pitch] = from[0][i];
            continue;
        }
        for (uint32_t lane = 1; lane < g->lanes; lane++) from[lane] = from[lane - 1] + g->height * samples;
        kernels->weave8(from, g->lanes, samples, to, g->pitch);
    }
    if (g->wave) copy_wrap(g, g->lead, g->end, history);
}

static void read_history(const ec_kernels *kernels, const ec_geometry *g, const uint8_t *history,
                         uint8_t *images) {
    const size_t samples = (size_t)g->width * g->depth;
    for (uint32_t row = 0; row < g->height; row++) {
        const uint8_t *from = history + row_place(g, row);
        uint8_t *to[EC_LANES];
        to[0] = images + row * samples;
        if (g->wave) {
            for (size_t i = 0; i < samples; i++) to[0][i] = from[i * g->pitch];
            continue;
        }
        for (uint32_t lane = 1; lane < g->lanes; lane++) to[lane] = to[lane - 1] + g->height * samples;
        kernels->unweave8(from, g->pitch, g->lanes, samples, to);
    }
}

/* Logits and scales of `count` steps of a run, [count][colours][EC_LANES]. */
static void prepare(const group_t *group, const ec_run *run, size_t first, size_t count, int16_t *logits,
                    uint8_t *scales) {
    const ec_kernels *kernels = group->model->kernels;
    const ec_geometry *g = &group->g;
    const size_t plane = (size_t)g->height * g->width;
    size_t at[EC_LANES] = {0}; /* idle lanes read what an active one reads */
    if (g->wave) {
        uint32_t row, column, lane = 0;
        while ((run->mask >> lane & 1) == 0) lane++;
        for (uint32_t i = 0; i < g->lanes; i++) {
            if (run->mask >> i & 1) lane = i;
            ec_lane_place(g, first, lane, &row, &column);
            at[i] = (size_t)row * g->width + column;
        }
    } else {
        const size_t here = first / g->row * g->width + first % g->row;
        for (uint32_t i = 0; i < g->lanes; i++) at[i] = i * plane * g->depth + here;
    }
    for (uint32_t c = 0; c < g->depth; c++) {
        const uint16_t *logit[EC_LANES];
        const uint8_t *scale[EC_LANES];
        for (uint32_t i = 0; i < g->lanes; i++) {
            logit[i] = (const uint16_t *)group->logits + at[i] + c * plane;
            scale[i] = group->scales + at[i] + c * plane;
        }
        kernels->weave16(logit, g->lanes, count, 0, (uint16_t *)logits + c * EC_LANES, g->depth * EC_LANES);
        kernels->weave8(scale, g->lanes, count, scales + c * EC_LANES, g->depth * EC_LANES);
    }
}

static uint32_t tile_steps(const ec_geometry *g) { return TILE / g->depth; }

static int encode(ec_encoder *e, const group_t *group, const uint8_t *history) {
    const ec_geometry *g = &group->g;
    uint32_t x[EC_LANES];
    int16_t logits[TILE * EC_LANES] = {0};
    uint8_t scales[TILE * EC_LANES] = {0};
    memcpy(x, e->state, sizeof x);
    uint8_t *out = e->buffer + e->position;
    ec_run run = {g->end, 0, 0};
    while (ec_previous_run(g, &run)) {
        for (size_t end = run.steps; run.mask != 0 && end > 0;) {
            const size_t count = (end - 1) % tile_steps(g) + 1;
            const size_t first = run.first + end - count;
            prepare(group, &run, first, count, logits, scales);
            const uint8_t *here = history + (g->lead + first) * g->depth * g->pitch + g->wrap;
            const int status = group->model->kernels->pixels_encode(
                group->model, group->taps[0], here, g->pitch, logits, scales, count, run.mask, x, &out);
            if (status != EC_OK) return status;
            end -= count;
        }
    }
    e->position = (size_t)(out - e->buffer);
    memcpy(e->state, x, sizeof x);
    return EC_OK;
}

/* Decodes `flows` groups side by side; their data and histories follow each other. */
static int decode(ec_decoder *d, size_t flows, const group_t *group, uint8_t *history) {
    const ec_geometry *g = &group->g;
    int16_t logits[EC_FLOWS][TILE * EC_LANES] = {{0}};
    uint8_t scales[EC_FLOWS][TILE * EC_LANES] = {{0}};
    ec_flow flow[EC_FLOWS];
    group_t own[EC_FLOWS];
    for (size_t f = 0; f < flows; f++) {
        ec_flow_open(&flow[f], d + f);
        flow[f].logits = logits[f];
        flow[f].scales = scales[f];
        own[f] = *group;
        own[f].logits += f * d->lanes * positions_of(group->model, g->height, g->width);
        own[f].scales += f * d->lanes * positions_of(group->model, g->height, g->width);
    }
    /* A wave's lane 0 reads what lane n - 1 coded more than `skew` steps before. */
    const size_t safe = g->wave ? g->skew + 1 : SIZE_MAX;
    const size_t most = safe < tile_steps(g) ? safe : tile_steps(g);
    ec_run run = {0, 0, 0};
    while (ec_next_run(g, &run)) {
        for (size_t done = 0; done < run.steps; done += most) {
            const size_t count = run.steps - done < most ? run.steps - done : most;
            const size_t step = g->lead + run.first + done;
            for (size_t f = 0; f < flows; f++) {
                flow[f].samples = history + f * g->size + step * g->depth * g->pitch + g->wrap;
                if (run.mask != 0) prepare(&own[f], &run, run.first + done, count, logits[f], scales[f]);
            }
            if (run.mask != 0) {
                const int status = group->model->kernels->pixels_decode(group->model, group->taps[0], flows,
                                                                        flow, g->pitch, count, run.mask);
                if (status != EC_OK) return status;
            }
            if (g->wave) copy_wrap(g, step, count, history);
        }
    }
    return ec_flows_close(flow, flows, d);
}

static int scales_fit(const uint8_t *scales, size_t count, uint32_t limit) {
    uint8_t most = 0;
    for (size_t i = 0; i < count; i++) most = scales[i] > most ? scales[i] : most;
    return count == 0 || most < limit;
}

size_t ec_pixels_scratch(const ec_pixels *model, uint32_t lanes, uint32_t height, uint32_t width) {
    if (height == 0 || width == 0) return 0;
    return ec_flows_scratch(lanes, plan(model, 0, lanes, height, width).size);
}

size_t ec_pixels_wave_scratch(const ec_pixels *model, uint32_t lanes, uint32_t height, uint32_t width) {
    return height == 0 || width == 0 ? 0 : plan(model, 1, lanes, height, width).size;
}

/* Makes `group` ready for `lanes` lanes; nothing to do if it is. */
static int prepare_group(group_t *group, int wave, uint32_t lanes, size_t flows, uint32_t height,
                         uint32_t width, uint8_t *scratch) {
    if (group->g.lanes == lanes) return EC_OK;
    group->g = plan(group->model, wave, lanes, height, width);
    if (group->g.size == 0) return EC_ERR_ARGUMENT;
    memset(scratch, 0, flows * group->g.size);
    find_taps(group->model, &group->g, group->taps);
    return EC_OK;
}

static int encode_all(ec_encoder *encoders, size_t groups, int wave, const ec_pixels *model,
                      const uint8_t *images, const int16_t *logits, const uint8_t *scales, uint32_t height,
                      uint32_t width, uint8_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    const size_t positions = positions_of(model, height, width);
    group_t group = {.model = model, .logits = logits, .scales = scales};
    for (size_t i = 0; i < groups; i++) {
        ec_encoder *e = encoders + i;
        int status = prepare_group(&group, wave, e->lanes, 1, height, width, scratch);
        if (status != EC_OK) return status;
        const size_t samples = (wave ? 1 : e->lanes) * positions;
        if (ec_encode_bound(1, samples) > e->position) return EC_ERR_CAPACITY;
        if (!scales_fit(group.scales, samples, model->scales)) return EC_ERR_INDEX;
        fill_history(model->kernels, &group.g, images, scratch);
        status = encode(e, &group, scratch);
        if (status != EC_OK) return status;
        images += samples;
        group.logits += samples;
        group.scales += samples;
    }
    return EC_OK;
}

static int decode_all(ec_decoder *decoders, size_t groups, int wave, const ec_pixels *model,
                      const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width,
                      uint8_t *images, uint8_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    const size_t positions = positions_of(model, height, width);
    group_t group = {.model = model, .logits = logits, .scales = scales};
    for (size_t i = 0, flows; i < groups; i += flows) {
        ec_decoder *d = decoders + i;
        flows = wave ? 1 : ec_flows_from(model->kernels, d, groups - i);
        int status = prepare_group(&group, wave, d->lanes, flows, height, width, scratch);
        if (status != EC_OK) return status;
        const size_t samples = (wave ? 1 : d->lanes) * positions;
        if (!scales_fit(group.scales, flows * samples, model->scales)) return EC_ERR_INDEX;
        status = decode(d, flows, &group, scratch);
        if (status != EC_OK) return status;
        for (size_t f = 0; f < flows; f++, images += samples)
            read_history(model->kernels, &group.g, scratch + f * group.g.size, images);
        group.logits += flows * samples;
        group.scales += flows * samples;
    }
    return EC_OK;
}

int ec_encode_pixels(ec_encoder *encoders, size_t groups, const ec_pixels *model, const uint8_t *images,
                     const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width,
                     uint8_t *scratch) {
    return encode_all(encoders, groups, 0, model, images, logits, scales, height, width, scratch);
}

int ec_decode_pixels(ec_decoder *decoders, size_t groups, const ec_pixels *model, const int16_t *logits,
                     const uint8_t *scales, uint32_t height, uint32_t width, uint8_t *images,
                     uint8_t *scratch) {
    return decode_all(decoders, groups, 0, model, logits, scales, height, width, images, scratch);
}

int ec_encode_pixels_wave(ec_encoder *encoder, const ec_pixels *model, const uint8_t *image,
                          const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width,
                          uint8_t *scratch) {
    return encode_all(encoder, 1, 1, model, image, logits, scales, height, width, scratch);
}

int ec_decode_pixels_wave(ec_decoder *decoder, const ec_pixels *model, const int16_t *logits,
                          const uint8_t *scales, uint32_t height, uint32_t width, uint8_t *image,
                          uint8_t *scratch) {
    return decode_all(decoder, 1, 1, model, logits, scales, height, width, image, scratch);
}
