/*
 * compare.c - how far decoded numbers are from the weights that they stand for
 */
#include "environment.h"
#include "kernels/kernels.h"
#include "target.h"

#if CAQ_WITH_ERRORS

#define WIDENED 512 /* elements that are widened together, a multiple of CAQ_SUMS */

/* One more in the exponent of a binary64. */
#define BINADE ((int64_t)1 << 52)

/* The bits of a number that is not negative: they order like the numbers. */
static inline int64_t bits_of(double number) {
    union {
        double number;
        int64_t bits;
    } as = {number};
    return as.bits;
}

/* Whether a call is for what this build has; it sets the kernels. */
static caq_status kernels_for(caq_source source, caq_level level, const caq_kernels **kernels) {
    if (!has_source(source))
        return CAQ_BAD_ARGUMENT;
    if (!caq_has_level(level))
        return CAQ_BAD_LEVEL;
    if (!caq_has_usable_arithmetic())
        return CAQ_BAD_ARITHMETIC;
    *kernels = caq_kernels_of[level] + source;
    return CAQ_OK;
}

/* Widen a chunk, and pad it with zeros up to a multiple of CAQ_SUMS. Return how many it has then. */
static size_t widen_chunk(const caq_kernels *kernels, const uint8_t *source, size_t count,
                          float *to) {
    kernels->widen(source, count, to);
    for (; count % CAQ_SUMS; count++)
        to[count] = 0;
    return count;
}

/* Join the sums that run side by side, by halves. */
static double joined(double sums[CAQ_SUMS]) {
    for (size_t half = CAQ_SUMS / 2; half; half /= 2)
        for (size_t k = 0; k < half; k++)
            sums[k] += sums[k + half];
    return sums[0];
}

/* Whether a sum of squares is a number. */
static int is_finite(double sum) { return sum - sum == 0; }

caq_status caq_sum_squares(caq_source source, caq_level level, size_t count, const void *numbers,
                           double *sum) {
    const caq_kernels *kernels;
    caq_status status = kernels_for(source, level, &kernels);
    if (status != CAQ_OK)
        return status;
    const uint8_t *from = (const uint8_t *)numbers;
    double sums[CAQ_SUMS] = {0};
    float wide[WIDENED];
    for (size_t done; count; count -= done) {
        done = count < WIDENED ? count : WIDENED;
        kernels->add_squares(wide, widen_chunk(kernels, from, done, wide), sums);
        from += done * source_size(source);
    }
    *sum = joined(sums);
    return is_finite(*sum) ? CAQ_OK : CAQ_NOT_FINITE;
}

/* Count the squared errors of a chunk by their bins. Four counts of a bin take turns, so
 * that one does not wait for the one before. */
static void count_errors(const double *squares, size_t count, double mean_square,
                         uint64_t *histogram) {
    uint32_t a[CAQ_ERROR_BINS] = {0}, b[CAQ_ERROR_BINS] = {0};
    uint32_t c[CAQ_ERROR_BINS] = {0}, d[CAQ_ERROR_BINS] = {0};
    uint8_t bins[WIDENED];
    /* How many binades a square is above the second edge, which is 4^-15 of the mean square, is in the
     * upper bits of the difference. Bins are two binades wide, the first bin begins below. */
    const int64_t edge = bits_of(mean_square) - 32 * BINADE;
    for (size_t k = 0; k < count; k++) {
        int64_t above = (int64_t)((uint64_t)bits_of(squares[k]) - (uint64_t)edge);
        above = above < 0 ? 0 : above / (2 * BINADE);
        bins[k] = (uint8_t)(above < CAQ_ERROR_BINS - 1 ? above : CAQ_ERROR_BINS - 1);
    }
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        a[bins[i]]++;
        b[bins[i + 1]]++;
        c[bins[i + 2]]++;
        d[bins[i + 3]]++;
    }
    for (; i < count; i++)
        a[bins[i]]++;
    for (size_t bin = 0; bin < CAQ_ERROR_BINS; bin++)
        histogram[bin] += (uint64_t)a[bin] + b[bin] + c[bin] + d[bin];
}

caq_status caq_compare(caq_source source, caq_level level, size_t count, const void *weight,
                       const void *decoded, double mean_square, caq_differences *differences) {
    const caq_kernels *kernels;
    caq_status status = kernels_for(source, level, &kernels);
    if (status != CAQ_OK)
        return status;
    const uint8_t *from = (const uint8_t *)weight, *to = (const uint8_t *)decoded;
    double sums[CAQ_SUMS] = {0}, largest[CAQ_SUMS] = {0};
    float wide[WIDENED], wide_decoded[WIDENED];
    double squares[WIDENED];
    for (size_t bin = 0; bin < CAQ_ERROR_BINS; bin++)
        differences->histogram[bin] = 0;
    for (size_t done; count; count -= done) {
        done = count < WIDENED ? count : WIDENED;
        size_t padded = widen_chunk(kernels, from, done, wide);
        widen_chunk(kernels, to, done, wide_decoded);
        kernels->add_differences(wide, wide_decoded, padded, sums, largest, squares);
        count_errors(squares, done, mean_square, differences->histogram);
        from += done * source_size(source);
        to += done * source_size(source);
    }
    differences->noise = joined(sums);
    differences->largest = 0;
    for (size_t k = 0; k < CAQ_SUMS; k++)
        if (largest[k] > differences->largest)
            differences->largest = largest[k];
    return is_finite(differences->noise) ? CAQ_OK : CAQ_NOT_FINITE;
}

#endif
