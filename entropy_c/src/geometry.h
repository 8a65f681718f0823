/* Where the symbols of a group stand in time.
 *
 * A *history* is an array [step][depth][pitch]: what every lane codes at every step (depth 1, or the colours
 * of a pixel), with zeros wherever a neighbour can be outside the image, so that a neighbour is a fixed
 * distance back in memory. There are two ways to lay out time (docs/FORMAT-entropy.md, "Waves"):
 *
 *   batch: a lane is an image. Row r of a plane starts at step r * row.
 *   wave:  a lane is every n-th row of one image. Row r starts at step (r / n) * row + (r % n) * lag, so that
 *          the row above is `lag` columns ahead. The row above lane 0's is lane n - 1's, coded earlier: its
 *          values are copied to columns before lane 0, at the step where a lane -1 would have coded them.
 */
#ifndef EC_GEOMETRY_H
#define EC_GEOMETRY_H

#include "kernels.h"

typedef struct ec_geometry {
    uint32_t lanes;
    uint32_t height, width;
    uint32_t depth;
    int wave;
    uint32_t lag;
    size_t row;   /* steps, see above */
    size_t lead;  /* steps of zeros before every plane */
    size_t end;   /* steps of a plane, from the first symbol to the last */
    size_t plane; /* steps from plane to plane */
    size_t wrap;  /* columns before lane 0 */
    size_t pitch; /* elements */
    size_t skew;  /* steps from lane n - i to the copy in column -i */
    size_t size;  /* elements of the whole history, or 0 if it is beyond any memory */
} ec_geometry;

/* Steps in which the same lanes take part, contiguous in time. */
typedef struct ec_run {
    size_t first, steps;
    uint32_t mask;
} ec_run;

/* Largest offsets of a model's neighbours within an image: to the left, right, up, down; not negative. */
typedef struct ec_span {
    uint32_t left, right, up, down;
    uint32_t lag; /* smallest lag that makes every neighbour earlier */
} ec_span;

/* Adds the neighbour (row, column) if it can be inside an image of these sizes. */
void ec_span_add(ec_span *span, int32_t row, int32_t column, uint32_t height, uint32_t width);
int ec_is_near(int32_t row, int32_t column, uint32_t height, uint32_t width);

/* planes >= 1; height, width >= 1. */
ec_geometry ec_plan(const ec_span *span, int wave, uint32_t lanes, size_t planes, uint32_t height,
                    uint32_t width, uint32_t depth);

/* Step of the first symbol of a row of a plane, and the lane that codes it (0 in a batch). */
size_t ec_row_step(const ec_geometry *g, size_t plane, uint32_t row);
uint32_t ec_row_lane(const ec_geometry *g, uint32_t row);

/* Runs of one plane in order; start with first = steps = 0. */
int ec_next_run(const ec_geometry *g, ec_run *run);
/* The same backwards; start with first = g->end. */
int ec_previous_run(const ec_geometry *g, ec_run *run);

/* Row and column of an active lane at a step of the plane (wave only). */
void ec_lane_place(const ec_geometry *g, size_t step, uint32_t lane, uint32_t *row, uint32_t *column);

#endif
