/*
 * codes.h - the rules by which a scaled weight becomes a code
 *
 * Integers, with 1 / scale rounded to binary32, and halves rounded to even:
 *
 *     code = clip(round(w * (1 / scale)) + zero, 0, largest) + offset
 *
 * The sum and the clip are done on unsigned codes, 0 .. 2^bits - 1. The offset turns these into the
 * codes that are stored. Let Q = 2^(bits - 1) - 1. Let d be 1 for codes of 2 and 4 bits with
 * CAQ_MSE, which have one code more below zero, and else 0.
 *
 *                 zero          largest      offset if unsigned   offset if signed
 *     symmetric   Q + d         2 * Q + d    0                    -(Q + d)
 *     asymmetric  each block's  2^bits - 1   0                    -2^(bits - 1)
 *
 * The functions below give these numbers. code_integer() and bytes_integer() in
 * templates/to_codes.h are the formula, for all instruction sets. A stored zero point is
 * zero + offset.
 *
 * Floating point: w * (1 / scale) is clipped to the largest number, and rounded half to even to the
 * numbers that the format has. code_float() in templates/to_codes.h does that.
 */
#ifndef CODES_H
#define CODES_H

#include "target.h"

/* Q of the contract: the largest symmetric integer code. */
static inline int32_t symmetric_max(caq_format_info format) { return (1 << (format.bits - 1)) - 1; }

/* Steps of the full integer range: the largest unsigned code. */
static inline int32_t asymmetric_levels(caq_format_info format) { return (1 << format.bits) - 1; }

/* The zero point of symmetric integers, as an unsigned code. */
static inline int32_t symmetric_zero(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    return symmetric_max(format) + (is_searched(job) && format.bits < 8);
}

/* The largest integer code, as an unsigned code. */
static inline int32_t integer_largest(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    return is_asymmetric(job) ? asymmetric_levels(format)
                              : symmetric_zero(job) + symmetric_max(format);
}

/* By how much stored integer codes and zero points are above unsigned ones. */
static inline int32_t integer_offset(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    if (!format.is_signed)
        return 0;
    return is_asymmetric(job) ? -(1 << (format.bits - 1)) : -symmetric_zero(job);
}

/* A stored zero point as an unsigned code. */
static inline int32_t unsigned_zero(uint8_t stored, int is_signed, int32_t offset) {
    return (is_signed ? (int8_t)stored : stored) - offset;
}

/* The number that the largest weight of a floating-point block is scaled to. With binary16 scales
 * E5M2 aims lower, or else most scales would be subnormal. */
static inline float float_target(const caq_job *job) {
    float largest = caq_describe_format(job->format).largest;
    return job->format == CAQ_FP8_E5M2 && job->source == CAQ_F16 ? largest / 16.0f : largest;
}

/* The constants by which a kernel makes codes of one kind. */
typedef struct caq_encoding {
    uint8_t largest; /* integers: of the formula above */
    uint8_t offset;  /* integers: of the formula above, modulo 256 */
    /* how codes are stored, by kernels of several lanes only */
    uint8_t halvings; /* 0: one per byte; else packed, two or four per byte: 1 or 2 */
    uint8_t stream;   /* whether codes go past the caches: see `publish` in kernels/kernels.h */
    /* floating point only */
    float saturation;  /* the largest number */
    int32_t smallest;  /* bits of the smallest normal number */
    int32_t adder;     /* added to the bits of 2^e: those of a number whose last place is the step
                          of codes from 2^e on */
    int32_t dropped;   /* significand bits of binary32 that the format lacks; 0 for integers */
    int32_t sign_down; /* by how much the sign bit goes down to its place in the code */
    size_t ahead;      /* how many bytes ahead of what is encoded the source is prefetched */
} caq_encoding;

/* The constants by which a kernel reads codes of one kind. */
typedef struct caq_decoding {
    int32_t sign; /* bit of the code; 0 for unsigned integers */
    uint8_t is_float;
    uint8_t is_short; /* whether there are no more than 16 codes */
    /* how codes are stored and numbers are to be, by kernels of several lanes only */
    uint8_t halvings; /* 0: one per byte; else packed, two or four per byte: 1 or 2 */
    uint8_t stream;   /* whether numbers go past the caches: see `publish` in kernels/kernels.h */
    /* floating point only */
    uint8_t half_up; /* by how much a magnitude goes up to those of binary16 */
    int32_t sign_up; /* by how much the sign goes up to its place in binary32 */
    int32_t first;   /* code of the smallest normal number: 2^mantissa */
    int32_t last;    /* code of the largest number: infinities and NaNs come behind it */
    int32_t lacking; /* significand bits of binary32 that the format lacks */
    int32_t rebias;  /* what makes a code's exponent, shifted up, the bits of its binade's step */
    float half_gain; /* what makes the number that it is as binary16 the code's */
} caq_decoding;

/* The constants of a job's codes. Codes are stored one per byte, through the caches. */
caq_encoding caq_describe_encoding(const caq_job *job);
caq_decoding caq_describe_decoding(caq_format_info format);

#endif
