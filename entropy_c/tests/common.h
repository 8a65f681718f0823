/* What the test programs share: assertions that stay, random numbers, memory whose ends are watched. */
#ifndef EC_TESTS_COMMON_H
#define EC_TESTS_COMMON_H

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entropy_c.h"

/* Starts the random numbers; every test program begins with the same ones. */
void seed_random(uint64_t seed);
/* Takes random numbers from these bytes as long as they last (a fuzzer's), then from a generator. */
void feed_random(const uint8_t *data, size_t bytes);
/* Uniform below n, n >= 1. */
uint32_t below(uint32_t n);
/* Uniform in low .. high. */
int32_t between(int32_t low, int32_t high);

/* Memory that ends where it says. By default malloc, to the byte, for the address sanitizer; with a guard the
 * last byte lies before, or the first behind, a page that can be neither read nor written. Never NULL. */
typedef enum guard_t { GUARD_NONE, GUARD_AFTER, GUARD_BEFORE } guard_t;
extern guard_t guard;
void *take(size_t bytes);
void drop(void *memory);
int drop_guarded(void *memory); /* 0 if it has no guard */
void *copy_of(const void *data, size_t bytes);

/* The instruction sets of this kind of machine, NULL at the end. */
extern const char *const *const all_isas;
/* Models to come use this one; 0 if the processor does not have it. */
int use_isa(const char *isa);
/* Runs a test with each of them. */
void on_every_isa(void (*test)(void));

/* A number in an argument or the default. */
size_t argument(int argc, char **argv, size_t otherwise);

#endif
