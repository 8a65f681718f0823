/* Compact codes of rows of counts and of lists of numbers; docs/FORMAT-tables.md specifies them. */
#ifndef EC_COMPACT_H
#define EC_COMPACT_H

#include "bits.h"
#include "entropy_c.h"

#define EC_ROW_BITS   5  /* floor and parameter of a row; every count takes at least one bit more */
#define EC_COUNT_BITS 18 /* never more for a count, on the average of a row */

/* counts: `coded` of them are written, each at most 65535. */
void ec_put_row(ec_bit_writer *w, const uint32_t *counts, uint32_t coded);
/* Also sets the last of coded + 1 counts, to what is missing in their total. Returns 0 if they exceed it or
 * the bits end. */
int ec_get_row(ec_bit_reader *r, uint32_t *counts, uint32_t coded, uint32_t total);

/* Bits of a number below `limit`: at least one, so that the bits at hand bound the length of a list. */
uint32_t ec_id_bits(uint32_t limit);
/* Numbers below `limit` that often equal the one before or the one `row` places before. Takes at most
 * 1 + n * ec_id_bits(limit) bits. */
void ec_put_ids(ec_bit_writer *w, const uint32_t *ids, size_t n, uint32_t limit, size_t row);
/* Returns n numbers, to be freed, or NULL and a status: EC_ERR_DAMAGED, EC_ERR_MEMORY. */
uint32_t *ec_get_ids(ec_bit_reader *r, uint64_t n, uint32_t limit, size_t row, int *status);

#endif
