/* One lane on a stack of words: what is popped can be pushed again, as bits-back coding needs. */
#include "models.h"
#include "rows.h"

/* Both change the caller's copy of the stack. Words below the original count stay, so dropping the copy
 * undoes everything. */
static inline int push(ec_stack *s, ec_interval place, uint32_t bits) {
    if (s->state >> (32 - bits) >= place.count) {
        if (s->count >= s->capacity) return EC_ERR_CAPACITY;
        s->words[s->count++] = (uint16_t)s->state;
        s->state >>= 16;
    }
    s->state = ((s->state / place.count) << bits) + s->state % place.count + place.start;
    return EC_OK;
}

static inline int pop(ec_stack *s, ec_interval place, uint32_t bits) {
    s->state = ec_pop(s->state, place, bits);
    if (s->state >= EC_LOW) return EC_OK;
    if (s->count == 0) return EC_ERR_TRUNCATED;
    s->state = (s->state << 16) | s->words[--s->count];
    return EC_OK;
}

static inline uint32_t slot_of(const ec_stack *s, uint32_t bits) { return s->state & ((1u << bits) - 1); }

int ec_stack_init(ec_stack *stack, uint16_t *words, size_t count, size_t capacity) {
    if (count > capacity) return EC_ERR_ARGUMENT;
    stack->state = EC_LOW | (count > 0 ? words[count - 1] : 0u);
    stack->words = words;
    stack->capacity = capacity;
    stack->count = count > 0 ? count - 1 : 0;
    return EC_OK;
}

int ec_stack_push(ec_stack *stack, const ec_tables *tables, const uint16_t *symbols, const uint32_t *index,
                  size_t n) {
    if (tables->escape) return EC_ERR_ARGUMENT;
    ec_stack s = *stack;
    for (size_t i = n; i-- > 0;) {
        const size_t table = index != NULL ? index[i] : 0;
        if (table >= tables->count) return EC_ERR_INDEX;
        if (symbols[i] >= tables->symbols) return EC_ERR_SYMBOL;
        const ec_interval place = ec_interval_of(tables, table, symbols[i]);
        if (place.count == 0) return EC_ERR_SYMBOL;
        const int status = push(&s, place, tables->bits);
        if (status != EC_OK) return status;
    }
    *stack = s;
    return EC_OK;
}

int ec_stack_pop(ec_stack *stack, const ec_tables *tables, const uint32_t *index, size_t n,
                 uint16_t *symbols) {
    if (tables->escape) return EC_ERR_ARGUMENT;
    ec_stack s = *stack;
    for (size_t i = 0; i < n; i++) {
        const size_t table = index != NULL ? index[i] : 0;
        if (table >= tables->count) return EC_ERR_INDEX;
        ec_interval place;
        const uint32_t symbol = ec_find(tables, table, slot_of(&s, tables->bits), &place);
        const int status = pop(&s, place, tables->bits);
        if (status != EC_OK) return status;
        symbols[i] = (uint16_t)symbol;
    }
    *stack = s;
    return EC_OK;
}

int ec_stack_push_rows(ec_stack *stack, const uint16_t *starts, uint32_t symbols, uint32_t bits,
                       const uint16_t *values, size_t n) {
    if (!ec_row_sizes_are_valid(symbols, bits)) return EC_ERR_ARGUMENT;
    ec_stack s = *stack;
    for (size_t i = n; i-- > 0;) {
        const uint16_t *row = starts + i * symbols;
        if (!ec_row_is_valid(row, symbols, bits)) return EC_ERR_TABLE;
        if (values[i] >= symbols) return EC_ERR_SYMBOL;
        const ec_interval place = ec_row_interval(row, symbols, bits, values[i]);
        if (place.count == 0) return EC_ERR_SYMBOL;
        const int status = push(&s, place, bits);
        if (status != EC_OK) return status;
    }
    *stack = s;
    return EC_OK;
}

int ec_stack_pop_rows(ec_stack *stack, const uint16_t *starts, uint32_t symbols, uint32_t bits, size_t n,
                      uint16_t *values) {
    if (!ec_row_sizes_are_valid(symbols, bits)) return EC_ERR_ARGUMENT;
    ec_stack s = *stack;
    for (size_t i = 0; i < n; i++) {
        const uint16_t *row = starts + i * symbols;
        if (!ec_row_is_valid(row, symbols, bits)) return EC_ERR_TABLE;
        const uint32_t symbol = ec_row_find(row, symbols, slot_of(&s, bits));
        const int status = pop(&s, ec_row_interval(row, symbols, bits, symbol), bits);
        if (status != EC_OK) return status;
        values[i] = (uint16_t)symbol;
    }
    *stack = s;
    return EC_OK;
}

/* Raw bits are symbols of count 1 in a table of 2^bits. */
int ec_stack_push_bits(ec_stack *stack, uint32_t bits, const uint16_t *values, size_t n) {
    if (bits < 1 || bits > 16) return EC_ERR_ARGUMENT;
    ec_stack s = *stack;
    for (size_t i = n; i-- > 0;) {
        if (values[i] >> bits != 0) return EC_ERR_SYMBOL;
        const ec_interval place = {values[i], 1};
        const int status = push(&s, place, bits);
        if (status != EC_OK) return status;
    }
    *stack = s;
    return EC_OK;
}

int ec_stack_pop_bits(ec_stack *stack, uint32_t bits, size_t n, uint16_t *values) {
    if (bits < 1 || bits > 16) return EC_ERR_ARGUMENT;
    ec_stack s = *stack;
    for (size_t i = 0; i < n; i++) {
        const ec_interval place = {slot_of(&s, bits), 1};
        const int status = pop(&s, place, bits);
        if (status != EC_OK) return status;
        values[i] = (uint16_t)place.start;
    }
    *stack = s;
    return EC_OK;
}
