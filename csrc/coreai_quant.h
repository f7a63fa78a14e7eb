/*
 * coreai_quant.h - quantize weights into the bytes that Core AI stores, and decode them
 *
 * This header is the contract of the C library. docs/numerics.md has its rules with figures.
 * reference/ has them as runnable numpy, and the library gives the reference's bytes.
 *
 *     caq_target target = {.source = CAQ_F16, .format = CAQ_INT4, .level = caq_best_level()};
 *     size_t shape[] = {4096, 4096}, block_sizes[] = {1, 32};
 *     caq_job job;
 *     caq_status status = caq_job_init(&job, &target, 2, shape, block_sizes);
 *     ... provide packed, scales, zero_points and scratch, whose sizes the job has ...
 *     status = caq_quantize(&job, 0, job.units, weight, packed, scales, zero_points, scratch);
 *
 * The library is C11. It allocates nothing, keeps no state and calls no function of the C library.
 * It needs IEEE 754 binary32 arithmetic that rounds to nearest even and has subnormals: on Arm FZ,
 * DN and RMode of FPSCR are 0, as they are after reset; on x86 FTZ and DAZ are off. Preparing a job
 * fails with CAQ_BAD_ARITHMETIC where that is not so in the calling thread; what works on the job
 * has to run in threads that compute as that one does. Options like -ffast-math break its bytes, so
 * that it does not compile with them.
 *
 * What holds for every function:
 *   re-entrant  Any function may run at any time, in threads and in interrupts, with the same job
 *               too. Only caq_job_init() and caq_set_importance() write to a job.
 *   memory      All buffers belong to the caller. What a call writes may overlap nothing else that
 *               it takes; its inputs may overlap one another. Pointers are not checked for null. No
 *               byte outside the sizes given here is read or written.
 *   alignment   Weights, packed codes, scales, zero points and codes may have any. Scratch has what
 *               is said where it is described, and everything else that of its type.
 *   byte order  Weights and scales of 2 and 4 bytes have the machine's. Packed codes, E8M0 scales
 *               and zero points are bytes, and are the same everywhere.
 *   errors      A call that returns another status than CAQ_OK or CAQ_NOT_FINITE has written
 *               nothing, except that caq_job_init() may have written to its job.
 *   building    The program and the library have to agree on CAQ_TILE_BLOCKS and on the size of
 *               enums, which -fshort-enums changes; some bare-metal Arm compilers have that by
 *               default.
 */
#ifndef COREAI_QUANT_H
#define COREAI_QUANT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Functions of this header are all that a shared library exports, also where others are hidden. */
#if defined(__GNUC__)
#define CAQ_API __attribute__((visibility("default")))
#else
#define CAQ_API
#endif

/* The version of this header, and caq_version() that of the library, without an end of line. */
#define CAQ_VERSION "0.1.0"
CAQ_API const char *caq_version(void);

/* Element type of a weight, and of its scales unless they are E8M0: IEEE 754 binary32, IEEE 754
 * binary16, and bfloat16, which is the upper half of a binary32. */
typedef enum caq_source { CAQ_F32, CAQ_F16, CAQ_BF16 } caq_source;
#define CAQ_SOURCES 3

/*
 * Format of the codes. Codes of 2 and 4 bits are packed over the whole tensor in C order, the first
 * code in the lowest bits of the first byte. Rows are not padded. Unused bits of the last byte are
 * zero. Negative integer codes are two's complement.
 *
 *   4 bits   byte i holds code 2i in bits 0 to 3 and code 2i + 1 in bits 4 to 7:
 *            INT4 codes 1, -2, 7 are the bytes E1 07
 *   2 bits   byte i holds code 4i + k in bits 2k and 2k + 1:
 *            INT2 codes 1, -1, 0, -2, 1 are the bytes 8D 01
 *   8 bits   byte i is code i
 *
 * Floating-point codes have, from the highest bit down, a sign, an exponent and a significand:
 *
 *   FP4_E2M1FN  S EE M       codes 0 to 7 are 0, 0.5, 1, 1.5, 2, 3, 4, 6; no infinity, no NaN
 *   FP8_E4M3FN  S EEEE MMM   bias 7; the largest number is 448 = 7E; 7F is NaN; no infinity
 *   FP8_E5M2    S EEEEE MM   bias 15; the largest is 57344 = 7B; 7C is infinity, 7D to 7F are NaN
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

/* How the zero point of an integer format is chosen. Floating-point formats are symmetric. */
typedef enum caq_scheme { CAQ_SYMMETRIC, CAQ_ASYMMETRIC } caq_scheme;

/* What scales are stored in: the weight's element type, or E8M0. A byte e of E8M0 stands for
 * 2^(e - 127), and 255 for NaN. Integer formats have the former, FP4 the latter, FP8 either. */
typedef enum caq_scale { CAQ_SCALE_AS_WEIGHT, CAQ_SCALE_E8M0 } caq_scale;

/* How the scale of a block is found. CAQ_MINMAX takes it from the block's extremes. CAQ_MSE starts
 * there and searches for a scale with less squared error; its symmetric integers of 2 and 4 bits
 * have one code more below zero, and scales of either sign. */
typedef enum caq_observer { CAQ_MINMAX, CAQ_MSE } caq_observer;

/* Instruction sets that the kernels are built for. All give the same bytes. */
typedef enum caq_level { CAQ_PORTABLE, CAQ_NEON, CAQ_AVX2, CAQ_AVX512 } caq_level;
#define CAQ_LEVELS 4

typedef enum caq_status {
    CAQ_OK = 0,
    CAQ_BAD_ARGUMENT,    /* a value that is out of its range, or not in this build */
    CAQ_BAD_COMBINATION, /* a format with a scheme or a type of scales that it cannot have */
    CAQ_BAD_SHAPE,       /* no axis, an empty axis, or more than the job can hold */
    CAQ_BAD_BLOCK_SIZE,  /* a block size that does not divide its axis */
    CAQ_BAD_LEVEL,       /* an instruction set that this build does not have */
    CAQ_BAD_ARITHMETIC,  /* this thread flushes subnormals or does not round to nearest even */
    CAQ_NOT_FINITE       /* the weight has a NaN or an infinity; the outputs are unspecified */
} caq_status;

/* What a weight becomes, and how the work is done. Zero is the default of every member, except that
 * format has none. */
typedef struct caq_target {
    caq_source source;     /* of the weight; default CAQ_F32 */
    caq_format format;     /* of the codes */
    caq_scheme scheme;     /* default CAQ_SYMMETRIC */
    caq_scale scale;       /* default CAQ_SCALE_AS_WEIGHT */
    caq_observer observer; /* default CAQ_MINMAX */
    caq_level level;       /* one that caq_has_level() grants; default CAQ_PORTABLE */
    size_t parts;          /* how many parts the work should have at least, if it can; default 1 */
} caq_target;

/* The most axes that a job can hold, after neighbouring axes that blocks do not tell apart have
 * been merged. More than 16 take a tensor of at least 2^32 elements. */
#define CAQ_MAX_AXES 16

/* How many blocks are worked on together, a multiple of 8. A smaller number takes less scratch. It
 * also makes the runs shorter in which blocks along an earlier axis than the last are read, which
 * is slower where memory is far. */
#ifndef CAQ_TILE_BLOCKS
#define CAQ_TILE_BLOCKS 4096
#endif

/* Bytes of scratch for jobs with CAQ_MINMAX, aligned to 4. */
#define CAQ_SCRATCH_SIZE (24 * CAQ_TILE_BLOCKS + 1024)

/* Bytes of scratch for jobs with CAQ_MSE, aligned to 8. */
#define CAQ_MSE_SCRATCH_SIZE (CAQ_SCRATCH_SIZE + 104 * 1024)

/* How many rows caq_round_rows() works on together: a multiple of 64, or of 8 with
 * CAQ_PORTABLE_ONLY. A smaller number takes less scratch, and has the coefficients read more often.
 */
#ifndef CAQ_FEEDBACK_ROWS
#define CAQ_FEEDBACK_ROWS 64
#endif

/* Bytes of scratch for caq_round_rows() with so many columns, aligned to 8. */
#define CAQ_FEEDBACK_SCRATCH_SIZE(columns) ((4 * (columns) + 40) * CAQ_FEEDBACK_ROWS)

struct caq_kernels;

/*
 * A weight's target, shape and blocks, digested. Callers read the first six members and leave the
 * others alone.
 *
 * The work is cut into units, of which caq_quantize() takes a range. Ranges that start at multiples
 * of granule write to different bytes, so that they may run at the same time.
 */
typedef struct caq_job {
    size_t elements;    /* of the whole tensor */
    size_t packed_size; /* bytes of all packed codes */
    size_t scale_count; /* how many scales there are, and zero points, in C order of the blocks */
    size_t scale_size;  /* bytes of a scale: 1, 2 or 4; a zero point is one byte */
    size_t units;       /* into how many units the work is cut */
    size_t granule;     /* how many units have to stay together */

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
    size_t rows;                 /* rows that a block spans: product of length without the last */
    size_t tile;                 /* blocks of a row that are worked on together */
    size_t tiles;                /* tiles of a row */
    const float *importance;     /* of caq_set_importance(), or null if all elements count alike */
    size_t importances, repeat;  /* count and repeat of caq_set_importance() */
} caq_job;

/*
 * Prepare a job.
 *
 * target: what the weight becomes. It is not needed after the call. Whether the processor has
 *         target->level is not checked, because the answer takes microseconds in a virtual machine:
 *         ask caq_has_level() once.
 * rank, shape: the weight's shape, with at least one axis and no empty one.
 * block_sizes: the length of a block along each axis, which it divides. 0 is the whole axis.
 *
 * Returns CAQ_OK or any status but CAQ_NOT_FINITE. The job can be used only after CAQ_OK.
 */
CAQ_API caq_status caq_job_init(caq_job *job, const caq_target *target, size_t rank,
                                const size_t *shape, const size_t *block_sizes);

/*
 * Let elements count differently with CAQ_MSE: the search looks for the scale with the least sum of
 * importance * (w - w')^2 over a block. Only ratios within a block matter. A block whose
 * importances are all zero is searched as if they were equal, and equal ones give the bytes that
 * none give. Call this after caq_job_init() and before the job is used.
 *
 * importance: count numbers, finite and >= 0, which have to stay as long as the job is used.
 * count, repeat: element e of the tensor has importance[e / repeat % count]. If each index of one
 *         axis has an importance, as input channels have, count is the length of that axis, and
 *         repeat is the product of the lengths of the axes behind it.
 *
 * Returns CAQ_OK or CAQ_BAD_ARGUMENT: the job has another observer, count * repeat does not divide
 * the tensor, or a number is not allowed. The job has not changed then.
 */
CAQ_API caq_status caq_set_importance(caq_job *job, const float *importance, size_t count,
                                      size_t repeat);

/*
 * Quantize the units first .. first + count - 1.
 *
 * weight: the whole tensor in C order, any alignment.
 * packed: job->packed_size bytes, any alignment. If it is aligned to 64, processors with vectors
 *         write more than a mebibyte past their caches, which is faster. Output of caq_dequantize()
 *         is written likewise.
 * scales: job->scale_count scales of job->scale_size bytes each, any alignment.
 * zero_points: job->scale_count codes, one byte each; those of INT2 and INT4 are sign-extended.
 *         They are written for symmetric formats too. A weight decodes to scale * (code - zero
 *         point).
 * scratch: CAQ_SCRATCH_SIZE bytes aligned to 4, or CAQ_MSE_SCRATCH_SIZE bytes aligned to 8 if the
 *         observer is CAQ_MSE. Calls that run at the same time have scratch of their own.
 *
 * Returns CAQ_OK, CAQ_BAD_ARGUMENT if the units are out of range, or CAQ_NOT_FINITE. NaNs and
 * infinities are never quantized, and finite weights of any magnitude give finite scales above
 * zero.
 *
 * The rules of CAQ_MINMAX, for a block of elements w with absmax = max |w|, all in binary32
 * arithmetic:
 *
 *   scale       symmetric integers   absmax / Q, Q = 2^(bits - 1) - 1
 *               asymmetric integers  (hi - lo) / (2^bits - 1), lo = min(0, min w),
 *                                    hi = max(0, max w)
 *               FP8                  absmax / (largest number), but absmax / 3584 for E5M2 of a
 *                                    CAQ_F16 weight
 *               E8M0                 2^(floor(log2 absmax) - emax), and twice that if the
 *                                    significand of absmax is above 29/16; emax is 2, 8, 15 for
 *                                    E2M1, E4M3, E5M2
 *               A scale is rounded to nearest even in the type that it is stored in. Then there are
 *               three exceptions. A block of zeros has scale 1. A scale that is below the smallest
 *               positive one with a finite reciprocal becomes that one; in E8M0 that is 2^-127, or
 *               2^-24 if the weight is CAQ_F16. While absmax would decode to an infinity of the
 *               weight's type, the scale becomes the type's largest number divided by the code of
 *               absmax and rounded down, or the next smaller scale if that is less.
 *   zero point  symmetric            INT and FP 0, UINT Q
 *               asymmetric           UINT round(-lo / scale) clipped to 0 .. 2^bits - 1, INT that
 *                                    less 2^(bits - 1)
 *   code        integers             round(w * (1 / scale)) + zero point, halves to even, clipped
 *                                    to zero point - Q .. zero point + Q if symmetric, to all
 *                                    codes if asymmetric
 *               FP                   w * (1 / scale), clipped to the largest number and rounded to
 *                                    nearest even; the sign of zero is kept
 */
CAQ_API caq_status caq_quantize(const caq_job *job, size_t first, size_t count, const void *weight,
                                uint8_t *packed, void *scales, uint8_t *zero_points, void *scratch);

/*
 * Decode the elements first .. first + count - 1 of the tensor, in C order: all of it, some rows,
 * one block, one element.
 *
 * packed, scales, zero_points: of the whole tensor, as caq_quantize() leaves them. Only what
 *         belongs to the elements is read.
 * to: the type to decode to, which may be another than the weight had.
 * weight: count elements of that type, any alignment. Calls that write to different places may run
 *         at the same time.
 * scratch: as for caq_quantize().
 *
 * Returns CAQ_OK, or CAQ_BAD_ARGUMENT if the elements are out of range or this build does not have
 * the type.
 *
 * An element is scale * (code - zero point), rounded to binary32 and then to the type, both times
 * to nearest even. For 16-bit types the first rounding is exact if the scale has the same type or
 * is E8M0. What does not fit becomes an infinity. The sign of zero is kept. Any bytes can be
 * decoded, not only those of caq_quantize(): floating-point codes and scales that are an infinity
 * or a NaN give one, and which NaN is not specified.
 */
CAQ_API caq_status caq_dequantize(const caq_job *job, size_t first, size_t count,
                                  const uint8_t *packed, const void *scales,
                                  const uint8_t *zero_points, caq_source to, void *weight,
                                  void *scratch);

/*
 * Quantize a weight that is never in memory as a whole. Read it twice, each time in parts of any
 * number of elements that come in any order: measure all parts, find the scales, encode all parts.
 * The bytes are those of caq_quantize(). This is for tensors whose blocks end far from where they
 * begin, like a matrix [in, out] with a scale for each column. Where some rows are whole blocks,
 * caq_quantize() with a job for these rows is simpler: see docs/embedded.md.
 *
 * caq_scale_blocks() finds the scales of CAQ_MINMAX. caq_encode() also takes scales and zero points
 * from elsewhere: any whose scale is positive and has a finite reciprocal.
 *
 * first, count: the elements of the part, in C order of the tensor.
 * weight: count elements, any alignment.
 * extents: 2 * job->scale_count numbers, which start as zeros. Parts that are measured at the same
 *         time have extents of their own; joined, each number is the larger of the two.
 * scales, zero_points, packed, scratch: as for caq_quantize().
 *
 * Parts may be encoded at the same time if they start at multiples of 8. Codes of other parts in
 * the first and the last byte of a part are left alone. Bits behind the tensor's last code become
 * zero with that code.
 *
 * Return CAQ_OK, or CAQ_BAD_ARGUMENT if the elements are out of range. caq_scale_blocks() returns
 * CAQ_OK or CAQ_NOT_FINITE, after which the weight is not to be encoded.
 */
CAQ_API caq_status caq_measure(const caq_job *job, size_t first, size_t count, const void *weight,
                               int32_t *extents);
CAQ_API caq_status caq_scale_blocks(const caq_job *job, const int32_t *extents, void *scales,
                                    uint8_t *zero_points, void *scratch);
CAQ_API caq_status caq_encode(const caq_job *job, size_t first, size_t count, const void *weight,
                              const void *scales, const uint8_t *zero_points, uint8_t *packed,
                              void *scratch);

/* How the errors of columns that have been rounded are fed back into the columns that follow. */
typedef struct caq_feedback {
    size_t columns;        /* of the matrix, or of a part of it */
    const size_t *offsets; /* where columns lie behind a row's start, in the order of rounding */
    const float *coefficients; /* [columns][stride]: what the error of i adds to column k > i */
    size_t stride;             /* from a row of coefficients to the next, at least columns */
} caq_feedback;

/*
 * Round some rows of a matrix with feedback, after the scales have been found: calibrated rounding
 * (GPTQ, arXiv 2210.17323). Columns are rounded one after the other, and each is moved by the
 * errors of those before:
 *
 *     x = w[k]; for i = 0 .. k - 1, in that order, x = x + (w[i] - w'[i]) * coefficients[k][i]
 *     code = the nearest to x at the element's scale and zero point, as caq_encode() rounds
 *     w'[k] = scale * (code - zero point), as caq_dequantize() decodes it to the weight's type
 *
 * All of this is done in binary32, and each product and each sum is rounded. If x or w'[k] is not
 * finite, x = w[k] instead.
 *
 * The coefficients come from H = X^T X, the second moments of the inputs X that the matrix is
 * multiplied by, with rows and columns in the order of rounding: if H = R * R^T with R upper
 * triangular, coefficients[k][i] is R[i][k] / R[k][k]. reference/feedback.py and docs/numerics.md
 * say more.
 *
 * rows, count: the first element of each row. Element rows[r] + offsets[k] is in row r and column
 *         k. Each row is rounded by itself: any number of rows at a time, in any order, in calls at
 *         the same time. The number of an element's block has to be the sum of those of the
 *         elements rows[r] and offsets[k]. It is if rows step along some axes of the weight and
 *         columns along the others.
 * weight: the whole tensor. For a few rows that are whole blocks, make a job for these.
 * scales, zero_points: of the whole tensor, as caq_quantize() or caq_scale_blocks() leaves them for
 *         a job with this target and these blocks.
 * codes: a byte for each element of the tensor, as caq_pack() takes them. Those of the rows are
 *         written. For formats of 8 bits they are the packed codes.
 * scratch: CAQ_FEEDBACK_SCRATCH_SIZE(feedback->columns) bytes aligned to 8. Calls that run at the
 *         same time have scratch of their own.
 *
 * Returns CAQ_OK, or CAQ_BAD_ARGUMENT if there is no column, or an element that the tensor does not
 * have. A library that is built without CAQ_WITH_FEEDBACK does not have this function.
 */
CAQ_API caq_status caq_round_rows(const caq_job *job, const caq_feedback *feedback,
                                  const size_t *rows, size_t count, const void *weight,
                                  const void *scales, const uint8_t *zero_points, uint8_t *codes,
                                  void *scratch);

/* The most blocks that are searched together, and the most scales that are tried in one pass. */
#define CAQ_LANES 16
#define CAQ_CANDIDATES 192

/* A search for better scales that is under way. Callers read pass and passes and leave the rest
 * alone. */
typedef struct caq_search {
    int32_t pass;       /* the pass over the weights that comes next */
    int32_t passes;     /* how many there are */
    int32_t tries;      /* scales that are tried in a pass that scores them */
    int32_t candidates; /* scales that are looked at in this pass */
    /* of each block that is searched: */
    float gain[CAQ_LANES];            /* what makes integers of weights; 0: no search */
    float error_gain[CAQ_LANES];      /* what makes integers of errors */
    float extent[CAQ_LANES];          /* absmax, or half of hi - lo if asymmetric */
    float scales[3][CAQ_LANES];       /* candidates: first that of CAQ_MINMAX, at last the best */
    float zeros[3][CAQ_LANES];        /* their zero points */
    float score[CAQ_LANES];           /* the best score so far: a * a / b */
    float a[CAQ_LANES], b[CAQ_LANES]; /* its sums of x * code and of code * code */
    float zero[CAQ_LANES];            /* its zero point */
    float turn_zero[CAQ_LANES];       /* the zero point of this pass */
    int32_t lowest[CAQ_LANES];        /* the lowest code - zero point, twice in 32 bits */
    int32_t highest[CAQ_LANES];       /* the highest code - zero point, twice in 32 bits */
    float most[CAQ_LANES];            /* the largest importance, or 1 where all are 0 */
    float least[CAQ_LANES];           /* what importances are raised to: 0, or 1 where all are 0 */
} caq_search;

/* What a part of the weight adds to a pass. */
typedef struct caq_sums {
    int64_t a[CAQ_CANDIDATES], b[CAQ_CANDIDATES];
} caq_sums;

/*
 * Find the scale of CAQ_MSE of a tensor that has only one, between caq_measure() and caq_encode().
 * Begin. While pass < passes, pass over all parts of the weight, which may be done at the same
 * time, join their sums, and go on to the next pass. End: the scale and the zero point are stored.
 * A library that is built without CAQ_WITH_MSE does not have these functions.
 *
 * extents: of the whole tensor.
 * first, count, weight: the elements of a part, as for caq_measure().
 * scratch: CAQ_MSE_SCRATCH_SIZE bytes aligned to 8. Calls that run at the same time have scratch of
 *         their own.
 *
 * caq_search_begin() returns CAQ_OK or CAQ_NOT_FINITE.
 */
CAQ_API caq_status caq_search_begin(const caq_job *job, const int32_t extents[2],
                                    caq_search *search, void *scratch);
CAQ_API void caq_search_part(const caq_job *job, const caq_search *search, size_t first,
                             size_t count, const void *weight, caq_sums *sums, void *scratch);
CAQ_API void caq_search_join(caq_sums *sums, const caq_sums *more);
CAQ_API void caq_search_next(const caq_job *job, caq_search *search, const caq_sums *sums);
CAQ_API void caq_search_end(const caq_job *job, const caq_search *search, void *scales,
                            uint8_t *zero_points, void *scratch);

/*
 * Turn codes into packed bytes and back, as caq_format describes them.
 *
 * first, count: the elements of the part, in C order of the tensor.
 * codes: count bytes. caq_unpack() extends the signs of CAQ_INT2 and CAQ_INT4. caq_pack() takes
 *         the low bits.
 * packed: the codes of the whole tensor. Codes of other parts in the first and the last byte of a
 *         part are left alone. Bits behind the tensor's last code become zero with that code. Parts
 *         that start at multiples of 8 may be packed at the same time.
 *
 * Return CAQ_OK, or CAQ_BAD_ARGUMENT if the elements are out of range.
 */
CAQ_API caq_status caq_pack(const caq_job *job, size_t first, size_t count, const uint8_t *codes,
                            uint8_t *packed);
CAQ_API caq_status caq_unpack(const caq_job *job, size_t first, size_t count, const uint8_t *packed,
                              uint8_t *codes);

/* Bytes of scratch for a job: CAQ_SCRATCH_SIZE or CAQ_MSE_SCRATCH_SIZE as the library was built,
 * whatever CAQ_TILE_BLOCKS the caller has. */
CAQ_API size_t caq_scratch_size(const caq_job *job);

/*
 * Look-up tables. A library for processors with registers of 32 bits, and any that was built with
 * -DCAQ_WITH_TABLES=0, does not have these functions: they need binary64.
 *
 * A weight is stored as indices into a table of 2, 4, 8, 16, 64 or 256 numbers. All elements share
 * one table, or each run of indices along one axis has its own. Indices are packed as codes are,
 * the first in the lowest bits; those of 3 and 6 bits cross bytes. reference/tables.py has the
 * rules.
 *
 *     caq_table_target target = {.source = CAQ_F16, .bits = 4, .level = caq_best_level()};
 *     caq_table_job job;
 *     status = caq_table_job_init(&job, &target, 2, shape, block_sizes);
 *     ... provide tables, packed and scratch ...
 *     status = caq_find_tables(&job, 0, job.tables, weight, tables, scratch);
 *     status = caq_table_encode(&job, 0, job.elements, weight, tables, packed, scratch);
 */
/* What tables a weight has, and how the work is done. Zero is the default of every member, except
 * that bits has none. */
typedef struct caq_table_target {
    caq_source source; /* of the weight; default CAQ_F32 */
    unsigned bits;     /* of an index: 1, 2, 3, 4, 6 or 8 */
    caq_level level;   /* one that caq_has_level() grants; default CAQ_PORTABLE */
} caq_table_target;

/* A weight's shape and tables, digested. Read the sizes; leave the rest alone. */
typedef struct caq_table_job {
    size_t elements;           /* of the whole tensor */
    size_t packed_size;        /* bytes of the packed indices */
    size_t tables;             /* how many, in C order of the blocks */
    size_t entries;            /* of a table, 2^bits */
    size_t indices;            /* as many as elements, or vectors */
    size_t length;             /* elements of an index: 1, or see caq_table_set_vectors() */
    size_t scratch_size;       /* bytes that caq_find_tables() needs, and */
    size_t index_scratch_size; /* caq_table_encode() */

    caq_source source;
    unsigned bits;
    const struct caq_kernels *kernels;
    size_t run;     /* indices in a row that share a table */
    size_t between; /* of caq_table_set_vectors(), else 1 */
    const float
        *importance; /* of caq_table_set_importance(), or null if all elements count alike */
    size_t importances, repeat; /* count and repeat of caq_table_set_importance() */
} caq_table_job;

/*
 * Prepare a job.
 *
 * target: what tables there are to be. It is not needed after the call.
 * rank, shape, block_sizes: as for caq_job_init(). Blocks that share a table may be shorter than
 *         their axis along one axis only (CAQ_BAD_BLOCK_SIZE), and have fewer than 2^32 elements
 *         (CAQ_BAD_SHAPE).
 *
 * Returns CAQ_OK or any status but CAQ_BAD_COMBINATION and CAQ_NOT_FINITE. The job can be used only
 * after CAQ_OK, and has not changed otherwise.
 */
CAQ_API caq_status caq_table_job_init(caq_table_job *job, const caq_table_target *target,
                                      size_t rank, const size_t *shape, const size_t *block_sizes);

/*
 * Have neighbours share an index: vectors of `length` elements, which lie `between` elements apart.
 * A table then has job->entries vectors, one after the other, and what is said of the indices of
 * elements holds for those of vectors: they are in C order of the shape whose axis, along which
 * vectors lie, is shorter by the factor `length`. reference/table_vectors.py has the rules.
 *
 * length: 2 to 256; it divides the length of the axis, and that of the blocks that share a table.
 * between: the product of the lengths of all later axes.
 *
 * Returns CAQ_OK, with other sizes in the job, or CAQ_BAD_ARGUMENT: no such vectors, or there were
 * some already.
 */
CAQ_API caq_status caq_table_set_vectors(caq_table_job *job, size_t length, size_t between);

/*
 * Have caq_find_tables() look for the least sum of importance * (w - w')^2. Only ratios within a
 * table's elements matter; if all of these are zero they count alike. Other functions take no
 * notice.
 *
 * importance, count, repeat: as for caq_set_importance().
 *
 * Returns CAQ_OK, with another job->scratch_size, or CAQ_BAD_ARGUMENT.
 */
CAQ_API caq_status caq_table_set_importance(caq_table_job *job, const float *importance,
                                            size_t count, size_t repeat);

/*
 * Find the tables first .. first + count - 1, each the one with the least sum of (w - w')^2, or of
 * vectors a good one. Calls for different tables may run at the same time.
 *
 * weight: the whole tensor in C order, any alignment.
 * tables: job->tables * job->entries * job->length numbers, all of them. They are ascending in each
 *         table, and numbers of the weight's type.
 * scratch: job->scratch_size bytes aligned to 8, one for each call that runs at the same time.
 *
 * Returns CAQ_OK, CAQ_BAD_ARGUMENT (tables out of range) or CAQ_NOT_FINITE: a NaN or an infinity.
 */
CAQ_API caq_status caq_find_tables(const caq_table_job *job, size_t first, size_t count,
                                   const void *weight, float *tables, void *scratch);

/*
 * Find the scales first .. first + count - 1, by which entries are to be multiplied. The elements
 * length * b .. length * (b + 1) - 1 share scale b. reference/table_scales.py has the rules. Errors
 * are weighed as caq_table_set_importance() says. Calls for different scales may run at the same
 * time.
 *
 * length: of blocks that lie in a row of elements that share a table.
 * weight: the whole tensor, finite.
 * tables: as for caq_table_encode(), finite.
 * scales: one for each block of the tensor. They are numbers of the weight's type, not 0, of any
 *         sign.
 *
 * Returns CAQ_OK or CAQ_BAD_ARGUMENT (scales out of range, such a length, tables of vectors).
 */
CAQ_API caq_status caq_table_fit_scales(const caq_table_job *job, size_t length, size_t first,
                                        size_t count, const void *weight, const float *tables,
                                        float *scales);

/*
 * Find the nearest entry for each of the elements first .. first + count - 1, or of the vectors. Of
 * two that are as near the lower one is taken, and the first of equals.
 *
 * first: a multiple of 8, and so is count unless the elements are the tensor's last. Calls for
 *         different elements may run at the same time.
 * weight: the whole tensor, finite.
 * tables: as caq_find_tables() leaves them, or any finite numbers, which ascend in each table unless
 *         it is one of vectors.
 * packed: job->packed_size bytes, of which the elements' are written.
 * scratch: job->index_scratch_size bytes aligned to 4, one for each call that runs at the same
 *         time.
 *
 * Returns CAQ_OK or CAQ_BAD_ARGUMENT (elements out of range).
 */
CAQ_API caq_status caq_table_encode(const caq_table_job *job, size_t first, size_t count,
                                    const void *weight, const float *tables, uint8_t *packed,
                                    void *scratch);

/*
 * Decode the elements first .. first + count - 1 to weight, count numbers of the type target, any
 * alignment; or those vectors to where they lie in weight, which is then the whole tensor. Entries
 * are rounded to the type, to nearest even.
 *
 * Returns CAQ_OK or CAQ_BAD_ARGUMENT (elements out of range, no such type).
 */
CAQ_API caq_status caq_table_decode(const caq_table_job *job, size_t first, size_t count,
                                    const uint8_t *packed, const float *tables, caq_source target,
                                    void *weight);

/* Bins of a histogram of errors. */
#define CAQ_ERROR_BINS 17

/* How far numbers are from the weights that they stand for; errors are of binary64. */
typedef struct caq_differences {
    double noise;   /* the sum of squared errors */
    double largest; /* the largest magnitude of an error */
    /* How many errors have a square that is less than 4^-15 of the mean square, from there to less
     * than 4^-14, ..., from 1/4 to less than 1, and 1 or more. */
    uint64_t histogram[CAQ_ERROR_BINS];
} caq_differences;

/*
 * Add up the squares of count numbers. There are 16 sums, of which number i is in sum i mod 16, each
 * from its first number to its last; they are joined by halves: k and k + 8, k and k + 4, and so on.
 *
 * numbers: count numbers of the type source, any alignment.
 *
 * Returns CAQ_OK, CAQ_NOT_FINITE (a NaN or an infinity; sum is one of these then), CAQ_BAD_ARGUMENT
 * (no such type in this build), CAQ_BAD_LEVEL or CAQ_BAD_ARITHMETIC.
 */
CAQ_API caq_status caq_sum_squares(caq_source source, caq_level level, size_t count,
                                   const void *numbers, double *sum);

/*
 * Compare count decoded numbers with weights. Squared errors are added up as caq_sum_squares() does.
 *
 * weight, decoded: count numbers of the type source each, any alignment.
 * mean_square: what squared errors are held against for the histogram; at least 2^-900.
 *
 * Returns CAQ_OK, CAQ_NOT_FINITE (a NaN or an infinity; noise is one of these, largest and histogram
 * mean nothing then), CAQ_BAD_ARGUMENT (no such type in this build), CAQ_BAD_LEVEL or
 * CAQ_BAD_ARITHMETIC.
 */
CAQ_API caq_status caq_compare(caq_source source, caq_level level, size_t count, const void *weight,
                               const void *decoded, double mean_square,
                               caq_differences *differences);

/* A status in English, without an end of line. What is no status is "unknown status". */
CAQ_API const char *caq_strerror(caq_status status);

/* Whether this build and this processor have a level: 1 or 0. */
CAQ_API int caq_has_level(caq_level level);

/* The fastest level that this build and this processor have. */
CAQ_API caq_level caq_best_level(void);

/* What a format is: the C twin of the table in reference/formats.py. */
typedef struct caq_format_info {
    uint8_t bits;      /* of a stored code */
    uint8_t is_signed; /* integers: whether they are two's complement */
    uint8_t mantissa;  /* stored significand bits of a floating-point format; 0 for integers */
    uint8_t bias;      /* exponent bias of a floating-point format */
    uint8_t emax;      /* exponent of its largest number */
    float largest;     /* its largest finite number */
} caq_format_info;

/* Describe a format, which is one of the enum. */
CAQ_API caq_format_info caq_describe_format(caq_format format);

#ifdef __cplusplus
}
#endif
#endif
