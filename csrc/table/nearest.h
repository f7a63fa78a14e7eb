/*
 * nearest.h - which entry of a table is nearest to a number
 */
#ifndef NEAREST_H
#define NEAREST_H

#include "../float_bits.h"
#include "../target.h"
#include "../unaligned.h"

#if CAQ_WITH_TABLES

#define MOST_ENTRIES 256
#define MOST_LENGTH 256 /* of vectors */
#define FEW_ENTRIES 16  /* of tables that kernels keep in registers */

/* Bounds between the entries of a table, with infinities behind them. */
static inline size_t bounds_of(size_t entries) {
    return entries < FEW_ENTRIES ? FEW_ENTRIES : entries;
}

/* Round to a number of the type. */
static inline float round_to(caq_source source, float x) {
    if (source == CAQ_F16)
        return float_from_f16(f16_from_float(x));
    if (source == CAQ_BF16) {
        uint32_t bits = float_bits(x);
        return float_from_bits((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000);
    }
    return x;
}

/* Half way between two numbers, rounded down. */
static inline float half_way(float a, float b) {
    double exact = ((double)a + (double)b) * 0.5;
    float rounded = (float)exact;
    if ((double)rounded <= exact)
        return rounded;
    uint32_t bits = float_bits(rounded);
    if (rounded == 0)
        return float_from_bits(0x80000001);
    return float_from_bits(rounded > 0 ? bits - 1 : bits + 1);
}

/* Find each entry's bound: weights above it have a later entry. */
static inline void find_bounds(const float *table, size_t entries, float *bounds) {
    const float infinity = float_from_bits(0x7F800000);
    for (size_t k = entries - 1; k < bounds_of(entries); k++)
        bounds[k] = infinity;
    for (size_t k = entries - 1; k-- > 0;)
        bounds[k] = table[k] == table[k + 1] ? bounds[k + 1] : half_way(table[k], table[k + 1]);
}

static inline float number_at(caq_source source, const uint8_t *weight, size_t i) {
    if (source == CAQ_F32)
        return float_from_bits(load_32(weight + 4 * i));
    uint16_t bits = load_16(weight + 2 * i);
    return source == CAQ_F16 ? float_from_f16(bits) : float_from_bf16(bits);
}

/* Store a number, rounded to the type. */
static inline void store_number(caq_source target, uint8_t *to, float number) {
    if (target == CAQ_F32)
        store_32(to, float_bits(number));
    else if (target == CAQ_F16)
        store_16(to, f16_from_float(number));
    else
        store_16(to, (uint16_t)(float_bits(round_to(CAQ_BF16, number)) >> 16));
}

/* Count the bounds that a weight is above, which is its index. */
static inline uint8_t index_of(const float *bounds, size_t entries, float weight) {
    size_t index = 0;
    for (size_t step = entries / 2; step; step /= 2)
        index += weight > bounds[index + step - 1] ? step : 0;
    return (uint8_t)index;
}

#endif
#endif
