/* See recall.h. */
#include "recall.h"

#define SETS     8 /* numbers of 32 bits for 256 values */
#define BUCKETS  36
#define CONTEXTS ((size_t)BUCKETS * EC_RECALL_MOST)
#define MOST     1023 /* that a pair of counters adds up to before it is halved */

static const size_t PAIRS = 256 * SETS, TRIPLES = 256 * 256 * SETS;

size_t ec_recall_size(void) { return PAIRS + TRIPLES + 2 * CONTEXTS * 2; }

ec_recall ec_recall_open(uint32_t *memory) {
    uint32_t *counters = memory + PAIRS + TRIPLES;
    memset(memory, 0, 4 * (PAIRS + TRIPLES));
    for (size_t i = 0; i < 2 * CONTEXTS * 2; i++) counters[i] = 1;
    return (ec_recall){{memory, memory + PAIRS}, {counters, counters + 2 * CONTEXTS}};
}

void ec_recall_learn(const ec_recall *recall, uint32_t colour, const uint32_t *contexts, uint32_t lanes,
                     uint32_t hits) {
    for (uint32_t lane = 0; lane < EC_LANES; lane++) {
        if (!(lanes >> lane & 1)) continue;
        uint32_t *counter = recall->counters[colour - 1] + 2 * (size_t)contexts[lane];
        counter[hits >> lane & 1]++;
        if (counter[0] + counter[1] > MOST) {
            counter[0] = (counter[0] + 1) / 2;
            counter[1] = (counter[1] + 1) / 2;
        }
    }
}

void ec_recall_add(const ec_recall *recall, const uint32_t *pixels, uint32_t mask) {
    for (uint32_t lane = 0; lane < EC_LANES; lane++) {
        if (!(mask >> lane & 1)) continue;
        const size_t red = pixels[lane] & 255, green = pixels[lane] >> 8 & 255,
                     blue = pixels[lane] >> 16 & 255;
        recall->known[0][red * SETS + green / 32] |= 1u << green % 32;
        recall->known[1][(red << 8 | green) * SETS + blue / 32] |= 1u << blue % 32;
    }
}
