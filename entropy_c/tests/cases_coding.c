/* Cases through the C library. */
#include "cases.h"

static int create_tables(part_t *part, int layout) {
    return ec_tables_create(part->counts, part->tables, part->symbols, part->bits, part->escape, layout,
                            &part->made_tables);
}

void open_case(case_t *c) {
    for (uint32_t i = 0; i < c->parts; i++) {
        part_t *part = &c->part[i];
        if (is_pixels(part->kind)) {
            assert(ec_pixels_create(part->cdf, part->scale_count, part->lut, part->colours, part->tap_counts,
                                    part->taps[0], part->weights, part->bias, &part->made_pixels) == EC_OK);
            continue;
        }
        if (part->kind == ROWS || part->kind == BYPASS) continue;
        const int status = create_tables(part, part->layout);
        if (part->layout == EC_LAYOUT_FUSED && status == EC_ERR_ARGUMENT) /* entries beyond 32 bits */
            assert(create_tables(part, EC_LAYOUT_TREE) == EC_OK);
        else
            assert(status == EC_OK);
        if (part->kind != INDEXED)
            assert(ec_fsar_create(part->made_tables, part->offsets[0], part->order, part->planes,
                                  part->classes != NULL ? part->class_counts : NULL, part->classes, part->map,
                                  &part->made_fsar) == EC_OK);
    }
}

void close_case(case_t *c) {
    for (uint32_t i = 0; i < c->parts; i++) {
        part_t *part = &c->part[i];
        ec_fsar_free(part->made_fsar);
        ec_tables_free(part->made_tables);
        ec_pixels_free(part->made_pixels);
        part->made_fsar = NULL;
        part->made_tables = NULL;
        part->made_pixels = NULL;
    }
}

/* Scratch of exactly the documented size. */
static void *take_scratch(const case_t *c, const part_t *part) {
    const uint32_t lanes = c->groups == 1 ? c->lanes : EC_LANES;
    switch (part->kind) {
    case FSAR:
        return take(ec_fsar_scratch(part->made_fsar, lanes, part->height, part->width));
    case FSAR_WAVE:
        return take(ec_fsar_wave_scratch(part->made_fsar, lanes, part->height, part->width));
    case PIXELS:
        return take(ec_pixels_scratch(part->made_pixels, lanes, part->height, part->width));
    case PIXELS_WAVE:
        return take(ec_pixels_wave_scratch(part->made_pixels, lanes, part->height, part->width));
    default:
        return take(0);
    }
}

/* The rows, or the values, of all lanes at one position. */
static void gather(const case_t *c, const part_t *part, size_t group, size_t position, uint16_t *starts,
                   uint16_t *values) {
    for (uint32_t lane = 0; lane < lanes_of(c, group); lane++) {
        const size_t at = (group * EC_LANES + lane) * part->positions + position;
        values[lane] = ((const uint16_t *)part->data)[at];
        memcpy(starts + lane * part->symbols, part->starts + at * part->symbols, 2 * part->symbols);
    }
}

static int encode_rows(const case_t *c, const part_t *part, ec_encoder *e) {
    for (size_t group = 0; group < c->groups; group++)
        for (size_t position = part->positions; position-- > 0;) {
            uint16_t *starts = take(2 * (size_t)lanes_of(c, group) * part->symbols);
            uint16_t *values = take(2 * (size_t)lanes_of(c, group));
            gather(c, part, group, position, starts, values);
            const int status = ec_encode_rows(e + group, starts, part->symbols, part->bits, values);
            drop(starts);
            drop(values);
            if (status != EC_OK) return status;
        }
    return EC_OK;
}

static int decode_rows(const case_t *c, const part_t *part, ec_decoder *d, uint16_t *out) {
    for (size_t group = 0; group < c->groups; group++)
        for (size_t position = 0; position < part->positions; position++) {
            uint16_t *starts = take(2 * (size_t)lanes_of(c, group) * part->symbols);
            uint16_t *values = take(2 * (size_t)lanes_of(c, group));
            gather(c, part, group, position, starts, values);
            const int status = ec_decode_rows(d + group, starts, part->symbols, part->bits, values);
            for (uint32_t lane = 0; status == EC_OK && lane < lanes_of(c, group); lane++)
                out[(group * EC_LANES + lane) * part->positions + position] = values[lane];
            drop(starts);
            drop(values);
            if (status != EC_OK) return status;
        }
    return EC_OK;
}

static int encode_part(const case_t *c, const part_t *part, ec_encoder *e) {
    void *scratch = take_scratch(c, part);
    int status = EC_ERR_ARGUMENT;
    if (part->kind == INDEXED)
        status =
            ec_encode_indexed(e, c->groups, part->made_tables, part->data, 2,
                              part->index_bytes > 0 ? part->index : NULL, part->index_bytes, part->positions);
    if (part->kind == FSAR)
        status =
            ec_encode_fsar(e, c->groups, part->made_fsar, part->data, part->height, part->width, scratch);
    if (part->kind == PIXELS)
        status = ec_encode_pixels(e, c->groups, part->made_pixels, part->data, part->logits, part->scales,
                                  part->height, part->width, scratch);
    if (part->kind == FSAR_WAVE)
        status = ec_encode_fsar_wave(e, part->made_fsar, part->data, part->height, part->width, scratch);
    if (part->kind == PIXELS_WAVE)
        status = ec_encode_pixels_wave(e, part->made_pixels, part->data, part->logits, part->scales,
                                       part->height, part->width, scratch);
    if (part->kind == ROWS) status = encode_rows(c, part, e);
    if (part->kind == BYPASS) status = EC_OK;
    for (size_t group = 0; part->kind == BYPASS && status == EC_OK && group < c->groups; group++)
        status = ec_encode_bypass(e + group, part->bits,
                                  (const uint16_t *)part->data + group * EC_LANES * part->positions,
                                  part->positions);
    drop(scratch);
    return status;
}

/* Puts the words of an encoder's buffer in front of a stream, and frees the buffer. */
static void put_in_front(const ec_encoder *e, stream_t *stream) {
    const size_t words = e->capacity - e->position;
    stream_t longer = {take(words + stream->bytes), words + stream->bytes};
    if (words > 0) memcpy(longer.data, e->buffer + e->position, words);
    if (stream->bytes > 0) memcpy(longer.data + words, stream->data, stream->bytes);
    drop(stream->data);
    drop(e->buffer);
    *stream = longer;
}

void encode_case(const case_t *c, stream_t *streams) {
    ec_encoder *e = take(c->groups * sizeof *e);
    for (size_t group = 0; group < c->groups; group++) {
        assert(ec_encoder_init(e + group, lanes_of(c, group)) == EC_OK);
        streams[group] = (stream_t){NULL, 0};
    }
    for (uint32_t i = c->parts; i-- > 0;) { /* last decoded, first encoded */
        const part_t *part = &c->part[i];
        for (size_t group = 0; group < c->groups; group++) { /* buffers of exactly the bound */
            const size_t room =
                ec_encode_bound(is_wave(part->kind) ? 1 : lanes_of(c, group), part->positions);
            ec_encoder_attach(e + group, take(room), room);
        }
        assert(encode_part(c, part, e) == EC_OK);
        for (size_t group = 0; group < c->groups; group++) put_in_front(e + group, streams + group);
    }
    for (size_t group = 0; group < c->groups; group++) {
        uint8_t *states = take(4 * (size_t)lanes_of(c, group));
        ec_encoder_states(e + group, states);
        const ec_encoder head = {.buffer = states, .capacity = 4 * (size_t)lanes_of(c, group)};
        put_in_front(&head, streams + group);
    }
    drop(e);
}

static int decode_part(const case_t *c, const part_t *part, ec_decoder *d, void *out) {
    void *scratch = take_scratch(c, part);
    int status = EC_ERR_ARGUMENT;
    if (part->kind == INDEXED)
        status =
            ec_decode_indexed(d, c->groups, part->made_tables, part->index_bytes > 0 ? part->index : NULL,
                              part->index_bytes, part->positions, out, 2);
    if (part->kind == FSAR)
        status = ec_decode_fsar(d, c->groups, part->made_fsar, part->height, part->width, out, scratch);
    if (part->kind == PIXELS)
        status = ec_decode_pixels(d, c->groups, part->made_pixels, part->logits, part->scales, part->height,
                                  part->width, out, scratch);
    if (part->kind == FSAR_WAVE)
        status = ec_decode_fsar_wave(d, part->made_fsar, part->height, part->width, out, scratch);
    if (part->kind == PIXELS_WAVE)
        status = ec_decode_pixels_wave(d, part->made_pixels, part->logits, part->scales, part->height,
                                       part->width, out, scratch);
    if (part->kind == ROWS) status = decode_rows(c, part, d, out);
    if (part->kind == BYPASS) status = EC_OK;
    for (size_t group = 0; part->kind == BYPASS && status == EC_OK && group < c->groups; group++)
        status = ec_decode_bypass(d + group, part->bits, part->positions,
                                  (uint16_t *)out + group * EC_LANES * part->positions);
    drop(scratch);
    return status;
}

int decode_case(const case_t *c, const stream_t *streams, int *same) {
    ec_decoder *d = take(c->groups * sizeof *d);
    int status = EC_OK;
    *same = 1;
    for (size_t group = 0; group < c->groups && status == EC_OK; group++)
        status = ec_decoder_init(d + group, lanes_of(c, group), streams[group].data, streams[group].bytes);
    for (uint32_t i = 0; i < c->parts && status == EC_OK; i++) {
        const part_t *part = &c->part[i];
        void *out = take(part->data_bytes);
        status = decode_part(c, part, d, out);
        if (part->data_bytes > 0 && status == EC_OK) *same &= memcmp(out, part->data, part->data_bytes) == 0;
        drop(out);
    }
    for (size_t group = 0; group < c->groups && status == EC_OK; group++)
        status = ec_decoder_finish(d + group);
    *same &= status == EC_OK;
    drop(d);
    return status;
}

void drop_streams(const case_t *c, stream_t *streams) {
    for (size_t group = 0; group < c->groups; group++) drop(streams[group].data);
}
