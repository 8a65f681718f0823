#define _DEFAULT_SOURCE /* mmap, setenv */
#include "common.h"

#include <sys/mman.h>
#include <unistd.h>

/* ---- Random numbers: xorshift64 ---- */

static uint64_t state = UINT64_C(88172645463325252);
static const uint8_t *fed;
static size_t fed_bytes;

void seed_random(uint64_t seed) {
    state = UINT64_C(88172645463325252) ^ (seed * UINT64_C(0x9E3779B97F4A7C15));
    fed_bytes = 0;
}

void feed_random(const uint8_t *data, size_t bytes) {
    seed_random(0);
    fed = data;
    fed_bytes = bytes;
}

uint32_t below(uint32_t n) {
    if (fed_bytes > 0) { /* few bytes for small numbers: inputs of a fuzzer stay short */
        uint32_t value = 0;
        for (uint32_t most = n - 1; most > 0 && fed_bytes > 0; most >>= 8, fed_bytes--)
            value = value << 8 | *fed++;
        return value % n;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % n);
}

int32_t between(int32_t low, int32_t high) {
    return (int32_t)(low + (int64_t)below((uint32_t)((int64_t)high - low + 1)));
}

/* ---- Memory ---- */

guard_t guard = GUARD_NONE;

#define MOST_MAPPINGS 1024

static struct mapping {
    uint8_t *begin, *data;
    size_t bytes;
} mappings[MOST_MAPPINGS];
static size_t mapped;

static void *take_guarded(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inner = (bytes + page - 1) / page * page;
    struct mapping *m = mappings;
    while (m->begin != NULL) m++;
    assert(m < mappings + MOST_MAPPINGS);
    m->bytes = inner + 2 * page;
    m->begin = mmap(NULL, m->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(m->begin != MAP_FAILED);
    assert(inner == 0 || mprotect(m->begin + page, inner, PROT_READ | PROT_WRITE) == 0);
    m->data = guard == GUARD_AFTER ? m->begin + page + inner - bytes : m->begin + page;
    if (bytes > 0) memset(m->data, 0xA5, bytes);
    mapped++;
    return m->data;
}

void *take(size_t bytes) {
    if (guard != GUARD_NONE) return take_guarded(bytes);
    void *memory = malloc(bytes > 0 ? bytes : 1);
    assert(memory != NULL);
    return memory;
}

int drop_guarded(void *memory) {
    for (struct mapping *m = mappings; mapped > 0 && m < mappings + MOST_MAPPINGS; m++)
        if (m->begin != NULL && m->data == memory) {
            assert(munmap(m->begin, m->bytes) == 0);
            m->begin = NULL;
            mapped--;
            return 1;
        }
    return 0;
}

void drop(void *memory) {
    if (!drop_guarded(memory)) free(memory);
}

void *copy_of(const void *data, size_t bytes) {
    void *memory = take(bytes);
    if (bytes > 0) memcpy(memory, data, bytes);
    return memory;
}

/* ---- Instruction sets ---- */

int use_isa(const char *isa) {
    assert(setenv("EC_ISA", isa, 1) == 0);
    return strcmp(ec_isa(), isa) == 0;
}

#if defined(__x86_64__)
static const char *const isas[] = {"avx512", "avx2-vnni", "avx2-gather", "avx2", "sse4", "scalar", NULL};
#elif defined(__aarch64__)
static const char *const isas[] = {"neon", "scalar", NULL};
#else
static const char *const isas[] = {"scalar", NULL};
#endif
const char *const *const all_isas = isas;

void on_every_isa(void (*test)(void)) {
    for (const char *const *isa = isas; *isa != NULL; isa++) {
        if (!use_isa(*isa)) {
            printf("(this processor lacks %s) ", *isa);
            continue;
        }
        seed_random(0);
        test();
    }
}

size_t argument(int argc, char **argv, size_t otherwise) {
    return argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : otherwise;
}
