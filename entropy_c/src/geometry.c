/* Layout of time: see geometry.h. */
#include "geometry.h"

/* Rows times columns beyond any memory. Up to it every row of a plan has less than 64 * width steps, every
 * plane less than 2^48, and no sum of them leaves 64 bits. */
#define MOST_PLACES ((uint64_t)1 << 40)

int ec_is_near(int32_t row, int32_t column, uint32_t height, uint32_t width) {
    const int64_t r = row < 0 ? -(int64_t)row : row;
    const int64_t c = column < 0 ? -(int64_t)column : column;
    return r < (int64_t)height && c < (int64_t)width;
}

static void raise(uint32_t *most, int64_t value) {
    if (value > (int64_t)*most) *most = (uint32_t)value;
}

void ec_span_add(ec_span *span, int32_t row, int32_t column, uint32_t height, uint32_t width) {
    if (!ec_is_near(row, column, height, width)) return;
    raise(&span->left, -(int64_t)column);
    raise(&span->right, column);
    raise(&span->up, -(int64_t)row);
    raise(&span->down, row);
    if (row < 0 && column >= 0) raise(&span->lag, (-(int64_t)row + column) / -(int64_t)row);
}

ec_geometry ec_plan(const ec_span *span, int wave, uint32_t lanes, size_t planes, uint32_t height,
                    uint32_t width, uint32_t depth) {
    ec_geometry g = {.lanes = lanes, .height = height, .width = width, .depth = depth, .wave = wave};
    if ((uint64_t)height * width > MOST_PLACES) return g;
    const uint64_t gap = span->left > span->right ? span->left : span->right;
    uint64_t row = width + gap, lead, end, plane;
    if (wave) {
        g.lag = span->lag > 1 ? span->lag : 1;
        if (row < (uint64_t)lanes * g.lag) row = (uint64_t)lanes * g.lag;
        const uint32_t last = height - 1;
        g.wrap = span->up;
        g.skew = (size_t)(row - (uint64_t)lanes * g.lag);
        lead = (uint64_t)span->up * g.lag + gap;
        end = last / lanes * row + (uint64_t)(last % lanes) * g.lag + width;
        plane = lead + end + g.skew + gap;
    } else {
        const uint64_t rows = span->up > span->down ? span->up : span->down;
        lead = rows * row + gap;
        end = (height - 1) * row + width;
        plane = (height + rows) * row;
    }
    g.row = (size_t)row;
    g.lead = (size_t)lead;
    g.end = (size_t)end;
    g.plane = (size_t)plane;
    g.pitch = EC_LANES + g.wrap;
    const uint64_t limit = SIZE_MAX / 64 / g.pitch / depth;
    if (planes > limit / plane) return g;
    const uint64_t tail = lead + EC_LANES; /* copies and gaps behind the last plane */
    const uint64_t steps = lead + planes * plane + tail;
    g.size = steps > limit ? 0 : (size_t)steps * depth * g.pitch;
    return g;
}

size_t ec_row_step(const ec_geometry *g, size_t plane, uint32_t row) {
    const size_t first = g->lead + plane * g->plane;
    if (!g->wave) return first + row * g->row;
    return first + row / g->lanes * g->row + (size_t)(row % g->lanes) * g->lag;
}

uint32_t ec_row_lane(const ec_geometry *g, uint32_t row) { return g->wave ? row % g->lanes : 0; }

void ec_lane_place(const ec_geometry *g, size_t step, uint32_t lane, uint32_t *row, uint32_t *column) {
    const size_t own = step - (size_t)lane * g->lag;
    *row = (uint32_t)(own / g->row) * g->lanes + lane;
    *column = (uint32_t)(own % g->row);
}

/* Whether a lane takes part at a step, and the first step after and last step before at which that changes.
 */
static int lane_at(const ec_geometry *g, size_t step, uint32_t lane, size_t *begin, size_t *end) {
    const size_t offset = (size_t)lane * g->lag;
    *begin = 0;
    *end = g->end;
    if (step < offset) {
        *end = offset;
        return 0;
    }
    const size_t turn = (step - offset) / g->row;
    const size_t start = offset + turn * g->row;
    if (turn * g->lanes + lane >= g->height) {
        *begin = start < g->end ? start : g->end; /* never again */
        return 0;
    }
    if (step < start + g->width) {
        *begin = start;
        *end = start + g->width;
        return 1;
    }
    *begin = start + g->width;
    *end = start + g->row;
    return 0;
}

/* The largest run around a step. */
static ec_run run_around(const ec_geometry *g, size_t step) {
    ec_run run = {0, g->end, 0};
    size_t end = g->end;
    for (uint32_t lane = 0; lane < g->lanes; lane++) {
        size_t lane_begin, lane_end;
        if (lane_at(g, step, lane, &lane_begin, &lane_end)) run.mask |= 1u << lane;
        if (lane_begin > run.first) run.first = lane_begin;
        if (lane_end < end) end = lane_end;
    }
    run.steps = end - run.first;
    return run;
}

int ec_next_run(const ec_geometry *g, ec_run *run) {
    size_t step = run->first + run->steps;
    if (step >= g->end) return 0;
    if (!g->wave) {
        if (run->steps > 0) step += g->row - g->width;
        *run = (ec_run){step, g->width, ec_lane_mask(g->lanes)};
        return 1;
    }
    *run = run_around(g, step);
    return 1;
}

int ec_previous_run(const ec_geometry *g, ec_run *run) {
    if (run->first == 0) return 0;
    if (!g->wave) {
        const size_t end = run->first == g->end ? g->end : run->first - (g->row - g->width);
        *run = (ec_run){end - g->width, g->width, ec_lane_mask(g->lanes)};
        return 1;
    }
    *run = run_around(g, run->first - 1);
    return 1;
}
