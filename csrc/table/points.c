/*
 * points.c - from the weights of a group to sorted points
 *
 * Weights of 16 bits are counted, one counter for each number that there is; so are those of large groups
 * of binary32, by their first digits. Smaller groups are sorted.
 */
#include "points.h"

#include "../float_bits.h"
#include "../target.h"
#include "../unaligned.h"

#if CAQ_WITH_TABLES

#define DIGITS 40         /* most binary digits of an integer */
#define DIGITS_OF_MANY 30 /* of weights that are counted by their first digits */
#define SUM_DIGITS 61     /* of such that a sum of two for each weight has no more than 63 */
#define DROPPED 8         /* last bits of binary32 that are not told apart */
#define NUMBERS 65536     /* of 16 bits */
#define SORTED 16384      /* weights of 16 bits that are sorted faster than counted */
#define RADIX_BITS 11
#define RADIX (1u << RADIX_BITS) /* for sorting 32 bits, 11 at a time */
#define INFINITE 0x7F800000

/* Numbers of binary32 that a large group tells apart, but for their sign and 0: those with one of the
 * exponents of weights that do not become 0. */
#define MAGNITUDES ((DIGITS_OF_MANY + 2) << (23 - DROPPED))

size_t caq_most_points(caq_source source, size_t weights) {
    size_t most = source != CAQ_F32 ? NUMBERS : weights > FEW ? 2 * MAGNITUDES + 1 : weights;
    return weights < most ? weights : most;
}

static int is_sorted(caq_source source, size_t weights) {
    return weights <= (source == CAQ_F32 ? FEW : SORTED);
}

size_t caq_points_scratch_size(caq_source source, size_t weights) {
    size_t points = (caq_most_points(source, weights) + 1) * sizeof(caq_point);
    if (is_sorted(source, weights))
        return points + (2 * weights + RADIX + 1) / 2 * 8;
    if (source == CAQ_F32)
        return (2 * MAGNITUDES + 2) * sizeof(caq_point);
    return points + NUMBERS * sizeof(uint32_t);
}

/* Points that are being added, in ascending order. */
typedef struct adder {
    caq_point *points;
    size_t count;
    int64_t weights, sum;
    int has_zero; /* whether the last point is that of 0 */
} adder;

static adder new_adder(void *points) {
    adder it = {(caq_point *)points, 0, 0, 0, 0};
    return it;
}

static void add_point(adder *to, int64_t count, int64_t sum, int is_zero) {
    to->weights += count;
    to->sum += sum;
    if (is_zero && to->has_zero) {
        to->points[to->count - 1].of.count += count;
        return;
    }
    to->has_zero = is_zero;
    caq_point *added = to->points + to->count++;
    added->of.count = count;
    added->of.sum = sum;
}

/* From the points' own sums to those before them. */
static void sum_up(const adder *from, caq_group *to) {
    to->points = from->points;
    to->count = from->count;
    to->center = round_double((double)from->sum / (double)from->weights);
    int64_t center = (int64_t)to->center, mass = 0, moment = 0;
    for (size_t i = 0; i < from->count; i++) {
        caq_point *here = from->points + i;
        int64_t count = here->of.count, sum = here->of.sum - center * count;
        here->before.mass = (double)mass;
        here->before.moment = (double)moment;
        mass += count;
        moment += sum;
    }
    from->points[from->count].before.mass = (double)mass;
    from->points[from->count].before.moment = (double)moment;
}

/* The shift for so many weights, the largest of which has these bits, and at most so many digits. */
static int digits_shift(size_t weights, uint32_t largest, int most) {
    union {
        double number;
        uint64_t bits;
    } pun = {(double)float_from_bits(largest)};
    int digits = SUM_DIGITS, exponent = (int)(pun.bits >> 52) - 1022;
    for (; weights; weights /= 2)
        digits--;
    return (digits < most ? digits : most) - (largest ? exponent : 0);
}

static double integer_of(float weight, double scale) {
    return round_double((double)weight * scale);
}

static float widen(caq_source source, uint32_t bits) {
    if (source == CAQ_F32)
        return float_from_bits(bits);
    return source == CAQ_F16 ? float_from_f16((uint16_t)bits) : float_from_bf16((uint16_t)bits);
}

/* Weights of 16 bits. */
static caq_status count_numbers(caq_source source, const uint8_t *weight, size_t runs, size_t run,
                                size_t stride, caq_group *to, void *scratch) {
    const uint32_t infinite = source == CAQ_F16 ? 0x7C00 : 0x7F80, sign = 0x8000;
    uint32_t *counts = (uint32_t *)scratch;
    for (size_t i = 0; i < NUMBERS; i++)
        counts[i] = 0;
    for (size_t r = 0; r < runs; r++)
        for (size_t i = 0; i < run; i++)
            counts[load_16(weight + 2 * (r * stride + i))]++;
    uint32_t not_finite = 0;
    for (uint32_t i = infinite; i < sign; i++)
        not_finite |= counts[i] | counts[sign | i];
    if (not_finite)
        return CAQ_NOT_FINITE;
    uint32_t largest = infinite - 1;
    while (largest > 0 && !counts[largest] && !counts[sign | largest])
        largest--;
    to->shift = digits_shift(runs * run, float_bits(widen(source, largest)), DIGITS);
    double scale = power_of_two(to->shift);
    adder all = new_adder(counts + NUMBERS);
    for (uint32_t i = 0; i <= 2 * largest + 1; i++) {
        uint32_t number = i <= largest ? sign | (largest - i) : i - largest - 1;
        if (counts[number]) {
            int64_t count = counts[number];
            int64_t x = (int64_t)integer_of(widen(source, number), scale);
            add_point(&all, count, count * x, x == 0);
        }
    }
    sum_up(&all, to);
    return CAQ_OK;
}

/* The largest magnitude of the group, as bits of binary32. */
static uint32_t find_largest(const uint8_t *weight, size_t runs, size_t run, size_t stride) {
    uint32_t largest = 0;
    for (size_t r = 0; r < runs; r++)
        for (size_t i = 0; i < run; i++) {
            uint32_t bits = load_32(weight + 4 * (r * stride + i)) & 0x7FFFFFFF;
            largest = bits > largest ? bits : largest;
        }
    return largest;
}

/* Unsigned integers that order as numbers of so many bits do, and back. */
static uint32_t order_of(uint32_t bits, unsigned width) {
    bits <<= 32 - width;
    return (bits ^ (0x80000000 | (0u - (bits >> 31)))) >> (32 - width);
}
static uint32_t number_of(uint32_t order, unsigned width) {
    order <<= 32 - width;
    return (order ^ (order >> 31 ? 0x80000000 : 0xFFFFFFFF)) >> (32 - width);
}

/* Sort ascending keys[0] of so many bits, 11 of them at a time. Returns which of keys the result is in. */
static unsigned sort(uint32_t *keys[2], size_t count, unsigned width, uint32_t *places) {
    unsigned now = 0;
    for (unsigned shift = 0; shift < width; shift += RADIX_BITS, now = 1 - now) {
        const uint32_t *from = keys[now];
        uint32_t *to = keys[1 - now], place = 0;
        for (size_t i = 0; i < RADIX; i++)
            places[i] = 0;
        for (size_t i = 0; i < count; i++)
            places[(from[i] >> shift) % RADIX]++;
        for (size_t i = 0; i < RADIX; i++) {
            uint32_t next = place + places[i];
            places[i] = place;
            place = next;
        }
        for (size_t i = 0; i < count; i++)
            to[places[(from[i] >> shift) % RADIX]++] = from[i];
    }
    return now;
}

/* A small group. */
static caq_status sort_numbers(caq_source source, const uint8_t *weight, size_t runs, size_t run,
                               size_t stride, caq_group *to, void *scratch) {
    size_t weights = runs * run, size = source_size(source);
    unsigned width = (unsigned)(8 * size);
    adder all = new_adder(scratch);
    uint32_t *first = (uint32_t *)(void *)(all.points + caq_most_points(source, weights) + 1);
    uint32_t *keys[2] = {first, first + weights}, *places = first + 2 * weights;
    for (size_t r = 0, k = 0; r < runs; r++)
        for (size_t i = 0; i < run; i++) {
            const uint8_t *p = weight + size * (r * stride + i);
            keys[0][k++] = order_of(size == 2 ? load_16(p) : load_32(p), width);
        }
    const uint32_t *sorted = keys[sort(keys, weights, width, places)];
    uint32_t lowest = float_bits(widen(source, number_of(sorted[0], width))) & 0x7FFFFFFF;
    uint32_t highest =
        float_bits(widen(source, number_of(sorted[weights - 1], width))) & 0x7FFFFFFF;
    uint32_t largest = lowest > highest ? lowest : highest;
    if (largest >= INFINITE)
        return CAQ_NOT_FINITE;
    to->shift = digits_shift(weights, largest, DIGITS);
    double scale = power_of_two(to->shift);
    for (size_t i = 0, same; i < weights; i += same) {
        same = 1;
        while (i + same < weights && sorted[i + same] == sorted[i])
            same++;
        int64_t x = (int64_t)integer_of(widen(source, number_of(sorted[i], width)), scale);
        add_point(&all, (int64_t)same, (int64_t)same * x, x == 0);
    }
    sum_up(&all, to);
    return CAQ_OK;
}

/* A large group of binary32: a counter for each number of the digits that count, in ascending order. */
static caq_status count_digits(const uint8_t *weight, size_t runs, size_t run, size_t stride,
                               caq_group *to, void *scratch) {
    caq_point *counters = (caq_point *)scratch, *zero = counters + MAGNITUDES;
    uint32_t largest = find_largest(weight, runs, run, stride);
    if (largest >= INFINITE)
        return CAQ_NOT_FINITE;
    to->shift = digits_shift(runs * run, largest, DIGITS_OF_MANY);
    uint32_t top = largest >> DROPPED, below = top < MAGNITUDES ? 0 : top - MAGNITUDES;
    double scale = power_of_two(to->shift);
    for (size_t i = 0; i < 2 * MAGNITUDES + 1; i++)
        counters[i].of.count = counters[i].of.sum = 0;
    for (size_t r = 0; r < runs; r++)
        for (size_t i = 0; i < run; i++) {
            uint32_t bits = load_32(weight + 4 * (r * stride + i));
            int64_t x = (int64_t)integer_of(float_from_bits(bits), scale);
            int64_t magnitude = (int64_t)((bits & 0x7FFFFFFF) >> DROPPED) - below;
            caq_point *counter = zero + (x > 0 ? magnitude : x < 0 ? -magnitude : 0);
            counter->of.count++;
            counter->of.sum += x;
        }
    adder all = new_adder(counters);
    for (size_t i = 0; i < 2 * MAGNITUDES + 1; i++)
        if (counters[i].of.count)
            add_point(&all, counters[i].of.count, counters[i].of.sum, counters + i == zero);
    sum_up(&all, to);
    return CAQ_OK;
}

caq_status caq_find_points(caq_source source, const void *weight, size_t runs, size_t run,
                           size_t stride, caq_group *to, void *scratch) {
    const uint8_t *bytes = (const uint8_t *)weight;
    if (is_sorted(source, runs * run))
        return sort_numbers(source, bytes, runs, run, stride, to, scratch);
    if (source == CAQ_F32)
        return count_digits(bytes, runs, run, stride, to, scratch);
    return count_numbers(source, bytes, runs, run, stride, to, scratch);
}

#endif
