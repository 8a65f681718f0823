/* tANS: round trips over random geometries, degenerate tables, equality of FSAR and indexed streams, damage.
 */
#include "cases.h"

/* Random counts with many zeros; one row in six gives everything to one symbol. */
static uint32_t *sparse_counts(size_t tables, uint32_t symbols, uint32_t bits) {
    uint32_t *counts = take(tables * symbols * sizeof *counts);
    memset(counts, 0, tables * symbols * sizeof *counts);
    for (size_t i = 0; i < tables; i++) {
        uint32_t *row = counts + i * symbols, left = 1u << bits;
        if (below(6) > 0)
            for (uint32_t tries = below(2 * symbols); tries > 0 && left > 1; tries--) {
                const uint32_t part = 1 + below(below(3) == 0 ? left - 1 : (left + 39) / 40);
                row[below(symbols)] += part;
                left -= part;
            }
        row[below(symbols)] += left;
    }
    return counts;
}

static void indexed(size_t streams, size_t positions, size_t tables, uint32_t symbols, uint32_t bits) {
    uint32_t *counts = sparse_counts(tables, symbols, bits);
    ec_tans *t;
    assert(ec_tans_create(counts, tables, symbols, bits, &t) == EC_OK);
    assert(ec_tans_bytes(t) > tables * ((6u << bits) + 4 * symbols));
    const size_t n = streams * positions, bound = ec_tans_bound(t, streams, positions);
    uint16_t *in = take(2 * n), *out = take(2 * n);
    uint32_t *index = take(4 * n);
    uint8_t *buffer = take(bound);
    size_t *sizes = take(streams * sizeof *sizes), bytes = 0;
    const int named = tables > 1;
    for (size_t i = 0; i < n; i++) {
        index[i] = named ? below((uint32_t)tables) : 0;
        do in[i] = (uint16_t)below(symbols);
        while (counts[index[i] * symbols + in[i]] == 0);
    }
    const uint32_t *ids = named ? index : NULL;
    assert(ec_tans_encode(t, in, ids, streams, positions, buffer, bound, sizes) == EC_OK);
    for (size_t i = 0; i < streams; i++) bytes += sizes[i];
    assert(bytes <= bound);
    uint8_t *exact = copy_of(buffer, bytes);
    assert(ec_tans_decode(t, ids, streams, positions, exact, bytes, sizes, out) == EC_OK);
    assert(n == 0 || memcmp(in, out, 2 * n) == 0);

    const uint8_t *alone = exact; /* every stream decodes by itself */
    for (size_t i = 0; i < streams; alone += sizes[i++]) {
        memset(out, 0xFF, 2 * n);
        const uint32_t *own = named ? index + i * positions : NULL;
        assert(ec_tans_decode(t, own, 1, positions, alone, sizes[i], sizes + i, out) == EC_OK);
        assert(positions == 0 || memcmp(in + i * positions, out, 2 * positions) == 0);
    }
    if (bytes > 0) {
        assert(ec_tans_decode(t, ids, streams, positions, exact, bytes - 1, sizes, out) == EC_ERR_TRUNCATED);
        sizes[0] = SIZE_MAX;
        assert(ec_tans_decode(t, ids, streams, positions, exact, bytes, sizes, out) == EC_ERR_TRUNCATED);
        assert(ec_tans_encode(t, in, ids, streams, positions, buffer, bound - 1, sizes) == EC_ERR_CAPACITY);
    }
    if (n > 0) {
        const size_t at = below((uint32_t)n);
        const uint16_t good = in[at];
        in[at] = (uint16_t)symbols;
        assert(ec_tans_encode(t, in, ids, streams, positions, buffer, bound, sizes) == EC_ERR_SYMBOL);
        const uint32_t *row = counts + index[at] * symbols;
        for (uint32_t k = 0; k < symbols; k++)
            if (row[k] == 0) {
                in[at] = (uint16_t)k;
                assert(ec_tans_encode(t, in, ids, streams, positions, buffer, bound, sizes) == EC_ERR_SYMBOL);
                break;
            }
        in[at] = good;
        index[at] = (uint32_t)tables;
        if (named) {
            assert(ec_tans_encode(t, in, index, streams, positions, buffer, bound, sizes) == EC_ERR_INDEX);
            for (size_t i = 0; i < streams; i++) sizes[i] = 4;
            uint8_t *ones = take(4 * streams);
            memset(ones, 1, 4 * streams);
            assert(ec_tans_decode(t, index, streams, positions, ones, 4 * streams, sizes, out) != EC_OK);
            drop(ones);
        }
    }
    void *const all[] = {exact, sizes, buffer, index, in, out, counts};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) drop(all[i]);
    ec_tans_free(t);
}

/* A random case of one FSAR part that tANS can code with the same counts. */
static void random_latents(case_t *c) {
    for (;;) {
        random_case(c, 1u << FSAR, 8);
        if (!c->part[0].escape && c->part[0].bits <= 12) return;
        drop_case(c);
    }
}

/* One stream per image, the same as of symbols with named tables. */
static void latents_round_trip(void) {
    case_t c;
    ec_tans *t;
    random_latents(&c);
    open_case(&c);
    const part_t *part = &c.part[0];
    const ec_fsar *fsar = part->made_fsar;
    const uint32_t images = c.images, h = part->height, w = part->width;
    assert(ec_tans_create(part->counts, part->tables, part->symbols, part->bits, &t) == EC_OK);
    const size_t image = part->positions, n = images * image, bound = ec_tans_bound(t, images, image);
    uint16_t *in = part->data, *out = take(2 * n);
    uint32_t *index = take(4 * n);
    uint8_t *one = take(bound), *two = take(bound);
    size_t *sizes = take(images * sizeof *sizes), *others = take(images * sizeof *others), bytes = 0;
    assert(ec_fsar_table_ids(fsar, in, images, h, w, index) == EC_OK);
    assert(ec_tans_encode_fsar(t, fsar, in, images, h, w, one, bound, sizes) == EC_OK);
    assert(ec_tans_encode(t, in, index, images, image, two, bound, others) == EC_OK);
    for (uint32_t i = 0; i < images; i++) {
        assert(sizes[i] == others[i]);
        bytes += sizes[i];
    }
    assert(memcmp(one, two, bytes) == 0);
    uint8_t *exact = copy_of(one, bytes);
    assert(ec_tans_decode_fsar(t, fsar, images, h, w, exact, bytes, sizes, out) == EC_OK);
    assert(n == 0 || memcmp(in, out, 2 * n) == 0);
    drop(exact);
    const size_t last = sizes[images - 1]; /* the last image by itself */
    exact = copy_of(one + bytes - last, last);
    memset(out, 0xFF, 2 * n);
    assert(ec_tans_decode_fsar(t, fsar, 1, h, w, exact, last, &last, out) == EC_OK);
    assert(image == 0 || memcmp(in + n - image, out, 2 * image) == 0);
    assert(ec_tans_encode_fsar(t, fsar, in, images, h, w, one, bound - 1, sizes) == EC_ERR_CAPACITY);
    assert(ec_tans_encode_fsar(t, fsar, in, 0, h, w, one, 0, sizes) == EC_OK);
    assert(ec_tans_decode_fsar(t, fsar, 0, h, w, one, 0, sizes, out) == EC_OK);
    if (n > 0) {
        in[n - 1] = (uint16_t)part->symbols;
        assert(ec_tans_encode_fsar(t, fsar, in, images, h, w, one, bound, sizes) == EC_ERR_SYMBOL);
    }
    void *const all[] = {out, index, one, two, sizes, others, exact};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) drop(all[i]);
    ec_tans_free(t);
    close_case(&c);
    drop_case(&c);
}

static void latents(void) {
    for (int i = 0; i < 60; i++) latents_round_trip();
}

typedef struct model_t {
    ec_tables *tables;
    ec_tans *tans;
    ec_fsar *fsar;
} model_t;

/* Order 2 (above, left) over the same counts for both coders, every symbol with a count. */
static model_t some_model(uint32_t symbols, uint32_t groups, uint32_t bits) {
    const int32_t offsets[6] = {0, -1, 0, 0, 0, -1};
    const size_t number = (size_t)groups * (symbols + 1) * (symbols + 1);
    uint64_t *weights = take(number * symbols * sizeof *weights);
    uint32_t *counts = take(number * symbols * sizeof *counts);
    model_t m;
    for (size_t i = 0; i < number * symbols; i++) weights[i] = 1 + below(1u << between(1, 31));
    assert(ec_counts_from_weights(weights, number, symbols, bits, EC_COUNTS_EVERY, counts) == EC_OK);
    assert(ec_tables_create(counts, number, symbols, bits, 0, EC_LAYOUT_AUTO, &m.tables) == EC_OK);
    assert(ec_tans_create(counts, number, symbols, bits, &m.tans) == EC_OK);
    assert(ec_fsar_create(m.tables, offsets, 2, groups, NULL, NULL, NULL, &m.fsar) == EC_OK);
    drop(weights);
    drop(counts);
    return m;
}

static void free_model(model_t *m) {
    ec_fsar_free(m->fsar);
    ec_tans_free(m->tans);
    ec_tables_free(m->tables);
}

static void refusals(void) {
    ec_tans *t, *other;
    ec_fsar *fsar;
    const uint32_t good[4] = {100, 156, 256, 0};
    const uint32_t bad[4] = {100, 155, UINT32_MAX, 257};
    assert(ec_tans_create(good, 1, 2, 7, &t) == EC_ERR_ARGUMENT && t == NULL);
    assert(ec_tans_create(good, 1, 2, 13, &t) == EC_ERR_ARGUMENT);
    assert(ec_tans_create(good, 0, 2, 8, &t) == EC_ERR_ARGUMENT);
    assert(ec_tans_create(good, 1, 0, 8, &t) == EC_ERR_ARGUMENT);
    assert(ec_tans_create(good, 1, 65536, 8, &t) == EC_ERR_ARGUMENT);
    assert(ec_tans_create(good, SIZE_MAX, 2, 8, &t) == EC_ERR_ARGUMENT);
    assert(ec_tans_create(good, EC_TANS_LIMIT / (6 * 256 + 8) + 1, 2, 8, &t) == EC_ERR_ARGUMENT);
    assert(ec_tans_create(bad, 1, 2, 8, &t) == EC_ERR_TABLE);
    assert(ec_tans_create(bad + 2, 1, 2, 8, &t) == EC_ERR_TABLE); /* 256 modulo 2^32 */
    assert(ec_tans_create(good, 2, 2, 8, &t) == EC_OK);
    assert(ec_tans_bound(t, SIZE_MAX, 1) == SIZE_MAX && ec_tans_bound(t, 2, SIZE_MAX / 2) == SIZE_MAX);
    assert(ec_tans_bound(t, 0, SIZE_MAX) == 0);

    /* The model's tables must agree in number and in symbols. */
    const uint32_t counts[6] = {100, 156, 100, 156, 100, 156};
    const uint32_t three[6] = {100, 56, 100, 100, 56, 100};
    uint16_t zero[3] = {0};
    uint8_t buffer[64];
    size_t size = 0;
    ec_tables *tables;
    for (uint32_t symbols = 2; symbols <= 3; symbols++) {
        const uint32_t number = symbols == 2 ? 3 : 2;
        assert(ec_tables_create(symbols == 2 ? counts : three, number, symbols, 8, 0, EC_LAYOUT_AUTO,
                                &tables) == EC_OK);
        assert(ec_fsar_create(tables, NULL, 0, number, NULL, NULL, NULL, &fsar) == EC_OK);
        assert(ec_tans_encode_fsar(t, fsar, zero, 1, 1, 1, buffer, 64, &size) == EC_ERR_ARGUMENT);
        assert(ec_tans_decode_fsar(t, fsar, 1, 1, 1, buffer, 2, &size, zero) == EC_ERR_ARGUMENT);
        ec_fsar_free(fsar);
        ec_tables_free(tables);
    }
    assert(ec_tables_create(counts, 1, 2, 8, 0, EC_LAYOUT_AUTO, &tables) == EC_OK);
    assert(ec_fsar_create(tables, NULL, 0, 1, NULL, NULL, NULL, &fsar) == EC_OK);
    assert(ec_tans_create(good, 1, 2, 8, &other) == EC_OK);
    assert(ec_tans_encode_fsar(other, fsar, zero, 1, UINT32_MAX, UINT32_MAX, buffer, 64, &size) ==
           EC_ERR_ARGUMENT);
    assert(ec_tans_decode_fsar(other, fsar, 1, UINT32_MAX, UINT32_MAX, buffer, 2, &size, zero) ==
           EC_ERR_ARGUMENT);
    ec_fsar_free(fsar);
    ec_tables_free(tables);
    ec_tans_free(t);
    ec_tans_free(other);
    ec_tans_free(NULL);
}

enum { IMAGES = 39, H = 6, W = 5, G = 2, K = 6 };

/* Whatever the bytes and sizes: a status, and no access outside arrays that are allocated to the byte. */
static void damage(uint32_t bits) {
    model_t m = some_model(K, G, bits);
    const size_t n = IMAGES * G * H * W, bound = ec_tans_bound(m.tans, IMAGES, G * H * W);
    uint16_t *in = take(2 * n), *out = take(2 * n);
    uint8_t *buffer = take(bound);
    size_t sizes[IMAGES], wrong[IMAGES], bytes = 0, tried = 0, caught = 0;
    for (size_t i = 0; i < n; i++) in[i] = (uint16_t)below(K);
    assert(ec_tans_encode_fsar(m.tans, m.fsar, in, IMAGES, H, W, buffer, bound, sizes) == EC_OK);
    for (size_t i = 0; i < IMAGES; i++) bytes += sizes[i];
    for (int i = 0; i < 6000; i++) {
        const size_t extra = i % 5 == 3 ? 1 + below(20) : 0;
        const size_t cut = i % 5 == 4 ? 1 + below((uint32_t)sizes[IMAGES - 1]) : 0;
        const size_t length = bytes + extra - cut;
        uint8_t *copy = take(length);
        memcpy(copy, buffer, length < bytes ? length : bytes);
        for (size_t k = bytes; k < length; k++) copy[k] = (uint8_t)below(256);
        memcpy(wrong, sizes, sizeof wrong);
        wrong[IMAGES - 1] += extra - cut;
        if (i % 5 == 0) copy[below((uint32_t)bytes)] ^= (uint8_t)(1u << below(8));
        if (i % 5 == 1)
            for (uint32_t k = below(200); k > 0; k--) copy[below((uint32_t)bytes)] = (uint8_t)below(256);
        if (i % 5 == 2) { /* a byte changes hands */
            const size_t at = below(IMAGES - 1);
            wrong[at]--;
            wrong[at + 1]++;
        }
        const int altered = i % 5 > 1 || memcmp(copy, buffer, bytes) != 0;
        const int status = ec_tans_decode_fsar(m.tans, m.fsar, IMAGES, H, W, copy, length, wrong, out);
        assert(status == EC_OK || status == EC_ERR_TRUNCATED || status == EC_ERR_DAMAGED);
        assert(altered || status == EC_OK);
        if (status == EC_OK)
            for (size_t k = 0; k < n; k++) assert(out[k] < K);
        tried += (size_t)altered;
        caught += (size_t)(altered && status != EC_OK);
        drop(copy);
    }
    for (size_t cut = 0; cut < bytes; cut++) { /* sizes that do not fit the data are always caught */
        assert(ec_tans_decode_fsar(m.tans, m.fsar, IMAGES, H, W, buffer, cut, sizes, out) ==
               EC_ERR_TRUNCATED);
    }
    assert(ec_tans_decode_fsar(m.tans, m.fsar, IMAGES, H, W, buffer, bytes + 1, sizes, out) ==
           EC_ERR_DAMAGED);
    printf("%zu of %zu alterations caught by the stream's own checks at %u bits; ", caught, tried, bits);
    fflush(stdout);
    assert(caught > tried - tried / 10);
    drop(in);
    drop(out);
    drop(buffer);
    free_model(&m);
}

/* The checks one by one, on streams of two symbols that take a bit each. */
static void ends(void) {
    const struct {
        size_t positions;
        uint8_t bytes[2];
        int status;
    } cases[] = {
        {0, {0x00, 0x01}, EC_OK},
        {0, {0x01, 0x01}, EC_ERR_DAMAGED},
        {0, {0x80, 0x01}, EC_ERR_DAMAGED},
        {0, {0x00, 0x02}, EC_ERR_DAMAGED},
        {0, {0x00, 0x00}, EC_ERR_DAMAGED},
        {0, {0x80, 0x00}, EC_ERR_DAMAGED},
        {1, {0x00, 0x02}, EC_OK},
        {1, {0x00, 0x01}, EC_ERR_TRUNCATED},
        {1, {0x01, 0x02}, EC_ERR_DAMAGED},
        {7, {0x00, 0x80}, EC_OK},
        {8, {0x00, 0x80}, EC_ERR_TRUNCATED},
        {6, {0x00, 0x80}, EC_ERR_DAMAGED},
    };
    const uint32_t counts[2] = {128, 128};
    const size_t two = 2, one = 1, none = 0;
    const uint8_t mark = 0x80;
    uint16_t out[8];
    ec_tans *t;
    assert(ec_tans_create(counts, 1, 2, 8, &t) == EC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert(ec_tans_decode(t, NULL, 1, cases[i].positions, cases[i].bytes, 2, &two, out) ==
               cases[i].status);
    assert(ec_tans_decode(t, NULL, 1, 0, &mark, 1, &one, out) ==
           EC_ERR_TRUNCATED); /* no room for the state */
    assert(ec_tans_decode(t, NULL, 1, 0, &mark, 0, &none, out) == EC_ERR_TRUNCATED);
    ec_tans_free(t);
}

/* Streams of a few random bytes. */
static void noise(void) {
    model_t m = some_model(5, 1, 12);
    uint16_t out[12];
    for (int i = 0; i < 20000; i++) {
        const size_t size = below(14);
        uint8_t *bytes = take(size);
        for (size_t k = 0; k < size; k++) bytes[k] = (uint8_t)below(256);
        const int status = ec_tans_decode_fsar(m.tans, m.fsar, 1, 3, 4, bytes, size, &size, out);
        assert(status == EC_OK || status == EC_ERR_TRUNCATED || status == EC_ERR_DAMAGED);
        assert(size >= 2 || status != EC_OK); /* state and mark take more than a byte */
        assert(size == 0 || bytes[size - 1] != 0 || status == EC_ERR_DAMAGED);
        drop(bytes);
    }
    free_model(&m);
}

int main(void) {
    const size_t lengths[] = {0, 1, 2, 3, 40, 1000};
    for (uint32_t bits = 8; bits <= 12; bits++) {
        for (size_t i = 0; i < 6; i++)
            for (size_t streams = 0; streams < 70; streams += 1 + below(20))
                indexed(streams, lengths[i], 1 + below(9), 1 + below(below(2) ? 4 : 700), bits);
        indexed(2, 300, 1, 65535, bits);
    }
    on_every_isa(latents);
    refusals();
    ends();
    damage(8);
    damage(10);
    damage(12);
    noise();
    puts("tans ok");
    return 0;
}
