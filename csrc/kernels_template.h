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
 *               and vi (32-bit integer lanes)
 *   KERNEL(op)  the name of a function of this instruction set and source type
 *   TARGET      attributes of such functions
 *
 * What does not fill a step is taken a vector at a time. What does not fill a vector is taken together
 * with elements before or behind it, which does no harm: statistics may see an element twice, and codes
 * that were written too early are written again. Only where the run ends is it copied into a vector
 * padded with zeros, which change no statistic.
 */
#define STEP (VECTORS * LANES)
#define IS_HALF (sizeof(ELEMENT) == 2)
#define WIDTH (IS_HALF && LANES > 1 ? 2 * LANES : LANES) /* elements of a vector of bits */
#define LOAD(p) VECTOR(CONCAT(load_, SOURCE))(p)

/* Ask for what will be read `ahead` bytes behind count elements at p. That may be no longer the weight's
 * memory: asking does not read. */
TARGET static inline void KERNEL(prefetch)(const ELEMENT *p, size_t count, size_t ahead) {
    UNROLL for (size_t byte = 0; byte < count * sizeof(ELEMENT) && LANES > 1; byte += 64)
        __builtin_prefetch((const void *)((uintptr_t)p + ahead + byte), 0, 2);
}

/* Copy count < width elements and pad them with zeros to width ones. */
TARGET static inline void KERNEL(pad)(ELEMENT *padded, size_t width, const ELEMENT *source,
                                      size_t count) {
    for (size_t i = 0; i < width; i++)
        padded[i] = 0;
    for (size_t i = 0; i < width && i < count; i++)
        padded[i] = ((const CONCAT(unaligned_, ELEMENT) *)source)[i].bits;
}

/* The same for so many rows' vectors of bits. */
TARGET static inline void KERNEL(prefetch_rows)(const ELEMENT *p, size_t rows, size_t stride,
                                                size_t ahead) {
    UNROLL for (size_t row = 0; row < rows; row++) KERNEL(prefetch)(p + row * stride, WIDTH, ahead);
}

/* The bits of a vector of elements: of binary32 one in each lane, else two. */
TARGET static inline vi KERNEL(load_bits)(const ELEMENT *p) {
    const void *at = p;
    return IS_HALF ? VECTOR(load_pairs)(at) : VECTOR(bits)(VECTOR(load_f32)(at));
}

/* Ones in the first count elements, zeros in the others. */
TARGET static inline vi KERNEL(first_elements)(size_t count) {
    ELEMENT ones[WIDTH];
    for (size_t i = 0; i < WIDTH; i++)
        ones[i] = i < count ? (ELEMENT)-1 : 0;
    return KERNEL(load_bits)(ones);
}

/* The larger of each two elements, as signed integers. */
TARGET static inline vi KERNEL(larger)(vi a, vi b) {
    return IS_HALF ? VECTOR(max_pairs)(a, b) : VECTOR(max)(a, b);
}

/* Of each lane its one element, or the larger of its two in the upper half; none is negative. */
TARGET static inline vi KERNEL(larger_half)(vi bits) {
    if (WIDTH == LANES)
        return bits;
    vi larger = VECTOR(max)(bits, VECTOR(shift_up)(bits, 16));
    return VECTOR(and)(larger, VECTOR(set_i)(INT32_MIN / 0x8000));
}

/* The first count lanes, fewer than all. */
TARGET static inline void KERNEL(store_some)(int32_t *p, vi x, size_t count) {
    int32_t padded[LANES];
    VECTOR(store_i)(padded, x);
    for (size_t i = 0; i < count; i++)
        p[i] = padded[i];
}

/* p[k] = max(p[k], the largest element of most[k]) */
TARGET static inline void KERNEL(raise_4)(int32_t *p, const vi most[4]) {
    if (IS_HALF)
        VECTOR(raise_4_pairs)(p, most);
    else
        VECTOR(raise_4)(p, most);
}

/* For symmetric targets the largest magnitude. */
TARGET static inline vi KERNEL(absmax_side)(vi bits, size_t side) {
    (void)side;
    return VECTOR(and)(bits, VECTOR(set_i)(IS_HALF ? 0x7FFF7FFF : INT32_MAX));
}

/* For asymmetric ones the largest w and the largest -w. */
TARGET static inline vi KERNEL(range_side)(vi bits, size_t side) {
    const int32_t signs = WIDTH > LANES ? INT32_MIN | 0x8000 : INT32_MIN;
    return side ? VECTOR(xor)(bits, VECTOR(set_i)(signs)) : bits;
}

#define REDUCE absmax
#define SIDES 1
#include "reduce_template.h"

#define REDUCE range
#define SIDES 2
#include "reduce_template.h"

TARGET static inline vf KERNEL(load_parameters)(const float *p) {
    return VECTOR(load_f32)((const uint32_t *)(const void *)p);
}

/* Round half even. The rest of the arithmetic is done on integers: the quotient is less than twice what
 * the clip allows, and clipping to integers gives the same before and after rounding. */
TARGET static inline vi KERNEL(integer_code)(const ELEMENT *p, vf reciprocal, vi zero,
                                             const caq_encoding *to) {
    (void)to;
    return VECTOR(add_i)(VECTOR(round)(VECTOR(mul)(LOAD(p), reciprocal)), zero);
}

/* Codes of one binade are equally spaced; those of subnormals go on with the spacing of the smallest
 * normal binade. Adding the number whose last place is that step rounds to steps, half to even, and
 * leaves their count in the last places; 2^mantissa of them for each binade below. */
TARGET static inline vi KERNEL(float_code)(const ELEMENT *p, vf reciprocal, vi zero,
                                           const caq_encoding *to) {
    (void)zero;
    vi bits = VECTOR(bits)(VECTOR(mul)(LOAD(p), reciprocal));
    vf magnitude = VECTOR(from_bits)(VECTOR(and)(bits, VECTOR(set_i)(INT32_MAX)));
    magnitude = VECTOR(lesser)(magnitude, VECTOR(set_f)(to->saturation));
    vi binade = VECTOR(and)(VECTOR(bits)(magnitude), VECTOR(set_i)(0x7F800000));
    binade = VECTOR(max)(binade, VECTOR(set_i)(to->smallest));
    vi adder = VECTOR(add_i)(binade, VECTOR(set_i)(to->adder));
    vi sum = VECTOR(bits)(VECTOR(add)(magnitude, VECTOR(from_bits)(adder)));
    vi below = VECTOR(sub_i)(binade, VECTOR(set_i)(to->smallest));
    vi code = VECTOR(add_i)(VECTOR(sub_i)(sum, adder), VECTOR(shift_down)(below, to->dropped));
    vi sign = VECTOR(and)(bits, VECTOR(set_i)(INT32_MIN));
    return VECTOR(or)(code, VECTOR(shift_down)(sign, to->sign_down));
}

#define CODE integer_code
#define ENCODE encode_integer
#include "encode_template.h"

#define CODE float_code
#define ENCODE encode_float
#include "encode_template.h"

/* See caq_kernels. */
TARGET static void KERNEL(widen)(const void *source, size_t count, float *to) {
    const ELEMENT *p = source;
    int32_t *bits = (int32_t *)(void *)to;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        VECTOR(store_i)(bits + i, VECTOR(bits)(LOAD(p + i)));
    if (LANES > 1 && i < count) {
        ELEMENT padded[LANES];
        KERNEL(pad)(padded, LANES, p + i, count - i);
        KERNEL(store_some)(bits + i, VECTOR(bits)(LOAD(padded)), count - i);
    }
}
#include "decode_template.h"

#undef STEP
#undef IS_HALF
#undef WIDTH
#undef LOAD
#undef SOURCE
#undef ELEMENT
