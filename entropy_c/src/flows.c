/* Groups coded side by side. */
#include "kernels.h"

size_t ec_flows_from(const ec_kernels *kernels, const ec_decoder *d, size_t groups) {
    if (groups < kernels->flows) return 1;
    for (size_t f = 0; f < kernels->flows; f++)
        if (d[f].lanes != EC_LANES) return 1;
    return kernels->flows;
}

size_t ec_flows_to(const ec_kernels *kernels, const ec_encoder *e, size_t groups) {
    if (groups < kernels->flows) return 1;
    for (size_t f = 0; f < kernels->flows; f++)
        if (e[f].lanes != EC_LANES) return 1;
    return kernels->flows;
}

size_t ec_flows_scratch(uint32_t lanes, size_t bytes) {
    if (lanes < EC_LANES) return bytes;
    return bytes > SIZE_MAX / EC_FLOWS ? 0 : EC_FLOWS * bytes;
}

void ec_flow_open(ec_flow *flow, const ec_decoder *d) {
    memset(flow, 0, sizeof *flow);
    memcpy(flow->x, d->state, sizeof flow->x);
    ec_reader_init(&flow->reader, d);
}

void ec_flow_begin(ec_flow *flow, const ec_encoder *e) {
    memset(flow, 0, sizeof *flow);
    memcpy(flow->x, e->state, sizeof flow->x);
    flow->out = e->buffer + e->position;
}

void ec_flow_end(const ec_flow *flow, ec_encoder *e) {
    memcpy(e->state, flow->x, sizeof flow->x);
    e->position = (size_t)(flow->out - e->buffer);
}

int ec_flows_close(const ec_flow *flow, size_t flows, ec_decoder *d) {
    int status = EC_OK;
    for (size_t f = 0; f < flows && status == EC_OK; f++)
        status = ec_reader_done(&flow[f].reader, flow[f].x, d + f);
    return status;
}
