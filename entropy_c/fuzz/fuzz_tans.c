/* tANS: the first bytes describe automata and sizes, the rest is taken for streams; then a round trip of
 * codable symbols. */
#include "fuzz.h"

enum { MOST_STREAMS = 40 };

static void decode(const ec_tans *t, size_t tables, const uint8_t *data, size_t bytes) {
    const size_t streams = below(MOST_STREAMS), positions = below(60), n = streams * positions;
    size_t sizes[MOST_STREAMS], left = bytes;
    for (size_t i = 0; i < streams; i++) {
        sizes[i] = i + 1 < streams ? below(20) : left;
        if (sizes[i] > left && below(8)) sizes[i] = left;
        left -= sizes[i] < left ? sizes[i] : left;
    }
    if (streams > 0 && below(8) == 0) sizes[below((uint32_t)streams)] = SIZE_MAX - below(3);
    uint32_t *index = take(n * sizeof *index);
    uint16_t *out = take(n * sizeof *out);
    uint8_t *exact = copy_of(data, bytes);
    for (size_t i = 0; i < n; i++) index[i] = below((uint32_t)tables);
    const int status = ec_tans_decode(t, index, streams, positions, exact, bytes, sizes, out);
    assert(status == EC_OK || status == EC_ERR_TRUNCATED || status == EC_ERR_DAMAGED);
    drop(index);
    drop(out);
    drop(exact);
}

static void round_trip(const ec_tans *t, const uint32_t *counts, size_t tables, uint32_t symbols) {
    const size_t streams = below(MOST_STREAMS), positions = below(30), n = streams * positions;
    const size_t bound = ec_tans_bound(t, streams, positions);
    uint32_t *index = take(n * sizeof *index);
    uint16_t *in = take(n * sizeof *in), *out = take(n * sizeof *out);
    uint8_t *buffer = take(bound);
    size_t sizes[MOST_STREAMS], bytes = 0;
    for (size_t i = 0; i < n; i++) {
        index[i] = below((uint32_t)tables);
        in[i] = (uint16_t)below(symbols);
        while (counts[index[i] * symbols + in[i]] == 0) in[i] = (uint16_t)((in[i] + 1u) % symbols);
    }
    assert(ec_tans_encode(t, in, index, streams, positions, buffer, bound, sizes) == EC_OK);
    for (size_t i = 0; i < streams; i++) bytes += sizes[i];
    uint8_t *exact = copy_of(buffer, bytes);
    assert(ec_tans_decode(t, index, streams, positions, exact, bytes, sizes, out) == EC_OK);
    assert(n == 0 || memcmp(in, out, n * sizeof *in) == 0);
    void *const all[] = {index, in, out, buffer, exact};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) drop(all[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 1) return 0;
    const size_t rest = bytes - 1, head = data[0] < rest ? data[0] : rest;
    feed_random(data + 1, head);
    const uint32_t bits = 8 + below(5), symbols = 1 + below(below(4) ? 20 : 300);
    const size_t tables = 1 + below(4);
    uint32_t *counts = take(tables * symbols * sizeof *counts);
    memset(counts, 0, tables * symbols * sizeof *counts);
    for (size_t i = 0; i < tables; i++)
        for (uint32_t left = 1u << bits; left > 0;) {
            const uint32_t more = 1 + below(left);
            counts[i * symbols + below(symbols)] += more;
            left -= more;
        }
    ec_tans *t;
    assert(ec_tans_create(counts, tables, symbols, bits, &t) == EC_OK);
    decode(t, tables, data + 1 + head, rest - head);
    round_trip(t, counts, tables, symbols);
    ec_tans_free(t);
    drop(counts);
    return 0;
}
