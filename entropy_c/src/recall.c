/* See recall.h. */
#include "recall.h"

#define SETS     8 /* numbers of 32 bits for 256 values */
#define BUCKETS  36
#define CONTEXTS (BUCKETS * EC_RECALL_MOST)
#define MOST     1023 /* that a pair of counters adds up to before it is halved */
#define LEAST    64   /* slots of either flag */

static const size_t PAIRS = 256 * SETS, TRIPLES = 256 * 256 * SETS;

size_t ec_recall_size(void) { return PAIRS + TRIPLES + (size_t)2 * CONTEXTS * 2; }

ec_recall ec_recall_open(uint32_t *memory) {
    memset(memory, 0, 4 * (PAIRS + TRIPLES));
    const ec_recall recall = {{memory, memory + PAIRS}, memory + PAIRS + TRIPLES};
    for (size_t i = 0; i < (size_t)2 * CONTEXTS * 2; i++) recall.counters[i] = 1;
    return recall;
}

/* The set of greens that a pixel's red has had, or of blues with its red and green. */
static uint32_t *set_of(const ec_recall *recall, uint32_t pixel, uint32_t colour) {
    const size_t red = pixel & 255, green = pixel >> 8 & 255;
    return recall->known[colour - 1] + (colour == 1 ? red : red << 8 | green) * SETS;
}

/* The first value that is looked up around the mean of a lane's distribution. */
static uint32_t window_of(const ec_causal *m, const ec_causal_work *w, uint32_t lane) {
    uint32_t sum = 0;
    for (uint32_t k = 0; k < m->shape.mixtures; k++) {
        const uint32_t *mixed = w->mixed + 3 * (size_t)k * EC_LANES + lane;
        sum += (mixed[0] + 2048) * mixed[2 * EC_LANES]; /* means are at least -2048; weights add up to 2^15 */
    }
    const uint32_t mean = sum >> 19, half = EC_RECALL_WINDOW / 2; /* in grey levels, plus 128 */
    return mean < 128 + half ? 0 : mean > 128 + 256 - half ? 256 - 2 * half : mean - 128 - half;
}

static uint32_t window_bits(const uint32_t *set, uint32_t first) {
    const uint32_t word = first / 32, shift = first % 32;
    return shift == 0 ? set[word] : set[word] >> shift | set[word + 1] << (32 - shift);
}

static uint32_t ones(uint32_t bits) {
    bits -= bits >> 1 & 0x55555555u;
    bits = (bits & 0x33333333u) + (bits >> 2 & 0x33333333u);
    return ((bits + (bits >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24;
}

/* The middle half, or the middle quarter, if there are more than EC_RECALL_MOST. */
static uint32_t narrowed(uint32_t bits) {
    if (ones(bits) > EC_RECALL_MOST) bits &= 0x00FFFF00u;
    if (ones(bits) > EC_RECALL_MOST) bits &= 0x000FF000u;
    return bits;
}

/* How much of the distribution is known, and by how many values. */
static uint32_t context_of(uint32_t sum, uint32_t number) {
    const uint32_t rest = 65536 - sum; /* 224 at least: every value outside the window has a slot */
    const uint32_t length = 31 - (uint32_t)__builtin_clz(rest); /* 7 .. 15 */
    const uint32_t bucket = (15 - length) * 4 + 3 - (rest >> (length - 2) & 3);
    return bucket * EC_RECALL_MOST + number - 1;
}

void ec_recall_look(const ec_recall *recall, const ec_causal *m, const ec_causal_work *w,
                    const uint32_t *pixels, uint32_t colour, uint32_t mask, ec_known *known) {
    known->lanes = known->most = 0;
    memset(known->values, 0, sizeof known->values);
    for (uint32_t lane = 0; lane < EC_LANES; lane++) {
        known->number[lane] = 0;
        if (!(mask >> lane & 1)) continue;
        const uint32_t first = window_of(m, w, lane);
        uint32_t n = 0, bits = narrowed(window_bits(set_of(recall, pixels[lane], colour), first));
        for (; bits != 0; bits &= bits - 1) known->values[n++][lane] = first + (uint32_t)__builtin_ctz(bits);
        known->number[lane] = n;
        if (n > 0) known->lanes |= 1u << lane;
        if (n > known->most) known->most = n;
    }
    uint32_t places[2][EC_LANES], bounds[2][EC_LANES];
    memset(known->sum, 0, sizeof known->sum);
    for (uint32_t i = 0; i < known->most; i++) {
        uint32_t *values = known->values[i], *counts = known->counts[i];
        for (uint32_t lane = 0; lane < EC_LANES; lane++) {
            places[0][lane] = values[lane]; /* 0 where a lane has fewer */
            places[1][lane] = places[0][lane] + 1;
        }
        m->kernels->causal_cumulative(m, w, 2, places[0], bounds[0]);
        for (uint32_t lane = 0; lane < EC_LANES; lane++) {
            counts[lane] = (bounds[1][lane] - bounds[0][lane]) & (0u - (uint32_t)(i < known->number[lane]));
            known->sum[lane] += counts[lane];
        }
    }
    uint32_t *counters = recall->counters + (colour - 1) * (size_t)CONTEXTS * 2;
    for (uint32_t lane = 0; lane < EC_LANES; lane++)
        if (known->lanes >> lane & 1)
            known->counter[lane] = counters + 2 * (size_t)context_of(known->sum[lane], known->number[lane]);
}

uint32_t ec_known_place(const ec_known *known, uint32_t lane, uint32_t sample, int *is_known) {
    uint32_t place = 0;
    while (place < known->number[lane] && known->values[place][lane] < sample) place++;
    *is_known = place < known->number[lane] && known->values[place][lane] == sample;
    return place;
}

ec_interval ec_known_flag(const ec_known *known, uint32_t lane, int is_known) {
    const uint32_t *counter = known->counter[lane];
    uint32_t split = (counter[1] << 16) / (counter[0] + counter[1]);
    split = split < LEAST ? LEAST : split > 65536 - LEAST ? 65536 - LEAST : split;
    return is_known ? (ec_interval){0, split} : (ec_interval){split, 65536 - split};
}

/* Slots `start` .. `start + count - 1` of `sum`, as slots of 2^16. */
static ec_interval scaled(uint32_t start, uint32_t count, uint32_t sum) {
    const uint32_t first = (uint32_t)(((uint64_t)start << 16) / sum);
    return (ec_interval){first, (uint32_t)(((uint64_t)(start + count) << 16) / sum) - first};
}

/* The slot of `sum` that a slot of 2^16 belongs to: the last one whose scaled start is not above. */
static uint32_t unscaled(uint32_t slot, uint32_t sum) {
    return (uint32_t)((((uint64_t)slot + 1) * sum - 1) >> 16);
}

static uint32_t below(const ec_known *known, uint32_t lane, uint32_t place) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < place; i++) sum += known->counts[i][lane];
    return sum;
}

ec_interval ec_known_value(const ec_known *known, uint32_t lane, uint32_t place) {
    return scaled(below(known, lane, place), known->counts[place][lane], known->sum[lane]);
}

ec_interval ec_known_other(const ec_known *known, uint32_t lane, uint32_t place, ec_interval plain) {
    return scaled(plain.start - below(known, lane, place), plain.count, 65536 - known->sum[lane]);
}

uint32_t ec_known_place_at(const ec_known *known, uint32_t lane, uint32_t slot) {
    const uint32_t wanted = unscaled(slot, known->sum[lane]);
    uint32_t place = 0, next = known->counts[0][lane];
    while (next <= wanted) next += known->counts[++place][lane];
    return place;
}

void ec_known_others_at(const ec_known *known, const ec_causal *m, const ec_causal_work *w, uint32_t mask,
                        const uint32_t *slots, uint32_t *samples, ec_interval *plain) {
    uint32_t places[2][EC_LANES], bounds[2][EC_LANES];
    memset(samples, 0, EC_LANES * sizeof *samples);
    for (uint32_t half = 128; half > 0; half /= 2) {
        for (uint32_t lane = 0; lane < EC_LANES; lane++) places[0][lane] = samples[lane] + half;
        m->kernels->causal_cumulative(m, w, 1, places[0], bounds[0]);
        for (uint32_t lane = 0; lane < EC_LANES; lane++) {
            if (!(mask >> lane & 1)) continue;
            int is_known;
            const uint32_t less = ec_known_place(known, lane, places[0][lane], &is_known);
            const uint32_t wanted = unscaled(slots[lane], 65536 - known->sum[lane]);
            if (bounds[0][lane] - below(known, lane, less) <= wanted) samples[lane] = places[0][lane];
        }
    }
    for (uint32_t lane = 0; lane < EC_LANES; lane++) {
        places[0][lane] = samples[lane];
        places[1][lane] = samples[lane] + 1;
    }
    m->kernels->causal_cumulative(m, w, 2, places[0], bounds[0]);
    for (uint32_t lane = 0; lane < EC_LANES; lane++)
        plain[lane] = (ec_interval){bounds[0][lane], bounds[1][lane] - bounds[0][lane]};
}

void ec_known_learn(const ec_known *known, uint32_t hits) {
    for (uint32_t lane = 0; lane < EC_LANES; lane++) {
        if (!(known->lanes >> lane & 1)) continue;
        uint32_t *counter = known->counter[lane];
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
        for (uint32_t colour = 1; colour < EC_CAUSAL_COLOURS; colour++) {
            const uint32_t value = pixels[lane] >> 8 * colour & 255;
            set_of(recall, pixels[lane], colour)[value / 32] |= 1u << value % 32;
        }
    }
}
