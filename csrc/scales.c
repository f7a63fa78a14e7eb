/*
 * scales.c - from the statistics of a block to its scale and zero point
 *
 * The observer MINMAX; the C twin of reference/scales.py. A scale is held as the binary32 number that
 * its stored form stands for, since codes are computed from what is stored.
 */
#include "float_bits.h"
#include "tile.h"

#define INFINITE 0x7F800000u

/* What depends on the type that scales are stored in. */
typedef struct scale_type {
    float smallest;    /* positive, with a finite reciprocal */
    float overflow;    /* decoded numbers from here on round to infinity in the weight's type */
    float danger;      /* no block whose absmax is below can get there */
    uint32_t ulp_bits; /* binary32 bits from one large number of the type to the next */
} scale_type;

static scale_type describe_scale(const caq_job *job) {
    static const scale_type types[CAQ_SOURCES] = {
        /* 2^-128 has the reciprocal 2^128; its successor is the first whose reciprocal is finite. */
        [CAQ_F32] = {0x1.000008p-128f, 0.0f, 0x1p127f, 1},
        [CAQ_F16] = {0x1p-24f, 65520.0f, 0x1p15f, 0x2000},
        [CAQ_BF16] = {0x1.08p-128f, 0x1.FFp127f, 0x1p127f, 0x10000},
    };
    scale_type type = types[job->source];
    if (job->source == CAQ_F32)
        type.overflow = float_from_bits(INFINITE);
    if (job->scale == CAQ_SCALE_E8M0) {
        /* Core AI's runtime converts an E8M0 scale to the weight's type first. */
        type.smallest = job->source == CAQ_F16 ? 0x1p-24f : 0x1p-127f;
        type.ulp_bits = 0x800000;
    }
    return type;
}

/* Round a non-negative number to the type that scales are stored in. */
static float round_scale(const caq_job *job, float scale) {
    if (job->source == CAQ_F16)
        return float_from_f16(f16_from_positive(scale));
    if (job->source == CAQ_BF16)
        return float_from_bf16(bf16_from_positive(scale));
    return scale;
}

static void store_scale(const caq_job *job, float scale, uint8_t *to) {
    if (job->scale == CAQ_SCALE_E8M0) {
        uint32_t exponent = float_bits(scale) >> 23; /* 0 for the subnormal 2^-127, as it should be */
        *to = (uint8_t)exponent;
    } else if (job->source == CAQ_F32) {
        uint32_t bits = float_bits(scale);
        __builtin_memcpy(to, &bits, sizeof bits);
    } else {
        uint16_t bits =
            job->source == CAQ_F16 ? f16_from_positive(scale) : bf16_from_positive(scale);
        __builtin_memcpy(to, &bits, sizeof bits);
    }
}

/* Round half even; |x| < 2^22. */
static float round_integer(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

/* The code nearest to x > 0, which is within a binade of the largest. */
static float round_float_code(float x, caq_format_info format) {
    if (x >= format.largest)
        return format.largest;
    uint32_t dropped = 23u - format.mantissa;
    uint32_t bits = float_bits(x);
    bits += (1u << (dropped - 1)) - 1 + ((bits >> dropped) & 1);
    return float_from_bits(bits >> dropped << dropped);
}

/* The next smaller scale where the largest weight would decode to an infinity. */
static float keep_decodable(float scale, float largest_code, scale_type type) {
    if (scale * largest_code >= type.overflow)
        return float_from_bits(float_bits(scale) - type.ulp_bits);
    return scale;
}

static float symmetric_scale(const caq_job *job, float absmax, float divisor, scale_type type,
                             caq_format_info format) {
    float scale = round_scale(job, absmax / divisor);
    if (scale < type.smallest)
        return absmax == 0.0f ? 1.0f : type.smallest;
    if (absmax >= type.danger) {
        float code = format.mantissa ? round_float_code(absmax * (1.0f / scale), format) : divisor;
        return keep_decodable(scale, code, type);
    }
    return scale;
}

/* Adding 3/16 of a significand less one ulp carries into the exponent just above 29/16. */
static float e8m0_scale(float absmax, scale_type type, caq_format_info format) {
    if (absmax == 0.0f)
        return 1.0f;
    uint32_t exponent = (float_bits(absmax) + 0x17FFFF) >> 23;
    if (exponent <= format.emax)
        return type.smallest;
    float scale = float_from_bits((exponent - format.emax) << 23);
    if (scale < type.smallest)
        return type.smallest;
    if (absmax >= type.danger)
        return keep_decodable(scale, round_float_code(absmax * (1.0f / scale), format), type);
    return scale;
}

static float asymmetric_scale(const caq_job *job, float lo, float hi, float levels,
                              scale_type type) {
    float spread = hi - lo;
    float quotient = spread / levels;
    if (float_bits(spread) >= INFINITE) /* halving is exact where the difference overflows */
        quotient = (hi * 0.5f - lo * 0.5f) / levels * 2.0f;
    float scale = round_scale(job, quotient);
    if (scale < type.smallest)
        return spread == 0.0f ? 1.0f : type.smallest;
    float absmax = hi > -lo ? hi : -lo;
    if (absmax >= type.danger) {
        float code = round_integer(absmax * (1.0f / scale));
        return keep_decodable(scale, code < levels ? code : levels, type);
    }
    return scale;
}

static float zero_point(float lo, float scale, float levels) {
    float zero = round_integer(-lo / scale);
    return zero < levels ? zero : levels;
}

/* Sortable bits: those of negative numbers are reversed, so that integers order like the numbers. */
static float from_sortable(int32_t sortable) {
    uint32_t bits = (uint32_t)sortable;
    return float_from_bits(bits >> 31 ? bits ^ 0x7FFFFFFF : bits);
}

static caq_status find_symmetric(const caq_job *job, tile *tile, size_t blocks, uint8_t *scales,
                                 uint8_t *zero_points) {
    caq_format_info format = caq_describe_format(job->format);
    scale_type type = describe_scale(job);
    int32_t zero = format.mantissa ? 0 : symmetric_max(format);
    uint8_t stored_zero = (uint8_t)(zero - (zero ? unsigned_shift(job, format) : 0));
    float divisor = format.mantissa ? format.largest : (float)zero;
    if (job->format == CAQ_FP8_E5M2 && job->source == CAQ_F16)
        divisor /= 16.0f; /* or else most scales would be subnormal */
    for (size_t i = 0; i < blocks; i++) {
        if (tile->found.absmax[i] >= INFINITE)
            return CAQ_NOT_FINITE;
        float absmax = float_from_bits(tile->found.absmax[i]);
        float scale = job->scale == CAQ_SCALE_E8M0
                          ? e8m0_scale(absmax, type, format)
                          : symmetric_scale(job, absmax, divisor, type, format);
        tile->reciprocal[i] = 1.0f / scale;
        tile->zero[i] = (float)zero;
        store_scale(job, scale, scales + i * job->scale_size);
        zero_points[i] = stored_zero;
    }
    return CAQ_OK;
}

static caq_status find_asymmetric(const caq_job *job, tile *tile, size_t blocks, uint8_t *scales,
                                  uint8_t *zero_points) {
    caq_format_info format = caq_describe_format(job->format);
    scale_type type = describe_scale(job);
    float levels = (float)largest_unsigned(job, format);
    int32_t shift = unsigned_shift(job, format);
    for (size_t i = 0; i < blocks; i++) {
        int32_t lo_bits = tile->found.range.lo[i], hi_bits = tile->found.range.hi[i];
        if (hi_bits >= (int32_t)INFINITE || lo_bits <= -(int32_t)INFINITE - 1)
            return CAQ_NOT_FINITE;
        float lo = from_sortable(lo_bits), hi = from_sortable(hi_bits);
        float scale = asymmetric_scale(job, lo, hi, levels, type);
        float zero = zero_point(lo, scale, levels);
        tile->reciprocal[i] = 1.0f / scale;
        tile->zero[i] = zero;
        store_scale(job, scale, scales + i * job->scale_size);
        zero_points[i] = (uint8_t)((int32_t)zero - shift);
    }
    return CAQ_OK;
}

caq_status caq_find_scales(const caq_job *job, tile *tile, size_t blocks, void *scales,
                           uint8_t *zero_points) {
    if (job->scheme == CAQ_ASYMMETRIC)
        return find_asymmetric(job, tile, blocks, scales, zero_points);
    return find_symmetric(job, tile, blocks, scales, zero_points);
}
