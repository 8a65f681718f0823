/* The bytes describe models, geometry and data: the stream must be that of the plain reference, and decode.
 */
#include "../tests/reference.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    stream_t streams[3], expected[3];
    case_t c;
    int same;
    feed_random(data, bytes);
    choose_isa();
    random_case(&c, ~0u, 5);
    open_case(&c);
    encode_case(&c, streams);
    reference_streams(&c, expected);
    for (size_t group = 0; group < c.groups; group++) {
        assert(streams[group].bytes == expected[group].bytes);
        assert(memcmp(streams[group].data, expected[group].data, streams[group].bytes) == 0);
    }
    assert(decode_case(&c, streams, &same) == EC_OK && same);
    close_case(&c);
    drop_streams(&c, streams);
    drop_streams(&c, expected);
    drop_case(&c);
    return 0;
}
