/*
 * kernels_template.h - the bodies of the kernels
 *
 * Included once per instruction set and source type, with these set:
 *
 *   SOURCE      f32, f16 or bf16
 *   ELEMENT     the unsigned integer type of a source element's bits
 *   LANES       lanes of a vector
 *   VECTORS     vectors that are taken together, one step
 *   VECTOR(op)  the name of the instruction set's operation `op`; the types are vf (binary32 lanes),
 *               vi (32-bit integer lanes) and vm (a comparison's result)
 *   KERNEL(op)  the name of a function of this instruction set and source type
 *   TARGET      attributes of such functions
 *
 * What does not fill a step is taken a vector at a time, and what does not fill a vector is copied into
 * a padded one: zeros change no statistic.
 */
#define STEP (VECTORS * LANES)
#define LOAD(p) VECTOR(CONCAT(load_, SOURCE))(p)

/* Ask for what will be read `ahead` bytes behind count elements at p. That may be no longer the weight's
 * memory: asking does not read. */
TARGET static inline void KERNEL(prefetch)(const ELEMENT *p, size_t count, size_t ahead) {
    UNROLL for (size_t byte = 0; byte < count * sizeof(ELEMENT) && LANES > 1; byte += 64)
        __builtin_prefetch((const void *)((uintptr_t)p + ahead + byte), 0, 2);
}

/* Copy count < LANES elements and pad them with zeros. */
TARGET static inline void KERNEL(pad)(ELEMENT padded[LANES], const ELEMENT *source, size_t count) {
    for (size_t i = 0; i < LANES; i++)
        padded[i] = 0;
    for (size_t i = 0; i < count; i++)
        __builtin_memcpy(&padded[i], (const char *)source + i * sizeof *source, sizeof *source);
}

TARGET static inline vi KERNEL(magnitude)(const ELEMENT *p) {
    return VECTOR(and)(VECTOR(bits)(LOAD(p)), VECTOR(set_i)(INT32_MAX));
}

/* Reverse the order of negative numbers' bits. */
TARGET static inline vi KERNEL(sortable)(const ELEMENT *p) {
    vi bits = VECTOR(bits)(LOAD(p));
    return VECTOR(xor)(bits, VECTOR(and)(VECTOR(sign_mask)(bits), VECTOR(set_i)(INT32_MAX)));
}

/* The statistics of each lane over vectors that lie stride elements apart. */

TARGET static inline vi KERNEL(absmax_column)(const ELEMENT *p, size_t rows, size_t stride,
                                              vi most) {
    UNROLL for (size_t row = 0; row < rows; row++) most =
        VECTOR(max)(most, KERNEL(magnitude)(p + row * stride));
    return most;
}

TARGET static inline void KERNEL(minmax_column)(const ELEMENT *p, size_t rows, size_t stride,
                                                vi *lo, vi *hi) {
    UNROLL for (size_t row = 0; row < rows; row++) {
        vi bits = KERNEL(sortable)(p + row * stride);
        *lo = VECTOR(min)(*lo, bits);
        *hi = VECTOR(max)(*hi, bits);
    }
}

/*
 * The statistics of blocks of one element: every column has its own.
 */

/* The next so many rows' elements below a vector at p. */
TARGET static inline void KERNEL(prefetch_rows)(const ELEMENT *p, size_t rows, size_t stride) {
    UNROLL for (size_t row = 0; row < rows; row++)
        KERNEL(prefetch)(p + row * stride, LANES, rows * stride * sizeof(ELEMENT));
}

/* Statistics of fewer columns than lanes, and back. */
TARGET static inline vi KERNEL(load_some)(const int32_t *p, size_t count) {
    int32_t padded[LANES] = {0};
    for (size_t i = 0; i < count; i++)
        padded[i] = p[i];
    return VECTOR(load_i)(padded);
}

TARGET static inline void KERNEL(store_some)(int32_t *p, vi x, size_t count) {
    int32_t padded[LANES];
    VECTOR(store_i)(padded, x);
    for (size_t i = 0; i < count; i++)
        p[i] = padded[i];
}

TARGET static inline void KERNEL(absmax_columns)(const ELEMENT *p, size_t rows, size_t stride,
                                                 size_t count, int32_t *absmax) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        KERNEL(prefetch_rows)(p + i, rows, stride);
        VECTOR(store_i)
        (absmax + i, KERNEL(absmax_column)(p + i, rows, stride, VECTOR(load_i)(absmax + i)));
    }
    if (i == count)
        return;
    ELEMENT padded[LANES];
    vi most = KERNEL(load_some)(absmax + i, count - i);
    for (size_t row = 0; row < rows; row++) {
        KERNEL(pad)(padded, p + row * stride + i, count - i);
        most = KERNEL(absmax_column)(padded, 1, 0, most);
    }
    KERNEL(store_some)(absmax + i, most, count - i);
}

TARGET static inline void KERNEL(minmax_columns)(const ELEMENT *p, size_t rows, size_t stride,
                                                 size_t count, int32_t *lo, int32_t *hi) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vi least = VECTOR(load_i)(lo + i), most = VECTOR(load_i)(hi + i);
        KERNEL(prefetch_rows)(p + i, rows, stride);
        KERNEL(minmax_column)(p + i, rows, stride, &least, &most);
        VECTOR(store_i)(lo + i, least);
        VECTOR(store_i)(hi + i, most);
    }
    if (i == count)
        return;
    ELEMENT padded[LANES];
    vi least = KERNEL(load_some)(lo + i, count - i), most = KERNEL(load_some)(hi + i, count - i);
    for (size_t row = 0; row < rows; row++) {
        KERNEL(pad)(padded, p + row * stride + i, count - i);
        KERNEL(minmax_column)(padded, 1, 0, &least, &most);
    }
    KERNEL(store_some)(lo + i, least, count - i);
    KERNEL(store_some)(hi + i, most, count - i);
}

/*
 * The statistics of longer blocks. Four are taken together, because four vectors are reduced to four
 * numbers in little more time than one vector to one.
 */

TARGET static inline vi KERNEL(absmax_block)(const ELEMENT *p, size_t length) {
    vi most = VECTOR(set_i)(0);
    size_t i = 0;
    for (; i + STEP <= length; i += STEP) {
        KERNEL(prefetch)(p + i, STEP, PREFETCH_BYTES);
        most = KERNEL(absmax_column)(p + i, VECTORS, LANES, most);
    }
    for (; i + LANES <= length; i += LANES)
        most = KERNEL(absmax_column)(p + i, 1, LANES, most);
    if (i < length) {
        ELEMENT padded[LANES];
        KERNEL(pad)(padded, p + i, length - i);
        most = KERNEL(absmax_column)(padded, 1, LANES, most);
    }
    return most;
}

TARGET static inline void KERNEL(minmax_block)(const ELEMENT *p, size_t length, vi *lo, vi *hi) {
    *lo = *hi = VECTOR(set_i)(0);
    size_t i = 0;
    for (; i + STEP <= length; i += STEP) {
        KERNEL(prefetch)(p + i, STEP, PREFETCH_BYTES);
        KERNEL(minmax_column)(p + i, VECTORS, LANES, lo, hi);
    }
    for (; i + LANES <= length; i += LANES)
        KERNEL(minmax_column)(p + i, 1, LANES, lo, hi);
    if (i < length) {
        ELEMENT padded[LANES];
        KERNEL(pad)(padded, p + i, length - i);
        KERNEL(minmax_column)(padded, 1, LANES, lo, hi);
    }
}

TARGET static inline void KERNEL(absmax_blocks)(const ELEMENT *p, size_t blocks, size_t length,
                                                int32_t *absmax) {
    for (; blocks >= 4; blocks -= 4, absmax += 4) {
        vi most[4];
        UNROLL for (size_t k = 0; k < 4; k++, p += length) most[k] =
            KERNEL(absmax_block)(p, length);
        VECTOR(raise_4)(absmax, most);
    }
    for (; blocks; blocks--, absmax++, p += length) {
        int32_t most = VECTOR(largest)(KERNEL(absmax_block)(p, length));
        *absmax = *absmax > most ? *absmax : most;
    }
}

TARGET static inline void KERNEL(minmax_blocks)(const ELEMENT *p, size_t blocks, size_t length,
                                                int32_t *lo, int32_t *hi) {
    for (; blocks >= 4; blocks -= 4, lo += 4, hi += 4) {
        vi least[4], most[4];
        UNROLL for (size_t k = 0; k < 4; k++, p += length)
            KERNEL(minmax_block)(p, length, &least[k], &most[k]);
        VECTOR(lower_4)(lo, least);
        VECTOR(raise_4)(hi, most);
    }
    for (; blocks; blocks--, lo++, hi++, p += length) {
        vi low, high;
        KERNEL(minmax_block)(p, length, &low, &high);
        int32_t least = VECTOR(smallest)(low), most = VECTOR(largest)(high);
        *lo = *lo < least ? *lo : least;
        *hi = *hi > most ? *hi : most;
    }
}

/*
 * The kernels. Blocks of the usual length get a copy of the loop in which that is a constant. Columns
 * are taken four rows at a time, so that statistics are loaded and stored once for four.
 */

TARGET static void KERNEL(absmax)(const void *source, size_t rows, size_t stride, size_t blocks,
                                  size_t length, int32_t *absmax) {
    const ELEMENT *p = source;
    for (; length == 1 && rows >= 4; rows -= 4, p += 4 * stride)
        KERNEL(absmax_columns)(p, 4, stride, blocks, absmax);
    for (; rows; rows--, p += stride) {
        if (length == 1)
            KERNEL(absmax_columns)(p, 1, stride, blocks, absmax);
        else if (length == USUAL_LENGTH)
            KERNEL(absmax_blocks)(p, blocks, USUAL_LENGTH, absmax);
        else
            KERNEL(absmax_blocks)(p, blocks, length, absmax);
    }
}

TARGET static void KERNEL(minmax)(const void *source, size_t rows, size_t stride, size_t blocks,
                                  size_t length, int32_t *lo, int32_t *hi) {
    const ELEMENT *p = source;
    for (; length == 1 && rows >= 4; rows -= 4, p += 4 * stride)
        KERNEL(minmax_columns)(p, 4, stride, blocks, lo, hi);
    for (; rows; rows--, p += stride) {
        if (length == 1)
            KERNEL(minmax_columns)(p, 1, stride, blocks, lo, hi);
        else if (length == USUAL_LENGTH)
            KERNEL(minmax_blocks)(p, blocks, USUAL_LENGTH, lo, hi);
        else
            KERNEL(minmax_blocks)(p, blocks, length, lo, hi);
    }
}

/*
 * Encoding.
 */

TARGET static inline vf KERNEL(load_parameters)(const float *p) {
    return VECTOR(load_f32)((const uint32_t *)(const void *)p);
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
    vi normal = VECTOR(sub_i)(VECTOR(shift_down)(rounded, to->dropped), VECTOR(set_i)(to->rebias));
    /* subnormal: let the adder round to steps, and count them */
    vf adder = VECTOR(set_f)(to->step_adder);
    vi steps = VECTOR(sub_i)(VECTOR(bits)(VECTOR(add)(magnitude, adder)), VECTOR(bits)(adder));
    vm is_normal = VECTOR(at_least)(magnitude, VECTOR(set_f)(to->smallest));
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
