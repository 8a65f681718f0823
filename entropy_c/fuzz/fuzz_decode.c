/* Hostile streams. The first byte says how many of the next describe models and geometry, the rest is the
 * stream: decoding it must end with a status, whatever it is. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 1) return 0;
    const size_t rest = bytes - 1, head = data[0] < rest ? data[0] : rest;
    const size_t words = rest - head;
    stream_t streams[3];
    case_t c;
    int same;
    feed_random(data + 1, head);
    choose_isa();
    random_case(&c, ~0u, 5);
    open_case(&c);
    size_t at = 1 + head;
    for (size_t group = 0; group < c.groups; group++) {
        streams[group].bytes = group + 1 < c.groups ? words / c.groups : bytes - at;
        streams[group].data = copy_of(data + at, streams[group].bytes);
        at += streams[group].bytes;
    }
    const int status = decode_case(&c, streams, &same);
    assert(status == EC_OK || status == EC_ERR_TRUNCATED || status == EC_ERR_DAMAGED);
    close_case(&c);
    drop_streams(&c, streams);
    drop_case(&c);
    return 0;
}
