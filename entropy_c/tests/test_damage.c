/* Damaged streams: whatever the bytes, decoding ends with a status and touches nothing outside its arrays
 * (all are allocated to the byte). Counts what the stream's own checks see of damage to realistic streams;
 * the rest is left to the checksum of the container. Argument: the number of damaged streams. */
#include "cases.h"

enum damage {
    FLIP,
    BYTE,
    WORD,
    FLIPS,
    SWAP,
    NEIGHBOURS,
    CUT,
    CUT_MIDDLE,
    INSERT,
    EXTEND,
    TABLES,
    GEOMETRY,
    DAMAGES
};

static const char *const names[DAMAGES] = {
    "one bit flipped",   "one byte changed",       "one word changed",     "several bits flipped",
    "two words swapped", "adjacent words swapped", "the end cut off",      "a piece cut out",
    "a piece put in",    "a piece put at the end", "models of other data", "another geometry"};

static size_t wanted = 6000;
static size_t tried[DAMAGES], caught[DAMAGES];

/* A damaged copy, of another length at times. */
static stream_t damaged(const stream_t *stream, enum damage damage) {
    const size_t n = stream->bytes, at = below((uint32_t)n);
    size_t piece = 1 + below(below(2) ? 4 : 64); /* bytes */
    if (piece > n) piece = n;
    stream_t copy = {copy_of(stream->data, n), n};
    if (damage == CUT || damage == CUT_MIDDLE) {
        const size_t from = damage == CUT ? n - piece : below((uint32_t)(n - piece + 1));
        memmove(copy.data + from, copy.data + from + piece, n - from - piece);
        copy.bytes = n - piece;
    } else if (damage == INSERT || damage == EXTEND) {
        const size_t place = damage == EXTEND ? n : at;
        uint8_t *longer = take(n + piece);
        memcpy(longer, copy.data, place);
        memcpy(longer + place + piece, copy.data + place, n - place);
        for (size_t i = 0; i < piece; i++) longer[place + i] = (uint8_t)below(256);
        drop(copy.data);
        return (stream_t){longer, n + piece};
    } else if (damage == SWAP || damage == NEIGHBOURS) {
        const size_t words = n / 2, a = below((uint32_t)words - 1);
        const size_t b = damage == SWAP ? below((uint32_t)words) : a + 1;
        memcpy(copy.data + 2 * a, stream->data + 2 * b, 2);
        memcpy(copy.data + 2 * b, stream->data + 2 * a, 2);
    } else {
        if (damage == BYTE) copy.data[at] = (uint8_t)below(256);
        if (damage == WORD)
            for (size_t i = 0; i < 2; i++) copy.data[at / 2 * 2 + i] = (uint8_t)below(256);
        for (uint32_t i = damage == FLIP ? 1 : damage == FLIPS ? 2 + below(30) : 0; i > 0; i--)
            copy.data[below((uint32_t)n)] ^= (uint8_t)(1u << below(8));
    }
    /* To the byte, so that a read beyond the end is seen. */
    uint8_t *exact = copy_of(copy.data, copy.bytes);
    drop(copy.data);
    copy.data = exact;
    return copy;
}

/* The same stream with other sizes or other models. */
static int decode_as_another(const case_t *c, kind_t kind, const stream_t *stream, enum damage damage) {
    case_t other;
    int same, status;
    realistic_case(&other, kind);
    if (damage == GEOMETRY) { /* the right models, the wrong sizes */
        for (uint32_t i = 0; i < c->parts; i++) {
            const part_t *right = &c->part[i];
            part_t *part = &other.part[i];
            if (part->height == right->height && part->width == right->width) part->height++, part->width--;
            drop(part->counts);
            part->counts = right->counts;
            part->tables = right->tables;
            part->symbols = part->alphabet = right->symbols;
            part->bits = right->bits;
            const uint32_t places = part->height * part->width;
            part->positions = right->positions / (right->height * right->width) * places;
            void *const stale[] = {part->data, part->index, part->logits, part->scales};
            for (size_t k = 0; k < 4; k++) drop(stale[k]);
            random_data(part, is_wave(part->kind) ? 1 : other.images);
        }
    }
    open_case(&other);
    status = decode_case(&other, stream, &same);
    close_case(&other);
    for (uint32_t i = 0; damage == GEOMETRY && i < c->parts; i++) other.part[i].counts = NULL;
    drop_case(&other);
    return status;
}

static void damage_all(kind_t kind) {
    case_t c;
    stream_t stream;
    int same;
    realistic_case(&c, kind);
    open_case(&c);
    encode_case(&c, &stream);
    assert(decode_case(&c, &stream, &same) == EC_OK && same);
    for (size_t cut = 1; cut < 20; cut++) { /* nothing missing is overlooked */
        stream_t shorter = {copy_of(stream.data, stream.bytes - cut), stream.bytes - cut};
        assert(decode_case(&c, &shorter, &same) != EC_OK);
        drop(shorter.data);
    }
    for (int i = 0; i < 200; i++) {
        /* Making models takes longer than decoding: fewer of these. */
        const enum damage damage = i < 2 ? (i == 0 ? TABLES : GEOMETRY) : (enum damage)(i % TABLES);
        int status;
        if (damage >= TABLES) {
            status = decode_as_another(&c, kind, &stream, damage);
        } else {
            stream_t copy = damaged(&stream, damage);
            if (copy.bytes == stream.bytes && memcmp(copy.data, stream.data, copy.bytes) == 0) {
                drop(copy.data);
                continue; /* no damage at all */
            }
            status = decode_case(&c, &copy, &same);
            assert(!same); /* there are no two streams of the same data */
            drop(copy.data);
        }
        assert(status == EC_OK || status == EC_ERR_TRUNCATED || status == EC_ERR_DAMAGED);
        tried[damage]++;
        caught[damage] += status != EC_OK;
    }
    close_case(&c);
    drop_streams(&c, &stream);
    drop_case(&c);
}

static void all_kinds(void) {
    for (size_t done = 0; done < wanted; done += 200) {
        const kind_t kind = (kind_t)below(ROWS + 1); /* raw bits have nothing to be checked by */
        damage_all(kind < ROWS ? kind : KINDS);
    };
}

int main(int argc, char **argv) {
    size_t all = 0, seen = 0;
    wanted = argument(argc, argv, wanted);
    on_every_isa(all_kinds);
    for (int i = 0; i < DAMAGES; i++) {
        if (argc > 1) printf("%24s: %zu of %zu caught\n", names[i], caught[i], tried[i]);
        all += tried[i];
        seen += caught[i];
    }
    printf("damage ok: %zu of %zu damaged streams (%.3f %%) caught by their own checks\n", seen, all,
           100.0 * (double)seen / (double)all);
    assert(seen >= all - all / 1000);
    return 0;
}
