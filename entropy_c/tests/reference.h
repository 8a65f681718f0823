/* A second coder, written for plainness from docs/FORMAT-entropy.md and sharing nothing with src/. */
#ifndef EC_TESTS_REFERENCE_H
#define EC_TESTS_REFERENCE_H

#include "cases.h"

/* The table of the symbol at (plane, row, column); only earlier symbols of the image are looked at. */
uint32_t reference_table(const part_t *part, const uint16_t *image, uint32_t plane, uint32_t row,
                         uint32_t column);
/* Mean index of a sample; `image` is [row][column][colour]. */
uint32_t reference_mean(const part_t *part, const uint8_t *image, const int16_t *logits, uint32_t row,
                        uint32_t column, uint32_t colour);
/* C(value) of a sample with this mean; value 0 .. 256. */
uint32_t reference_cumulative(const part_t *part, uint32_t scale, uint32_t mean, uint32_t value);
/* The sum of the counts before a symbol. */
uint32_t reference_start(const part_t *part, size_t table, uint32_t symbol);

/* The streams of all groups. */
void reference_streams(const case_t *c, stream_t *streams);

#endif
