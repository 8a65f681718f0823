/* The layout of time inside the library: every place of an image is coded once, at the step that the document
 * gives, and walking backwards visits the same runs as walking forwards. */
#include "../src/geometry.h"

#include "common.h"

static void check(const ec_geometry *g) {
    const size_t places = (size_t)g->height * g->width;
    uint8_t *seen = take(places);
    memset(seen, 0, places);
    ec_run runs[4096];
    size_t count = 0, end = 0;
    ec_run run = {0, 0, 0};
    while (ec_next_run(g, &run)) {
        assert(run.steps > 0 && run.first >= end && (g->wave ? run.first == end : 1));
        end = run.first + run.steps;
        assert(count < sizeof runs / sizeof runs[0]);
        runs[count++] = run;
        for (size_t step = run.first; step < end; step++)
            for (uint32_t lane = 0; lane < g->lanes; lane++) {
                if ((run.mask >> lane & 1) == 0) continue;
                uint32_t row = (uint32_t)(step / g->row), column = (uint32_t)(step % g->row);
                if (g->wave) ec_lane_place(g, step, lane, &row, &column);
                assert(row < g->height && column < g->width);
                assert(ec_row_step(g, 0, row) + column == g->lead + step);
                assert(!g->wave || ec_row_lane(g, row) == lane);
                if (g->wave || lane == 0) assert(seen[(size_t)row * g->width + column]++ == 0);
            }
    }
    assert(end == g->end);
    for (size_t i = 0; i < places; i++) assert(seen[i] == 1);
    run = (ec_run){g->end, 0, 0};
    while (ec_previous_run(g, &run)) {
        assert(count > 0);
        count--;
        assert(run.first == runs[count].first && run.steps == runs[count].steps &&
               run.mask == runs[count].mask);
    }
    assert(count == 0);
    drop(seen);
}

/* Neighbours stay inside the history, and the copies that a wave makes of its last lanes, too. */
static void check_span(const ec_geometry *g, const ec_span *span, size_t planes) {
    assert(g->size == (2 * g->lead + planes * g->plane + EC_LANES) * g->depth * g->pitch);
    assert(g->row >= g->width + (span->left > span->right ? span->left : span->right));
    if (g->wave) {
        assert(g->lag >= 1 && g->lag >= span->lag && g->row >= (size_t)g->lanes * g->lag);
        assert(g->lead >= (size_t)span->up * g->lag + span->left);
        assert(g->plane >= g->end + g->skew + span->right && g->wrap == span->up);
    } else {
        assert(g->lead >= span->up * g->row + span->left);
        assert(g->plane >= g->end + span->down * g->row + span->right - g->row + g->width);
    }
}

int main(void) {
    seed_random(0);
    for (int number = 0; number < 3000; number++) {
        const uint32_t height = 1 + below(below(2) ? 5 : 80), width = 1 + below(below(2) ? 5 : 40);
        const uint32_t lanes = 1 + below(EC_LANES), depth = 1 + below(4);
        const size_t planes = 1 + below(3);
        const int wave = (int)below(2);
        ec_span span = {0};
        for (uint32_t taps = below(4); taps > 0; taps--)
            ec_span_add(&span, between(-4, wave ? 0 : 4), between(-4, 4), height, width);
        assert(span.up < height && span.down < height && span.left < width && span.right < width);
        const ec_geometry g = ec_plan(&span, wave, lanes, planes, height, width, depth);
        check_span(&g, &span, planes);
        check(&g);
    }
    /* Whatever the sizes, the plan is right or refused: as the numbers wrap, they must not look small. */
    const uint32_t sizes[] = {1,        2,        1000,           1u << 20,  (1u << 20) + 1,
                              1u << 30, 1u << 31, UINT32_MAX - 1, UINT32_MAX};
    for (size_t h = 0; h < 9; h++)
        for (size_t w = 0; w < 9; w++)
            for (int wave = 0; wave < 2; wave++)
                for (uint32_t lanes = 1; lanes <= EC_LANES; lanes += 31) {
                    ec_span span = {0};
                    for (int taps = 0; taps < 8; taps++)
                        ec_span_add(&span, -(int32_t)below(0x7FFFFFFF), between(-INT32_MAX, INT32_MAX - 1),
                                    sizes[h], sizes[w]);
                    ec_span_add(&span, 1 - (int32_t)(sizes[h] >> 1), (int32_t)(sizes[w] >> 1) - 1, sizes[h],
                                sizes[w]);
                    const ec_geometry g = ec_plan(&span, wave, lanes, 3, sizes[h], sizes[w], 4);
                    const uint64_t places = (uint64_t)sizes[h] * sizes[w];
                    assert(g.size == 0 || g.size / EC_LANES >= places / lanes);
                    assert(g.size == 0 || places <= (uint64_t)1 << 40);
                }
    puts("geometry ok");
    return 0;
}
