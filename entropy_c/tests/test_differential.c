/* Random cases of all kinds: every instruction set writes the bytes of the plain reference, and reads those
 * of the others. Argument: the number of cases. */
#include "cases.h"
#include "reference.h"

#define MOST_GROUPS 3

static void check(case_t *c, uint32_t number) {
    stream_t expected[MOST_GROUPS];
    reference_streams(c, expected);
    for (const char *const *isa = all_isas; *isa != NULL; isa++) {
        stream_t streams[MOST_GROUPS];
        int same;
        if (!use_isa(*isa)) continue;
        open_case(c);
        encode_case(c, streams);
        for (size_t group = 0; group < c->groups; group++)
            if (streams[group].bytes != expected[group].bytes ||
                memcmp(streams[group].data, expected[group].data, streams[group].bytes) != 0) {
                fprintf(stderr, "case %u, group %zu, %s: other bytes than the reference's\n", number, group,
                        *isa);
                abort();
            }
        const int status = decode_case(c, expected, &same);
        if (status != EC_OK || !same) {
            fprintf(stderr, "case %u, %s: status %d, %s data\n", number, *isa, status,
                    same ? "the same" : "other");
            abort();
        }
        close_case(c);
        drop_streams(c, streams);
    }
    drop_streams(c, expected);
}

int main(int argc, char **argv) {
    const size_t cases = argument(argc, argv, 400);
    for (uint32_t number = 0; number < cases; number++) {
        case_t c;
        seed_random(number);
        random_case(&c, number % 2 ? ~0u : 1u << FSAR_WAVE | 1u << PIXELS_WAVE, 12);
        check(&c, number);
        drop_case(&c);
    }
    printf("differential ok: %zu cases\n", cases);
    return 0;
}
