/* Hostile models: counts, neighbourhoods, maps, cdfs and taps that keep no rule. What create accepts must
 * code. */
#include "fuzz.h"

/* Any 32-bit number, mostly a small one. */
static uint32_t any(void) {
    const uint32_t kind = below(8);
    return kind == 0   ? below(UINT32_MAX)
           : kind == 1 ? 65530 + below(12)
           : kind == 2 ? below(70000)
                       : below(300);
}

static int32_t any_signed(void) {
    const uint32_t kind = below(8);
    return kind == 0 ? (int32_t)below(UINT32_MAX) : kind == 1 ? INT32_MIN : between(-4, 2);
}

/* Every symbol that has a count, or may escape, through one lane. */
static void code_all(const ec_tables *t, const uint32_t *counts, uint32_t symbols, int escape) {
    uint16_t *in = take(symbols * sizeof *in), *out = take(symbols * sizeof *out);
    size_t n = 0;
    for (uint32_t k = 0; k < symbols; k++)
        if (counts[k] > 0 || (escape && counts[symbols] > 0)) in[n++] = (uint16_t)k;
    const size_t bound = ec_encode_bound(1, n);
    uint8_t *buffer = take(bound);
    ec_encoder e;
    ec_decoder d;
    assert(ec_encoder_init(&e, 1) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    assert(ec_encode_indexed(&e, 1, t, in, 2, NULL, 0, n) == EC_OK);
    assert(e.position >= 16); /* the head fits in front of the words */
    ec_encoder_states(&e, buffer + e.position - 4);
    assert(ec_decoder_init(&d, 1, buffer + e.position - 4, bound - e.position + 4) == EC_OK);
    assert(ec_decode_indexed(&d, 1, t, NULL, 0, n, out, 2) == EC_OK && ec_decoder_finish(&d) == EC_OK);
    assert(memcmp(in, out, n * sizeof *in) == 0);
    uint16_t *words = take(n * sizeof *words);
    ec_stack stack;
    assert(ec_stack_init(&stack, words, 0, n) == EC_OK);
    assert(ec_stack_push(&stack, t, in, NULL, n) == (escape ? EC_ERR_ARGUMENT : EC_OK));
    assert(ec_stack_pop(&stack, t, NULL, n, out) == (escape ? EC_ERR_ARGUMENT : EC_OK));
    assert(memcmp(in, out, n * sizeof *in) == 0 && stack.state == 65536 && stack.count == 0);
    drop(words);
    drop(in);
    drop(out);
    drop(buffer);
}

static void fsar(const ec_tables *t, uint32_t symbols) {
    const uint32_t order = below(6), groups = below(4);
    int32_t offsets[6][3];
    uint32_t sizes[6];
    uint64_t contexts = groups;
    for (uint32_t i = 0; i < order; i++) {
        for (int k = 0; k < 3; k++) offsets[i][k] = any_signed();
        sizes[i] = below(8) ? below(6) : any();
        contexts = contexts > EC_MAX_CONTEXTS ? contexts : contexts * sizes[i];
    }
    const int with_classes = below(2) > 0, with_map = with_classes && contexts < 100000 && below(2);
    const size_t states = (size_t)groups * order * (symbols + 1), entries = with_map ? (size_t)contexts : 0;
    uint16_t *classes = take(states * sizeof *classes);
    uint32_t *map = take(entries * sizeof *map);
    for (size_t i = 0; i < states; i++) classes[i] = (uint16_t)below(i < 64 ? 5 : 2);
    for (size_t i = 0; i < entries; i++) map[i] = below(3);
    ec_fsar *model;
    if (ec_fsar_create(t, offsets[0], order, groups, with_classes ? sizes : NULL,
                       with_classes ? classes : NULL, with_map ? map : NULL, &model) == EC_OK) {
        const uint32_t height = any(), width = any();
        const size_t scratch = ec_fsar_wave_scratch(model, 1 + below(32), height, width);
        assert(scratch == 0 || scratch >= 2 * (size_t)height * width);
        assert(ec_fsar_bytes(model) > 0);
        ec_fsar_free(model);
    }
    drop(classes);
    drop(map);
}

static void tables(void) {
    const uint32_t symbols = below(8) ? below(600) : any() % 70000, bits = below(20);
    const int escape = (int)below(2), layout = (int)below(5) - 1;
    const size_t count = below(4), alphabet = symbols + (uint32_t)escape;
    uint32_t *counts = take(count * alphabet * sizeof *counts);
    for (size_t i = 0; i < count; i++) {
        uint32_t sum = 0;
        for (size_t k = 0; k < alphabet; k++)
            sum += counts[i * alphabet + k] = below(4) ? below(3) : below(300);
        if (alphabet > 0 && below(8)) counts[i * alphabet + below((uint32_t)alphabet)] += (1u << bits) - sum;
    }
    ec_tables *t;
    if (ec_tables_create(counts, count, symbols, bits, escape, layout, &t) == EC_OK) {
        uint32_t *back = take(alphabet * sizeof *back);
        for (size_t i = 0; i < count; i++) {
            assert(ec_tables_counts(t, i, back) == EC_OK);
            assert(memcmp(back, counts + i * alphabet, alphabet * sizeof *back) == 0);
        }
        drop(back);
        code_all(t, counts, symbols, escape);
        fsar(t, symbols);
        ec_tables_free(t);
    }
    drop(counts);
}

static void pixels(void) {
    const uint32_t scales = below(4), colours = below(6);
    uint16_t *cdf = take((size_t)scales * EC_FINE_STEPS * sizeof *cdf);
    int16_t *lut = take(EC_LOGIT_LEVELS * sizeof *lut);
    uint32_t tap_counts[6], total = 0;
    int32_t taps[6 * 14][3], weights[6 * 14], bias[6];
    for (size_t i = 0; i < (size_t)scales * EC_FINE_STEPS; i++) {
        const uint16_t last = i % EC_FINE_STEPS > 0 ? cdf[i - 1] : 0;
        cdf[i] = i < 40 && below(8) == 0 ? (uint16_t)below(65536) : (uint16_t)(last + (last < 65280));
    }
    for (int32_t i = 0; i < EC_LOGIT_LEVELS; i++) lut[i] = (int16_t)(i < 8 ? between(-32768, 32767) : 4 * i);
    for (uint32_t c = 0; c < colours; c++) {
        bias[c] = below(2) ? any_signed() : between(-70000, 70000);
        tap_counts[c] = below(8) ? below(4) : below(14);
        for (uint32_t i = 0; i < tap_counts[c]; i++, total++) {
            for (int k = 0; k < 3; k++) taps[total][k] = any_signed();
            weights[total] = below(4) ? between(-300000, 300000) : any_signed();
        }
    }
    ec_pixels *model;
    if (ec_pixels_create(cdf, scales, lut, colours, tap_counts, taps[0], weights, bias, &model) == EC_OK) {
        case_t c = {.groups = 1, .lanes = 1 + below(3), .parts = 1}; /* and code with it, as a wave */
        part_t *part = &c.part[0];
        *part = (part_t){.kind = PIXELS_WAVE, .height = below(6), .width = below(6), .scale_count = scales};
        part->colours = colours;
        part->positions = (size_t)colours * part->height * part->width;
        part->cdf = cdf;
        part->lut = lut;
        memcpy(part->tap_counts, tap_counts, sizeof part->tap_counts);
        memcpy(part->bias, bias, sizeof part->bias);
        for (uint32_t i = 0; i < total; i++) {
            memcpy(part->taps[i], taps[i], sizeof part->taps[i]);
            part->weights[i] = weights[i];
        }
        stream_t stream;
        int same;
        random_data(part, 1);
        part->made_pixels = model;
        encode_case(&c, &stream);
        assert(decode_case(&c, &stream, &same) == EC_OK && same);
        drop_streams(&c, &stream);
        drop(part->data);
        drop(part->logits);
        drop(part->scales);
        ec_pixels_free(model);
    }
    drop(cdf);
    drop(lut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    feed_random(data, bytes);
    choose_isa();
    if (below(3))
        tables();
    else
        pixels();
    return 0;
}
