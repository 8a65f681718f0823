/* Bad tables are refused, good ones give their counts back. */
#include "common.h"

static int create(const uint32_t *counts, size_t tables, uint32_t symbols, uint32_t bits, int layout) {
    ec_tables *t;
    const int status = ec_tables_create(counts, tables, symbols, bits, layout, &t);
    assert((status == EC_OK) == (t != NULL));
    ec_tables_free(t);
    return status;
}

int main(void) {
    const uint32_t good[4] = {100, 0, 155, 1};
    assert(create(good, 1, 4, 8, EC_LAYOUT_AUTO) == EC_OK);
    assert(create(good, 1, 4, 8, EC_LAYOUT_BUCKETED) == EC_OK);
    assert(create(good, 1, 4, 9, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(good, 1, 3, 8, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(good, 2, 2, 8, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(good, 1, 4, 7, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 4, 17, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 0, 4, 8, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 0, 8, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 65536, 8, EC_LAYOUT_AUTO) == EC_ERR_ARGUMENT);
    assert(create(good, 1, 4, 8, 3) == EC_ERR_ARGUMENT);
    const uint32_t wraps[2] = {0xFFFFFFFFu, 257}; /* sums to 256 modulo 2^32 */
    assert(create(wraps, 1, 2, 8, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    const uint32_t whole16[2] = {65536, 0}, most16[2] = {65535, 1}, whole15[2] = {0, 32768};
    assert(create(whole16, 1, 2, 16, EC_LAYOUT_AUTO) == EC_ERR_TABLE);
    assert(create(most16, 1, 2, 16, EC_LAYOUT_AUTO) == EC_OK);
    assert(create(most16, 1, 2, 16, EC_LAYOUT_FUSED) == EC_ERR_ARGUMENT); /* entries would not fit 32 bits */
    assert(create(whole15, 1, 2, 15, EC_LAYOUT_FUSED) == EC_OK);

    const uint32_t alphabets[] = {1, 2, 3, 32, 255, 256, 257, 4096, 65535};
    for (uint32_t bits = 8; bits <= 16; bits++)
        for (size_t a = 0; a < sizeof alphabets / sizeof alphabets[0]; a++) {
            const uint32_t symbols = alphabets[a];
            if (symbols > 1u << bits || (bits == 16 && symbols == 1)) continue;
            uint32_t *counts = random_counts(3, symbols, bits), *back = take(symbols * sizeof *back);
            ec_tables *t;
            assert(ec_tables_create(counts, 3, symbols, bits, EC_LAYOUT_AUTO, &t) == EC_OK);
            assert(ec_tables_bytes(t) > 0 && ec_tables_layout(t) != EC_LAYOUT_AUTO);
            for (size_t i = 0; i < 3; i++) {
                assert(ec_tables_counts(t, i, back) == EC_OK);
                assert(memcmp(back, counts + i * symbols, symbols * sizeof *back) == 0);
            }
            assert(ec_tables_counts(t, 3, back) == EC_ERR_INDEX);
            ec_tables_free(t);
            free(counts);
            free(back);
        }
    puts("tables ok");
    return 0;
}
