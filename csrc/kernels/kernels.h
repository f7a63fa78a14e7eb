/*
 * kernels.h - the table of kernels: functions that are built for each instruction set
 *
 * The bodies of kernels stand in templates/. Most kernels take a run of a row: `blocks` blocks of
 * `length` contiguous elements each. With length 1 each element belongs to a block of its own:
 * blocks are columns.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "../codes.h"

/* Reduces rows, which start stride elements apart, to statistics of their blocks. A statistic is
 * the bits of a number of the source type; those of binary16 and bfloat16 stand in the upper half,
 * above zeros. Bits of numbers that are not negative order like the numbers, and those of NaN are
 * above all. `ahead` is how many bytes ahead the source is prefetched. */
typedef void (*caq_reduce_fn)(const void *source, size_t rows, size_t stride, size_t blocks,
                              size_t length, size_t ahead, int32_t *above, int32_t *below);

/* Encodes rows, which start stride elements apart. Their codes start code_stride bytes apart.
 * Packed codes are stored for whole steps only. */
typedef void (*caq_encode_fn)(const void *source, size_t rows, size_t stride, size_t blocks,
                              size_t length, const float *reciprocal, const int32_t *zero,
                              const caq_encoding *encoding, uint8_t *codes, size_t code_stride);

/* Decodes rows, whose codes start code_stride bytes apart, into rows that start stride elements
 * apart. Packed codes are read in whole steps only. */
typedef void (*caq_decode_fn)(const uint8_t *codes, size_t rows, size_t code_stride, size_t blocks,
                              size_t length, const float *scale, const int32_t *zero,
                              const caq_decoding *decoding, void *numbers, size_t stride);

/* Ends of clusters that are looked at together. */
#define CAQ_ENDS 8

/* Sums of squares that run side by side. */
#define CAQ_SUMS 16

/* Vectors of look-up tables that kernels take at once. */
#define CAQ_VECTORS 32

struct caq_edges;
struct caq_tile;
struct caq_search_space;
struct caq_panel;

typedef struct caq_kernels {
    /* Raise above[i] to the bits of the largest |w| of block i. Leave below alone. */
    caq_reduce_fn absmax;
    /* Raise above[i] to the bits of the largest w of block i, and below[i] to those of the largest
     * -w. */
    caq_reduce_fn range;
    /* Turn the tile's statistics of its first `blocks` blocks into scales and zero points. Store
     * these, beginning at scales and zero_points, and leave in the tile what the encoders need.
     * Return CAQ_OK or CAQ_NOT_FINITE. */
    caq_status (*find_scales)(const caq_job *job, struct caq_tile *tile, size_t blocks,
                              uint8_t *scales, uint8_t *zero_points);
    /* Make the codes of codes.h. encode_integer takes the scales of the blocks that are encoded,
     * encode_wide any. encode_float does not read zero. */
    caq_encode_fn encode_integer, encode_wide, encode_float;
    /* Make numbers that went past the caches visible to other threads. NULL: none do. */
    void (*publish)(void);
    size_t step;   /* elements of a step, in which packed codes are stored and read, or 0 */
    int registers; /* for vectors; with 16, encode_float has too few to take rows together */
    /* Pack 8 / bits codes into each byte, the first in the lowest bits. bits is 2 or 4. */
    void (*pack)(const uint8_t *codes, size_t bytes, unsigned bits, uint8_t *packed);
    /* Turn numbers of the source type into binary32. */
    void (*widen)(const void *source, size_t count, float *to);
    /* Unpack 8 / bits codes from each byte. The other bits of a code's byte are zero. */
    void (*unpack)(const uint8_t *packed, size_t bytes, unsigned bits, uint8_t *codes);
    /* Turn codes into scale * (code - zero), in the source type. For integers zero is the zero
     * point's code with the sign bit flipped; for floating point it is the bits of minus the zero
     * point's number. */
    caq_decode_fn decode;

    /* What follows is for the observer MSE: see search/search.h. */
    size_t lanes; /* of a vector */
    /* Give each of `lanes` blocks a lane of its own. The blocks have `length` elements and lie side
     * by side. */
    void (*take_lanes)(const float *blocks, size_t length, float *to);
    /* Score the scales of a pass on the panel: raise the best of each lane, or add to the sums. */
    void (*score)(const caq_job *job, struct caq_search_space *space);
    /* Add the squared errors that the panel has with each candidate to the candidate's sum. */
    void (*errors)(const caq_job *job, const caq_encoding *encoding,
                   struct caq_search_space *space);
    /* Round scales to numbers of the type that they are stored in. */
    void (*round_found)(const caq_job *job, float *scale, size_t count);
    /* Store scales that are numbers of that type. */
    void (*store_scales)(const caq_job *job, const float *scale, size_t blocks, uint8_t *to);

    /* What follows is for rounding with feedback: see feedback/feedback.h. */
    /* Begin the sums of `columns` columns from `first` on, at most PANEL_COLUMNS: weights, and the
     * shares of the errors of all columns before `first`. */
    void (*begin_columns)(const caq_feedback *with, size_t first, size_t columns,
                          struct caq_panel *panel);
    /* Round column k, whose sums were begun with column `first`: add the shares of the errors from
     * `first` on, make the codes, and put errors in the place of weights. */
    void (*round_column)(const caq_job *job, const caq_encoding *encoding, const caq_feedback *with,
                         size_t first, size_t k, struct caq_panel *panel);

#if CAQ_WITH_ERRORS /* see compare.c */
    /* Add the square of number i to sums[i % CAQ_SUMS]. count is a multiple of CAQ_SUMS. */
    void (*add_squares)(const float *numbers, size_t count, double *sums);
    /* Store squared errors and add them to sums, and raise largest[i % CAQ_SUMS] to the magnitude of
     * error i. */
    void (*add_differences)(const float *weight, const float *decoded, size_t count, double *sums,
                            double *largest, double *squares);
#endif

#if CAQ_WITH_TABLES /* see table/ */
    /* Find the best last cluster that ends at `end` and begins at low .. high: the first with the
     * largest gain, which is before[begin] plus that of the cluster. Return where it begins. */
    size_t (*best_last)(const struct caq_edges *edges, const double *before, size_t low,
                        size_t high, size_t end, double *gain);
    /* Find the best last clusters of CAQ_ENDS ends from `end` on, which is above high. Gains at ends
     * behind the last edge are undefined. */
    void (*best_lasts)(const struct caq_edges *edges, const double *before, size_t low, size_t high,
                       size_t end, double gains[CAQ_ENDS], uint32_t lasts[CAQ_ENDS]);
    /* Count the bounds that lie below each weight. They are 16, ascending, the last an infinity. */
    void (*count_below)(const void *weight, size_t count, const float *bounds, uint8_t *counts);
    /* Find the nearest center of each of `count` vectors, a multiple of CAQ_VECTORS, and its squared
     * distance: see reference/table_vectors.py. Number v of vector i is members[v * stride + i], that
     * of center k is centers[k * length + v]. There are 1 to 256 centers. */
    void (*nearest_center)(const float *members, size_t stride, size_t count, size_t length,
                           const float *centers, size_t of_centers, uint8_t *nearest,
                           float *distances);
#endif
} caq_kernels;

/* The kernels of this build: caq_kernels_of[level][source]. A level that the build lacks is a null
 * pointer. */
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

/* Whether this build has levels of several lanes. Only these prefetch, and store or read packed
 * codes. */
#if defined(HAVE_X86) || defined(HAVE_NEON)
#define HAS_VECTORS 1
#else
#define HAS_VECTORS 0
#endif

/* How many rows of columns kernels take together, so that the columns' parameters are loaded once
 * for all. */
#define ROWS_TOGETHER 8

/* The usual length of blocks, which OCP Microscaling has, and half of it. Kernels have loops for
 * these, in which the length is a constant. Such a loop takes a group of blocks at a time: GROUP
 * elements, which are whole steps at every level. */
#define USUAL_LENGTH 32
#define SHORT_LENGTH 16
#define GROUP 64

/* How many bytes ahead a unit that stays near is prefetched. That is at least two tiles of a single
 * row, so that the next unit comes near while this one is encoded. */
#define PREFETCH_BYTES 32768

/* How many bytes ahead a source is prefetched that is too long to stay near. Processors see such a
 * stream coming, and asking for more gets in their way. */
#define FAR_PREFETCH 512

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* Unroll a loop over the vectors of a step, and one over the lanes of a vector. Clang does so
 * unasked. */
#if defined(__clang__)
#define UNROLL
#define UNROLL_LANES
#else
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL_LANES _Pragma("GCC unroll 16")
#endif

/* Have sums formed as they are written, whatever GCC was told. Left alone, it makes one operation
 * of a product and a sum if the processor has that, which rounds only once, and it makes vectors
 * for Arm's MVE, which flush subnormals. Clang does neither here: see portable.c. */
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

/* Paste names with underscores between them: a_b and a_b_c. Arguments that are macros are expanded
 * first. */
#define PASTE_2_(a, b) a##_##b
#define PASTE_2(a, b) PASTE_2_(a, b)
#define PASTE_3_(a, b, c) a##_##b##_##c
#define PASTE_3(a, b, c) PASTE_3_(a, b, c)

/* The kernel that reduces a job's blocks to the statistics that their scales are found from. */
static inline caq_reduce_fn caq_statistics_of(const caq_job *job) {
    return is_asymmetric(job) ? job->kernels->range : job->kernels->absmax;
}

#endif
