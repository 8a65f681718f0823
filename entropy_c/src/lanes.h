/* From arrays of one lane each to steps of all lanes, and back. */
#ifndef EC_LANES_H
#define EC_LANES_H

#include "rans.h"

/* The lanes of a group in a mask. */
static inline uint32_t ec_lane_mask(uint32_t lanes) { return lanes == 32 ? 0xFFFFFFFFu : (1u << lanes) - 1; }

/* to[i * pitch + lane] = from[lane][i] + add for all i < count and lanes below `lanes`. The other lanes of
 * the last eight are written, too. */
void ec_weave16(const uint16_t *const *from, uint32_t lanes, size_t count, uint32_t add, uint16_t *to,
                size_t pitch);
void ec_weave8(const uint8_t *const *from, uint32_t lanes, size_t count, uint8_t *to, size_t pitch);

/* to[lane][i] = from[i * pitch + lane] - less. */
void ec_unweave16(const uint16_t *from, size_t pitch, uint32_t lanes, size_t count, uint32_t less,
                  uint16_t *const *to);
void ec_unweave8(const uint8_t *from, size_t pitch, uint32_t lanes, size_t count, uint8_t *const *to);

#endif
