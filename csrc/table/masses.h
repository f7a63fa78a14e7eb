/*
 * masses.h - what weights count by their importance, and weights as integers
 */
#ifndef MASSES_H
#define MASSES_H

#include "../float_bits.h"
#include "../geometry.h"
#include "../target.h"

#if CAQ_WITH_TABLES

#define MASS_DIGITS 30 /* of what a weight of the largest importance counts */
#define MASS_SUM_DIGITS 53
#define WEIGHED_AT_ONCE 256 /* weights whose masses are found at once */

/* 2^n, for a normal number. */
static inline double power_of_two(int n) {
    union {
        uint64_t bits;
        double number;
    } pun = {(uint64_t)(1023 + n) << 52};
    return pun.number;
}

/* Round half even; |x| < 2^51. */
static inline double round_double(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

static inline double integer_of(float weight, double scale) {
    return round_double((double)weight * scale);
}

/* The exponent of the power of two above a number, given as its bits in binary32; 0 for 0. */
static inline int exponent_of(uint32_t bits) {
    union {
        double number;
        uint64_t bits;
    } pun = {(double)float_from_bits(bits)};
    return bits ? (int)(pun.bits >> 52) - 1022 : 0;
}

/* Find the shift that turns numbers into integers with at most so many binary digits, and their sum
 * with at most so many. The bits are those of the largest number in binary32. */
static inline int digits_shift(size_t numbers, uint32_t largest, int most, int of_sum) {
    int digits = of_sum;
    for (; numbers; numbers /= 2)
        digits--;
    return (digits < most ? digits : most) - exponent_of(largest);
}

/* What weights count that have importances, which are multiplied by a power of 2. */
typedef struct weigher {
    const caq_table_job *job;
    double scale; /* 0 if all importances are 0 */
} weigher;

static inline void read_importance(const caq_table_job *job, size_t element, size_t count,
                                   float *to) {
    size_t which = element / job->repeat % job->importances;
    size_t left = job->repeat - element % job->repeat;
    for (size_t i = 0; i < count; i++) {
        to[i] = job->importance[which];
        if (--left == 0) {
            left = job->repeat;
            which = which + 1 == job->importances ? 0 : which + 1;
        }
    }
}

/* The largest of an importance and those of up to WEIGHED_AT_ONCE weights from an element on. */
static inline float most_important(const caq_table_job *job, size_t element, size_t count,
                                   float most) {
    float importance[WEIGHED_AT_ONCE];
    read_importance(job, element, count, importance);
    for (size_t i = 0; i < count; i++)
        most = importance[i] > most ? importance[i] : most;
    return most;
}

/* Weigh a group of so many weights, of which the largest importance is `most`. */
static inline weigher new_weigher(const caq_table_job *job, size_t weights, float most) {
    weigher it = {job, 0};
    if (most > 0)
        it.scale =
            power_of_two(digits_shift(weights, float_bits(most), MASS_DIGITS, MASS_SUM_DIGITS));
    return it;
}

/* What up to WEIGHED_AT_ONCE weights from an element on count. */
static inline void find_masses(const weigher *with, size_t element, size_t count,
                               uint32_t *masses) {
    float importance[WEIGHED_AT_ONCE];
    read_importance(with->job, element, count, importance);
    for (size_t i = 0; i < count; i++)
        masses[i] = (uint32_t)integer_of(importance[i], with->scale);
}

#endif
#endif
