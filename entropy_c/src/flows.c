/* Groups decoded side by side. */
#include "kernels.h"

size_t ec_flows_from(const ec_kernels *kernels, const ec_decoder *d, size_t groups) {
    if (groups < kernels->flows) return 1;
    for (size_t f = 0; f < kernels->flows; f++)
        if (d[f].lanes != EC_LANES) return 1;
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

int ec_flows_close(const ec_flow *flow, size_t flows, ec_decoder *d) {
    int status = EC_OK;
    for (size_t f = 0; f < flows && status == EC_OK; f++)
        status = ec_reader_done(&flow[f].reader, flow[f].x, d + f);
    return status;
}
