/* Bad tables are refused, good ones give their counts back. */
#include "cases.h"

static int create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, int escape,
                  int layout) {
    ec_tables *t;
    const int status = ec_tables_create(counts, tables, symbols, bits, escape, layout, &t);
    assert((status == EC_OK) == (t != NULL));
    if (status == EC_OK) {
        assert(strcmp(ec_tables_isa(t), ec_isa()) == 0);
        assert(ec_tables_bytes(t) > 0 && ec_tables_layout(t) != EC_LAYOUT_AUTO);
        assert(layout == EC_LAYOUT_AUTO || ec_tables_layout(t) == layout);
    }
    ec_tables_free(t);
    return status;
}

static void refusals(void) {
    const uint32_t good[4] = {100, 0, 155, 1};
    assert(create(good, 1, 4, 8, 0, EC_LAYOUT_AUTO) == EC_OK);
    assert(create(good, 1, 4, 8, 0, EC_LAYOUT_TREE) == EC_OK);
    assert(create(good, 1, 4, 8, 0, EC_LAYOUT_FUSED) == EC_OK);
    assert(create(good, 1, 3, 8, 1, EC_LAYOUT_AUTO) == EC_OK);
    assert(create(good, 1, 4, 9, 0, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(good, 1, 3, 8, 0, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(good, 2, 2, 8, 0, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(good, 1, 4, 7, 0, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 4, 17, 0, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 0, 4, 8, 0, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, SIZE_MAX, 4, 8, 0, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 0x7FFFFFFF, 4, 8, 0, EC_LAYOUT_AUTO) == EC_ERR_MEMORY);
    assert(create(good, 1, 0, 8, 0, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 65537, 8, 0, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 65536, 8, 1, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 4, 8, 0, EC_LAYOUT_BUCKETS) == EC_OK);
    assert(create(good, 1, 4, 8, 0, EC_LAYOUT_SPLITS + 1) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 257, 16, 1, EC_LAYOUT_BUCKETS) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 257, 16, 1, EC_LAYOUT_SPLITS) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 4, 8, 0, -1) == EC_ERR_ARGUMENT);
    const uint32_t all_escape[257] = {[256] = 256};
    assert(create(all_escape, 1, 256, 8, 1, EC_LAYOUT_SPLITS) == EC_ERR_ARGUMENT);
    assert(create(all_escape, 1, 256, 8, 1, EC_LAYOUT_BUCKETS) == EC_OK);
    const uint32_t wraps[2] = {0xFFFFFFFFu, 257}; /* sums to 256 modulo 2^32 */
    assert(create(wraps, 1, 2, 8, 0, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    const uint32_t whole16[2] = {65536, 0}, most16[2] = {65535, 1}, late16[3] = {0, 1, 65535};
    const uint32_t whole15[2] = {0, 32768};
    assert(create(whole16, 1, 2, 16, 0, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(late16, 1, 3, 16, 0, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(most16, 1, 2, 16, 0, EC_LAYOUT_AUTO) == EC_OK);
    assert(create(most16, 1, 2, 16, 0, EC_LAYOUT_FUSED) == EC_ERR_ARGUMENT); /* no room in 32 bits */
    assert(create(most16, 1, 1, 16, 1, EC_LAYOUT_FUSED) == EC_ERR_ARGUMENT);
    assert(create(whole15, 1, 2, 15, 0, EC_LAYOUT_FUSED) == EC_OK);
    assert(create(whole15, 1, 1, 15, 1, EC_LAYOUT_TREE) == EC_OK); /* nothing but escapes */
}

static void counts_come_back(void) {
    const uint32_t alphabets[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 255, 256, 257, 4096, 4097, 65535, 65536};
    for (uint32_t bits = 8; bits <= 16; bits++)
        for (size_t a = 0; a < sizeof alphabets / sizeof alphabets[0]; a++) {
            const uint32_t alphabet = alphabets[a];
            if (bits == 16 && alphabet == 1) continue;
            const int escape = alphabet > 1 && below(2);
            uint32_t *counts = take(3 * alphabet * sizeof *counts), *back = take(alphabet * sizeof *back);
            for (size_t i = 0; i < 3; i++) random_counts(counts + i * alphabet, alphabet, bits);
            ec_tables *t;
            assert(ec_tables_create(counts, 3, alphabet - (uint32_t)escape, bits, escape, EC_LAYOUT_AUTO,
                                    &t) == EC_OK);
            for (size_t i = 0; i < 3; i++) {
                assert(ec_tables_counts(t, i, back) == EC_OK);
                assert(memcmp(back, counts + i * alphabet, alphabet * sizeof *back) == 0);
            }
            assert(ec_tables_counts(t, 3, back) == EC_ERR_INDEX);
            ec_tables_free(t);
            drop(counts);
            drop(back);
        }
}

int main(void) {
    on_every_isa(refusals);
    on_every_isa(counts_come_back);
    puts("tables ok");
    return 0;
}
