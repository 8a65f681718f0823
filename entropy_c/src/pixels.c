/* Pixels: causal linear prediction of the mean in fixed point, then one fine cdf per scale. */
#include "models.h"

static const uint8_t outside[EC_LANES]; /* samples beyond the border are 0 */

#define RUN (EC_TILE / EC_MAX_COLOURS) /* columns prepared at a time */

typedef ec_span spans_t[EC_MAX_COLOURS][EC_MAX_TAPS];

/* Samples of one image, or 0 if the sizes are beyond any array. */
static size_t positions_of(const ec_pixels *model, uint32_t height, uint32_t width) {
    const uint64_t plane = (uint64_t)height * width;
    return plane > SIZE_MAX / 1024 ? 0 : (size_t)plane * model->colours;
}

size_t ec_pixels_scratch(const ec_pixels *model, uint32_t lanes, uint32_t height, uint32_t width) {
    return lanes * positions_of(model, height, width);
}

static void row_spans(const ec_pixels *model, uint32_t row, uint32_t width, spans_t spans) {
    for (uint32_t c = 0; c < model->colours; c++)
        for (uint32_t i = 0; i < model->tap_counts[c]; i++) {
            const ec_tap *tap = &model->taps[c][i];
            const int inside = (int64_t)row + tap->row >= 0;
            const int64_t pixels = inside ? (int64_t)tap->row * width + tap->column : 0;
            const int64_t back = -(pixels * (int64_t)model->colours + tap->colour);
            spans[c][i] = ec_make_span(inside, tap->column, width, (size_t)back);
        }
}

/* The prediction without its taps, in 2^-16 fine steps, rounding included. */
static inline int32_t base_mean(const ec_pixels *model, uint32_t colour, int32_t logit) {
    const int32_t level = logit < -2048 ? 0 : logit > 2047 ? EC_LOGIT_LEVELS - 1 : logit + 2048;
    return model->mean_lut[level] * 4096 + model->bias[colour];
}

static inline uint32_t mean_index(int32_t sum) {
    const uint32_t m = sum < 0 ? 0 : (uint32_t)sum >> 16;
    return m > EC_MEAN_MAX ? EC_MEAN_MAX : m;
}

/* Cumulative count of sample value j (0 .. 256) around mean index m. */
static inline uint32_t cumulative(const uint16_t *cdf, uint32_t m, uint32_t j) {
    if (j == 0) return 0;
    return j == 256 ? 65536 : cdf[4 * j + (1020 - m)] + j;
}

/* Sums of one image for `count` columns from `first` on: sums [column][colour]; `samples` is the run's first.
 */
static inline void run_sums(const ec_pixels *model, spans_t spans, const int16_t *logits, size_t plane,
                            const uint8_t *samples, uint32_t first, uint32_t count, int32_t *sums) {
    const uint32_t colours = model->colours;
    for (uint32_t c = 0; c < colours; c++) {
        for (uint32_t i = 0; i < count; i++)
            sums[i * colours + c] = base_mean(model, c, logits[c * plane + i]);
        for (uint32_t k = 0; k < model->tap_counts[c]; k++) {
            const ec_span *span = &spans[c][k];
            const int32_t weight = model->taps[c][k].weight;
            const uint64_t stop = (uint64_t)span->first + span->length;
            const uint32_t from = span->first > first ? span->first - first : 0;
            const uint32_t to =
                stop < (uint64_t)first + count ? (stop > first ? (uint32_t)(stop - first) : 0) : count;
            for (uint32_t i = from; i < to; i++) {
                const uint8_t *sample = samples + (size_t)i * colours + c;
                sums[i * colours + c] += weight * sample[-(ptrdiff_t)span->back];
            }
        }
    }
}

int ec_pixels_mean_index(const ec_pixels *model, const uint8_t *images, const int16_t *logits, size_t count,
                         uint32_t height, uint32_t width, uint16_t *out) {
    const uint32_t colours = model->colours;
    const size_t plane = (size_t)height * width;
    if (positions_of(model, height, width) == 0) return height == 0 || width == 0 ? EC_OK : EC_ERR_ARGUMENT;
    for (uint32_t row = 0; row < height; row++) {
        spans_t spans;
        row_spans(model, row, width, spans);
        for (size_t image = 0; image < count; image++)
            for (uint32_t first = 0; first < width; first += RUN) {
                const uint32_t columns = width - first < RUN ? width - first : RUN;
                const size_t at = (size_t)row * width + first;
                const size_t planar = image * plane * colours + at;
                int32_t sums[EC_TILE];
                run_sums(model, spans, logits + planar, plane, images + (image * plane + at) * colours, first,
                         columns, sums);
                for (uint32_t c = 0; c < colours; c++)
                    for (uint32_t i = 0; i < columns; i++)
                        out[planar + c * plane + i] = (uint16_t)mean_index(sums[i * colours + c]);
            }
    }
    return EC_OK;
}

int ec_encode_pixels(ec_encoder *encoder, const ec_pixels *model, const uint8_t *images,
                     const int16_t *logits, const uint8_t *scales, uint32_t height, uint32_t width) {
    const uint32_t lanes = encoder->lanes;
    const uint32_t colours = model->colours;
    const size_t plane = (size_t)height * width;
    const size_t positions = positions_of(model, height, width);
    if (positions == 0) return height == 0 || width == 0 ? EC_OK : EC_ERR_ARGUMENT;
    if (ec_encode_bound(lanes, positions) > encoder->position) return EC_ERR_CAPACITY;
    for (size_t i = 0; i < lanes * positions; i++)
        if (scales[i] >= model->scales) return EC_ERR_INDEX;

    uint32_t x[EC_LANES];
    uint32_t pairs[EC_TILE * EC_LANES];
    memcpy(x, encoder->state, sizeof x);
    uint8_t *out = encoder->buffer + encoder->position;
    for (uint32_t row = height; row-- > 0;) {
        spans_t spans;
        row_spans(model, row, width, spans);
        for (uint32_t end = width; end > 0;) {
            const uint32_t columns = (end - 1) % RUN + 1;
            const uint32_t first = end - columns;
            const size_t at = (size_t)row * width + first;
            for (uint32_t lane = 0; lane < lanes; lane++) {
                const uint8_t *samples = images + lane * positions + at * colours;
                const size_t planar = lane * positions + at;
                int32_t sums[EC_TILE];
                run_sums(model, spans, logits + planar, plane, samples, first, columns, sums);
                for (uint32_t i = 0; i < columns; i++)
                    for (uint32_t c = 0; c < colours; c++) {
                        const size_t scale = scales[planar + c * plane + i];
                        const uint16_t *cdf = model->rows + scale * EC_PIXEL_STRIDE;
                        const uint32_t m = mean_index(sums[i * colours + c]);
                        const uint32_t j = samples[i * colours + c];
                        const uint32_t start = cumulative(cdf, m, j);
                        pairs[(i * colours + c) * lanes + lane] =
                            ec_pair(start, cumulative(cdf, m, j + 1) - start);
                    }
            }
            out = lanes == EC_LANES ? ec_put(pairs, columns * colours, EC_LANES, 16, x, out)
                                    : ec_put(pairs, columns * colours, lanes, 16, x, out);
            end = first;
        }
    }
    encoder->position = (size_t)(out - encoder->buffer);
    memcpy(encoder->state, x, sizeof x);
    return EC_OK;
}

/* One sample of every lane from its sum and scale. The inverse index gives a value at or below the right one;
 * the search from there ends at 255 at the latest. */
static inline void get_samples(const ec_pixels *model, const int32_t *sums, const uint8_t *scales,
                               uint32_t lanes, uint32_t *x, uint8_t *samples, ec_reader *r) {
    const uint8_t *p = r->p;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const uint32_t state = x[lane];
        const uint32_t slot = state & 0xFFFFu;
        const uint16_t *cdf = model->rows + (size_t)scales[lane] * EC_PIXEL_STRIDE;
        const uint32_t m = mean_index(sums[lane]);
        const uint32_t near = cdf[EC_FINE_STEPS + ((4 * slot + (EC_MEAN_MAX - m)) >> EC_PIXEL_SHIFT)];
        const int32_t guess = (int32_t)(near + m) - 1021;
        uint32_t j = guess < 0 ? 0 : (uint32_t)guess >> 2;
        j = j > 255 ? 255 : j;
        const uint16_t *fine = cdf + (1020 - m); /* C(j) = fine[4 j] + j inside 1 .. 255 */
        j += (uint32_t)(j < 255) & (uint32_t)(fine[4 * j + 4] + j + 1 <= slot);
        j += (uint32_t)(j < 255) & (uint32_t)(fine[4 * j + 4] + j + 1 <= slot);
        while (j < 255 && fine[4 * j + 4] + j + 1 <= slot) j++;
        const uint32_t start = cumulative(cdf, m, j);
        const uint32_t count = cumulative(cdf, m, j + 1) - start;
        samples[lane] = (uint8_t)j;
        x[lane] = ec_refill(count * (state >> 16) + (slot - start), &p);
    }
    r->p = p;
}

/* `history` holds every sample decoded so far, [position][lane]. */
static inline int decode(uint32_t lanes, ec_decoder *decoder, const ec_pixels *model, const int16_t *logits,
                         const uint8_t *scales, uint32_t height, uint32_t width, uint8_t *images,
                         uint8_t *history) {
    const uint32_t colours = model->colours;
    const size_t plane = (size_t)height * width;
    const size_t positions = plane * colours;
    uint32_t x[EC_LANES];
    int32_t sums[EC_TILE * EC_LANES];
    uint8_t scale[EC_TILE * EC_LANES];
    ec_reader reader;
    memcpy(x, decoder->state, sizeof x);
    ec_reader_init(&reader, decoder);
    uint8_t *here = history;
    for (uint32_t row = 0; row < height; row++) {
        spans_t spans;
        row_spans(model, row, width, spans);
        for (uint32_t first = 0; first < width; first += RUN) {
            const uint32_t columns = width - first < RUN ? width - first : RUN;
            const size_t at = (size_t)row * width + first;
            for (uint32_t lane = 0; lane < lanes; lane++)
                for (uint32_t c = 0; c < colours; c++) {
                    const size_t planar = lane * positions + c * plane + at;
                    for (uint32_t i = 0; i < columns; i++) {
                        const size_t to = (size_t)(i * colours + c) * lanes + lane;
                        if (scales[planar + i] >= model->scales) return EC_ERR_INDEX;
                        scale[to] = scales[planar + i];
                        sums[to] = base_mean(model, c, logits[planar + i]);
                    }
                }
            const uint8_t *run = here;
            for (uint32_t i = 0; i < columns; i++)
                for (uint32_t c = 0; c < colours; c++) {
                    int32_t *sum = sums + (size_t)(i * colours + c) * lanes;
                    for (uint32_t k = 0; k < model->tap_counts[c]; k++) {
                        const ec_span *span = &spans[c][k];
                        const int32_t weight = model->taps[c][k].weight;
                        const uint8_t *tap = ec_covers(span, first + i) ? here - span->back * lanes : outside;
                        for (uint32_t lane = 0; lane < lanes; lane++) sum[lane] += weight * tap[lane];
                    }
                    ec_reserve(&reader, decoder);
                    get_samples(model, sum, scale + (size_t)(i * colours + c) * lanes, lanes, x, here,
                                &reader);
                    if (ec_overrun(&reader)) return EC_ERR_TRUNCATED;
                    here += lanes;
                }
            for (uint32_t lane = 0; lane < lanes; lane++) {
                uint8_t *image = images + lane * positions + at * colours;
                for (uint32_t i = 0; i < columns * colours; i++) image[i] = run[(size_t)i * lanes + lane];
            }
        }
    }
    decoder->next = ec_reader_next(&reader, decoder);
    memcpy(decoder->state, x, sizeof x);
    return EC_OK;
}

int ec_decode_pixels(ec_decoder *decoder, const ec_pixels *model, const int16_t *logits,
                     const uint8_t *scales, uint32_t height, uint32_t width, uint8_t *images,
                     uint8_t *scratch) {
    if (positions_of(model, height, width) == 0) return height == 0 || width == 0 ? EC_OK : EC_ERR_ARGUMENT;
    return decoder->lanes == EC_LANES
               ? decode(EC_LANES, decoder, model, logits, scales, height, width, images, scratch)
               : decode(decoder->lanes, decoder, model, logits, scales, height, width, images, scratch);
}
