/*
 * kernels.h - the operations that are written once per instruction set
 *
 * Their bodies stand in templates/. A kernel sees a run of a row: `blocks`
 * blocks of `length` contiguous elements each; length 1 is a run in which every element belongs to a
 * block of its own.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "../codes.h"

/* Statistics over rows that start stride elements apart: bits of numbers of the source type, binary16 and
 * bfloat16 in the upper half, others zero. Bits of numbers that are not negative order like the numbers;
 * those of NaN are above all. */
typedef void (*caq_reduce_fn)(const void *source, size_t rows, size_t stride, size_t blocks,
                              size_t length, size_t ahead, int32_t *above, int32_t *below);

/* Rows whose codes start code_stride bytes apart. Packed codes are stored for whole steps only. */
typedef void (*caq_encode_fn)(const void *source, size_t rows, size_t stride, size_t blocks,
                              size_t length, const float *reciprocal, const int32_t *zero,
                              const caq_encoding *encoding, uint8_t *codes, size_t code_stride);

/* Rows whose codes start code_stride bytes apart, to rows that start stride elements apart. Packed codes
 * are read in whole steps only. */
typedef void (*caq_decode_fn)(const uint8_t *codes, size_t rows, size_t code_stride, size_t blocks,
                              size_t length, const float *scale, const int32_t *zero,
                              const caq_decoding *decoding, void *target, size_t stride);

/* Ends of clusters that are looked at together. */
#define CAQ_ENDS 8

struct caq_edges;
struct caq_tile;
struct caq_search_space;
struct caq_panel;

typedef struct caq_kernels {
    /* raise above[i] to the bits of the largest |w| of block i; below is left alone */
    caq_reduce_fn absmax;
    /* raise above[i] to the bits of its largest w, and below[i] to those of its largest -w */
    caq_reduce_fn range;
    /* From the tile's statistics of so many blocks to their scales and zero points, which are stored
     * where those of the first block belong, and to what the encoders need, which stays in the tile.
     * Returns CAQ_OK or CAQ_NOT_FINITE. */
    caq_status (*find_scales)(const caq_job *job, struct caq_tile *tile, size_t blocks,
                              uint8_t *scales, uint8_t *zero_points);
    /* one byte per element: integers as clip(round(w * reciprocal) + zero, 0, largest) + offset;
     * floating-point codes of w * reciprocal, which do not read zero */
    caq_encode_fn encode_integer, encode_float;
    /* Have other threads see codes that went past the caches. NULL: none do at this level. */
    void (*publish)(void);
    size_t step; /* of encoders that store packed codes, decoders that read them; else 0 */
    int registers; /* for vectors. With 16, those of floating-point codes spill if they do more at once */
    /* bytes bytes from 8 / bits codes each, the first in the lowest bits; bits is 2 or 4 */
    void (*pack)(const uint8_t *codes, size_t bytes, unsigned bits, uint8_t *packed);
    /* numbers of the source type as binary32 */
    void (*widen)(const void *source, size_t count, float *to);
    /* the inverse: 8 / bits codes from each byte, other bits zero */
    void (*unpack)(const uint8_t *packed, size_t bytes, unsigned bits, uint8_t *codes);
    /* codes to scale * (code - zero), in the source type. zero: of integers, the zero point's code
     * with the sign bit flipped; else the bits of minus its number */
    caq_decode_fn decode;

    /* The observer MSE, see search.h. */
    size_t lanes; /* of a vector */
    /* Give each of `lanes` blocks of `length` elements, one after the other, a lane of its own. */
    void (*take_lanes)(const float *blocks, size_t length, float *to);
    /* Score the scales of a turn on the panel: raise the best of each lane, or add to the sums. */
    void (*score)(const caq_job *job, struct caq_search_space *space);
    /* Add the panel's errors with each candidate to its sum. */
    void (*errors)(const caq_job *job, const caq_encoding *encoding,
                   struct caq_search_space *space);
    /* round scales to what is stored, and store such */
    void (*round_found)(const caq_job *job, float *scale, size_t count);
    void (*store_scales)(const caq_job *job, const float *scale, size_t blocks, uint8_t *to);

    /* Rounding with feedback, see feedback.h. */
    /* Have as the panel's sums the weights of `columns` columns from `first` on, no more than
     * PANEL_COLUMNS, with the shares of all errors before. */
    void (*begin_columns)(const caq_feedback *with, size_t first, size_t columns,
                          struct caq_panel *panel);
    /* Add to the sums of column k, of those that begin with `first`, the shares of the errors between,
     * and round: have its codes, and errors instead of its weights. */
    void (*round_column)(const caq_job *job, const caq_encoding *encoding, const caq_feedback *with,
                         size_t first, size_t k, struct caq_panel *panel);

#if CAQ_WITH_TABLES /* see table/ */
    /* Of clusters that begin at low .. high and end at `end`, the first of those with the largest gain,
     * which is before[begin] with what the cluster gains. Returns where it begins. */
    size_t (*best_last)(const struct caq_edges *edges, const double *before, size_t low,
                        size_t high, size_t end, double *gain);
    /* The same for CAQ_ENDS ends from `end` on, which is above low. None begins behind its end; gains at
     * ends behind the last edge are undefined. */
    void (*best_lasts)(const struct caq_edges *edges, const double *before, size_t low, size_t high,
                       size_t end, double gains[CAQ_ENDS], uint32_t lasts[CAQ_ENDS]);
    /* How many of the bounds lie below each weight. They are 16, ascending, the last an infinity. */
    void (*count_below)(const void *weight, size_t count, const float *bounds, uint8_t *counts);
#endif
} caq_kernels;

/*
 * The table of all kernels that this build has, which feeds dispatch and tests:
 * kernels[level][source]. A level that the build lacks has null pointers.
 */
extern const caq_kernels *const caq_kernels_of[CAQ_LEVELS];

extern const caq_kernels caq_portable_kernels[CAQ_SOURCES];

#if !CAQ_PORTABLE_ONLY && defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_X86
extern const caq_kernels caq_avx2_kernels[CAQ_SOURCES];
extern const caq_kernels caq_avx512_kernels[CAQ_SOURCES];
#endif

#if !CAQ_PORTABLE_ONLY && defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_NEON
extern const caq_kernels caq_neon_kernels[CAQ_SOURCES];
#endif

/* Whether there are kernels that take more than an element at a time; only these prefetch. */
#if defined(HAVE_X86) || defined(HAVE_NEON)
#define HAS_VECTORS 1
#else
#define HAS_VECTORS 0
#endif

/* Rows of columns with parameters of their own are taken so many at a time: what is known of the columns is
 * loaded once for all. */
#define ROWS_TOGETHER 8

/* Blocks are usually this long, as in OCP Microscaling, or half as long. So many that they are GROUP
 * elements, whole steps of every level, are taken at once in loops in which their length is a constant. */
#define USUAL_LENGTH 32
#define SHORT_LENGTH 16
#define GROUP 64

/* How far ahead of a loop over memory its source is prefetched: two tiles of binary32 or more, so that the
 * next one comes near while this one is encoded. */
#define PREFETCH_BYTES 32768

/* How far along a row that is too long to be near when it is read again: processors see such a stream
 * coming, and asking for more gets in their way. */
#define FAR_PREFETCH 512

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* Loops over a few vectors; clang unrolls them unasked. */
#if defined(__clang__)
#define UNROLL
#define UNROLL_LANES
#else
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL_LANES _Pragma("GCC unroll 16")
#endif

/* Sums are formed as they are written, whatever GCC was told. Left alone, it makes one operation of a product
 * and a sum where the processor has it, which rounds once; and vectors for Arm's MVE, which flush subnormals.
 * Clang does neither here: see portable.c. */
#if defined(__GNUC__) && !defined(__clang__)
#if defined(__ARM_FEATURE_MVE)
#define AS_WRITTEN                                                                                 \
    __attribute__((optimize("fp-contract=off", "no-tree-loop-vectorize", "no-tree-slp-vectorize")))
#else
#define AS_WRITTEN __attribute__((optimize("fp-contract=off")))
#endif
#else
#define AS_WRITTEN
#endif

/* a_b and a_b_c, of what the arguments stand for. */
#define PASTE_2_(a, b) a##_##b
#define PASTE_2(a, b) PASTE_2_(a, b)
#define PASTE_3_(a, b, c) a##_##b##_##c
#define PASTE_3(a, b, c) PASTE_3_(a, b, c)

/* The kernel that reduces a job's blocks to the statistics that their scales are found from. */
static inline caq_reduce_fn caq_statistics_of(const caq_job *job) {
    return is_asymmetric(job) ? job->kernels->range : job->kernels->absmax;
}

#endif
