/*
 * coreai_quant.h - quantize weights into the bytes that Core AI stores
 *
 * This header is the contract of the C library; docs/numerics.md has the same rules with figures, and
 * reference/ has them as runnable numpy, which this library equals byte for byte.
 *
 * The library is C11 with nothing behind it: it allocates nothing, keeps no state, calls no function of
 * the C library, and needs IEEE 754 binary32 arithmetic in round-to-nearest mode with subnormals. Every
 * function is re-entrant; all buffers belong to the caller and must not overlap.
 *
 *     caq_job job;
 *     size_t shape[] = {4096, 4096}, block_sizes[] = {1, 32};
 *     status = caq_job_init(&job, CAQ_F16, CAQ_INT4, CAQ_SYMMETRIC, CAQ_SCALE_AS_WEIGHT, CAQ_MINMAX,
 *                           2, shape, block_sizes, 1, caq_best_level());
 *     ... provide packed, scales, zero_points and scratch, see the sizes below ...
 *     status = caq_quantize(&job, 0, job.units, weight, packed, scales, zero_points, scratch);
 */
#ifndef COREAI_QUANT_H
#define COREAI_QUANT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element type of the weight, and of its scales unless they are E8M0. */
typedef enum caq_source { CAQ_F32, CAQ_F16, CAQ_BF16 } caq_source;
#define CAQ_SOURCES 3

/*
 * Format of the codes. Codes of 2 and 4 bits are packed flat over the whole tensor in C order, the first
 * code in the lowest bits of the first byte; rows are not padded; unused bits of the last byte are zero.
 * Negative integer codes are two's complement in their bits.
 */
typedef enum caq_format {
    CAQ_INT2,
    CAQ_UINT2,
    CAQ_INT4,
    CAQ_UINT4,
    CAQ_INT8,
    CAQ_UINT8,
    CAQ_FP4_E2M1FN,
    CAQ_FP8_E4M3FN,
    CAQ_FP8_E5M2
} caq_format;
#define CAQ_FORMATS 9

/* How the zero point of an integer format is chosen; floating-point formats are symmetric. */
typedef enum caq_scheme { CAQ_SYMMETRIC, CAQ_ASYMMETRIC } caq_scheme;

/* What scales are stored in: the weight's element type, or E8M0 (floating-point formats only; FP4 has
 * no other): byte e stands for 2^(e - 127). */
typedef enum caq_scale { CAQ_SCALE_AS_WEIGHT, CAQ_SCALE_E8M0 } caq_scale;

/* How a block's scale is found: from its extremes, or from there on by a search for less squared error. */
typedef enum caq_observer { CAQ_MINMAX, CAQ_MSE } caq_observer;

/* Instruction sets that the kernels are built for. All give the same bytes. */
typedef enum caq_level { CAQ_PORTABLE, CAQ_NEON, CAQ_AVX2, CAQ_AVX512 } caq_level;
#define CAQ_LEVELS 4

typedef enum caq_status {
    CAQ_OK = 0,
    CAQ_BAD_ARGUMENT, /* a value out of its enum, a combination or a shape that is not allowed */
    CAQ_BAD_LEVEL,    /* this build does not have the instruction set */
    CAQ_NOT_FINITE    /* the weight has a NaN or an infinity; the outputs are unspecified */
} caq_status;

/* Axes that are left when axes which blocks do not tell apart are merged. More than 16 would take a
 * tensor of at least 2^32 elements. */
#define CAQ_MAX_AXES 16

/* Blocks that are worked on together, a multiple of 8. Fewer take less scratch; blocks along an earlier
 * axis than the last are then read in shorter runs, which is slower where memory is far. */
#ifndef CAQ_TILE_BLOCKS
#define CAQ_TILE_BLOCKS 4096
#endif

/* Bytes of scratch that caq_quantize() needs, aligned to 4. */
#define CAQ_SCRATCH_SIZE (24 * CAQ_TILE_BLOCKS + 1024)

/* The same with CAQ_MSE, aligned to 8. */
#define CAQ_MSE_SCRATCH_SIZE (CAQ_SCRATCH_SIZE + 80 * 1024)

struct caq_kernels;

/*
 * A weight's shape, blocks and target, digested. Read the sizes; leave the rest alone.
 * The work is cut into units, which caq_quantize() takes in ranges. Ranges that start at multiples of
 * granule write to different bytes, so they may run at the same time.
 */
typedef struct caq_job {
    size_t elements;    /* of the whole tensor */
    size_t packed_size; /* bytes of the packed codes */
    size_t scale_count; /* scales, and zero points, in C order of the blocks */
    size_t scale_size;  /* bytes of one scale: 1, 2 or 4; a zero point is one byte */
    size_t units;       /* into how many units the work is cut */
    size_t granule;     /* units which must stay together, see above */

    caq_source source;
    caq_format format;
    caq_scheme scheme;
    caq_scale scale;
    caq_observer observer;
    const struct caq_kernels *kernels;
    size_t axes;                 /* merged axes, at least 1; the last one is contiguous */
    size_t blocks[CAQ_MAX_AXES]; /* blocks along each merged axis */
    size_t length[CAQ_MAX_AXES]; /* elements of a block along each merged axis */
    size_t row;                  /* elements along the last merged axis */
    size_t rows;                 /* rows that a block spans: product of length but for the last */
    size_t tile;                 /* blocks of a row that are worked on together */
    size_t tiles;                /* tiles of a row */
} caq_job;

/*
 * Prepare a job.
 *
 * rank, shape: the weight's shape, rank >= 1, no axis empty.
 * block_sizes: a block's length along each axis, which must divide it; 0 stands for the whole axis.
 * parts: into how many parts at least the work should be cut, where it can be; else 1.
 * level: caq_best_level(), or another level that caq_has_level() grants. Ask once: the processor takes
 *        microseconds to answer in a virtual machine, so this function does not ask again.
 *
 * Returns CAQ_OK, CAQ_BAD_ARGUMENT or CAQ_BAD_LEVEL; job is usable only after CAQ_OK.
 */
caq_status caq_job_init(caq_job *job, caq_source source, caq_format format, caq_scheme scheme,
                        caq_scale scale, caq_observer observer, size_t rank, const size_t *shape,
                        const size_t *block_sizes, size_t parts, caq_level level);

/*
 * Quantize the units first .. first + count - 1.
 *
 * weight: the whole tensor in C order, any alignment.
 * packed: job->packed_size bytes, see caq_format.
 * scales: job->scale_count scales of job->scale_size bytes each, in the machine's byte order, any
 *         alignment.
 * zero_points: job->scale_count codes, one byte each (sign-extended for INT2 and INT4). A weight
 *         decodes to scale * (code - zero point).
 * scratch: CAQ_SCRATCH_SIZE bytes aligned to 4, or with CAQ_MSE CAQ_MSE_SCRATCH_SIZE aligned to 8, one for
 *         each call that runs at the same time.
 *
 * Returns CAQ_OK, CAQ_BAD_ARGUMENT (units out of range) or CAQ_NOT_FINITE.
 *
 * The rules of CAQ_MINMAX, for a block of elements w with absmax = max |w|, all in binary32 arithmetic:
 *   scale      symmetric integers absmax / Q, Q = 2^(bits - 1) - 1; asymmetric (hi - lo) / (2^bits - 1)
 *              with lo = min(0, min w), hi = max(0, max w); FP8 absmax / (largest code), for E5M2 of a
 *              CAQ_F16 weight absmax / 3584; E8M0 2^(floor(log2 absmax) - emax), one more where the
 *              significand of absmax is above 29/16, emax 2, 8, 15 for E2M1, E4M3, E5M2.
 *              Rounded to nearest even in the type it is stored in; a block of zeros has scale 1; below
 *              the smallest positive scale whose reciprocal is finite, that one (E8M0: 2^-127, CAQ_F16
 *              2^-24); while absmax would decode to an infinity of the weight's type, the type's
 *              largest number divided by absmax's code and rounded down, or the next smaller scale.
 *   zero point symmetric INT 0, UINT Q; asymmetric round(-lo / scale) clipped to the format's range.
 *   code       integers: round(w * (1 / scale)) + zero point, clipped; halves round to even.
 *              FP: w * (1 / scale) clipped to the largest number, rounded to nearest even; the sign of
 *              zero is kept.
 */
caq_status caq_quantize(const caq_job *job, size_t first, size_t count, const void *weight,
                        uint8_t *packed, void *scales, uint8_t *zero_points, void *scratch);

/* What caq_measure() finds out about the elements of a block; starts as all zeros. */
typedef struct caq_extent {
    int32_t above; /* bits of the largest w or 0; of the largest |w| if the job is symmetric */
    int32_t below; /* bits of the largest -w or 0; 0 if the job is symmetric */
} caq_extent;

/* Blocks that are searched together, and scales that are tried in one pass, at the most. */
#define CAQ_LANES 16
#define CAQ_CANDIDATES 192

/* A search for better scales under way: read pass and passes, leave the rest alone. */
typedef struct caq_search {
    int32_t pass;          /* which pass over the weights comes next */
    int32_t passes;        /* how many there are */
    int32_t candidates;    /* scales that are tried in this pass */
    float gain[CAQ_LANES]; /* weights times this become integers; 0 where nothing is looked for */
    float error_gain[CAQ_LANES];
    float extent[CAQ_LANES];          /* absmax, or half of what lies between the extremes */
    float scales[3][CAQ_LANES];       /* candidates whose errors are compared, and */
    float zeros[3][CAQ_LANES];        /* their zero points; first MINMAX's, at last the best */
    float score[CAQ_LANES];           /* the best score so far, a * a / b, */
    float a[CAQ_LANES], b[CAQ_LANES]; /* its sums of x * code and code * code, */
    float zero[CAQ_LANES];            /* and its zero point */
    float turn_zero[CAQ_LANES];       /* the zero point of this pass */
    int32_t lowest[CAQ_LANES], highest[CAQ_LANES]; /* codes less that, in pairs */
} caq_search;

/* What a part of the weights adds to a pass. */
typedef struct caq_sums {
    int64_t a[CAQ_CANDIDATES], b[CAQ_CANDIDATES];
} caq_sums;

/*
 * A tensor with a single scale in two passes, each of which may be cut into parts that run at the same
 * time: measure all elements, join the extents, then encode all elements.
 *
 * job: one with scale_count 1.
 * first, count: the elements of the part, at least one. For caq_encode() first is a multiple of 8.
 * scales, zero_points: every part writes the same ones; give each its own, or let one write them.
 * search: with CAQ_MSE, one that is done, see below; else a null pointer.
 *
 * Elsewise as caq_quantize(), which gives the same bytes.
 */
void caq_measure(const caq_job *job, size_t first, size_t count, const void *weight,
                 caq_extent *extent);
caq_extent caq_join(caq_extent a, caq_extent b);

caq_status caq_encode(const caq_job *job, caq_extent extent, size_t first, size_t count,
                      const void *weight, uint8_t *packed, void *scales, uint8_t *zero_points,
                      const caq_search *search, void *scratch);

/*
 * Between caq_measure() and caq_encode(), with CAQ_MSE: begin, and while pass < passes pass over all parts
 * of the weight, which may run at the same time, join their sums, and go on to the next pass.
 *
 * scratch: CAQ_MSE_SCRATCH_SIZE bytes aligned to 8, one for each call that runs at the same time.
 *
 * caq_search_begin() returns CAQ_OK or CAQ_NOT_FINITE.
 */
caq_status caq_search_begin(const caq_job *job, caq_extent extent, caq_search *search,
                            void *scratch);
void caq_search_part(const caq_job *job, const caq_search *search, size_t first, size_t count,
                     const void *weight, caq_sums *sums, void *scratch);
void caq_search_join(caq_sums *sums, const caq_sums *more);
void caq_search_next(const caq_job *job, caq_search *search, const caq_sums *sums);

/* Whether this build and this processor have the level: 1 or 0. */
int caq_has_level(caq_level level);

/* The fastest level there is here. */
caq_level caq_best_level(void);

/* What a format is: the C twin of the table in reference/formats.py. */
typedef struct caq_format_info {
    uint8_t bits;      /* of a stored code */
    uint8_t is_signed; /* integers: two's complement */
    uint8_t mantissa;  /* stored significand bits of a floating-point format, 0 for integers */
    uint8_t bias;      /* exponent bias of a floating-point format */
    uint8_t emax;      /* exponent of its largest normal number */
    float largest;     /* its largest finite number */
} caq_format_info;

/* Describe a format. format must be one of the enum. */
caq_format_info caq_describe_format(caq_format format);

#ifdef __cplusplus
}
#endif
#endif
