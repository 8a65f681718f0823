/* The stack: round trips of every kind of push, sampling and putting back, and refusals that change nothing.
 */
#include "cases.h"
#include "rows_common.h"

enum { ROOM = 4000 };

static ec_stack noisy_stack(uint16_t *words, size_t count) {
    ec_stack s;
    for (size_t i = 0; i < count; i++) words[i] = (uint16_t)below(65536);
    assert(ec_stack_init(&s, words, count, ROOM) == EC_OK);
    assert(s.state == 65536u + words[count - 1] && s.count == count - 1 && s.capacity == ROOM);
    return s;
}

static int equal(const ec_stack *a, const ec_stack *b) {
    return a->state == b->state && a->count == b->count && a->words == b->words && a->capacity == b->capacity;
}

/* What is pushed is popped, whatever lies below, and sampled symbols can be put back. */
static void round_trip(size_t n, uint32_t symbols, uint32_t bits) {
    const size_t tables = 1 + below(5);
    uint32_t *counts = take(tables * symbols * sizeof *counts);
    ec_tables *t;
    for (size_t i = 0; i < tables; i++) random_counts(counts + i * symbols, symbols, bits);
    assert(ec_tables_create(counts, tables, symbols, bits, 0, below(2) ? EC_LAYOUT_TREE : EC_LAYOUT_AUTO,
                            &t) == EC_OK);
    uint16_t *words = take(2 * ROOM), *initial = take(2 * ROOM);
    uint16_t *a = take(2 * n), *b = take(2 * n), *c = take(2 * n), *out = take(2 * n);
    uint16_t *starts = take(2 * n * symbols);
    uint32_t *index = take(4 * n);
    ec_stack s = noisy_stack(words, 1000);
    const ec_stack bottom = s;
    memcpy(initial, words, 2000);
    const uint32_t raw = 1 + below(16);
    const uint32_t *ids = tables > 1 ? index : NULL;
    for (size_t i = 0; i < n; i++) {
        index[i] = ids != NULL ? below((uint32_t)tables) : 0;
        do a[i] = (uint16_t)below(symbols);
        while (counts[index[i] * symbols + a[i]] == 0);
        random_row(starts + i * symbols, symbols, bits);
        b[i] = row_symbol(starts + i * symbols, symbols, bits);
        c[i] = (uint16_t)below(1u << raw);
    }
    assert(ec_stack_push(&s, t, a, ids, n) == EC_OK);
    assert(ec_stack_push_rows(&s, starts, symbols, bits, b, n) == EC_OK);
    assert(ec_stack_push_bits(&s, raw, c, n) == EC_OK);
    assert(memcmp(initial, words, 1998) == 0);
    assert(ec_stack_pop_bits(&s, raw, n, out) == EC_OK);
    assert(n == 0 || memcmp(out, c, 2 * n) == 0);
    assert(ec_stack_pop_rows(&s, starts, symbols, bits, n, out) == EC_OK);
    assert(n == 0 || memcmp(out, b, 2 * n) == 0);
    assert(ec_stack_pop(&s, t, ids, n, out) == EC_OK);
    assert(n == 0 || memcmp(out, a, 2 * n) == 0);
    assert(equal(&s, &bottom));

    if (n <= 300) { /* bits-back: samples paid from the initial words */
        assert(ec_stack_pop(&s, t, ids, n, a) == EC_OK);
        for (size_t i = 0; i < n; i++) assert(a[i] < symbols && counts[index[i] * symbols + a[i]] > 0);
        assert(ec_stack_pop_rows(&s, starts, symbols, bits, n, b) == EC_OK);
        for (size_t i = 0; i < n; i++) assert(row_count(starts + i * symbols, symbols, bits, b[i]) > 0);
        assert(ec_stack_pop_bits(&s, raw, n, c) == EC_OK);
        assert(n * raw <= 16 || s.count < bottom.count); /* more bits than the state can pay */
        assert(ec_stack_push_bits(&s, raw, c, n) == EC_OK);
        assert(ec_stack_push_rows(&s, starts, symbols, bits, b, n) == EC_OK);
        assert(ec_stack_push(&s, t, a, ids, n) == EC_OK);
        assert(equal(&s, &bottom) && memcmp(initial, words, 1998) == 0);
    }
    /* One at a time is the same as all at once, in reverse. */
    ec_stack one = s;
    for (size_t i = n; i-- > 0;)
        assert(ec_stack_push(&one, t, a + i, ids != NULL ? ids + i : NULL, 1) == EC_OK);
    const uint16_t top = one.count > 0 ? words[one.count - 1] : 0;
    assert(ec_stack_push(&s, t, a, ids, n) == EC_OK);
    assert(equal(&one, &s) && (s.count == 0 || words[s.count - 1] == top));
    ec_tables_free(t);
    void *const all[] = {words, initial, a, b, c, out, starts, index, counts};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) drop(all[i]);
}

static void round_trips(void) {
    for (uint32_t bits = 8; bits <= 16; bits++)
        for (int i = 0; i < 12; i++)
            round_trip(below(below(2) ? 10 : 900), 2 + below(below(2) ? 6 : 250), bits);
    for (uint32_t symbols = 16; symbols <= 33; symbols++) round_trip(100, symbols, 10); /* 1, 2, 3 nodes */
    round_trip(5, 700, 12);
}

/* Zero counts, also at the end of a row of 2^16, where starts do not fit 16 bits. */
static void zero_counts(void) {
    const uint32_t counts[3][7] = {
        {1, 0, 65534, 0, 1, 0, 0}, {30000, 35536, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 65535}};
    uint16_t words[200], got[300];
    uint32_t index[300];
    ec_tables *t;
    ec_stack s;
    assert(ec_tables_create(counts[0], 3, 7, 16, 0, EC_LAYOUT_AUTO, &t) == EC_OK);
    for (size_t i = 0; i < 300; i++) index[i] = below(3);
    for (size_t i = 0; i < 200; i++) words[i] = (uint16_t)below(65536);
    assert(ec_stack_init(&s, words, 200, 200) == EC_OK);
    const ec_stack before = s;
    assert(ec_stack_pop(&s, t, index, 300, got) == EC_OK);
    for (size_t i = 0; i < 300; i++) assert(counts[index[i]][got[i]] > 0);
    assert(ec_stack_push(&s, t, got, index, 300) == EC_OK);
    assert(equal(&s, &before));
    ec_tables_free(t);
}

static void refusals(void) {
    const uint32_t counts[4] = {0, 200, 56, 0};
    const uint16_t rows[2][3] = {{0, 100, 100}, {0, 10, 20}};
    const uint16_t bad[2][3] = {{0, 100, 100}, {0, 10, 9}};
    ec_tables *t;
    assert(ec_tables_create(counts, 1, 4, 8, 0, EC_LAYOUT_AUTO, &t) == EC_OK);
    uint16_t words[2] = {3, 4}, symbols[100] = {0}, out[100];
    uint32_t index[100] = {0};
    ec_stack s, before;
    assert(ec_stack_init(&s, words, 3, 2) == EC_ERR_ARGUMENT);
    assert(ec_stack_init(&s, NULL, 0, 0) == EC_OK && s.state == 65536 && s.count == 0);
    assert(ec_stack_init(&s, words, 2, 2) == EC_OK);
    before = s;
    for (int i = 0; i < 100; i++) symbols[i] = 2;
    assert(ec_stack_push(&s, t, symbols, NULL, 100) == EC_ERR_CAPACITY && equal(&s, &before) &&
           words[0] == 3);
    assert(ec_stack_push_bits(&s, 16, symbols, 3) == EC_ERR_CAPACITY && equal(&s, &before) && words[0] == 3);
    assert(ec_stack_pop_bits(&s, 16, 2, out) == EC_ERR_TRUNCATED && equal(&s, &before));
    assert(ec_stack_pop(&s, t, NULL, 100, out) == EC_ERR_TRUNCATED && equal(&s, &before));
    symbols[50] = 0;
    assert(ec_stack_push(&s, t, symbols + 50, NULL, 1) == EC_ERR_SYMBOL && equal(&s, &before));
    symbols[50] = 4;
    assert(ec_stack_push(&s, t, symbols + 50, NULL, 1) == EC_ERR_SYMBOL && equal(&s, &before));
    index[1] = 1;
    assert(ec_stack_push(&s, t, symbols, index, 2) == EC_ERR_INDEX && equal(&s, &before));
    assert(ec_stack_pop(&s, t, index, 2, out) == EC_ERR_INDEX && equal(&s, &before));
    assert(ec_stack_push_rows(&s, bad[0], 3, 8, symbols, 2) == EC_ERR_TABLE && equal(&s, &before));
    assert(ec_stack_pop_rows(&s, bad[0], 3, 8, 2, out) == EC_ERR_TABLE && equal(&s, &before));
    symbols[0] = 1; /* without slots in the first row */
    assert(ec_stack_push_rows(&s, rows[0], 3, 8, symbols, 2) == EC_ERR_SYMBOL && equal(&s, &before));
    symbols[0] = 3;
    assert(ec_stack_push_rows(&s, rows[0], 3, 8, symbols, 2) == EC_ERR_SYMBOL && equal(&s, &before));
    assert(ec_stack_push_rows(&s, rows[0], 0, 8, symbols, 2) == EC_ERR_ARGUMENT);
    assert(ec_stack_pop_rows(&s, rows[0], 65537, 8, 2, out) == EC_ERR_ARGUMENT);
    assert(ec_stack_push_rows(&s, rows[0], 3, 7, symbols, 2) == EC_ERR_ARGUMENT);
    assert(ec_stack_pop_rows(&s, rows[0], 3, 17, 2, out) == EC_ERR_ARGUMENT);
    symbols[0] = 32;
    assert(ec_stack_push_bits(&s, 5, symbols, 1) == EC_ERR_SYMBOL && equal(&s, &before));
    assert(ec_stack_push_bits(&s, 0, symbols, 1) == EC_ERR_ARGUMENT);
    assert(ec_stack_push_bits(&s, 17, symbols, 1) == EC_ERR_ARGUMENT);
    assert(ec_stack_pop_bits(&s, 0, 1, out) == EC_ERR_ARGUMENT);
    assert(ec_stack_pop_bits(&s, 17, 1, out) == EC_ERR_ARGUMENT);
    assert(equal(&s, &before));
    /* A buffer filled to the last word is fine. */
    assert(ec_stack_push_bits(&s, 16, symbols, 1) == EC_OK && s.count == 2);
    assert(ec_stack_pop_bits(&s, 16, 2, out) == EC_OK && out[0] == 32 && out[1] == 4);
    assert(s.count == 0 && s.state == 65539);
    ec_tables_free(t);

    /* Tables with an escape, even for symbols that have a count, even for none. */
    before = s;
    symbols[0] = 1;
    assert(ec_tables_create(counts, 1, 3, 8, 1, EC_LAYOUT_AUTO, &t) == EC_OK);
    assert(ec_stack_push(&s, t, symbols, NULL, 1) == EC_ERR_ARGUMENT && equal(&s, &before));
    assert(ec_stack_pop(&s, t, NULL, 1, out) == EC_ERR_ARGUMENT && equal(&s, &before));
    assert(ec_stack_push(&s, t, symbols, NULL, 0) == EC_ERR_ARGUMENT);
    assert(ec_stack_pop(&s, t, NULL, 0, out) == EC_ERR_ARGUMENT);
    ec_tables_free(t);
}

int main(void) {
    on_every_isa(round_trips);
    on_every_isa(zero_counts);
    refusals();
    puts("stack ok");
    return 0;
}
