/* Counts that follow logits, in integers: docs/FORMAT-bundle.md, section 5. */
#ifndef EC_SOFTMAX_H
#define EC_SOFTMAX_H

#include "rans.h"

/* floor(2^(30 - f / 256)), f = 0 .. 255 */
static const uint32_t ec_fractions[256] = {
    1073741824, 1070838486, 1067942999, 1065055341, 1062175491, 1059303428, 1056439131, 1053582579,
    1050733750, 1047892625, 1045059182, 1042233401, 1039415260, 1036604740, 1033801819, 1031006476,
    1028218693, 1025438447, 1022665719, 1019900488, 1017142735, 1014392438, 1011649577, 1008914134,
    1006186086, 1003465416, 1000752102, 998046124,  995347463,  992656099,  989972013,  987295184,
    984625593,  981963221,  979308048,  976660054,  974019220,  971385526,  968758954,  966139484,
    963527097,  960921774,  958323496,  955732243,  953147996,  950570737,  948000447,  945437107,
    942880699,  940331202,  937788599,  935252871,  932724000,  930201967,  927686753,  925178340,
    922676709,  920181843,  917693723,  915212331,  912737648,  910269657,  907808339,  905353676,
    902905650,  900464244,  898029439,  895601218,  893179562,  890764455,  888355878,  885953813,
    883558244,  881169152,  878786520,  876410331,  874040566,  871677210,  869320243,  866969650,
    864625413,  862287514,  859955937,  857630664,  855311679,  852998964,  850692503,  848392278,
    846098273,  843810471,  841528855,  839253408,  836984114,  834720956,  832463917,  830212981,
    827968132,  825729352,  823496627,  821269938,  819049270,  816834607,  814625932,  812423229,
    810226482,  808035675,  805850792,  803671817,  801498733,  799331525,  797170178,  795014674,
    792864999,  790721137,  788583071,  786450787,  784324268,  782203499,  780088465,  777979149,
    775875537,  773777613,  771685362,  769598768,  767517816,  765442491,  763372778,  761308660,
    759250124,  757197155,  755149736,  753107854,  751071492,  749040637,  747015273,  744995386,
    742980960,  740971981,  738968434,  736970305,  734977579,  732990241,  731008276,  729031671,
    727060410,  725094479,  723133865,  721178551,  719228525,  717283771,  715344276,  713410025,
    711481005,  709557200,  707638597,  705725182,  703816941,  701913859,  700015923,  698123120,
    696235434,  694352852,  692475361,  690602947,  688735595,  686873293,  685016026,  683163781,
    681316544,  679474303,  677637042,  675804750,  673977411,  672155014,  670337545,  668524990,
    666717336,  664914569,  663116678,  661323647,  659535465,  657752118,  655973594,  654199878,
    652430958,  650666821,  648907455,  647152845,  645402980,  643657847,  641917432,  640181723,
    638450708,  636724373,  635002706,  633285694,  631573325,  629865586,  628162465,  626463949,
    624770026,  623080683,  621395907,  619715688,  618040011,  616368866,  614702239,  613040119,
    611382492,  609729348,  608080674,  606436458,  604796688,  603161352,  601530437,  599903933,
    598281826,  596664106,  595050760,  593441776,  591837142,  590236848,  588640881,  587049229,
    585461880,  583878824,  582300049,  580725542,  579155293,  577589289,  576027520,  574469974,
    572916640,  571367505,  569822559,  568281791,  566745189,  565212742,  563684438,  562160267,
    560640217,  559124278,  557612437,  556104684,  554601008,  553101398,  551605843,  550114332,
    548626854,  547143397,  545663952,  544188508,  542717052,  541249576,  539786067,  538326516};

/* A distribution of 2^bits counts over K symbols: those before symbol k have k + given(before[k]). */
typedef struct ec_softmax {
    const uint64_t *before; /* [K + 1]: what the weights before a symbol exceed one count by */
    uint64_t most;          /* what there is to give: 2^bits - K */
    uint64_t all;           /* what it is divided by: before[K], but never 0 */
} ec_softmax;

/* logits: [symbols], in units of 2^-8 bit, within +-2^29, as many as 2^bits at most; before: [symbols + 1],
 * where the result lives. */
static inline ec_softmax ec_softmax_make(const int32_t *logits, uint32_t symbols, uint32_t bits,
                                         uint64_t *before) {
    int32_t largest = logits[0];
    for (uint32_t k = 1; k < symbols; k++) largest = logits[k] > largest ? logits[k] : largest;
    uint64_t sum = 0;
    for (uint32_t k = 0; k < symbols; k++) {
        const uint32_t below = (uint32_t)(largest - logits[k]);
        const uint32_t shift =
            below >> 8 < 31 ? below >> 8 : 31; /* weights are below 2^31: nothing is left */
        const uint32_t weight = ec_fractions[below & 255] >> shift;
        before[k + 1] = weight;
        sum += weight;
    }
    const uint64_t one_count = sum >> bits;
    uint64_t total = 0;
    before[0] = 0;
    for (uint32_t k = 1; k <= symbols; k++) {
        total += before[k] > one_count ? before[k] - one_count : 0;
        before[k] = total;
    }
    const ec_softmax s = {before, ((uint64_t)1 << bits) - symbols, total > 0 ? total : 1};
    return s;
}

static inline ec_interval ec_softmax_interval(ec_softmax s, uint32_t symbol) {
    const uint32_t start = symbol + (uint32_t)(s.before[symbol] * s.most / s.all);
    const uint32_t end = symbol + 1 + (uint32_t)(s.before[symbol + 1] * s.most / s.all);
    const ec_interval interval = {start, end - start};
    return interval;
}

/* The symbol that owns a slot: the last one whose start, k + floor(before * most / all), is not above it.
 * The comparison is the same without the division, and below 2^63. */
static inline uint32_t ec_softmax_find(ec_softmax s, uint32_t symbols, uint32_t slot) {
    uint32_t symbol = 0;
    for (uint32_t left = symbols; left > 1; left -= left / 2) {
        const uint32_t k = symbol + left / 2;
        if (k <= slot && s.before[k] * s.most < (uint64_t)(slot - k + 1) * s.all) symbol = k;
    }
    return symbol;
}

#endif
