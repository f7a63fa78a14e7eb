/*
 * kernels.h - the operations that are written once per instruction set
 *
 * Bodies stand in kernels_template.h and scales_template.h. A kernel sees a run of a row: `blocks`
 * blocks of `length` contiguous elements each; length 1 is a run in which every element belongs to a
 * block of its own.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "coreai_quant.h"

/* A kind of codes, as the constants by which a kernel makes them. */
typedef struct caq_encoding {
    /* symmetric integers: round(clip(w * r, -largest, largest)) + offset;
     * asymmetric: round(clip(w * r, -zero, largest - zero)) + zero + offset;
     * floating point: saturates at largest */
    float largest;
    int32_t offset;
    /* floating point only */
    float smallest;     /* normal number; below, numbers are multiples of a step */
    float step_adder;   /* a number whose last place is that step: adding it rounds to steps */
    uint32_t dropped;   /* significand bits of binary32 that the format lacks */
    int32_t rebias;     /* what bits rounded and shifted down by dropped are above the code */
    uint32_t sign_down; /* by how much the sign bit goes down to its place in the code */
} caq_encoding;

typedef void (*caq_encoder)(const void *source, size_t blocks, size_t length,
                            const float *reciprocal, const float *zero,
                            const caq_encoding *encoding, uint8_t *codes);

struct tile;

typedef struct caq_kernels {
    /* absmax[i] = max(absmax[i], bits of the largest |w| of block i), over rows that start stride
     * elements apart */
    void (*absmax)(const void *source, size_t rows, size_t stride, size_t blocks, size_t length,
                   int32_t *absmax);
    /* the same with the smallest and the largest element, as sortable bits */
    void (*minmax)(const void *source, size_t rows, size_t stride, size_t blocks, size_t length,
                   int32_t *lo, int32_t *hi);
    /* From the tile's statistics of so many blocks to their scales and zero points, which are stored
     * where those of the first block belong, and to what the encoders need, which stays in the tile.
     * Returns CAQ_OK or CAQ_NOT_FINITE. */
    caq_status (*find_scales)(const caq_job *job, struct tile *tile, size_t blocks, void *scales,
                              uint8_t *zero_points);
    /* one byte per element; only the asymmetric one reads zero */
    caq_encoder encode_symmetric, encode_asymmetric, encode_float;
    /* bytes bytes from 8 / bits codes each, the first in the lowest bits; bits is 2 or 4 */
    void (*pack)(const uint8_t *codes, size_t bytes, unsigned bits, uint8_t *packed);
} caq_kernels;

/*
 * The table of all kernels that this build has, which feeds dispatch and tests:
 * kernels[level][source]. A level that the build lacks has null pointers.
 */
extern const caq_kernels *const caq_kernels_of[CAQ_LEVELS];

extern const caq_kernels caq_portable_kernels[CAQ_SOURCES];

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_X86
extern const caq_kernels caq_avx2_kernels[CAQ_SOURCES];
extern const caq_kernels caq_avx512_kernels[CAQ_SOURCES];
#endif

#if defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_NEON
extern const caq_kernels caq_neon_kernels[CAQ_SOURCES];
#endif

/* Blocks are usually this long, as in OCP Microscaling. */
#define USUAL_LENGTH 32

/* How far ahead of a loop over memory its source is prefetched: two pages. */
#define PREFETCH_BYTES 4096

/* Loops over a few vectors; clang unrolls them unasked. */
#if defined(__clang__)
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

/* The rows of a level's table: one set of kernels per source type, in the order of caq_source. */
#define CAQ_KERNEL_ROW(isa, source)                                                                \
    {.absmax = isa##_##source##_absmax,                                                            \
     .minmax = isa##_##source##_minmax,                                                            \
     .find_scales = isa##_find_scales,                                                             \
     .encode_symmetric = isa##_##source##_encode_symmetric,                                        \
     .encode_asymmetric = isa##_##source##_encode_asymmetric,                                      \
     .encode_float = isa##_##source##_encode_float,                                                \
     .pack = isa##_pack}
#define CAQ_KERNEL_TABLE(isa)                                                                      \
    {CAQ_KERNEL_ROW(isa, f32), CAQ_KERNEL_ROW(isa, f16), CAQ_KERNEL_ROW(isa, bf16)}

#endif
