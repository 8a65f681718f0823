/* Latents whose tables are chosen by neighbours already decoded (finite-state autoregression). */
#include "geometry.h"
#include "models.h"

#define TILE 64 /* steps encoded at a time: their ids take 8 KiB of stack */

/* The history of one group of lanes. */
static ec_geometry plan(const ec_fsar *model, int wave, uint32_t lanes, uint32_t height, uint32_t width) {
    ec_span span = {0};
    for (uint32_t i = 0; i < model->order; i++)
        if ((uint32_t)(-(int64_t)model->offsets[i][0]) < model->groups) /* else always outside */
            ec_span_add(&span, model->offsets[i][1], model->offsets[i][2], height, width);
    if (wave && span.down > 0) return (ec_geometry){0};
    return ec_plan(&span, wave, lanes, model->groups, height, width, 1);
}

/* Where the neighbours of a group's symbols are. */
static void find_taps(const ec_fsar *model, const ec_geometry *g, uint32_t group, ec_reach *reach) {
    for (uint32_t i = 0; i < model->order; i++) {
        const int32_t *o = model->offsets[i];
        reach[i].outside = (int64_t)group + o[0] < 0 || !ec_is_near(o[1], o[2], g->height, g->width);
        if (reach[i].outside) continue;
        const ptrdiff_t rows = g->wave ? (ptrdiff_t)g->lag : (ptrdiff_t)g->row;
        const ptrdiff_t steps = o[0] * (ptrdiff_t)g->plane + o[1] * rows + o[2];
        reach[i].back = -(steps * (ptrdiff_t)g->pitch + (g->wave ? o[1] : 0));
    }
}

static size_t positions_of(const ec_fsar *model, uint32_t height, uint32_t width) {
    return (size_t)model->groups * height * width;
}

/* Copies the last lanes' columns to before lane 0, where the rows below find them: column -k from column n -
 * k, which is itself a copy if the neighbours reach further up than there are lanes. */
static void copy_wrap(const ec_geometry *g, size_t step, size_t steps, uint16_t *history) {
    for (size_t i = 0; i < steps; i++)
        for (size_t k = 1; k <= g->wrap; k++)
            history[(step + i + g->skew) * g->pitch + g->wrap - k] =
                history[(step + i) * g->pitch + g->wrap + g->lanes - k];
}

/* indices to states: [lanes] images, or the rows of one. Returns the largest index. */
static uint32_t fill_history(const ec_fsar *model, const ec_geometry *g, const uint16_t *indices,
                             uint16_t *history) {
    const size_t positions = positions_of(model, g->height, g->width);
    uint32_t most = 0;
    for (size_t group = 0; group < model->groups; group++) {
        for (uint32_t row = 0; row < g->height; row++) {
            const uint16_t *from[EC_LANES];
            uint16_t *to = history + ec_row_step(g, group, row) * g->pitch + g->wrap + ec_row_lane(g, row);
            from[0] = indices + (group * g->height + row) * g->width;
            if (g->wave) {
                for (size_t i = 0; i < g->width; i++) {
                    most = from[0][i] > most ? from[0][i] : most;
                    to[i * g->pitch] = (uint16_t)(from[0][i] + 1);
                }
                continue;
            }
            for (uint32_t lane = 1; lane < g->lanes; lane++) from[lane] = from[lane - 1] + positions;
            const uint32_t here = model->tables->kernels->weave16(from, g->lanes, g->width, 1, to, g->pitch);
            most = here > most ? here : most;
        }
        if (g->wave) copy_wrap(g, g->lead + group * g->plane, g->end, history);
    }
    return most;
}

static void read_history(const ec_fsar *model, const ec_geometry *g, const uint16_t *history,
                         uint16_t *indices) {
    const size_t positions = positions_of(model, g->height, g->width);
    for (size_t group = 0; group < model->groups; group++)
        for (uint32_t row = 0; row < g->height; row++) {
            uint16_t *to[EC_LANES];
            const uint16_t *from =
                history + ec_row_step(g, group, row) * g->pitch + g->wrap + ec_row_lane(g, row);
            to[0] = indices + (group * g->height + row) * g->width;
            if (g->wave) {
                for (size_t i = 0; i < g->width; i++) to[0][i] = (uint16_t)(from[i * g->pitch] - 1);
                continue;
            }
            for (uint32_t lane = 1; lane < g->lanes; lane++) to[lane] = to[lane - 1] + positions;
            model->tables->kernels->unweave16(from, g->pitch, g->lanes, g->width, 1, to);
        }
}

/* The steps of a run in one lane alone: vectors would only add latency. */
static int encode_one(const ec_fsar *model, uint32_t group, const ec_reach *reach, const uint16_t *here,
                      size_t pitch, size_t steps, uint32_t *x, uint8_t **out) {
    const ec_tables *t = model->tables;
    for (here += steps * pitch; steps-- > 0;) {
        here -= pitch;
        uint32_t states[EC_MAX_ORDER];
        for (uint32_t i = 0; i < model->order; i++) states[i] = reach[i].outside ? 0 : here[-reach[i].back];
        const uint32_t table = ec_fsar_table(model, group, states);
        ec_interval place = ec_interval_of(t, table, *here - 1u);
        if (place.count == 0 && !ec_push_escapes(t, 1, &table, here, 1, x, &place.start, &place.count, out))
            return EC_ERR_SYMBOL;
        *x = ec_push(*x, place, t->bits, out);
    }
    return EC_OK;
}

/* Encodes `flows` groups side by side; their histories follow each other. */
static int encode(ec_encoder *e, size_t flows, const ec_fsar *model, const ec_geometry *g,
                  uint16_t *history) {
    const ec_kernels *kernels = model->tables->kernels;
    uint32_t ids[EC_FLOWS][TILE * EC_LANES];
    ec_flow flow[EC_FLOWS];
    for (size_t f = 0; f < flows; f++) {
        ec_flow_begin(&flow[f], e + f);
        flow[f].ids = ids[f];
    }
    for (uint32_t group = model->groups; group-- > 0;) {
        ec_reach reach[EC_MAX_ORDER];
        find_taps(model, g, group, reach);
        uint16_t *plane = history + (g->lead + group * g->plane) * g->pitch + g->wrap;
        ec_run run = {g->end, 0, 0};
        while (ec_previous_run(g, &run)) {
            if (run.mask == 1) { /* then there is one flow */
                const int status = encode_one(model, group, reach, plane + run.first * g->pitch, g->pitch,
                                              run.steps, flow[0].x, &flow[0].out);
                if (status != EC_OK) return status;
                continue;
            }
            for (size_t end = run.steps; end > 0;) {
                const size_t count = (end - 1) % TILE + 1;
                for (size_t f = 0; f < flows; f++) {
                    flow[f].symbols = plane + f * g->size + (run.first + end - count) * g->pitch;
                    kernels->fsar_ids(model, group, reach, flow[f].symbols, g->pitch, count, ids[f]);
                }
                const int status = kernels->encode(model->tables, flows, flow, g->pitch, 1, count, run.mask);
                if (status != EC_OK) return status;
                end -= count;
            }
        }
    }
    for (size_t f = 0; f < flows; f++) ec_flow_end(&flow[f], e + f);
    return EC_OK;
}

/* Decodes `flows` groups side by side; their histories follow each other. */
static int decode(ec_decoder *d, size_t flows, const ec_fsar *model, const ec_geometry *g,
                  uint16_t *history) {
    const ec_kernels *kernels = model->tables->kernels;
    ec_flow flow[EC_FLOWS];
    for (size_t f = 0; f < flows; f++) ec_flow_open(&flow[f], d + f);
    for (uint32_t group = 0; group < model->groups; group++) {
        ec_reach reach[EC_MAX_ORDER];
        find_taps(model, g, group, reach);
        const size_t first = g->lead + group * g->plane;
        ec_run run = {0, 0, 0};
        while (ec_next_run(g, &run)) {
            /* A wave's lane 0 reads what lane n - 1 coded more than `skew` steps before. */
            const size_t most = g->wave ? g->skew + 1 : run.steps;
            for (size_t done = 0; done < run.steps; done += most) {
                const size_t count = run.steps - done < most ? run.steps - done : most;
                const size_t step = first + run.first + done;
                for (size_t f = 0; f < flows; f++)
                    flow[f].symbols = history + f * g->size + step * g->pitch + g->wrap;
                const int status =
                    kernels->fsar_decode(model, group, reach, flows, flow, g->pitch, count, run.mask);
                if (status != EC_OK) return status;
                if (g->wave) copy_wrap(g, step, count, history);
            }
        }
    }
    return ec_flows_close(flow, flows, d);
}

size_t ec_fsar_scratch(const ec_fsar *model, uint32_t lanes, uint32_t height, uint32_t width) {
    if (height == 0 || width == 0) return 0;
    const ec_geometry batch = plan(model, 0, lanes, height, width);
    return ec_flows_scratch(lanes, batch.size * sizeof(uint16_t));
}

size_t ec_fsar_wave_scratch(const ec_fsar *model, uint32_t lanes, uint32_t height, uint32_t width) {
    if (height == 0 || width == 0) return 0;
    const ec_geometry wave = plan(model, 1, lanes, height, width);
    return wave.size * sizeof(uint16_t);
}

static int encode_all(ec_encoder *encoders, size_t groups, int wave, const ec_fsar *model,
                      const uint16_t *indices, uint32_t height, uint32_t width, uint16_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    const size_t positions = positions_of(model, height, width);
    uint32_t lanes = 0;
    ec_geometry g = {0};
    int alone = wave;
    for (size_t i = 0; i < groups;) {
        ec_encoder *e = encoders + i;
        const size_t flows = alone ? 1 : ec_flows_to(model->tables->kernels, e, groups - i);
        if (e->lanes != lanes) { /* the last group, at most */
            lanes = e->lanes;
            g = plan(model, wave, lanes, height, width);
            if (g.size == 0) return EC_ERR_ARGUMENT;
            memset(scratch, 0, flows * g.size * sizeof *scratch);
        }
        const size_t images = wave ? 1 : lanes;
        const size_t bound = ec_encode_bound(wave ? 1 : lanes, positions);
        int status = EC_OK;
        for (size_t f = 0; f < flows && status == EC_OK; f++)
            if (bound > e[f].position) status = EC_ERR_CAPACITY;
        const size_t count = flows * images * positions;
        for (size_t f = 0; f < flows && status == EC_OK && count > 0; f++) {
            const uint32_t most =
                fill_history(model, &g, indices + f * images * positions, scratch + f * g.size);
            if (most >= model->tables->symbols) status = EC_ERR_SYMBOL;
        }
        if (status == EC_OK) status = encode(e, flows, model, &g, scratch);
        if (status != EC_OK && flows == 1) return status;
        alone = wave || status != EC_OK; /* which of these groups was it? */
        if (status != EC_OK) continue;
        indices += count;
        i += flows;
    }
    return EC_OK;
}

static int decode_all(ec_decoder *decoders, size_t groups, int wave, const ec_fsar *model, uint32_t height,
                      uint32_t width, uint16_t *indices, uint16_t *scratch) {
    if (height == 0 || width == 0) return EC_OK;
    uint32_t lanes = 0;
    ec_geometry g = {0};
    for (size_t i = 0, flows; i < groups; i += flows) {
        ec_decoder *d = decoders + i;
        flows = wave ? 1 : ec_flows_from(model->tables->kernels, d, groups - i);
        if (d->lanes != lanes) {
            lanes = d->lanes;
            g = plan(model, wave, lanes, height, width);
            if (g.size == 0) return EC_ERR_ARGUMENT;
            memset(scratch, 0, flows * g.size * sizeof *scratch);
        }
        const int status = decode(d, flows, model, &g, scratch);
        if (status != EC_OK) return status;
        for (size_t f = 0; f < flows; f++) {
            read_history(model, &g, scratch + f * g.size, indices);
            indices += (wave ? 1 : lanes) * positions_of(model, height, width);
        }
    }
    return EC_OK;
}

int ec_encode_fsar(ec_encoder *encoders, size_t groups, const ec_fsar *model, const uint16_t *indices,
                   uint32_t height, uint32_t width, uint16_t *scratch) {
    return encode_all(encoders, groups, 0, model, indices, height, width, scratch);
}

int ec_decode_fsar(ec_decoder *decoders, size_t groups, const ec_fsar *model, uint32_t height, uint32_t width,
                   uint16_t *indices, uint16_t *scratch) {
    return decode_all(decoders, groups, 0, model, height, width, indices, scratch);
}

int ec_encode_fsar_wave(ec_encoder *encoder, const ec_fsar *model, const uint16_t *indices, uint32_t height,
                        uint32_t width, uint16_t *scratch) {
    return encode_all(encoder, 1, 1, model, indices, height, width, scratch);
}

int ec_decode_fsar_wave(ec_decoder *decoder, const ec_fsar *model, uint32_t height, uint32_t width,
                        uint16_t *indices, uint16_t *scratch) {
    return decode_all(decoder, 1, 1, model, height, width, indices, scratch);
}
