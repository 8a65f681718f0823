/* tANS streams: one per image, a few of them coded side by side so that their table look-ups overlap. */
#include <string.h>

#include "models.h"
#include "tans.h"

#define WAVE 32 /* streams side by side; the bytes do not depend on it */
#define TILE 16 /* positions that the encoder looks up at a time */

/* Bytes of one stream at most, the four-byte store of the last step included. */
static size_t stream_bound(const ec_tans *t, size_t positions) {
    return positions > SIZE_MAX / 16 ? SIZE_MAX : positions * t->bits / 8 + 4;
}

size_t ec_tans_bound(const ec_tans *tans, size_t streams, size_t positions) {
    const size_t one = stream_bound(tans, positions);
    return streams > 0 && one > SIZE_MAX / streams ? SIZE_MAX : streams * one;
}

/* ---- A wave of streams: beginning and end ---- */

/* Every writer gets a place of its own; `close_writers` moves the streams together. */
static void open_writers(const ec_tans *t, ec_tans_writer *w, uint32_t lanes, uint8_t *out, size_t room) {
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const ec_tans_writer writer = {1u << t->bits, 0, 0, out + lane * room};
        w[lane] = writer;
    }
}

static uint8_t *close_writers(const ec_tans *t, ec_tans_writer *w, uint32_t lanes, uint8_t *out, size_t room,
                              size_t *sizes) {
    const uint8_t *place = out;
    for (uint32_t lane = 0; lane < lanes; lane++, place += room) {
        ec_tans_write(&w[lane], w[lane].state, t->bits + 1); /* its bit T is the end mark */
        sizes[lane] = (size_t)(w[lane].p - place) + (w[lane].count > 0);
        memmove(out, place, sizes[lane]);
        out += sizes[lane];
    }
    return out;
}

/* *data moves on by the sizes, which were checked to be within the data. */
static int open_readers(const ec_tans *t, ec_tans_reader *r, uint32_t lanes, const uint8_t **data,
                        const size_t *sizes) {
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const size_t size = sizes[lane];
        if (size == 0) return EC_ERR_TRUNCATED;
        const uint8_t last = (*data)[size - 1];
        if (last == 0) return EC_ERR_DAMAGED;
        uint32_t mark = 7;
        while (last >> mark == 0) mark--;
        const ec_tans_reader reader = {*data, (int64_t)(8 * (size - 1) + mark), 0};
        r[lane] = reader;
        r[lane].state = ec_tans_ahead(&reader) >> (32 - t->bits);
        r[lane].left -= t->bits;
        *data += size;
    }
    return EC_OK;
}

static int close_readers(const ec_tans_reader *r, uint32_t lanes) {
    for (uint32_t lane = 0; lane < lanes; lane++) {
        if (r[lane].left < 0) return EC_ERR_TRUNCATED;
        if (r[lane].left > 0 || r[lane].state != 0) return EC_ERR_DAMAGED;
    }
    return EC_OK;
}

static int check_sizes(const size_t *sizes, size_t streams, size_t bytes) {
    for (size_t i = 0; i < streams; i++) {
        if (sizes[i] > bytes) return EC_ERR_TRUNCATED;
        bytes -= sizes[i];
    }
    return bytes == 0 ? EC_OK : EC_ERR_DAMAGED;
}

/* ---- Steps of a wave ---- */

/* What the encoder looks up before it knows its states: [position][lane]. */
typedef struct ec_tans_tile {
    uint32_t delta[TILE * WAVE];
    uint32_t base[TILE * WAVE];
} ec_tans_tile;

/* Looks up a symbol below K in a table of the model; 0 if it has no count. next[base + q] is the state after
 * its cell of number q. */
static inline uint32_t look_up(const ec_tans *t, size_t table, uint32_t symbol, ec_tans_tile *tile,
                               size_t at) {
    const uint32_t code = t->codes[table * t->symbols + symbol];
    const uint32_t base = (uint32_t)(table << t->bits) + (code >> 17) - EC_TANS_BIAS;
    tile->delta[at] = code & EC_TANS_DELTA;
    tile->base[at] = base;
    return code;
}

/* Look-ups and bits are apart, so that those of several streams wait for memory at the same time. */
static inline void put_tile(const ec_tans *t, const ec_tans_tile *tile, size_t positions, uint32_t lanes,
                            ec_tans_writer *w) {
    const uint16_t *next = t->next;
    uint32_t x[WAVE], bits[WAVE], low[WAVE];
    for (uint32_t lane = 0; lane < lanes; lane++) x[lane] = w[lane].state;
    for (size_t p = positions; p-- > 0;) {
        const uint32_t *delta = tile->delta + p * lanes;
        const uint32_t *base = tile->base + p * lanes;
        for (uint32_t lane = 0; lane < lanes; lane++) {
            bits[lane] = (x[lane] + delta[lane]) >> EC_TANS_SHIFT;
            low[lane] = x[lane] & ((1u << bits[lane]) - 1);
            x[lane] = next[base[lane] + (x[lane] >> bits[lane])];
        }
        for (uint32_t lane = 0; lane < lanes; lane++) ec_tans_write(&w[lane], low[lane], bits[lane]);
    }
    for (uint32_t lane = 0; lane < lanes; lane++) w[lane].state = x[lane];
}

static inline void get_position(const ec_tans *t, const uint32_t *tables, uint32_t lanes, ec_tans_reader *r,
                                uint16_t *symbols, size_t stride) {
    uint32_t cells[WAVE];
    for (uint32_t lane = 0; lane < lanes; lane++)
        cells[lane] = t->cells[((size_t)tables[lane] << t->bits) + r[lane].state];
    for (uint32_t lane = 0; lane < lanes; lane++)
        symbols[lane * stride] = (uint16_t)ec_tans_get(cells[lane], &r[lane]);
}

/* ---- Tables named by the caller ---- */

static int put_indexed(const ec_tans *t, const uint16_t *symbols, const uint32_t *index, uint32_t lanes,
                       size_t positions, ec_tans_writer *w) {
    ec_tans_tile tile;
    for (size_t end = positions; end > 0;) {
        const size_t count = (end - 1) % TILE + 1;
        const size_t first = end - count;
        for (uint32_t lane = 0; lane < lanes; lane++)
            for (size_t i = 0; i < count; i++) {
                const size_t at = lane * positions + first + i;
                const uint32_t table = index != NULL ? index[at] : 0;
                if (table >= t->count) return EC_ERR_INDEX;
                if (symbols[at] >= t->symbols || look_up(t, table, symbols[at], &tile, i * lanes + lane) == 0)
                    return EC_ERR_SYMBOL;
            }
        put_tile(t, &tile, count, lanes, w);
        end = first;
    }
    return EC_OK;
}

int ec_tans_encode(const ec_tans *tans, const uint16_t *symbols, const uint32_t *index, size_t streams,
                   size_t positions, uint8_t *out, size_t capacity, size_t *sizes) {
    if (ec_tans_bound(tans, streams, positions) > capacity) return EC_ERR_CAPACITY;
    const size_t room = stream_bound(tans, positions);
    ec_tans_writer w[WAVE];
    for (size_t first = 0; first < streams; first += WAVE) {
        const uint32_t lanes = streams - first < WAVE ? (uint32_t)(streams - first) : WAVE;
        const uint16_t *s = symbols + first * positions;
        const uint32_t *i = index != NULL ? index + first * positions : NULL;
        open_writers(tans, w, lanes, out, room);
        const int status = put_indexed(tans, s, i, lanes, positions, w);
        if (status != EC_OK) return status;
        out = close_writers(tans, w, lanes, out, room, sizes + first);
    }
    return EC_OK;
}

static int get_indexed(const ec_tans *t, const uint32_t *index, uint32_t lanes, size_t positions,
                       ec_tans_reader *r, uint16_t *symbols) {
    uint32_t tables[WAVE] = {0};
    for (size_t p = 0; p < positions; p++) {
        for (uint32_t lane = 0; lane < lanes && index != NULL; lane++) {
            tables[lane] = index[lane * positions + p];
            if (tables[lane] >= t->count) return EC_ERR_INDEX;
        }
        get_position(t, tables, lanes, r, symbols + p, positions);
    }
    return close_readers(r, lanes);
}

int ec_tans_decode(const ec_tans *tans, const uint32_t *index, size_t streams, size_t positions,
                   const uint8_t *data, size_t bytes, const size_t *sizes, uint16_t *symbols) {
    int status = check_sizes(sizes, streams, bytes);
    ec_tans_reader r[WAVE];
    for (size_t first = 0; status == EC_OK && first < streams; first += WAVE) {
        const uint32_t lanes = streams - first < WAVE ? (uint32_t)(streams - first) : WAVE;
        const uint32_t *i = index != NULL ? index + first * positions : NULL;
        uint16_t *s = symbols + first * positions;
        status = open_readers(tans, r, lanes, &data, sizes + first);
        if (status == EC_OK) status = get_indexed(tans, i, lanes, positions, r, s);
    }
    return status;
}

/* ---- Tables chosen by neighbours ---- */

/* Symbols of one image; SIZE_MAX if the sizes are beyond any array. */
static size_t image_positions(const ec_fsar *model, uint32_t height, uint32_t width) {
    const uint64_t plane = (uint64_t)height * width;
    return plane > (uint64_t)(SIZE_MAX / 256) / model->groups ? SIZE_MAX : (size_t)(plane * model->groups);
}

static int models_agree(const ec_tans *t, const ec_fsar *model) {
    return t->count == model->tables->count && t->symbols == model->tables->symbols;
}

/* A neighbour along one row: valid for columns first .. first + length - 1, `back` symbols earlier. */
typedef struct reach_t {
    size_t back;
    uint32_t first;
    uint32_t length;
} reach_t;

static inline int covers(const reach_t *reach, uint32_t column) {
    return column - reach->first < reach->length;
}

/* The neighbours of one row. */
static void row_spans(const ec_fsar *model, uint32_t group, uint32_t row, uint32_t height, uint32_t width,
                      reach_t *spans) {
    for (uint32_t i = 0; i < model->order; i++) {
        const int32_t *o = model->offsets[i];
        const int64_t g = (int64_t)group + o[0];
        const int64_t r = (int64_t)row + o[1];
        const int inside = g >= 0 && r >= 0 && r < (int64_t)height;
        const int64_t back = inside ? -(((int64_t)o[0] * height + o[1]) * (int64_t)width + o[2]) : 0;
        const int64_t reach = o[2] < 0 ? -(int64_t)o[2] : o[2];
        spans[i] = (reach_t){(size_t)back, 0, 0};
        if (!inside || reach >= (int64_t)width) continue;
        spans[i].first = o[2] < 0 ? (uint32_t)reach : 0;
        spans[i].length = width - (uint32_t)reach;
    }
}

/* The table of the symbol at `symbols`, all earlier symbols of the image being known. */
static inline uint32_t table_of(const ec_fsar *model, const reach_t *spans, uint32_t group, uint32_t column,
                                const uint16_t *symbols) {
    uint32_t states[EC_MAX_ORDER];
    for (uint32_t i = 0; i < model->order; i++)
        states[i] = covers(&spans[i], column) ? symbols[-(ptrdiff_t)spans[i].back] + 1u : 0;
    return ec_fsar_table(model, group, states);
}

/* `row` points at the row in the first image of the wave. */
static int put_row(const ec_tans *t, const ec_fsar *model, const reach_t *spans, uint32_t group,
                   uint32_t width, const uint16_t *row, size_t stride, uint32_t lanes, ec_tans_writer *w) {
    ec_tans_tile tile;
    for (uint32_t end = width; end > 0;) {
        const uint32_t count = (end - 1) % TILE + 1;
        const uint32_t first = end - count;
        for (uint32_t lane = 0; lane < lanes; lane++)
            for (uint32_t i = 0; i < count; i++) {
                const uint16_t *symbol = row + lane * stride + first + i;
                const uint32_t table = table_of(model, spans, group, first + i, symbol);
                if (look_up(t, table, *symbol, &tile, i * lanes + lane) == 0) return EC_ERR_SYMBOL;
            }
        put_tile(t, &tile, count, lanes, w);
        end = first;
    }
    return EC_OK;
}

int ec_tans_encode_fsar(const ec_tans *tans, const ec_fsar *model, const uint16_t *indices, size_t images,
                        uint32_t height, uint32_t width, uint8_t *out, size_t capacity, size_t *sizes) {
    const size_t positions = image_positions(model, height, width);
    if (!models_agree(tans, model) || positions == SIZE_MAX) return EC_ERR_ARGUMENT;
    if (ec_tans_bound(tans, images, positions) > capacity) return EC_ERR_CAPACITY;
    for (size_t i = 0; i < images * positions; i++)
        if (indices[i] >= tans->symbols) return EC_ERR_SYMBOL;
    const size_t room = stream_bound(tans, positions);
    ec_tans_writer w[WAVE];
    reach_t spans[EC_MAX_ORDER];
    for (size_t first = 0; first < images; first += WAVE) {
        const uint32_t lanes = images - first < WAVE ? (uint32_t)(images - first) : WAVE;
        const uint16_t *wave = indices + first * positions;
        open_writers(tans, w, lanes, out, room);
        for (uint32_t group = model->groups; group-- > 0;)
            for (uint32_t row = height; row-- > 0;) {
                const uint16_t *at = wave + ((size_t)group * height + row) * width;
                row_spans(model, group, row, height, width, spans);
                const int status = lanes == WAVE
                                       ? put_row(tans, model, spans, group, width, at, positions, WAVE, w)
                                       : put_row(tans, model, spans, group, width, at, positions, lanes, w);
                if (status != EC_OK) return status;
            }
        out = close_writers(tans, w, lanes, out, room, sizes + first);
    }
    return EC_OK;
}

static void get_row(const ec_tans *t, const ec_fsar *model, const reach_t *spans, uint32_t group,
                    uint32_t width, uint16_t *row, size_t stride, uint32_t lanes, ec_tans_reader *r) {
    uint32_t tables[WAVE];
    for (uint32_t column = 0; column < width; column++) {
        for (uint32_t lane = 0; lane < lanes; lane++)
            tables[lane] = table_of(model, spans, group, column, row + lane * stride + column);
        get_position(t, tables, lanes, r, row + column, stride);
    }
}

int ec_tans_decode_fsar(const ec_tans *tans, const ec_fsar *model, size_t images, uint32_t height,
                        uint32_t width, const uint8_t *data, size_t bytes, const size_t *sizes,
                        uint16_t *indices) {
    const size_t positions = image_positions(model, height, width);
    if (!models_agree(tans, model) || positions == SIZE_MAX) return EC_ERR_ARGUMENT;
    int status = check_sizes(sizes, images, bytes);
    ec_tans_reader r[WAVE];
    reach_t spans[EC_MAX_ORDER];
    for (size_t first = 0; status == EC_OK && first < images; first += WAVE) {
        const uint32_t lanes = images - first < WAVE ? (uint32_t)(images - first) : WAVE;
        uint16_t *wave = indices + first * positions;
        status = open_readers(tans, r, lanes, &data, sizes + first);
        if (status != EC_OK) return status;
        for (uint32_t group = 0; group < model->groups; group++)
            for (uint32_t row = 0; row < height; row++) {
                uint16_t *at = wave + ((size_t)group * height + row) * width;
                row_spans(model, group, row, height, width, spans);
                get_row(tans, model, spans, group, width, at, positions, lanes, r);
            }
        status = close_readers(r, lanes);
    }
    return status;
}
