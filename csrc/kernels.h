/*
 * kernels.h - the operations that are written once per instruction set
 *
 * Bodies stand in *_template.h. A kernel sees a run of a row: `blocks`
 * blocks of `length` contiguous elements each; length 1 is a run in which every element belongs to a
 * block of its own.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "config.h"
#include "coreai_quant.h"

/* A kind of codes, as the constants by which a kernel makes them. */
typedef struct caq_encoding {
    uint8_t largest; /* integers are clipped to 0 .. largest; bytes of floating-point codes: 255 */
    uint8_t offset;  /* what stored integers are above these, modulo 256 */
    /* how codes are stored, by kernels of several lanes only */
    uint8_t halvings; /* 0: one per byte; else packed, two or four per byte: 1 or 2 */
    uint8_t stream;   /* whether past the caches, see `publish` */
    /* floating point only */
    float saturation;  /* the largest number */
    int32_t smallest;  /* bits of the smallest normal number */
    int32_t adder;     /* what makes the bits of 2^e those of the number whose last place is the
                           step of codes in the binade of 2^e */
    int32_t dropped;   /* significand bits of binary32 that the format lacks; 0 for integers */
    int32_t sign_down; /* by how much the sign bit goes down to its place in the code */
    size_t ahead;      /* how many bytes ahead of what is encoded the source is prefetched */
} caq_encoding;

/* Statistics over rows that start stride elements apart: bits of numbers of the source type, binary16 and
 * bfloat16 in the upper half, others zero. Bits of numbers that are not negative order like the numbers;
 * those of NaN are above all. */
typedef void (*caq_reducer)(const void *source, size_t rows, size_t stride, size_t blocks,
                            size_t length, size_t ahead, int32_t *above, int32_t *below);

/* Rows whose codes start code_stride bytes apart. Packed codes are stored for whole steps only. */
typedef void (*caq_encoder)(const void *source, size_t rows, size_t stride, size_t blocks,
                            size_t length, const float *reciprocal, const int32_t *zero,
                            const caq_encoding *encoding, uint8_t *codes, size_t code_stride);

/* A kind of codes, as the constants by which a kernel reads them. */
typedef struct caq_decoding {
    int32_t sign; /* bit of the code; 0 for unsigned integers */
    uint8_t is_float;
    uint8_t is_short; /* whether there are no more than 16 codes */
    /* how codes are stored and numbers are to be, by kernels of several lanes only */
    uint8_t halvings; /* 0: one per byte; else packed, two or four per byte: 1 or 2 */
    uint8_t stream;   /* whether past the caches, see `publish` */
    /* floating point only */
    uint8_t half_up; /* by how much a magnitude goes up to those of binary16 */
    int32_t sign_up; /* by how much the sign goes up to its place in binary32 */
    int32_t first;   /* code of the smallest normal number: 2^mantissa */
    int32_t last;    /* code of the largest number: infinities and NaNs come behind it */
    int32_t lacking; /* significand bits of binary32 that the format lacks */
    int32_t rebias;  /* what makes a code's exponent, shifted up, the bits of its binade's step */
    float half_gain; /* what makes the number that it is as binary16 the code's */
} caq_decoding;

/* Rows whose codes start code_stride bytes apart, to rows that start stride elements apart. Packed codes
 * are read in whole steps only. */
typedef void (*caq_decoder)(const uint8_t *codes, size_t rows, size_t code_stride, size_t blocks,
                            size_t length, const float *scale, const int32_t *zero,
                            const caq_decoding *decoding, void *target, size_t stride);

struct tile;
struct caq_search_space;
struct caq_panel;

typedef struct caq_kernels {
    /* raise above[i] to the bits of the largest |w| of block i; below is left alone */
    caq_reducer absmax;
    /* raise above[i] to the bits of its largest w, and below[i] to those of its largest -w */
    caq_reducer range;
    /* From the tile's statistics of so many blocks to their scales and zero points, which are stored
     * where those of the first block belong, and to what the encoders need, which stays in the tile.
     * Returns CAQ_OK or CAQ_NOT_FINITE. */
    caq_status (*find_scales)(const caq_job *job, struct tile *tile, size_t blocks, void *scales,
                              uint8_t *zero_points);
    /* one byte per element: integers as clip(round(w * reciprocal) + zero, 0, largest) + offset;
     * floating-point codes of w * reciprocal, which do not read zero */
    caq_encoder encode_integer, encode_float;
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
    caq_decoder decode;

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
    /* To the weights of `columns` columns from `first` on, no more than PANEL_COLUMNS, add the shares of
     * all errors before: the panel's sums. */
    void (*begin_columns)(const caq_feedback *with, size_t first, size_t columns,
                          struct caq_panel *panel);
    /* Round column k, one of those that begin with `first`: add to its sums what came between, and find
     * its codes and its errors. */
    void (*round_column)(const caq_job *job, const caq_encoding *encoding, const caq_feedback *with,
                         size_t first, size_t k, struct caq_panel *panel);
} caq_kernels;

/* The constants of a job's codes. */
caq_encoding caq_describe_encoding(const caq_job *job);

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

/* Products are rounded before anything is added to them, whatever the compiler was told: GCC, left alone,
 * makes one operation of the two where the processor has it. */
#if defined(__GNUC__) && !defined(__clang__)
#define UNFUSED __attribute__((optimize("fp-contract=off")))
#else
#define UNFUSED
#endif

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

/* The rows of a level's table: one set of kernels per source type, in the order of caq_source. Compilers
 * drop those that the build shall not have. */
#define CAQ_KERNEL_ROW(isa, source, has)                                                           \
    {.absmax = (has) ? isa##_##source##_absmax : NULL,                                             \
     .range = (has) && CAQ_WITH_ASYMMETRIC ? isa##_##source##_range : NULL,                        \
     .find_scales = isa##_find_scales,                                                             \
     .encode_integer = (has) && HAS_INTEGERS ? isa##_##source##_encode_integer : NULL,             \
     .encode_float = (has) && HAS_FLOATS ? isa##_##source##_encode_float : NULL,                   \
     .publish = PUBLISH,                                                                           \
     .step = LANES > 1 ? VECTORS * LANES : 0,                                                      \
     .registers = REGISTERS,                                                                       \
     .pack = isa##_pack,                                                                           \
     .unpack = isa##_unpack,                                                                       \
     .widen = (has) ? isa##_##source##_widen : NULL,                                               \
     .decode = (has) ? isa##_##source##_decode : NULL,                                             \
     .lanes = LANES,                                                                               \
     .take_lanes = CAQ_WITH_MSE ? isa##_take_lanes : NULL,                                         \
     .score = CAQ_WITH_MSE ? isa##_score : NULL,                                                   \
     .errors = CAQ_WITH_MSE ? isa##_errors : NULL,                                                 \
     .round_found = CAQ_WITH_MSE ? isa##_round_found : NULL,                                       \
     .store_scales = CAQ_WITH_MSE ? store_scales : NULL,                                           \
     .begin_columns = CAQ_WITH_FEEDBACK ? isa##_begin_columns : NULL,                              \
     .round_column = CAQ_WITH_FEEDBACK ? isa##_round_column : NULL}
#define CAQ_KERNEL_TABLE(isa)                                                                      \
    {CAQ_KERNEL_ROW(isa, f32, CAQ_WITH_F32 || HAS_FLOATS), CAQ_KERNEL_ROW(isa, f16, CAQ_WITH_F16), \
     CAQ_KERNEL_ROW(isa, bf16, CAQ_WITH_BF16)}

#endif
