/*
 * coreai_quant.h - quantize weights into the bytes that Core AI stores
 *
 * This header is the contract of the C library; docs/numerics.md has the same rules with figures, and
 * reference/ has them as runnable numpy, which this library equals byte for byte.
 *
 * The library is C11 with nothing behind it: it allocates nothing, keeps no state, calls no function of
 * the C library, and needs IEEE 754 binary32 arithmetic in round-to-nearest mode with subnormals: on Arm
 * FPSCR as it is after reset (FZ, DN and RMode 0), on x86 neither FTZ nor DAZ.
 *
 * What holds for every function:
 *   re-entrant  any may run at any time, in threads and interrupts, also with the same job, which none but
 *               caq_job_init() and caq_set_importance() writes to.
 *   memory      all buffers belong to the caller, and what a call writes may overlap nothing else that it
 *               takes; inputs may overlap one another. Pointers are not checked for null. Sizes are those
 *               that are said, no byte before or behind is read or written.
 *   alignment   any for weights, packed codes, scales, zero points and codes; that of its type for all
 *               else; scratch as said.
 *   byte order  the machine's, for weights and scales of 2 and 4 bytes. Packed codes, E8M0 scales and zero
 *               points are bytes, the same everywhere.
 *   errors      but for CAQ_NOT_FINITE nothing has been written, save to the job of caq_job_init().
 *   building    a program and the library must agree on CAQ_TILE_BLOCKS and on the size of enums
 *               (-fshort-enums, which bare-metal Arm compilers have by default or have not).
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

#define CAQ_VERSION "0.1.0"

/* Element type of the weight, and of its scales unless they are E8M0: IEEE 754 binary32, binary16, and
 * bfloat16, the upper half of a binary32. */
typedef enum caq_source { CAQ_F32, CAQ_F16, CAQ_BF16 } caq_source;
#define CAQ_SOURCES 3

/*
 * Format of the codes. Codes of 2 and 4 bits are packed flat over the whole tensor in C order, the first
 * code in the lowest bits of the first byte; rows are not padded; unused bits of the last byte are zero.
 * Negative integer codes are two's complement in their bits.
 *
 *   4 bits   byte i holds code 2i in bits 0 to 3 and code 2i + 1 in bits 4 to 7:
 *            INT4 codes 1, -2, 7 are the bytes E1 07
 *   2 bits   byte i holds code 4i + k in bits 2k and 2k + 1:
 *            INT2 codes 1, -1, 0, -2, 1 are the bytes 8D 01
 *   8 bits   byte i is code i
 *
 * Floating-point codes are from the highest bit down sign, exponent, significand:
 *
 *   FP4_E2M1FN  S EE M       0, 0.5, 1, 1.5, 2, 3, 4, 6 are 0 to 7; neither infinity nor NaN
 *   FP8_E4M3FN  S EEEE MMM   bias 7, largest 448 = 7E; 7F is NaN, there is no infinity
 *   FP8_E5M2    S EEEEE MM   bias 15, largest 57344 = 7B; 7C is infinity, 7D to 7F are NaN
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
 * no other): byte e stands for 2^(e - 127), 255 for NaN. */
typedef enum caq_scale { CAQ_SCALE_AS_WEIGHT, CAQ_SCALE_E8M0 } caq_scale;

/* How a block's scale is found: from its extremes, or from there on by a search for less squared error.
 * Searched symmetric integers of 2 and 4 bits have one code more below zero, and scales of either sign. */
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
#define CAQ_MSE_SCRATCH_SIZE (CAQ_SCRATCH_SIZE + 104 * 1024)

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
    const float *importance;     /* null if all elements count the same, and see */
    size_t importances, repeat;  /* caq_set_importance() */
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
 * With CAQ_MSE, weigh squared errors: look for the scale with the least sum of importance * (w - w')^2.
 * Of a block only the ratios count; one whose importances are all zero is searched as if they were equal.
 * Equal ones give the bytes that none give. Call this after caq_job_init() and before the job is used.
 *
 * importance: count numbers, finite and >= 0, which must stay as long as the job is used.
 * count, repeat: element e of the tensor has importance[e / repeat % count]. For one to each index of an
 *         axis, such as that of the input channels, count is its length and repeat is the product of the
 *         lengths of the axes behind it.
 *
 * Returns CAQ_OK or CAQ_BAD_ARGUMENT (another observer, count * repeat does not divide the tensor, or a
 * number that is not allowed); the job is as it was then.
 */
caq_status caq_set_importance(caq_job *job, const float *importance, size_t count, size_t repeat);

/*
 * Quantize the units first .. first + count - 1.
 *
 * weight: the whole tensor in C order, any alignment.
 * packed: job->packed_size bytes, see caq_format; any alignment. Where it is 64, processors with
 *         vectors write more than a mebibyte past their caches, which is faster; so do decoders.
 * scales: job->scale_count scales of job->scale_size bytes each, in the machine's byte order, any
 *         alignment.
 * zero_points: job->scale_count codes, one byte each (sign-extended for INT2 and INT4). They are written
 *         for symmetric formats, too. A weight decodes to scale * (code - zero point).
 * scratch: CAQ_SCRATCH_SIZE bytes aligned to 4, or with CAQ_MSE CAQ_MSE_SCRATCH_SIZE aligned to 8, one for
 *         each call that runs at the same time.
 *
 * Returns CAQ_OK, CAQ_BAD_ARGUMENT (units out of range) or CAQ_NOT_FINITE: a NaN or an infinity is never
 * quantized, and finite weights of any magnitude give finite scales above zero.
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
 *   zero point symmetric INT and FP 0, UINT Q; asymmetric round(-lo / scale) clipped to 0 .. 2^bits - 1,
 *              for INT less 2^(bits - 1).
 *   code       integers: round(w * (1 / scale)) + zero point, clipped: symmetric to zero point -Q .. Q,
 *              asymmetric to all that there is; halves round to even.
 *              FP: w * (1 / scale) clipped to the largest number, rounded to nearest even; the sign of
 *              zero is kept.
 */
caq_status caq_quantize(const caq_job *job, size_t first, size_t count, const void *weight,
                        uint8_t *packed, void *scales, uint8_t *zero_points, void *scratch);

/*
 * Decode the elements first .. first + count - 1 of the tensor, in C order: all of it, some rows, one
 * block, one element.
 *
 * packed, scales, zero_points: of the whole tensor, as caq_quantize() leaves them. Only what belongs to
 *         the elements is read.
 * target: the type to decode to; it need not be the one that was quantized.
 * weight: count elements of that type, any alignment. Calls that write to different places may run at
 *         the same time.
 * scratch: as for caq_quantize().
 *
 * Returns CAQ_OK or CAQ_BAD_ARGUMENT (elements out of range, no such type).
 *
 * An element is scale * (code - zero point), rounded to binary32 and then to the target, to nearest even
 * both times; for 16-bit targets the first is exact if the scale is of the same type or E8M0. What does
 * not fit becomes an infinity. The sign of zero is kept. Bytes that no caq_quantize() has written decode
 * as well: floating-point codes and scales that are an infinity or a NaN give one, which NaN is not
 * specified.
 */
caq_status caq_dequantize(const caq_job *job, size_t first, size_t count, const uint8_t *packed,
                          const void *scales, const uint8_t *zero_points, caq_source target,
                          void *weight, void *scratch);

/* Blocks that are searched together, and scales that are tried in one pass, at the most. */
#define CAQ_LANES 16
#define CAQ_CANDIDATES 192

/* A search for better scales under way: read pass and passes, leave the rest alone. */
typedef struct caq_search {
    int32_t pass;          /* which pass over the weights comes next */
    int32_t passes;        /* how many there are */
    int32_t tries;         /* scales that are tried in a pass that scores them */
    int32_t candidates;    /* scales that are looked at in this pass */
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
    float most[CAQ_LANES];  /* the largest importance, or 1 where all are 0, and */
    float least[CAQ_LANES]; /* 0, or 1 there: importances are raised to this before they are used */
} caq_search;

/* What a part of the weights adds to a pass. */
typedef struct caq_sums {
    int64_t a[CAQ_CANDIDATES], b[CAQ_CANDIDATES];
} caq_sums;

/*
 * A weight that is not at hand as a whole: read it twice, in parts of any number of elements that come
 * in any order. Measure all, find the scales, encode all. This is for tensors whose blocks end far from
 * where they begin, as matrices [in, out] with a scale for each column; where some rows make up whole
 * blocks, take caq_quantize() with a job for these rows instead, see docs/embedded.md. caq_scale_blocks()
 * finds the scales of CAQ_MINMAX; scales may come from elsewhere, too: caq_encode() takes any that are
 * positive with a finite reciprocal.
 *
 * first, count: the elements of the part, in C order of the tensor.
 * weight: count elements, any alignment.
 * extents: 2 * job->scale_count numbers, which start as zeros. Parts that are measured at the same time
 *         have extents of their own, which are joined by taking the larger of each two numbers.
 * Parts may be encoded at the same time if they start at multiples of 8. Codes that share a byte with a
 * part's are left alone; bits behind the tensor's last code are zeroed with it.
 *
 * The rest is as for caq_quantize(), which gives the same bytes. Return CAQ_OK, CAQ_BAD_ARGUMENT
 * (elements out of range), and caq_scale_blocks() CAQ_NOT_FINITE. Do not encode a weight for which it
 * returned that.
 */
caq_status caq_measure(const caq_job *job, size_t first, size_t count, const void *weight,
                       int32_t *extents);
caq_status caq_scale_blocks(const caq_job *job, const int32_t *extents, void *scales,
                            uint8_t *zero_points, void *scratch);
caq_status caq_encode(const caq_job *job, size_t first, size_t count, const void *weight,
                      const void *scales, const uint8_t *zero_points, uint8_t *packed,
                      void *scratch);

/*
 * The scale of CAQ_MSE of a tensor that has only one, between caq_measure() and caq_encode(): begin, and
 * while pass < passes pass over all parts of the weight, which may run at the same time, join their sums,
 * and go on to the next pass; at the end have the scale and the zero point stored. A library that was built
 * without CAQ_WITH_MSE does not have these functions.
 *
 * extents: of the whole tensor.
 * first, count, weight: the elements of a part, as for caq_measure().
 * scratch: CAQ_MSE_SCRATCH_SIZE bytes aligned to 8, one for each call that runs at the same time.
 *
 * caq_search_begin() returns CAQ_OK or CAQ_NOT_FINITE.
 */
caq_status caq_search_begin(const caq_job *job, const int32_t extents[2], caq_search *search,
                            void *scratch);
void caq_search_part(const caq_job *job, const caq_search *search, size_t first, size_t count,
                     const void *weight, caq_sums *sums, void *scratch);
void caq_search_join(caq_sums *sums, const caq_sums *more);
void caq_search_next(const caq_job *job, caq_search *search, const caq_sums *sums);
void caq_search_end(const caq_job *job, const caq_search *search, void *scales,
                    uint8_t *zero_points, void *scratch);

/*
 * Codes to packed bytes and back, as caq_format describes them.
 *
 * first, count: the elements of the part, in C order of the tensor.
 * codes: count bytes. caq_unpack() extends the signs of CAQ_INT2 and CAQ_INT4; caq_pack() takes the low
 *         bits.
 * packed: of the whole tensor. Codes that share a byte with the part's are left alone; bits behind the
 *         tensor's last code are zeroed with it. Parts that start at multiples of 8 may be packed at the
 *         same time.
 *
 * Return CAQ_OK or CAQ_BAD_ARGUMENT (elements out of range).
 */
caq_status caq_pack(const caq_job *job, size_t first, size_t count, const uint8_t *codes,
                    uint8_t *packed);
caq_status caq_unpack(const caq_job *job, size_t first, size_t count, const uint8_t *packed,
                      uint8_t *codes);

/* Bytes of scratch for a job in this build of the library: its CAQ_SCRATCH_SIZE or CAQ_MSE_SCRATCH_SIZE,
 * which are not yours if it was built with another CAQ_TILE_BLOCKS. */
size_t caq_scratch_size(const caq_job *job);

/*
 * Look-up tables: a weight is stored as indices into a table of 2, 4, 8, 16, 64 or 256 numbers, which its
 * elements share, or those of each run of indices along one axis. Indices are packed as codes are, the
 * first in the lowest bits, also those of 3 and 6 bits, which cross bytes. reference/tables.py has the
 * rules.
 *
 *     caq_table_job job;
 *     status = caq_table_job_init(&job, CAQ_F16, 4, 2, shape, block_sizes, caq_best_level());
 *     ... provide tables, packed and scratch ...
 *     status = caq_find_tables(&job, 0, job.tables, weight, tables, scratch);
 *     status = caq_table_encode(&job, 0, job.elements, weight, tables, packed, scratch);
 */
/* A weight's shape and tables, digested. Read the sizes; leave the rest alone. */
typedef struct caq_table_job {
    size_t elements;           /* of the whole tensor */
    size_t packed_size;        /* bytes of the packed indices */
    size_t tables;             /* how many, in C order of the blocks */
    size_t entries;            /* numbers in a table, 2^bits */
    size_t scratch_size;       /* bytes that caq_find_tables() needs, and */
    size_t index_scratch_size; /* caq_table_encode() */

    caq_source source;
    unsigned bits;
    const struct caq_kernels *kernels;
    size_t run; /* elements in a row that share a table */
} caq_table_job;

/*
 * Prepare a job.
 *
 * bits: of an index: 1, 2, 3, 4, 6 or 8.
 * rank, shape, block_sizes, level: as for caq_job_init(). Blocks that share a table may be shorter than
 *         their axis along one axis only, and have fewer than 2^32 elements.
 *
 * Returns CAQ_OK, CAQ_BAD_ARGUMENT or CAQ_BAD_LEVEL; job is usable only after CAQ_OK.
 */
caq_status caq_table_job_init(caq_table_job *job, caq_source source, unsigned bits, size_t rank,
                              const size_t *shape, const size_t *block_sizes, caq_level level);

/*
 * Find the tables first .. first + count - 1, each the one with the least sum of (w - w')^2. Calls for
 * different tables may run at the same time.
 *
 * weight: the whole tensor in C order, any alignment.
 * tables: job->tables * job->entries numbers, all of them. They are ascending in each table, and numbers
 *         of the weight's type.
 * scratch: job->scratch_size bytes aligned to 8, one for each call that runs at the same time.
 *
 * Returns CAQ_OK, CAQ_BAD_ARGUMENT (tables out of range) or CAQ_NOT_FINITE: a NaN or an infinity.
 */
caq_status caq_find_tables(const caq_table_job *job, size_t first, size_t count, const void *weight,
                           float *tables, void *scratch);

/*
 * Find the nearest entry for each of the elements first .. first + count - 1; of two that are as near the
 * lower one, the first of equals.
 *
 * first: a multiple of 8, and so is count unless the elements are the tensor's last. Calls for
 *         different elements may run at the same time.
 * weight: the whole tensor, finite.
 * tables: as caq_find_tables() leaves them, or any numbers that ascend in each table.
 * packed: job->packed_size bytes, of which the elements' are written.
 * scratch: job->index_scratch_size bytes aligned to 4, one for each call that runs at the same time.
 *
 * Returns CAQ_OK or CAQ_BAD_ARGUMENT (elements out of range).
 */
caq_status caq_table_encode(const caq_table_job *job, size_t first, size_t count,
                            const void *weight, const float *tables, uint8_t *packed,
                            void *scratch);

/*
 * Decode the elements first .. first + count - 1 to weight, count numbers of the type target, any
 * alignment. Entries are rounded to it, to nearest even.
 *
 * Returns CAQ_OK or CAQ_BAD_ARGUMENT (elements out of range, no such type).
 */
caq_status caq_table_decode(const caq_table_job *job, size_t first, size_t count,
                            const uint8_t *packed, const float *tables, caq_source target,
                            void *weight);

/* A status in English, without an end of line. Of no status: "unknown status". */
const char *caq_strerror(caq_status status);

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
