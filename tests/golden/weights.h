/*
 * weights.h - the weights of the golden corpus, made by integers alone
 *
 * The twin of the first half of corpus.py, which says what each function is for. The kinds stand in
 * table.h.
 */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "coreai_quant.h"

#include <string.h>

/* A type of weights: bits of its significand, exponent bias, bits of its largest finite number. */
typedef struct number_type {
    int mantissa, bias;
    uint32_t top;
} number_type;

static const number_type number_types[CAQ_SOURCES] = {
    [CAQ_F32] = {23, 127, 0x7F7FFFFF},
    [CAQ_F16] = {10, 15, 0x7BFF},
    [CAQ_BF16] = {7, 127, 0x7F7F},
};

static uint64_t random_bits(uint64_t counter) {
    uint64_t z = (counter + 1) * 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

/* Numbers as magnitudes, bits without the sign. */

static uint32_t encode(number_type type, uint32_t integer, int exponent) {
    if (integer == 0)
        return 0;
    int least = 1 - type.bias - type.mantissa;
    while (integer >> type.mantissa > 1 || exponent < least) {
        integer >>= 1;
        exponent++;
    }
    while (integer >> type.mantissa == 0 && exponent > least) {
        integer <<= 1;
        exponent--;
    }
    uint32_t magnitude = integer + ((uint32_t)(exponent - least) << type.mantissa);
    return magnitude < type.top ? magnitude : type.top;
}

static uint32_t below(uint64_t random, uint32_t count) { return (uint32_t)(random % count); }

/* What draws a magnitude from 64 random bits. The sign is the highest one, except in normal(). */
typedef uint32_t draw_fn(number_type type, uint64_t random, int a, int b, int *negative);

static uint32_t normal(number_type type, uint64_t random, int exponent, int offset, int *negative) {
    int32_t total = offset - 2 * 0xFFFF;
    for (; random; random >>= 16)
        total += (int32_t)(random & 0xFFFF);
    *negative = total < 0;
    return encode(type, (uint32_t)(total < 0 ? -total : total), exponent);
}

static uint32_t any_finite(number_type type, uint64_t random, int a, int b, int *negative) {
    (void)a, (void)b, (void)negative;
    return below(random, type.top + 1);
}

static uint32_t smallest(number_type type, uint64_t random, int count, int b, int *negative) {
    (void)type, (void)b, (void)negative;
    return below(random, (uint32_t)count);
}

static uint32_t subnormal(number_type type, uint64_t random, int a, int b, int *negative) {
    (void)a, (void)b, (void)negative;
    return below(random, 2u << type.mantissa);
}

static uint32_t largest(number_type type, uint64_t random, int a, int b, int *negative) {
    (void)a, (void)b, (void)negative;
    return type.top - ((random & 3) == 0 ? 0 : below(random >> 8, 2u << type.mantissa));
}

static uint32_t threshold(number_type type, uint64_t random, int ulps, int b, int *negative) {
    (void)b, (void)negative;
    uint32_t edge = (((uint32_t)type.bias - 3) << type.mantissa) + (13u << (type.mantissa - 4));
    return edge + (uint32_t)ulps - (random & 1 ? 0 : below(random >> 8, 8u << type.mantissa));
}

static uint32_t multiple(number_type type, uint64_t random, int most, int step, int *negative) {
    (void)negative;
    uint32_t steps = (random & 3) == 0 ? (uint32_t)most : below(random >> 8, (uint32_t)most + 1);
    return encode(type, (uint32_t)step * steps, -1);
}

static uint32_t short_significand(number_type type, uint64_t random, int a, int b, int *negative) {
    (void)a, (void)b, (void)negative;
    if ((random & 3) == 0)
        return encode(type, 448, 0);
    return encode(type, below(random >> 8, 32), -(int)below(random >> 16, 14));
}

static const struct block_kind {
    draw_fn *draw;
    int a, b;
} kinds[] = {
#define KIND(draw, a, b) {draw, a, b},
#define GOLDEN(...)
#include "table.h"
#undef KIND
#undef GOLDEN
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* The number of the block that an element is in; *blocks becomes how many there are. */
static size_t block_of(size_t element, size_t rank, const size_t *shape, const size_t *block_sizes,
                       size_t *blocks) {
    size_t block = 0;
    *blocks = 1;
    for (size_t axis = rank; axis-- > 0; element /= shape[axis]) {
        size_t length = block_sizes[axis] ? block_sizes[axis] : shape[axis];
        block += element % shape[axis] / length * *blocks;
        *blocks *= shape[axis] / length;
    }
    return block;
}

/* The array of a layout in which the first block is of the kind `first`. */
static void make_weight(caq_source source, size_t elements, size_t rank, const size_t *shape,
                        const size_t *block_sizes, size_t first, uint8_t *weight) {
    number_type type = number_types[source];
    for (size_t element = 0; element < elements; element++) {
        size_t blocks, block = block_of(element, rank, shape, block_sizes, &blocks);
        const struct block_kind *kind = &kinds[(first + block) % KINDS];
        uint64_t random = random_bits(((uint64_t)first << 32) + element);
        int negative = (int)(random >> 63);
        uint32_t bits = kind->draw(type, random, kind->a, kind->b, &negative);
        if (source == CAQ_F32) {
            bits |= (uint32_t)negative << 31;
            memcpy(weight + 4 * element, &bits, 4);
        } else {
            uint16_t half = (uint16_t)(bits | (uint32_t)negative << 15);
            memcpy(weight + 2 * element, &half, 2);
        }
    }
}

#endif
