/*
 * kernels_template.h - the bodies of the kernels
 *
 * Included once per instruction set and source type, with these set:
 *
 *   SOURCE      f32, f16 or bf16
 *   ELEMENT     the unsigned integer type of a source element's bits
 *   VECTOR(op)  the name of the instruction set's operation `op`; types are vf (binary32 lanes) and
 *               vi (32-bit integer lanes)
 *   LANES       lanes of a vector
 *   TARGET      function attributes
 *   KERNEL(op)  the name of a function of this instruction set and source type
 *
 * Elements are taken STEP = 4 vectors at a time, because the codes of four vectors fill one vector of
 * bytes. What is left over is copied into a padded buffer: zeros change no statistic.
 */
#define STEP (4 * LANES)
#define LOAD(p) VECTOR(CONCAT(load_, SOURCE))(p)

/* Copy count < STEP elements and pad them with zeros. */
TARGET static inline void KERNEL(pad)(ELEMENT padded[STEP], const ELEMENT *source, size_t count) {
    for (size_t i = 0; i < STEP; i++)
        padded[i] = 0;
    for (size_t i = 0; i < count; i++)
        __builtin_memcpy(&padded[i], (const char *)source + i * sizeof *source, sizeof *source);
}

TARGET static inline vi KERNEL(magnitude)(const ELEMENT *p) {
    return VECTOR(and)(VECTOR(bits)(LOAD(p)), VECTOR(set_i)(0x7FFFFFFF));
}

/* Reverse the order of negative numbers' bits. */
TARGET static inline vi KERNEL(sortable)(const ELEMENT *p) {
    vi bits = VECTOR(bits)(LOAD(p));
    return VECTOR(xor)(bits, VECTOR(and)(VECTOR(sign_mask)(bits), VECTOR(set_i)(0x7FFFFFFF)));
}

TARGET static inline vi KERNEL(absmax_step)(const ELEMENT *p, vi most) {
    vi a = VECTOR(max)(KERNEL(magnitude)(p), KERNEL(magnitude)(p + LANES));
    vi b = VECTOR(max)(KERNEL(magnitude)(p + 2 * LANES), KERNEL(magnitude)(p + 3 * LANES));
    return VECTOR(max)(most, VECTOR(max)(a, b));
}

TARGET static inline void KERNEL(minmax_step)(const ELEMENT *p, vi *lo, vi *hi) {
    for (size_t i = 0; i < 4; i++) {
        vi bits = KERNEL(sortable)(p + i * LANES);
        *lo = VECTOR(min)(*lo, bits);
        *hi = VECTOR(max)(*hi, bits);
    }
}

TARGET static void KERNEL(absmax)(const void *source, size_t blocks, size_t length,
                                  uint32_t *absmax) {
    const ELEMENT *p = source;
    ELEMENT padded[STEP];
    if (length == 1) {
        size_t i = 0;
        for (; i + LANES <= blocks; i += LANES)
            VECTOR(store_i)
            ((int32_t *)absmax + i,
             VECTOR(max)(VECTOR(load_i)((int32_t *)absmax + i), KERNEL(magnitude)(p + i)));
        if (i == blocks)
            return;
        KERNEL(pad)(padded, p + i, blocks - i);
        int32_t last[LANES];
        VECTOR(store_i)(last, KERNEL(magnitude)(padded));
        for (size_t lane = 0; i < blocks; i++, lane++)
            absmax[i] = absmax[i] > (uint32_t)last[lane] ? absmax[i] : (uint32_t)last[lane];
        return;
    }
    for (size_t block = 0; block < blocks; block++, p += length) {
        vi most = VECTOR(set_i)((int32_t)absmax[block]);
        size_t i = 0;
        for (; i + STEP <= length; i += STEP)
            most = KERNEL(absmax_step)(p + i, most);
        if (i < length) {
            KERNEL(pad)(padded, p + i, length - i);
            most = KERNEL(absmax_step)(padded, most);
        }
        absmax[block] = (uint32_t)VECTOR(largest)(most);
    }
}

TARGET static void KERNEL(minmax)(const void *source, size_t blocks, size_t length, int32_t *lo,
                                  int32_t *hi) {
    const ELEMENT *p = source;
    ELEMENT padded[STEP];
    if (length == 1) {
        size_t i = 0;
        for (; i + LANES <= blocks; i += LANES) {
            vi bits = KERNEL(sortable)(p + i);
            VECTOR(store_i)(lo + i, VECTOR(min)(VECTOR(load_i)(lo + i), bits));
            VECTOR(store_i)(hi + i, VECTOR(max)(VECTOR(load_i)(hi + i), bits));
        }
        if (i == blocks)
            return;
        KERNEL(pad)(padded, p + i, blocks - i);
        int32_t last[LANES];
        VECTOR(store_i)(last, KERNEL(sortable)(padded));
        for (size_t lane = 0; i < blocks; i++, lane++) {
            lo[i] = lo[i] < last[lane] ? lo[i] : last[lane];
            hi[i] = hi[i] > last[lane] ? hi[i] : last[lane];
        }
        return;
    }
    for (size_t block = 0; block < blocks; block++, p += length) {
        vi least = VECTOR(set_i)(lo[block]), most = VECTOR(set_i)(hi[block]);
        size_t i = 0;
        for (; i + STEP <= length; i += STEP)
            KERNEL(minmax_step)(p + i, &least, &most);
        if (i < length) {
            KERNEL(pad)(padded, p + i, length - i);
            KERNEL(minmax_step)(padded, &least, &most);
        }
        lo[block] = VECTOR(smallest)(least);
        hi[block] = VECTOR(largest)(most);
    }
}

/* Four vectors of parameters: different ones where every element is a block, else all the same. */

TARGET static inline void KERNEL(same)(vf to[4], float value) {
    to[0] = to[1] = to[2] = to[3] = VECTOR(set_f)(value);
}

/* Load STEP parameters, of which only count may be there. */
TARGET static inline void KERNEL(each)(vf to[4], const float *from, size_t count) {
    float padded[STEP];
    if (count < STEP) {
        for (size_t i = 0; i < STEP; i++)
            padded[i] = i < count ? from[i] : 0.0f;
        from = padded;
    }
    for (size_t i = 0; i < 4; i++)
        to[i] = VECTOR(load_f32)((const uint32_t *)(const void *)from + i * LANES);
}

TARGET static inline vi KERNEL(symmetric_code)(const ELEMENT *p, vf reciprocal, vf zero,
                                               const caq_encoding *to) {
    (void)zero; /* the same everywhere */
    vf clipped = VECTOR(clip)(VECTOR(mul)(LOAD(p), reciprocal), VECTOR(set_f)(-to->largest),
                              VECTOR(set_f)(to->largest));
    return VECTOR(add_i)(VECTOR(round)(clipped), VECTOR(set_i)(to->offset));
}

TARGET static inline vi KERNEL(asymmetric_code)(const ELEMENT *p, vf reciprocal, vf zero,
                                                const caq_encoding *to) {
    vf bottom = VECTOR(sub)(VECTOR(set_f)(0.0f), zero);
    vf top = VECTOR(add)(bottom, VECTOR(set_f)(to->largest));
    vf clipped = VECTOR(clip)(VECTOR(mul)(LOAD(p), reciprocal), bottom, top);
    vi offset = VECTOR(add_i)(VECTOR(round)(zero), VECTOR(set_i)(to->offset));
    return VECTOR(add_i)(VECTOR(round)(clipped), offset);
}

TARGET static inline vi KERNEL(float_code)(const ELEMENT *p, vf reciprocal, vf zero,
                                           const caq_encoding *to) {
    (void)zero;
    vi bits = VECTOR(bits)(VECTOR(mul)(LOAD(p), reciprocal));
    vi sign = VECTOR(shift_down)(VECTOR(and)(bits, VECTOR(set_i)(INT32_MIN)), to->sign_down);
    vf magnitude = VECTOR(from_bits)(VECTOR(and)(bits, VECTOR(set_i)(INT32_MAX)));
    magnitude = VECTOR(clip)(magnitude, VECTOR(set_f)(0.0f), VECTOR(set_f)(to->largest));
    bits = VECTOR(bits)(magnitude);
    /* normal: add half of the last place less one, one more if that place is odd, and truncate */
    vi odd = VECTOR(and)(VECTOR(shift_down)(bits, to->dropped), VECTOR(set_i)(1));
    vi half = VECTOR(set_i)((1 << (to->dropped - 1)) - 1);
    vi rounded = VECTOR(add_i)(VECTOR(add_i)(bits, half), odd);
    vi normal =
        VECTOR(sub_i)(VECTOR(shift_down)(rounded, to->dropped), VECTOR(set_i)(to->rebias));
    /* subnormal: let the adder round to steps, and count them */
    vf adder = VECTOR(set_f)(to->step_adder);
    vi steps = VECTOR(sub_i)(VECTOR(bits)(VECTOR(add)(magnitude, adder)), VECTOR(bits)(adder));
    vi is_normal = VECTOR(at_least)(magnitude, VECTOR(set_f)(to->smallest));
    return VECTOR(or)(sign, VECTOR(select)(is_normal, normal, steps));
}

#define CODE symmetric_code
#define ENCODE encode_symmetric
#include "encode_template.h"

#define CODE asymmetric_code
#define ENCODE encode_asymmetric
#include "encode_template.h"

#define CODE float_code
#define ENCODE encode_float
#include "encode_template.h"

#undef STEP
#undef LOAD
#undef SOURCE
#undef ELEMENT
