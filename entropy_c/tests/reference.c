#include "reference.h"

/* ---- Models ---- */

uint32_t reference_start(const part_t *part, size_t table, uint32_t symbol) {
    uint32_t start = 0;
    for (uint32_t k = 0; k < symbol; k++) start += part->counts[table * part->alphabet + k];
    return start;
}

uint32_t reference_table(const part_t *part, const uint16_t *image, uint32_t plane, uint32_t row,
                         uint32_t column) {
    uint64_t context = 0;
    for (uint32_t i = 0; i < part->order; i++) {
        const int64_t p = plane + (int64_t)part->offsets[i][0], r = row + (int64_t)part->offsets[i][1],
                      c = column + (int64_t)part->offsets[i][2];
        const int inside = p >= 0 && r >= 0 && r < part->height && c >= 0 && c < part->width;
        const uint32_t state = inside ? image[(p * part->height + r) * part->width + c] + 1u : 0;
        const size_t at = ((size_t)plane * part->order + i) * (part->symbols + 1) + state;
        context = context * part->class_counts[i] + (part->classes != NULL ? part->classes[at] : state);
    }
    context += (uint64_t)plane * part->contexts;
    return part->map != NULL ? part->map[context] : (uint32_t)context;
}

uint32_t reference_mean(const part_t *part, const uint8_t *image, const int16_t *logits, uint32_t row,
                        uint32_t column, uint32_t colour) {
    const int32_t logit = logits[((size_t)colour * part->height + row) * part->width + column];
    const int32_t level = logit < -2048 ? -2048 : logit > 2047 ? 2047 : logit;
    int64_t sum = (int64_t)part->lut[level + 2048] * 4096 + part->bias[colour] + 32768;
    uint32_t first = 0;
    for (uint32_t c = 0; c < colour; c++) first += part->tap_counts[c];
    for (uint32_t i = first; i < first + part->tap_counts[colour]; i++) {
        const int64_t k = colour + (int64_t)part->taps[i][0], r = row + (int64_t)part->taps[i][1],
                      c = column + (int64_t)part->taps[i][2];
        if (r < 0 || c < 0 || c >= part->width) continue;
        sum += (int64_t)part->weights[i] * image[(r * part->width + c) * part->colours + k];
    }
    return sum < 0 ? 0 : sum >> 16 > 1020 ? 1020 : (uint32_t)(sum >> 16);
}

uint32_t reference_cumulative(const part_t *part, uint32_t scale, uint32_t mean, uint32_t value) {
    if (value == 0) return 0;
    if (value == 256) return 65536;
    return part->cdf[scale * EC_FINE_STEPS + (4 * value - 2 - mean + 1022)] + value;
}

/* ---- Order: every symbol as an event, in order of decoding ---- */

typedef struct event_t {
    uint32_t lane, start, count, bits;
} event_t;

typedef struct events_t {
    event_t *at;
    size_t count, room;
} events_t;

static void add(events_t *events, uint32_t lane, uint32_t start, uint32_t count, uint32_t bits) {
    assert(count > 0 && events->count < events->room);
    events->at[events->count++] = (event_t){lane, start, count, bits};
}

/* The raw bits of the escapes of a step wait for the step's end. */
typedef struct raw_t {
    uint32_t lane, symbol;
} raw_t;

typedef struct step_t {
    events_t *events;
    const part_t *part;
    raw_t raw[EC_LANES];
    uint32_t raws;
} step_t;

static void add_symbol(step_t *step, uint32_t lane, size_t table, uint32_t symbol) {
    const part_t *part = step->part;
    uint32_t count = part->counts[table * part->alphabet + symbol];
    if (count == 0) {
        assert(part->escape);
        step->raw[step->raws++] = (raw_t){lane, symbol};
        symbol = part->symbols;
        count = part->counts[table * part->alphabet + symbol];
    }
    add(step->events, lane, reference_start(part, table, symbol), count, part->bits);
}

static void end_step(step_t *step) {
    uint32_t bits = 0;
    while (1u << bits < step->part->symbols) bits++;
    for (uint32_t i = 0; bits > 0 && i < step->raws; i++)
        add(step->events, step->raw[i].lane, step->raw[i].symbol, 1, bits);
    step->raws = 0;
}

static uint32_t index_at(const part_t *part, size_t i) {
    if (part->index_bytes == 0) return 0;
    if (part->index_bytes == 1) return ((const uint8_t *)part->index)[i];
    if (part->index_bytes == 2) return ((const uint16_t *)part->index)[i];
    return ((const uint32_t *)part->index)[i];
}

/* Rows and raw bits. */
static void add_value(step_t *step, uint32_t lane, size_t at) {
    const part_t *part = step->part;
    const uint32_t value = ((const uint16_t *)part->data)[at];
    if (part->kind == BYPASS) {
        add(step->events, lane, value, 1, part->bits);
        return;
    }
    const uint16_t *row = part->starts + at * part->symbols;
    const uint32_t end = value + 1 < part->symbols ? row[value + 1] : 1u << part->bits;
    add(step->events, lane, row[value], end - row[value], part->bits);
}

/* One place of one image by one lane; colours are the callers' planes. */
static void add_place(step_t *step, uint32_t lane, size_t image, uint32_t plane, uint32_t row,
                      uint32_t column) {
    const part_t *part = step->part;
    if (part->kind == ROWS || part->kind == BYPASS) {
        add_value(step, lane, image * part->positions + column);
    } else if (part->kind == INDEXED) {
        const size_t at = image * part->positions + column;
        add_symbol(step, lane, index_at(part, at), ((const uint16_t *)part->data)[at]);
    } else if (!is_pixels(part->kind)) {
        const uint16_t *indices = (const uint16_t *)part->data + image * part->positions;
        const size_t at = ((size_t)plane * part->height + row) * part->width + column;
        add_symbol(step, lane, reference_table(part, indices, plane, row, column), indices[at]);
    } else {
        const uint8_t *samples = (const uint8_t *)part->data + image * part->positions;
        const size_t planar =
            image * part->positions + ((size_t)plane * part->height + row) * part->width + column;
        const uint32_t value = samples[((size_t)row * part->width + column) * part->colours + plane];
        const uint32_t mean =
            reference_mean(part, samples, part->logits + image * part->positions, row, column, plane);
        const uint32_t start = reference_cumulative(part, part->scales[planar], mean, value);
        const uint32_t end = reference_cumulative(part, part->scales[planar], mean, value + 1);
        add(step->events, lane, start, end - start, 16);
    }
}

static void batch_events(step_t *step, size_t first_image, uint32_t lanes) {
    const part_t *part = step->part;
    const int pixels = is_pixels(part->kind);
    const uint32_t outer = part->kind == FSAR ? part->planes : 1;
    for (uint32_t plane = 0; plane < outer; plane++)
        for (uint32_t row = 0; row < part->height; row++)
            for (uint32_t column = 0; column < part->width; column++)
                for (uint32_t colour = 0; colour < (pixels ? part->colours : 1); colour++) {
                    for (uint32_t lane = 0; lane < lanes; lane++)
                        add_place(step, lane, first_image + lane, plane + colour, row, column);
                    end_step(step);
                }
}

/* ---- Waves ---- */

typedef struct wave_t {
    int64_t lag, gap;
} wave_t;

static void widen(wave_t *wave, const part_t *part, const int32_t *offset) {
    const int64_t up = -(int64_t)offset[1], right = offset[2];
    if (up >= part->height || up <= -(int64_t)part->height) return;
    if (right >= part->width || right <= -(int64_t)part->width) return;
    const int64_t reach = right < 0 ? -right : right;
    if (reach > wave->gap) wave->gap = reach;
    while (up > 0 && right - up * wave->lag >= 0) wave->lag++;
}

/* Row r is coded by lane r % lanes and begins at step r / lanes * turn + r % lanes * lag. */
static void wave_events(step_t *step, uint32_t lanes) {
    const part_t *part = step->part;
    const int pixels = is_pixels(part->kind);
    wave_t wave = {1, 0};
    for (uint32_t i = 0; !pixels && i < part->order; i++)
        if (part->offsets[i][0] > -(int64_t)part->planes) widen(&wave, part, part->offsets[i]);
    for (uint32_t i = 0, colour = 0; pixels && colour < part->colours; colour++)
        for (uint32_t k = 0; k < part->tap_counts[colour]; k++) widen(&wave, part, part->taps[i++]);
    int64_t turn = part->width + wave.gap;
    if (turn < wave.lag * lanes) turn = wave.lag * lanes;
    const int64_t steps = (part->height / lanes + 1) * turn + wave.lag * lanes + part->width;
    for (uint32_t plane = 0; plane < (pixels ? 1 : part->planes); plane++)
        for (int64_t now = 0; now < steps; now++)
            for (uint32_t colour = 0; colour < (pixels ? part->colours : 1); colour++) {
                for (uint32_t lane = 0; lane < lanes; lane++) {
                    const int64_t own = now - lane * wave.lag;
                    if (own < 0) continue;
                    const int64_t row = own / turn * lanes + lane, column = own % turn;
                    if (row >= part->height || column >= part->width) continue;
                    add_place(step, lane, 0, plane + colour, (uint32_t)row, (uint32_t)column);
                }
                end_step(step);
            }
}

/* ---- Coding ---- */

static stream_t encode(const events_t *events, uint32_t lanes) {
    uint32_t x[EC_LANES];
    uint8_t *words = take(2 * events->count), *next = words + 2 * events->count;
    for (uint32_t lane = 0; lane < EC_LANES; lane++) x[lane] = 65536;
    for (size_t i = events->count; i-- > 0;) {
        const event_t *e = events->at + i;
        uint64_t state = x[e->lane];
        if (state >= (uint64_t)e->count << (32 - e->bits)) {
            *--next = (uint8_t)(state >> 8);
            *--next = (uint8_t)state;
            state >>= 16;
        }
        state = (state / e->count << e->bits) + state % e->count + e->start;
        assert(state >= 65536 && state <= UINT32_MAX);
        x[e->lane] = (uint32_t)state;
    }
    const size_t tail = (size_t)(words + 2 * events->count - next);
    stream_t stream = {take(4 * lanes + tail), 4 * lanes + tail};
    for (uint32_t i = 0; i < 4 * lanes; i++) stream.data[i] = (uint8_t)(x[i / 4] >> (8 * (i % 4)));
    if (tail > 0) memcpy(stream.data + 4 * lanes, next, tail);
    drop(words);
    return stream;
}

void reference_streams(const case_t *c, stream_t *streams) {
    for (size_t group = 0; group < c->groups; group++) {
        const uint32_t lanes = lanes_of(c, group);
        events_t events = {NULL, 0, 0};
        for (uint32_t i = 0; i < c->parts; i++)
            events.room += 2 * (is_wave(c->part[i].kind) ? 1 : lanes) * c->part[i].positions;
        events.at = take(events.room * sizeof *events.at);
        for (uint32_t i = 0; i < c->parts; i++) {
            step_t step = {.events = &events, .part = &c->part[i]};
            if (is_wave(step.part->kind))
                wave_events(&step, lanes);
            else
                batch_events(&step, group * EC_LANES, lanes);
        }
        streams[group] = encode(&events, lanes);
        drop(events.at);
    }
}
