/* Checks of descriptions; each gives a status. `reach`: largest magnitude of each channel of each activation,
 * [layers + 1][EC_NET_MAX_CHANNELS], of which the input's must be there and the others are filled in. */
#ifndef EC_NET_CHECK_H
#define EC_NET_CHECK_H

#include "net.h"

#define MAX_SHIFT 23
#define MAX_SIZE  65536 /* codewords: indices are uint16 */

static inline int32_t ec_net_half(uint8_t shift) { return (int32_t)(1u << shift >> 1); }

int ec_net_check_input(const int16_t *low, const int16_t *high, uint32_t channels, int64_t *reach);
int ec_net_check_layers(const ec_net_layer *layers, size_t count, uint32_t channels, int64_t *reach);
int ec_net_check_search(const ec_net_search *search, uint32_t channels, const int64_t *reach);
int ec_net_check_table(const ec_net_table *table);

#endif
