/* Contexts merged into few tables: vector quantisation with the Kullback-Leibler divergence.
 *
 * It begins with one table for all. Tables that lose most are split in two; then every context goes to the
 * best table near its own and tables become the means of their contexts, a few times; and so on until the
 * loss is small enough. A table's neighbours are looked for among its former neighbours and theirs. Numbers
 * are given so that the halves of a table stand side by side: tables of similar numbers are similar.
 */
#include <stdlib.h>
#include <string.h>

#include "build.h"

#define NEAR           48 /* neighbours of a table, itself included */
#define BRIDGE         8  /* neighbours whose neighbours are looked at */
#define ROUNDS         2  /* of moving contexts after splitting */
#define MOST_ROUNDS    12
#define HALVING_ROUNDS 3

typedef struct ranked {
    uint64_t value;
    size_t number;
} ranked;

typedef struct merger {
    const uint32_t *counts;
    const uint64_t *occurrences;
    size_t contexts, room, stride;
    uint32_t symbols, bits;
    uint32_t *logs;                   /* [65537] */
    uint64_t *entropy;                /* [contexts], 2^-EC_LOG_BITS bit times 2^bits */
    int16_t *shares;                  /* [contexts][stride] */
    size_t count;                     /* tables */
    uint32_t *map;                    /* [contexts] */
    uint32_t *tables;                 /* [room][symbols], counts */
    int16_t *prices;                  /* [room][stride] */
    uint64_t *excess;                 /* [contexts], loss in 2^-EC_LOG_BITS bit */
    ranked *losses;                   /* [room], of tables */
    uint64_t total;                   /* of all */
    size_t *first;                    /* [room + 1] into members */
    uint32_t *members;                /* [contexts], those of a table together */
    uint32_t *parted;                 /* [contexts] */
    uint8_t *sides;                   /* [contexts], the half to which a split gives it */
    uint32_t *near, *near_before;     /* [room][NEAR], nearest first */
    uint32_t *place, *parts, *stamps; /* [room], a table's new number, in how many parts it went on */
    uint32_t *row, *items;            /* [symbols] */
    uint64_t *sums, *scratch;         /* [symbols] */
    int16_t *half[2], *own;           /* [stride] */
} merger;

static const uint32_t *counts_of(const merger *m, size_t context) { return m->counts + context * m->symbols; }
static const int16_t *shares_of(const merger *m, size_t context) { return m->shares + context * m->stride; }
static int16_t *prices_of(const merger *m, size_t table) { return m->prices + table * m->stride; }

/* Cost of a context's symbols under counts, 2^-EC_LOG_BITS bit times 2^bits; all symbols must have counts. */
static uint64_t exact_cost(const merger *m, const uint32_t *p, const uint32_t *q) {
    uint64_t gain = 0;
    for (uint32_t k = 0; k < m->symbols; k++) gain += (uint64_t)p[k] * m->logs[q[k]];
    return (((uint64_t)m->bits << EC_LOG_BITS) << m->bits) - gain;
}

/* The counts that serve the given contexts best: their mean, every symbol that one of them has included. */
static void mean_of(merger *m, const uint32_t *members, size_t n, uint32_t *row) {
    memset(m->sums, 0, m->symbols * sizeof *m->sums);
    for (size_t i = 0; i < n; i++) {
        const uint64_t occ = m->occurrences[members[i]];
        const uint32_t *p = counts_of(m, members[i]);
        for (uint32_t k = 0; k < m->symbols; k++) m->sums[k] += occ * p[k];
    }
    for (size_t i = 0; i < n; i++) {
        if (m->occurrences[members[i]] > 0) continue;
        const uint32_t *p = counts_of(m, members[i]);
        for (uint32_t k = 0; k < m->symbols; k++) m->sums[k] += m->sums[k] == 0 && p[k] > 0;
    }
    ec_counts_row(m->sums, m->symbols, m->bits, EC_COUNTS_NONZERO, m->scratch, m->items, row);
}

/* Contexts in the order of their tables. */
static void collect(merger *m) {
    memset(m->first, 0, (m->count + 1) * sizeof *m->first);
    for (size_t c = 0; c < m->contexts; c++) m->first[m->map[c] + 1]++;
    for (size_t t = 0; t < m->count; t++) m->first[t + 1] += m->first[t];
    for (size_t c = m->contexts; c-- > 0;) m->members[--m->first[m->map[c] + 1]] = (uint32_t)c;
    /* first[t + 1] is now where t begins */
    memmove(m->first, m->first + 1, m->count * sizeof *m->first);
    m->first[m->count] = m->contexts;
}

/* Tables, prices and losses from the map. */
static void update(merger *m) {
    collect(m);
    m->total = 0;
    for (size_t t = 0; t < m->count; t++) {
        const uint32_t *members = m->members + m->first[t];
        const size_t n = m->first[t + 1] - m->first[t];
        m->losses[t] = (ranked){0, t};
        if (n == 0) continue;
        uint32_t *row = m->tables + t * m->symbols;
        mean_of(m, members, n, row);
        ec_fill_prices(row, m->symbols, m->bits, m->logs, prices_of(m, t));
        for (size_t i = 0; i < n; i++) {
            const size_t c = members[i];
            const uint64_t cost = exact_cost(m, counts_of(m, c), row), least = m->entropy[c];
            m->excess[c] = cost > least ? ((cost - least) >> m->bits) * m->occurrences[c] : 0;
            m->losses[t].value += m->excess[c];
        }
        m->total += m->losses[t].value;
    }
}

/* Every context to the best table near its own; of equals to the lowest. */
static void assign(merger *m) {
    for (size_t c = 0; c < m->contexts; c++) {
        const uint32_t *near = m->near + (size_t)m->map[c] * NEAR;
        int32_t least = INT32_MAX;
        for (uint32_t i = 0; i < NEAR; i++) {
            const int32_t cost = ec_cost(shares_of(m, c), prices_of(m, near[i]), m->stride);
            if (cost > least || (cost == least && near[i] >= m->map[c])) continue;
            least = cost;
            m->map[c] = near[i];
        }
    }
}

/* Divides the members of a table between its own distribution and that of the member that loses most, and
 * improves both. Returns 0 if all would stay together. */
static int halve(merger *m, size_t table) {
    const uint32_t *members = m->members + m->first[table];
    const size_t n = m->first[table + 1] - m->first[table];
    size_t worst = 0;
    for (size_t i = 1; i < n; i++)
        if (m->excess[members[i]] > m->excess[members[worst]]) worst = i;
    memcpy(m->half[0], prices_of(m, table), m->stride * sizeof *m->half[0]);
    ec_fill_prices(counts_of(m, members[worst]), m->symbols, m->bits, m->logs, m->half[1]);
    for (int round = 0; round < HALVING_ROUNDS; round++) {
        size_t left = 0, right = n; /* parted: those of side 0, then those of side 1 from the end */
        for (size_t i = 0; i < n; i++) {
            const int16_t *shares = shares_of(m, members[i]);
            const int side = ec_cost(shares, m->half[1], m->stride) < ec_cost(shares, m->half[0], m->stride);
            m->sides[members[i]] = (uint8_t)side;
            m->parted[side ? --right : left++] = members[i];
        }
        if (left == 0 || left == n) return 0;
        for (int side = 0; side < 2; side++) {
            mean_of(m, m->parted + (side ? left : 0), side ? n - left : left, m->row);
            ec_fill_prices(m->row, m->symbols, m->bits, m->logs, m->half[side]);
        }
    }
    return 1;
}

static int by_falling_value(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return x->number < y->number ? -1 : 1;
}

/* A neighbour joins a list of NEAR keys in rising order: cost above, number below. */
static void insert(uint64_t *keys, uint64_t key) {
    size_t i = NEAR - 1;
    if (key >= keys[i]) return;
    for (; i > 0 && keys[i - 1] > key; i--) keys[i] = keys[i - 1];
    keys[i] = key;
}

static void consider(merger *m, uint64_t *keys, uint32_t stamp, const uint32_t *before) {
    for (uint32_t i = 0; i < NEAR; i++)
        for (uint32_t part = 0; part < m->parts[before[i]]; part++) {
            const uint32_t t = m->place[before[i]] + part;
            if (m->stamps[t] == stamp) continue;
            m->stamps[t] = stamp;
            insert(keys, (uint64_t)(uint32_t)ec_cost(m->own, prices_of(m, t), m->stride) << 32 | t);
        }
}

/* The neighbours of all tables after a renumbering, from those of `before` tables. */
static void find_near(merger *m, size_t before) {
    memset(m->stamps, 0, m->count * sizeof *m->stamps);
    for (size_t old = 0; old < before; old++)
        for (uint32_t part = 0; part < m->parts[old]; part++) {
            const uint32_t t = m->place[old] + part;
            const uint32_t *list = m->near_before + old * NEAR;
            uint64_t keys[NEAR];
            for (uint32_t i = 0; i < NEAR; i++) keys[i] = UINT64_MAX - (NEAR - 1) + i;
            ec_fill_shares(m->tables + (size_t)t * m->symbols, m->symbols, m->bits, m->own);
            consider(m, keys, t + 1, list);
            for (uint32_t i = 0; i < BRIDGE; i++)
                consider(m, keys, t + 1, m->near_before + (size_t)list[i] * NEAR);
            for (uint32_t i = 0; i < NEAR; i++) /* lists that are not full name the table itself */
                m->near[(size_t)t * NEAR + i] = keys[i] >> 32 == UINT32_MAX ? t : (uint32_t)keys[i];
        }
}

/* Splits up to `wanted` tables, those that lose most first, and leaves out those without contexts. */
static void split(merger *m, size_t wanted) {
    const size_t before = m->count;
    for (size_t t = 0; t < before; t++) m->parts[t] = m->first[t] < m->first[t + 1];
    qsort(m->losses, before, sizeof *m->losses, by_falling_value);
    for (size_t i = 0; i < before && wanted > 0 && m->losses[i].value > 0; i++)
        if (halve(m, m->losses[i].number)) {
            m->parts[m->losses[i].number] = 2;
            wanted--;
        }
    m->count = 0;
    for (size_t t = 0; t < before; t++) {
        m->place[t] = (uint32_t)m->count;
        m->count += m->parts[t];
    }
    for (size_t c = 0; c < m->contexts; c++) {
        const uint32_t t = m->map[c];
        m->map[c] = m->place[t] + (m->parts[t] == 2 ? m->sides[c] : 0u);
    }
    update(m);
    uint32_t *swap = m->near;
    m->near = m->near_before;
    m->near_before = swap;
    find_near(m, before);
}

static size_t tables_in_use(const merger *m) {
    size_t used = 0;
    for (size_t t = 0; t < m->count; t++) used += m->first[t] < m->first[t + 1];
    return used;
}

/* How many tables to try next, when `used` lose `loss` and not what is allowed: at most a quarter more, and
 * not all of those that seem to be needed, for loss falls at least as count^-2/3. */
static size_t next_count(size_t used, size_t most, uint64_t loss, uint64_t allowed) {
    size_t next = used + used / 4 + 1;
    if (loss < 2 * allowed) {
        const uint64_t ratio = (loss << 10) / allowed,
                       enough = (used * (ratio * (1024 + ratio) >> 11) >> 10) + 1;
        next = enough < next ? (size_t)enough : next;
    }
    return next < most ? next : most;
}

/* Moves contexts a few times; where an end is near, until that changes little. */
static void improve(merger *m, uint64_t allowed, int last) {
    for (int round = 0; round < MOST_ROUNDS; round++) {
        const uint64_t before = m->total;
        assign(m);
        update(m);
        if (m->total <= allowed) break;
        const int near_end = last || m->total / 8 < allowed / 7;
        if (round + 1 >= ROUNDS && (!near_end || m->total > before - before / 1024)) break;
    }
}

static void merge(merger *m, size_t most, uint64_t allowed) {
    m->count = 1;
    memset(m->map, 0, m->contexts * sizeof *m->map);
    memset(m->near, 0, NEAR * sizeof *m->near);
    update(m);
    for (size_t used = 1, before = 0; m->total > allowed && used != before && used < most;) {
        before = used;
        const size_t next = next_count(used, most, m->total, allowed);
        split(m, next - used);
        improve(m, allowed, next == most);
        used = tables_in_use(m);
    }
    split(m, 0);
}

static void *take(size_t count, size_t size, int *status) {
    void *p = count <= SIZE_MAX / size ? calloc(count, size) : NULL;
    if (p == NULL) *status = EC_ERR_MEMORY;
    return p;
}

static int allocate(merger *m) {
    int status = EC_OK;
    m->logs = take(65537, sizeof *m->logs, &status);
    m->entropy = take(m->contexts, sizeof *m->entropy, &status);
    m->excess = take(m->contexts, sizeof *m->excess, &status);
    m->shares = take(m->contexts, m->stride * sizeof *m->shares, &status);
    m->prices = take(m->room, m->stride * sizeof *m->prices, &status);
    m->losses = take(m->room, sizeof *m->losses, &status);
    m->first = take(m->room + 1, sizeof *m->first, &status);
    m->members = take(m->contexts, sizeof *m->members, &status);
    m->parted = take(m->contexts, sizeof *m->parted, &status);
    m->sides = take(m->contexts, sizeof *m->sides, &status);
    m->near = take(m->room, NEAR * sizeof *m->near, &status);
    m->near_before = take(m->room, NEAR * sizeof *m->near, &status);
    m->place = take(m->room, sizeof *m->place, &status);
    m->parts = take(m->room, sizeof *m->parts, &status);
    m->stamps = take(m->room, sizeof *m->stamps, &status);
    m->row = take(m->symbols, sizeof *m->row, &status);
    m->items = take(m->symbols, sizeof *m->items, &status);
    m->sums = take(m->symbols, sizeof *m->sums, &status);
    m->scratch = take(m->symbols, sizeof *m->scratch, &status);
    m->half[0] = take(m->stride, sizeof *m->half[0], &status);
    m->half[1] = take(m->stride, sizeof *m->half[1], &status);
    m->own = take(m->stride, sizeof *m->own, &status);
    return status;
}

static void release(merger *m) {
    void *all[] = {m->logs,    m->entropy, m->excess,  m->shares, m->prices, m->losses,
                   m->first,   m->members, m->parted,  m->sides,  m->near,   m->near_before,
                   m->place,   m->parts,   m->stamps,  m->row,    m->items,  m->sums,
                   m->scratch, m->half[0], m->half[1], m->own};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* Shares and entropies of all contexts. Returns 0 if a row does not sum to 2^bits. */
static int prepare(merger *m, uint64_t *entropy) {
    *entropy = 0;
    for (size_t c = 0; c < m->contexts; c++) {
        const uint32_t *row = counts_of(m, c);
        uint64_t sum = 0;
        for (uint32_t k = 0; k < m->symbols; k++) sum += row[k] <= 65535 ? row[k] : 65537;
        if (sum != UINT64_C(1) << m->bits) return 0;
        ec_fill_shares(row, m->symbols, m->bits, m->shares + c * m->stride);
        m->entropy[c] = exact_cost(m, row, row);
        *entropy += (m->entropy[c] >> m->bits) * m->occurrences[c];
    }
    return 1;
}

int ec_merge_contexts(const uint32_t *counts, size_t contexts, uint32_t symbols, uint32_t bits,
                      const uint64_t *occurrences, size_t most, uint32_t loss_ppm, uint32_t *map,
                      uint32_t *merged, uint64_t *tables, uint32_t *reached_ppm) {
    uint64_t all = 0, entropy = 0;
    for (size_t c = 0; c < contexts; c++) {
        if (occurrences[c] >= EC_MAX_OCCURRENCES - all) return EC_ERR_ARGUMENT;
        all += occurrences[c];
    }
    if (bits < 8 || bits > 16 || symbols < 1 || symbols > 65536 || contexts < 1 || contexts > 0x7FFFFFFF ||
        most < 1 || loss_ppm > 1000000 || all == 0)
        return EC_ERR_ARGUMENT;
    merger m = {
        .counts = counts, .occurrences = occurrences, .contexts = contexts, .symbols = symbols, .bits = bits};
    m.room = most < contexts ? most : contexts;
    m.stride = (symbols + 15u) / 16 * 16; /* whole vectors */
    m.map = map;
    m.tables = merged;
    int status = allocate(&m);
    if (status == EC_OK) {
        ec_fill_logs(m.logs);
        status = prepare(&m, &entropy) ? EC_OK : EC_ERR_TABLE;
    }
    if (status == EC_OK) {
        const uint64_t part = entropy / 1000000 + 1;
        merge(&m, m.room, loss_ppm * part);
        *tables = m.count;
        *reached_ppm = (uint32_t)((m.total + part - 1) / part);
    }
    release(&m);
    return status;
}
