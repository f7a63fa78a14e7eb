/*
 * scales.h - from the statistics of a block to its scale and zero point
 *
 * The observer MINMAX: the C twin of reference/minmax.py. A scale is held as the binary32 number
 * that its stored form stands for, because codes are computed from what is stored.
 *
 * Included once per instruction set. The loops pass over all blocks of a tile without branches that
 * depend on the data, so that compilers vectorize them.
 */
#define INFINITE 0x7F800000u

/* What the rules ask of the type that scales are stored in, and of the weight's type. */
typedef struct scale_type {
    float smallest;    /* positive scale with a finite reciprocal */
    float largest;     /* finite number of the weight's type */
    float overflow;    /* the least number that rounds to infinity in the weight's type */
    float danger;      /* a block whose absmax is below this decodes to no infinity */
    uint32_t ulp_bits; /* binary32 bits between one large number of the scale's type and the next */
} scale_type;

TARGET static scale_type describe_scale(const caq_job *job) {
    /* in the order of caq_source */
    static const scale_type types[CAQ_SOURCES] = {
        /* the reciprocal of 2^-128 is infinite; its successor is the first that has a finite one */
        {0x1.000008p-128f, FLT_MAX, 0.0f, 0x1p127f, 1},
        {0x1p-24f, 65504.0f, 65520.0f, 0x1p15f, 0x2000},
        {0x1.08p-128f, 0x1.FEp127f, 0x1.FFp127f, 0x1p127f, 0x10000},
    };
    scale_type type = types[job->source];
    if (is_f32(job))
        type.overflow = float_from_bits(INFINITE);
    if (is_e8m0(job)) {
        /* Core AI's runtime converts an E8M0 scale to the weight's type first. */
        type.smallest = is_f16(job) ? 0x1p-24f : 0x1p-127f;
        type.ulp_bits = 0x800000;
    }
    return type;
}

/* Round scales to the type that they are stored in, and raise those that are too small. */
TARGET static void round_scales(const caq_job *job, float smallest, float *scale, size_t blocks) {
    if (is_f16(job))
        for (size_t i = 0; i < blocks; i++)
            scale[i] = round_to_f16(scale[i]);
    if (is_bf16(job))
        for (size_t i = 0; i < blocks; i++)
            scale[i] = round_to_bf16(scale[i]);
    for (size_t i = 0; i < blocks; i++)
        scale[i] = scale[i] < smallest ? smallest : scale[i];
}

/* The kernel `store_scales`. */
TARGET static void store_scales(const caq_job *job, const float *scale, size_t blocks,
                                uint8_t *to) {
    if (is_e8m0(job)) /* the exponent bits, which are 0 for 2^-127, as they should be */
        for (size_t i = 0; i < blocks; i++)
            to[i] = (uint8_t)(float_bits(scale[i]) >> 23);
    else if (is_f32(job))
        for (size_t i = 0; i < 4 * blocks; i++)
            to[i] = ((const uint8_t *)scale)[i];
    else if (is_f16(job))
        for (size_t i = 0; i < blocks; i++)
            store_16(to + 2 * i, f16_bits(scale[i]));
    else
        for (size_t i = 0; i < blocks; i++)
            store_16(to + 2 * i, bf16_bits(scale[i]));
}

/* The scale of a block in E8M0. Its exponent is that of absmax less emax. Before that, 3/16 of a
 * significand less one ulp is added, which carries into the exponent if the significand is above
 * 29/16. A subnormal absmax gives a number below 2^-127, which is raised to that later. */
TARGET static float e8m0_scale(float absmax, int32_t emax) {
    int32_t exponent = (int32_t)((float_bits(absmax) + 0x17FFFF) >> 23) - emax;
    return float_from_bits((uint32_t)(exponent < 0 ? 0 : exponent) << 23);
}

/* Return (hi - lo) / levels, from -lo and hi. Where the sum overflows it is halved, which is exact
 * there, and the quotient by levels >= 3 can be doubled again. */
TARGET static float asymmetric_quotient(float below, float above, float levels) {
    int too_far = above + below > FLT_MAX;
    float down = too_far ? 0.5f : 1.0f, up = too_far ? 2.0f : 1.0f;
    return (above * down + below * down) / levels * up;
}

/* Round |x| < 2^22 half to even. */
TARGET static float round_integer(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

/* The number of a floating-point format that is nearest to x > 0, which is within a binade of the
 * largest. */
TARGET static float round_float_code(float x, caq_format_info format) {
    if (x >= format.largest)
        return format.largest;
    uint32_t dropped = 23u - format.mantissa;
    uint32_t bits = float_bits(x);
    bits += (1u << (dropped - 1)) - 1 + ((bits >> dropped) & 1);
    return float_from_bits(bits >> dropped << dropped);
}

/* The code of the largest weight of a block, less the zero point, as a number. It is clipped before
 * it is rounded, so that no compiler can fuse the product into the addition that rounds. */
TARGET static float largest_code(const caq_job *job, caq_format_info format, float absmax,
                                 float scale) {
    float levels = (float)asymmetric_levels(format);
    float scaled = absmax * (1.0f / scale);
    if (is_float(format))
        return round_float_code(scaled, format);
    if (!is_asymmetric(job))
        return (float)symmetric_max(format);
    return round_integer(scaled < levels ? scaled : levels);
}

/* Make a scale smaller while the block's largest weight would decode to an infinity. The next scale
 * is the largest that the weight's code allows, rounded down, or the one below the last if that is
 * less. The code may change with the scale. */
TARGET static float decodable_scale(const caq_job *job, scale_type type, float absmax,
                                    float scale) {
    caq_format_info format = caq_describe_format(job->format);
    float code = largest_code(job, format, absmax, scale);
    while (scale * code >= type.overflow) {
        float bound = float_from_bits(float_bits(type.largest / code) & ~(type.ulp_bits - 1));
        float below = float_from_bits(float_bits(scale) - type.ulp_bits);
        scale = bound < below ? bound : below;
        code = largest_code(job, format, absmax, scale);
    }
    return scale;
}

/* Finish and store scales, whose quotients or powers of two stand in tile->scale. */
TARGET static caq_status finish_scales(const caq_job *job, caq_tile *tile, size_t blocks,
                                       uint8_t *scales) {
    scale_type type = describe_scale(job);
    float most = largest_of(tile->absmax, blocks);
    if (float_bits(most) >= INFINITE)
        return CAQ_NOT_FINITE;
    round_scales(job, type.smallest, tile->scale, blocks);
    for (size_t i = 0; most >= type.danger && i < blocks; i++)
        if (tile->absmax[i] >= type.danger)
            tile->scale[i] = decodable_scale(job, type, tile->absmax[i], tile->scale[i]);
    for (size_t i = 0; i < blocks; i++)
        tile->scale[i] = tile->absmax[i] == 0.0f ? 1.0f : tile->scale[i];
    for (size_t i = 0; i < blocks; i++)
        tile->reciprocal[i] = 1.0f / tile->scale[i];
    store_scales(job, tile->scale, blocks, scales);
    return CAQ_OK;
}

/* Turn statistics into bits of binary32 numbers. Those of bfloat16 are that already. */
TARGET static void widen_statistics(const caq_job *job, int32_t *bits, size_t blocks) {
    if (!is_f16(job))
        return;
    for (size_t i = 0; i < blocks; i++)
        bits[i] = (int32_t)float_bits(float_from_f16((uint16_t)((uint32_t)bits[i] >> 16)));
}

TARGET static caq_status find_symmetric(const caq_job *job, caq_tile *tile, size_t blocks,
                                        uint8_t *scales, uint8_t *zero_points) {
    caq_format_info format = caq_describe_format(job->format);
    float divisor = is_float(format) ? float_target(job) : (float)symmetric_max(format);
    for (size_t i = 0; i < blocks; i++)
        tile->absmax[i] = float_from_bits((uint32_t)tile->above[i]);
    if (is_e8m0(job))
        for (size_t i = 0; i < blocks; i++)
            tile->scale[i] = e8m0_scale(tile->absmax[i], format.emax);
    else
        for (size_t i = 0; i < blocks; i++)
            tile->scale[i] = tile->absmax[i] / divisor;
    int32_t zero = is_float(format) ? 0 : symmetric_zero(job);
    int32_t offset = integer_offset(job);
    for (size_t i = 0; i < blocks; i++)
        tile->zero[i] = zero;
    for (size_t i = 0; i < blocks; i++)
        zero_points[i] = (uint8_t)(zero + offset);
    return finish_scales(job, tile, blocks, scales);
}

TARGET static caq_status find_asymmetric(const caq_job *job, caq_tile *tile, size_t blocks,
                                         uint8_t *scales, uint8_t *zero_points) {
    caq_format_info format = caq_describe_format(job->format);
    float levels = (float)asymmetric_levels(format);
    for (size_t i = 0; i < blocks; i++) {
        /* compared as bits, which order NaN above all numbers */
        int32_t most = tile->above[i] > tile->below[i] ? tile->above[i] : tile->below[i];
        tile->absmax[i] = float_from_bits((uint32_t)most);
        tile->scale[i] = asymmetric_quotient(float_from_bits((uint32_t)tile->below[i]),
                                             float_from_bits((uint32_t)tile->above[i]), levels);
    }
    caq_status status = finish_scales(job, tile, blocks, scales);
    if (status != CAQ_OK)
        return status;
    for (size_t i = 0; i < blocks; i++) {
        float zero = round_integer(float_from_bits((uint32_t)tile->below[i]) / tile->scale[i]);
        tile->zero[i] = (int32_t)(zero < levels ? zero : levels);
    }
    int32_t offset = integer_offset(job);
    for (size_t i = 0; i < blocks; i++)
        zero_points[i] = (uint8_t)(tile->zero[i] + offset);
    return CAQ_OK;
}

/* The kernel `find_scales`. */
TARGET static caq_status find_scales(const caq_job *job, caq_tile *tile, size_t blocks,
                                     uint8_t *scales, uint8_t *zero_points) {
    widen_statistics(job, tile->above, blocks);
    if (is_asymmetric(job))
        widen_statistics(job, tile->below, blocks);
    if (is_asymmetric(job))
        return find_asymmetric(job, tile, blocks, scales, zero_points);
    return find_symmetric(job, tile, blocks, scales, zero_points);
}

#undef INFINITE
