/*
 * points.c - from the weights of a group to sorted points
 *
 * Weights of 16 bits are counted, with one counter for each number of 16 bits. Large groups of
 * binary32 are counted by the numbers' first digits. Smaller groups are sorted.
 */
#include "points.h"

#include "../unaligned.h"
#include "masses.h"

#if CAQ_WITH_TABLES

#define DIGITS 40          /* most binary digits of an integer */
#define DIGITS_OF_MANY 30  /* of weights that are counted by their first digits */
#define SUM_DIGITS 61      /* of such that a sum of two for each weight has no more than 63 */
#define DROPPED 8          /* last bits of binary32 that are not told apart */
#define COUNTED_AT_ONCE 64 /* weights whose counters are found at once */
#define NUMBERS 65536      /* of 16 bits */
#define SORTED 16384       /* weights of 16 bits that are sorted faster than counted */
#define RADIX 2048         /* for sorting 32 bits, 11 at a time */
#define POINTS_AT_ONCE 64  /* points whose integers are found at once */
#define INFINITE 0x7F800000

/* Counters that a large group of binary32 needs for each sign, without 0: for the exponents of
 * weights that do not become the integer 0. */
#define MAGNITUDES ((DIGITS_OF_MANY + 2) << (23 - DROPPED))

size_t caq_most_points(caq_source source, size_t weights) {
    size_t most = source != CAQ_F32 ? NUMBERS : weights > FEW ? 2 * MAGNITUDES + 1 : weights;
    return weights < most ? weights : most;
}

static int is_sorted(caq_source source, size_t weights) {
    return weights <= (source == CAQ_F32 ? FEW : SORTED);
}

size_t caq_points_scratch_size(caq_source source, size_t weights, int weighed) {
    size_t points = (caq_most_points(source, weights) + 1) * sizeof(caq_point);
    if (is_sorted(source, weights)) /* keys, twice, and what goes with them */
        return points + ((weighed ? 4 : 2) * weights + RADIX + 1) / 2 * 8;
    if (source == CAQ_F32)
        return (2 * MAGNITUDES + 2) * sizeof(caq_point);
    return points + NUMBERS * (weighed ? sizeof(double) : sizeof(uint32_t));
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

/* Turn the sums of each point into the sums of all points before it. */
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

static float widen(caq_source source, uint32_t bits) {
    if (source == CAQ_F32)
        return float_from_bits(bits);
    return source == CAQ_F16 ? float_from_f16((uint16_t)bits) : float_from_bf16((uint16_t)bits);
}

/* The first weight of a run, and the bits of a weight. */
static const uint8_t *run_of(const caq_members *of, size_t run, size_t size) {
    return of->weight + size * run * of->stride;
}
static uint32_t bits_at(caq_source source, const uint8_t *weight, size_t i) {
    return source == CAQ_F32 ? load_32(weight + 4 * i) : load_16(weight + 2 * i);
}

/* Weights of 16 bits. */
static caq_status count_numbers(caq_source source, const caq_members *of, caq_group *to,
                                void *scratch) {
    const uint32_t infinite = source == CAQ_F16 ? 0x7C00 : 0x7F80, sign = 0x8000;
    uint32_t *counts = (uint32_t *)scratch;
    for (size_t i = 0; i < NUMBERS; i++)
        counts[i] = 0;
    for (size_t r = 0; r < of->runs; r++) {
        const uint8_t *run = run_of(of, r, 2);
        for (size_t i = 0; i < of->run; i++)
            counts[load_16(run + 2 * i)]++;
    }
    uint32_t not_finite = 0;
    for (uint32_t i = infinite; i < sign; i++)
        not_finite |= counts[i] | counts[sign | i];
    if (not_finite)
        return CAQ_NOT_FINITE;
    uint32_t largest = infinite - 1;
    while (largest > 0 && !counts[largest] && !counts[sign | largest])
        largest--;
    to->shift =
        digits_shift(of->runs * of->run, float_bits(widen(source, largest)), DIGITS, SUM_DIGITS);
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
static uint32_t find_largest(const caq_members *of) {
    uint32_t largest = 0;
    for (size_t r = 0; r < of->runs; r++) {
        const uint8_t *run = run_of(of, r, 4);
        for (size_t i = 0; i < of->run; i++) {
            uint32_t bits = load_32(run + 4 * i) & 0x7FFFFFFF;
            largest = bits > largest ? bits : largest;
        }
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

/* Sort keys[0], of 16 or 32 bits, ascending by 8 or 11 bits at a time. masses[0], if there are any,
 * move with their keys. Return the index of the arrays that the result is in. */
static unsigned sort(uint32_t *keys[2], uint32_t *masses[2], size_t count, unsigned width,
                     uint32_t *places) {
    unsigned now = 0, digit = width > 16 ? 11 : 8;
    uint32_t radix = 1u << digit, mask = radix - 1;
    for (unsigned shift = 0; shift < width; shift += digit, now = 1 - now) {
        const uint32_t *from = keys[now];
        uint32_t *to = keys[1 - now], place = 0;
        for (size_t i = 0; i < radix; i++)
            places[i] = 0;
        for (size_t i = 0; i < count; i++)
            places[from[i] >> shift & mask]++;
        for (size_t i = 0; i < radix; i++) {
            uint32_t next = place + places[i];
            places[i] = place;
            place = next;
        }
        if (masses)
            for (size_t i = 0; i < count; i++) {
                uint32_t here = places[from[i] >> shift & mask]++;
                to[here] = from[i];
                masses[1 - now][here] = masses[now][i];
            }
        else
            for (size_t i = 0; i < count; i++)
                to[places[from[i] >> shift & mask]++] = from[i];
    }
    return now;
}

/* A small group. */
static caq_status sort_numbers(caq_source source, const caq_members *of, caq_group *to,
                               void *scratch) {
    size_t weights = of->runs * of->run, size = source_size(source);
    unsigned width = (unsigned)(8 * size);
    adder all = new_adder(scratch);
    uint32_t *first = (uint32_t *)(void *)(all.points + caq_most_points(source, weights) + 1);
    uint32_t *keys[2] = {first, first + weights}, *places = first + 2 * weights;
    for (size_t r = 0, k = 0; r < of->runs; r++) {
        const uint8_t *run = run_of(of, r, size);
        for (size_t i = 0; i < of->run; i++)
            keys[0][k++] = order_of(bits_at(source, run, i), width);
    }
    unsigned which = sort(keys, NULL, weights, width, places);
    const uint32_t *sorted = keys[which];
    uint32_t lowest = float_bits(widen(source, number_of(sorted[0], width))) & 0x7FFFFFFF;
    uint32_t highest =
        float_bits(widen(source, number_of(sorted[weights - 1], width))) & 0x7FFFFFFF;
    uint32_t largest = lowest > highest ? lowest : highest;
    if (largest >= INFINITE)
        return CAQ_NOT_FINITE;
    to->shift = digits_shift(weights, largest, DIGITS, SUM_DIGITS);
    double scale = power_of_two(to->shift);
    uint32_t *ends = keys[1 - which];
    size_t points = 0;
    for (size_t i = 1; i <= weights; i++) { /* without branches */
        ends[points] = (uint32_t)i;
        points += i == weights || sorted[i] != sorted[i - 1];
    }
    for (size_t i = 0, some, end = 0; i < points; i += some) {
        int64_t x[POINTS_AT_ONCE];
        some = smaller(POINTS_AT_ONCE, points - i);
        for (size_t k = 0; k < some; k++) {
            float weight = widen(source, number_of(sorted[ends[i + k] - 1], width));
            x[k] = (int64_t)integer_of(weight, scale);
        }
        for (size_t k = 0; k < some; k++) {
            int64_t same = (int64_t)(ends[i + k] - end);
            end = ends[i + k];
            add_point(&all, same, same * x[k], x[k] == 0);
        }
    }
    sum_up(&all, to);
    return CAQ_OK;
}

/* Where the counters of a large group of binary32 begin: digits below those of the least number. */
static size_t digits_below(uint32_t largest) {
    uint32_t top = largest >> DROPPED;
    return top < MAGNITUDES ? 0 : top - MAGNITUDES;
}

/* The counter of a number with these bits that becomes the integer x. */
static caq_point *counter_of(caq_point *zero, size_t below, uint32_t bits, int64_t x) {
    size_t magnitude = ((bits & 0x7FFFFFFF) >> DROPPED) - below;
    return x > 0 ? zero + magnitude : x < 0 ? zero - magnitude : zero;
}

/* Count a large group of binary32: each value of the first digits has a counter, in ascending
 * order. */
static caq_status count_digits(const caq_members *of, caq_group *to, void *scratch) {
    caq_point *counters = (caq_point *)scratch, *zero = counters + MAGNITUDES;
    uint32_t largest = find_largest(of);
    if (largest >= INFINITE)
        return CAQ_NOT_FINITE;
    to->shift = digits_shift(of->runs * of->run, largest, DIGITS_OF_MANY, SUM_DIGITS);
    double scale = power_of_two(to->shift);
    for (size_t i = 0; i < 2 * MAGNITUDES + 1; i++)
        counters[i].of.count = counters[i].of.sum = 0;
    int32_t below = (int32_t)digits_below(largest);
    for (size_t r = 0; r < of->runs; r++)
        for (size_t i = 0, some; i < of->run; i += some) {
            int32_t x[COUNTED_AT_ONCE], places[COUNTED_AT_ONCE];
            some = smaller(COUNTED_AT_ONCE, of->run - i);
            const uint8_t *from = run_of(of, r, 4) + 4 * i;
            for (size_t k = 0; k < some; k++) {
                uint32_t bits = load_32(from + 4 * k);
                x[k] = (int32_t)integer_of(float_from_bits(bits), scale);
                /* the place that counter_of() finds, without branches */
                int32_t magnitude = (int32_t)((bits & 0x7FFFFFFF) >> DROPPED) - below;
                int32_t sign = -(int32_t)(bits >> 31);
                places[k] = x[k] ? (magnitude ^ sign) - sign : 0;
            }
            for (size_t k = 0; k < some; k++) {
                caq_point *counter = zero + places[k];
                counter->of.count++;
                counter->of.sum += x[k];
            }
        }
    adder all = new_adder(counters);
    for (size_t i = 0; i < 2 * MAGNITUDES + 1; i++)
        if (counters[i].of.count)
            add_point(&all, counters[i].of.count, counters[i].of.sum, counters + i == zero);
    sum_up(&all, to);
    return CAQ_OK;
}

caq_status caq_find_points(caq_source source, const caq_members *of, caq_group *to, void *scratch) {
    if (is_sorted(source, of->runs * of->run))
        return sort_numbers(source, of, to, scratch);
    if (source == CAQ_F32)
        return count_digits(of, to, scratch);
    return count_numbers(source, of, to, scratch);
}

static weigher weigh_members(const caq_table_job *job, const caq_members *of) {
    float most = 0;
    for (size_t r = 0; r < of->runs; r++)
        for (size_t i = 0, some; i < of->run; i += some) {
            some = smaller(WEIGHED_AT_ONCE, of->run - i);
            most = most_important(job, of->first + r * of->stride + i, some, most);
        }
    return new_weigher(job, of->runs * of->run, most);
}

/* Points whose masses and moments have been added up. */
static void add_weighed(adder *to, double mass, double moment, int is_zero) {
    if (is_zero && to->has_zero) {
        to->points[to->count - 1].weighed.mass += mass;
        return;
    }
    to->has_zero = is_zero;
    caq_point *added = to->points + to->count++;
    added->weighed.mass = mass;
    added->weighed.moment = moment;
}

static void sum_up_weighed(const adder *from, caq_group *to) {
    double mass = 0, moment = 0;
    for (size_t i = 0; i < from->count; i++) {
        mass += from->points[i].weighed.mass;
        moment += from->points[i].weighed.moment;
    }
    to->points = from->points;
    to->count = from->count;
    to->center = round_double(moment / mass);
    mass = moment = 0;
    for (size_t i = 0; i <= from->count; i++) {
        caq_point *here = from->points + i, own = *here;
        here->before.mass = mass;
        here->before.moment = moment;
        if (i == from->count)
            break;
        mass += own.weighed.mass;
        moment += own.weighed.moment - to->center * own.weighed.mass;
    }
}

/* Weights of 16 bits. */
static caq_status weigh_counted(const weigher *with, const caq_members *of, caq_group *to,
                                void *scratch) {
    caq_source source = with->job->source;
    const uint32_t infinite = source == CAQ_F16 ? 0x7C00 : 0x7F80, sign = 0x8000;
    double *sums = (double *)scratch;
    uint32_t masses[WEIGHED_AT_ONCE], not_finite = 0;
    for (size_t i = 0; i < NUMBERS; i++)
        sums[i] = 0;
    for (size_t r = 0; r < of->runs; r++)
        for (size_t i = 0, some; i < of->run; i += some) {
            const uint8_t *from = run_of(of, r, 2) + 2 * i;
            some = smaller(WEIGHED_AT_ONCE, of->run - i);
            find_masses(with, of->first + r * of->stride + i, some, masses);
            for (size_t k = 0; k < some; k++) {
                uint32_t bits = load_16(from + 2 * k);
                not_finite |= (bits & infinite) == infinite;
                sums[bits] += masses[k];
            }
        }
    if (not_finite)
        return CAQ_NOT_FINITE;
    uint32_t largest = infinite - 1;
    while (largest > 0 && sums[largest] == 0 && sums[sign | largest] == 0)
        largest--;
    to->shift =
        digits_shift(of->runs * of->run, float_bits(widen(source, largest)), DIGITS, SUM_DIGITS);
    double scale = power_of_two(to->shift);
    adder all = new_adder(sums + NUMBERS);
    for (uint32_t i = 0; i <= 2 * largest + 1; i++) {
        uint32_t number = i <= largest ? sign | (largest - i) : i - largest - 1;
        if (sums[number] > 0) {
            double x = integer_of(widen(source, number), scale);
            add_weighed(&all, sums[number], sums[number] * x, x == 0);
        }
    }
    sum_up_weighed(&all, to);
    return CAQ_OK;
}

/* A small group. */
static caq_status weigh_sorted(const weigher *with, const caq_members *of, caq_group *to,
                               void *scratch) {
    caq_source source = with->job->source;
    size_t weights = of->runs * of->run, size = source_size(source), count = 0;
    unsigned width = (unsigned)(8 * size);
    const uint32_t infinite = source == CAQ_F32 ? INFINITE : source == CAQ_F16 ? 0x7C00 : 0x7F80;
    adder all = new_adder(scratch);
    uint32_t *first = (uint32_t *)(void *)(all.points + caq_most_points(source, weights) + 1);
    uint32_t *keys[2] = {first, first + weights},
             *masses[2] = {first + 2 * weights, first + 3 * weights};
    uint32_t not_finite = 0, largest = 0;
    for (size_t r = 0; r < of->runs; r++)
        for (size_t i = 0, some; i < of->run; i += some) {
            uint32_t chunk[WEIGHED_AT_ONCE];
            some = smaller(WEIGHED_AT_ONCE, of->run - i);
            find_masses(with, of->first + r * of->stride + i, some, chunk);
            for (size_t k = 0; k < some; k++) {
                uint32_t bits = bits_at(source, run_of(of, r, size), i + k);
                not_finite |= (bits & infinite) == infinite;
                if (!chunk[k])
                    continue;
                uint32_t magnitude = float_bits(widen(source, bits)) & 0x7FFFFFFF;
                largest = magnitude > largest ? magnitude : largest;
                keys[0][count] = order_of(bits, width);
                masses[0][count++] = chunk[k];
            }
        }
    if (not_finite)
        return CAQ_NOT_FINITE;
    unsigned sorted = sort(keys, masses, count, width, first + 4 * weights);
    to->shift = digits_shift(weights, largest, DIGITS, SUM_DIGITS);
    double scale = power_of_two(to->shift);
    for (size_t i = 0, next; i < count; i = next) {
        double mass = 0, x = integer_of(widen(source, number_of(keys[sorted][i], width)), scale);
        for (next = i; next < count && keys[sorted][next] == keys[sorted][i]; next++)
            mass += masses[sorted][next];
        add_weighed(&all, mass, mass * x, x == 0);
    }
    sum_up_weighed(&all, to);
    return CAQ_OK;
}

/* A large group of binary32. */
static caq_status weigh_digits(const weigher *with, const caq_members *of, caq_group *to,
                               void *scratch) {
    caq_point *counters = (caq_point *)scratch, *zero = counters + MAGNITUDES;
    uint32_t masses[WEIGHED_AT_ONCE], largest = 0, not_finite = 0;
    size_t below = 0;
    double scale = 0;
    for (size_t i = 0; i < 2 * MAGNITUDES + 1; i++)
        counters[i].weighed.mass = counters[i].weighed.moment = 0;
    for (int pass = 0; pass < 2; pass++) { /* to know the largest, and to add up */
        for (size_t r = 0; r < of->runs; r++)
            for (size_t i = 0, some; i < of->run; i += some) {
                const uint8_t *from = run_of(of, r, 4) + 4 * i;
                some = smaller(WEIGHED_AT_ONCE, of->run - i);
                find_masses(with, of->first + r * of->stride + i, some, masses);
                for (size_t k = 0; k < some; k++) {
                    uint32_t bits = load_32(from + 4 * k), magnitude = bits & 0x7FFFFFFF;
                    if (pass == 0) {
                        not_finite |= magnitude >= INFINITE;
                        largest = masses[k] && magnitude > largest ? magnitude : largest;
                    } else if (masses[k]) {
                        double x = integer_of(float_from_bits(bits), scale);
                        caq_point *counter = counter_of(zero, below, bits, (int64_t)x);
                        counter->weighed.mass += masses[k];
                        counter->weighed.moment += masses[k] * x;
                    }
                }
            }
        if (not_finite)
            return CAQ_NOT_FINITE;
        below = digits_below(largest);
        to->shift = digits_shift(of->runs * of->run, largest, DIGITS_OF_MANY, SUM_DIGITS);
        scale = power_of_two(to->shift);
    }
    adder all = new_adder(counters);
    for (size_t i = 0; i < 2 * MAGNITUDES + 1; i++)
        if (counters[i].weighed.mass > 0)
            add_weighed(&all, counters[i].weighed.mass, counters[i].weighed.moment,
                        counters + i == zero);
    sum_up_weighed(&all, to);
    return CAQ_OK;
}

caq_status caq_weigh_points(const caq_table_job *job, const caq_members *of, caq_group *to,
                            void *scratch) {
    weigher with = weigh_members(job, of);
    if (with.scale == 0)
        return caq_find_points(job->source, of, to, scratch);
    if (is_sorted(job->source, of->runs * of->run))
        return weigh_sorted(&with, of, to, scratch);
    if (job->source == CAQ_F32)
        return weigh_digits(&with, of, to, scratch);
    return weigh_counted(&with, of, to, scratch);
}

#endif
