/* A network on one image, and how activations get into it and out again. */
#ifndef EC_NET_STATE_H
#define EC_NET_STATE_H

#include "net.h"

typedef struct ec_net_sides {
    uint32_t height, width;
} ec_net_sides;

/* Where everything is in scratch, in bytes from its aligned beginning. */
typedef struct ec_net_plan {
    ec_net_sides sides[EC_NET_MAX_LAYERS + 1];
    size_t slot[EC_NET_MAX_LAYERS + 1];
    size_t turned, transformed, products;
    size_t bytes;
} ec_net_plan;

/* The network on one image: the activations, from pixel (0, 0). */
typedef struct ec_net_run_state {
    const ec_net *net;
    const ec_net_plan *plan;
    uint8_t *scratch;
} ec_net_state;

static inline ptrdiff_t ec_net_line(const ec_net_state *s, uint32_t a) {
    return (ptrdiff_t)(s->plan->sides[a].width + 2) * s->net->activations[a].stride;
}

/* Row `y`, column `x` of an activation with its border, whose first pixel is (1, 1). */
static inline int16_t *ec_net_at(const ec_net_state *s, uint32_t a, ptrdiff_t y, ptrdiff_t x) {
    const ec_net_activation *activation = s->net->activations + a;
    int16_t *begin = (int16_t *)(s->scratch + s->plan->slot[activation->slot]);
    return begin + y * ec_net_line(s, a) + x * activation->stride;
}

void ec_net_clear_border(const ec_net_state *s, uint32_t a);
void ec_net_load_image(const ec_net_state *s, const uint8_t *image);
void ec_net_load_activations(const ec_net_state *s, const int16_t *in);
int ec_net_load_codes(const ec_net_state *s, const uint16_t *indices); /* EC_NET_OK or EC_NET_ERR_INDEX */
void ec_net_store_activations(const ec_net_state *s, int16_t *out);
void ec_net_store_parameters(const ec_net_state *s, int16_t *logits, uint8_t *scales);

#endif
