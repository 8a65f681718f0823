/* No byte outside an array is touched: random cases whose every array, scratch, stream and model ends right
 * before an unreadable page, then begins right behind one. The sanitizers see most of this, too, but not on
 * every machine and not in every instruction. Linked with --wrap, so that the library's own memory is guarded
 * as well. Argument: the number of cases. */
#include "cases.h"

void *__real_malloc(size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t bytes) { return guard == GUARD_NONE ? __real_malloc(bytes) : take(bytes); }

void *__wrap_calloc(size_t count, size_t bytes) {
    void *memory = __wrap_malloc(count * bytes);
    return memset(memory, 0, count * bytes);
}

/* Pages are aligned, and so is what ends with one, if its size is. */
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    assert(bytes % alignment == 0 && guard != GUARD_NONE);
    return __wrap_malloc(bytes);
}

void __wrap_free(void *memory) {
    if (!drop_guarded(memory)) __real_free(memory);
}

static size_t cases = 60;

static void damage(stream_t *stream) {
    if (stream->bytes > 0) stream->data[below((uint32_t)stream->bytes)] ^= (uint8_t)(1 + below(255));
    const size_t left = stream->bytes - below((uint32_t)stream->bytes / 4 + 1);
    uint8_t *shorter = copy_of(stream->data, left);
    drop(stream->data);
    *stream = (stream_t){shorter, left};
}

static void check(void) {
    for (uint32_t number = 0; number < cases; number++) {
        case_t c;
        stream_t streams[3];
        int same;
        guard = number % 2 ? GUARD_AFTER : GUARD_BEFORE;
        random_case(&c, ~0u, 9);
        open_case(&c);
        encode_case(&c, streams);
        assert(decode_case(&c, streams, &same) == EC_OK && same);
        for (int i = 0; i < 3; i++) {
            damage(&streams[c.groups - 1]);
            assert(decode_case(&c, streams, &same) <= 0);
        }
        for (uint32_t i = 0; i < c.parts; i++) {
            const part_t *part = &c.part[i];
            if (part->made_fsar == NULL) continue;
            const uint32_t images = is_wave(part->kind) ? 1 : c.images;
            uint32_t *ids = take(images * part->positions * sizeof *ids);
            assert(ec_fsar_table_ids(part->made_fsar, part->data, images, part->height, part->width, ids) ==
                   EC_OK);
            drop(ids);
        }
        close_case(&c);
        drop_streams(&c, streams);
        drop_case(&c);
        guard = GUARD_NONE;
    }
}

/* Nothing but escapes of 16 + 16 bits: two words for every symbol, the bound to the byte. */
static void full_buffer(void) {
    enum { SYMBOLS = 65535, POSITIONS = 5, LANES = 11, N = LANES * POSITIONS };
    guard = GUARD_BEFORE;
    uint32_t *counts = take((SYMBOLS + 1) * sizeof *counts);
    memset(counts, 0, (SYMBOLS + 1) * sizeof *counts);
    counts[0] = 65535;
    counts[SYMBOLS] = 1;
    ec_tables *t;
    ec_encoder e;
    assert(ec_tables_create(counts, 1, SYMBOLS, 16, 1, EC_LAYOUT_AUTO, &t) == EC_OK);
    const size_t bound = ec_encode_bound(LANES, POSITIONS);
    uint8_t *buffer = take(bound);
    uint16_t *symbols = take(N * sizeof *symbols);
    for (size_t i = 0; i < N; i++) symbols[i] = (uint16_t)(1 + below(SYMBOLS - 1));
    assert(ec_encoder_init(&e, LANES) == EC_OK);
    ec_encoder_attach(&e, buffer, bound);
    assert(ec_encode_indexed(&e, 1, t, symbols, 2, NULL, 0, POSITIONS) == EC_OK);
    assert(e.position == bound - 4 * N && e.position == 16);
    ec_tables_free(t);
    drop(counts);
    drop(buffer);
    drop(symbols);
    guard = GUARD_NONE;
}

int main(int argc, char **argv) {
    cases = argument(argc, argv, cases);
    on_every_isa(full_buffer);
    on_every_isa(check);
    printf("guard ok: %zu cases\n", cases);
    return 0;
}
