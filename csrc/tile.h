/*
 * tile.h - the blocks that are worked on together, and what is known of each
 *
 * A tile goes through three steps: a kernel reduces its elements to statistics, find_scales() turns
 * those into scales and zero points, and a kernel encodes the elements with these.
 */
#ifndef TILE_H
#define TILE_H

#include "config.h"
#include "coreai_quant.h"

#define TILE_BLOCKS CAQ_TILE_BLOCKS
#define TILE_CODES 1024

typedef struct tile {
    int32_t above[TILE_BLOCKS];    /* symmetric: bits of max |w|; asymmetric: of max(0, max w) */
    int32_t below[TILE_BLOCKS];    /* asymmetric: bits of max(0, max -w) */
    float absmax[TILE_BLOCKS];     /* max |w| */
    float scale[TILE_BLOCKS];      /* the number that the stored scale stands for */
    float reciprocal[TILE_BLOCKS]; /* 1 / scale */
    int32_t zero[TILE_BLOCKS];     /* integers: the zero point as an unsigned code */
    uint8_t codes[TILE_CODES];     /* codes on their way to being packed */
} tile;

_Static_assert(sizeof(tile) == CAQ_SCRATCH_SIZE, "the header tells callers what a tile takes");

/* The same as the job says, as constants where a build leaves no choice. */
static inline int is_float(caq_format_info format) {
    return HAS_FLOATS && (!HAS_INTEGERS || format.mantissa != 0);
}
static inline int is_asymmetric(const caq_job *job) {
    return CAQ_WITH_ASYMMETRIC && job->scheme == CAQ_ASYMMETRIC;
}
static inline int has_source(caq_source source) {
    return (CAQ_WITH_F32 && source == CAQ_F32) || (CAQ_WITH_F16 && source == CAQ_F16) ||
           (CAQ_WITH_BF16 && source == CAQ_BF16);
}
static inline int is_f16(const caq_job *job) {
    return CAQ_WITH_F16 && ((!CAQ_WITH_F32 && !CAQ_WITH_BF16) || job->source == CAQ_F16);
}
static inline int is_bf16(const caq_job *job) {
    return CAQ_WITH_BF16 && ((!CAQ_WITH_F32 && !CAQ_WITH_F16) || job->source == CAQ_BF16);
}
static inline int is_f32(const caq_job *job) { return !is_f16(job) && !is_bf16(job); }
static inline int is_e8m0(const caq_job *job) { return HAS_FLOATS && job->scale == CAQ_SCALE_E8M0; }

/* Q of the contract: the largest symmetric integer code. */
static inline int32_t symmetric_max(caq_format_info format) { return (1 << (format.bits - 1)) - 1; }

/* L of the contract: steps of the full integer range. */
static inline int32_t asymmetric_levels(caq_format_info format) { return (1 << format.bits) - 1; }

/* Integers are computed as unsigned codes, in which this is the zero point of symmetric ones. Searched
 * ones of 2 and 4 bits have one code more below zero than above. */
static inline int32_t symmetric_zero(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    int is_searched = CAQ_WITH_MSE && job->observer == CAQ_MSE;
    return symmetric_max(format) + (is_searched && format.bits < 8);
}

/* Stored codes and zero points are above those unsigned ones by this. */
static inline int32_t integer_offset(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    if (!format.is_signed)
        return 0;
    return is_asymmetric(job) ? -(1 << (format.bits - 1)) : -symmetric_zero(job);
}

/* The code that the largest weight of a floating-point block gets. With binary16 scales E5M2 aims lower, or
 * else most scales would be subnormal. */
static inline float float_target(const caq_job *job) {
    float largest = caq_describe_format(job->format).largest;
    return job->format == CAQ_FP8_E5M2 && job->source == CAQ_F16 ? largest / 16.0f : largest;
}

#endif
