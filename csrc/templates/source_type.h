/*
 * source_type.h - the kernels that are built for each type of weights
 *
 * Included by level.h once per type, with these set:
 *
 *   SOURCE      f32, f16 or bf16
 *   ELEMENT     the unsigned integer type of an element's bits
 *
 * KERNEL(name) is the name of a function for this type.
 *
 * A run that does not end at a whole step ends with single vectors. If it does not end at a whole
 * vector either, the last one begins earlier, or goes on into what follows. That does no harm:
 * statistics may see an element twice, and codes that were written too early are written again. If
 * there is no room for that, the last elements are copied into a vector that is padded with zeros,
 * which change no statistic.
 */
#define KERNEL(name) PASTE_2(name, SOURCE)
#define STEP (VECTORS * LANES)
#define IS_HALF (sizeof(ELEMENT) == 2)
#define WIDTH (IS_HALF && LANES > 1 ? 2 * LANES : LANES) /* elements whose bits a vector holds */
#define LOAD(p) KERNEL(v_load)(p)

/* Prefetch what lies `ahead` bytes behind count elements at p. That may be beyond the weight's
 * memory, because a prefetch does not read. */
TARGET static inline void KERNEL(prefetch)(const ELEMENT *p, size_t count, size_t ahead) {
    UNROLL for (size_t byte = 0; byte < count * sizeof(ELEMENT) && LANES > 1; byte += 64)
        __builtin_prefetch((const void *)((uintptr_t)p + ahead + byte), 0, 2);
}

/* Get an element at any address, and put one there. */
TARGET static inline ELEMENT KERNEL(get)(const ELEMENT *p) {
    return IS_HALF ? (ELEMENT)load_16(p) : (ELEMENT)load_32(p);
}
TARGET static inline void KERNEL(put)(ELEMENT *p, ELEMENT bits) {
    if (IS_HALF)
        store_16(p, (uint16_t)bits);
    else
        store_32(p, bits);
}

/* Copy count elements and pad them with zeros to width elements. */
TARGET static inline void KERNEL(pad)(ELEMENT *padded, size_t width, const ELEMENT *source,
                                      size_t count) {
    for (size_t i = 0; i < width; i++)
        padded[i] = 0;
    for (size_t i = 0; i < width && i < count; i++)
        padded[i] = KERNEL(get)(source + i);
}

/* Prefetch ahead of the first WIDTH elements of some rows. */
TARGET static inline void KERNEL(prefetch_rows)(const ELEMENT *p, size_t rows, size_t stride,
                                                size_t ahead) {
    UNROLL for (size_t row = 0; row < rows; row++) KERNEL(prefetch)(p + row * stride, WIDTH, ahead);
}

/* Load the bits of WIDTH elements: one of binary32 in each lane, or two of 16 bits. */
TARGET static inline vi KERNEL(load_bits)(const ELEMENT *p) {
    const void *at = p;
    return IS_HALF ? v_load_pairs((const uint16_t *)at) : v_bits(v_load_f32((const uint32_t *)at));
}

/* A mask of the first count of WIDTH elements. */
TARGET static inline vi KERNEL(first_elements)(size_t count) {
    ELEMENT ones[WIDTH];
    for (size_t i = 0; i < WIDTH; i++)
        ones[i] = i < count ? (ELEMENT)-1 : 0;
    return KERNEL(load_bits)(ones);
}

/* The larger of two elements, for each pair of them, as signed integers. */
TARGET static inline vi KERNEL(larger)(vi a, vi b) {
    return IS_HALF ? v_max_pairs(a, b) : v_max(a, b);
}

/* The element of each lane, or the larger of its two in the upper half. No element is negative. */
TARGET static inline vi KERNEL(larger_half)(vi bits) {
    if (WIDTH == LANES)
        return bits;
    vi larger = v_max(bits, v_shift_up(bits, 16));
    return v_and(larger, v_set_i(INT32_MIN / 0x8000));
}

/* Store the first count lanes. */
TARGET static inline void KERNEL(store_some)(int32_t *p, vi x, size_t count) {
    int32_t padded[LANES];
    v_store_i(padded, x);
    for (size_t i = 0; i < count; i++)
        p[i] = padded[i];
}

/* p[k] = max(p[k], the largest element of most[k]) */
TARGET static inline void KERNEL(raise_4)(int32_t *p, const vi most[4]) {
    if (IS_HALF)
        v_raise_4_pairs(p, most);
    else
        v_raise_4(p, most);
}

/* What a statistic of symmetric targets is the largest of: magnitudes. */
TARGET static inline vi KERNEL(side_absmax)(vi bits, size_t side) {
    (void)side;
    return v_and(bits, v_set_i(IS_HALF ? 0x7FFF7FFF : INT32_MAX));
}

/* What the statistics of asymmetric targets are the largest of: w (side 0), and -w (side 1). */
TARGET static inline vi KERNEL(side_range)(vi bits, size_t side) {
    const int32_t signs = WIDTH > LANES ? INT32_MIN | 0x8000 : INT32_MIN;
    return side ? v_xor(bits, v_set_i(signs)) : bits;
}

#define REDUCE absmax
#define SIDES 1
#include "reduce.h"

#define REDUCE range
#define SIDES 2
#include "reduce.h"

/* Load a reciprocal or a scale for each lane. */
TARGET static inline vf KERNEL(load_parameters)(const float *p) {
    return v_load_f32((const uint32_t *)(const void *)p);
}

#define CODE integer
#include "encode.h"

#define CODE wide
#include "encode.h"

#define CODE float
#include "encode.h"

/* The kernel `widen`. */
TARGET static void KERNEL(widen)(const void *source, size_t count, float *to) {
    const ELEMENT *p = (const ELEMENT *)source;
    int32_t *bits = (int32_t *)(void *)to;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        v_store_i(bits + i, v_bits(LOAD(p + i)));
    if (LANES > 1 && i < count) {
        ELEMENT padded[LANES];
        KERNEL(pad)(padded, LANES, p + i, count - i);
        KERNEL(store_some)(bits + i, v_bits(LOAD(padded)), count - i);
    }
}
#include "decode.h"

#if CAQ_WITH_TABLES
#include "count_below.h"
#endif

#undef KERNEL
#undef STEP
#undef IS_HALF
#undef WIDTH
#undef LOAD
#undef SOURCE
#undef ELEMENT
