/*
 * level.h - all that is built for an instruction set
 *
 * Included at the end of each file of kernels/, which has set
 *
 *   LANES       lanes of a vector
 *   VECTORS     vectors that are taken together, one step
 *   REGISTERS   vector registers
 *   TARGET      attributes of functions that use the instruction set
 *   PUBLISH     the function `publish` of caq_kernels, or NULL
 *   vf, vi, vb  vectors of binary32 numbers, of 32-bit integers, and the bytes of a step
 *   vt          a table of 16 numbers of 16 bits, for levels of several lanes
 *   DOUBLES     lanes of vd, a vector of binary64 numbers
 *   v16         a table of 16 binary32 numbers
 *   v_...()     operations on vectors, b_...() operations on bytes, d_...() operations on vd
 */
#include "../feedback/feedback.h"
#include "../float_bits.h"
#include "../kernels/kernels.h"
#include "../search/search.h"
#include "../table/edges.h"
#include "../tile.h"
#include "../unaligned.h"

#include "best_last.h"
#include "compare.h"
#include "from_codes.h"
#include "scales.h"
#include "score.h"
#include "to_codes.h"

#include "nearest_center.h"

#include "round_rows.h"

#define SOURCE f32
#define ELEMENT uint32_t
#include "source_type.h"

#define SOURCE f16
#define ELEMENT uint16_t
#include "source_type.h"

#define SOURCE bf16
#define ELEMENT uint16_t
#include "source_type.h"

/* The table of a level: the kernels of each type, in the order of caq_source. `has` is a constant,
 * so that compilers drop the kernels of types that the build does not have. */
#define KERNELS_OF_SOURCE(source, has)                                                             \
    {.absmax = (has) ? reduce_absmax_##source : NULL,                                              \
     .range = (has) && CAQ_WITH_ASYMMETRIC ? reduce_range_##source : NULL,                         \
     .find_scales = find_scales,                                                                   \
     .encode_integer = (has) && HAS_INTEGERS ? encode_integer_##source : NULL,                     \
     .encode_wide = !(has) || !HAS_INTEGERS ? NULL                                                 \
                    : LANES > 1             ? encode_wide_##source                                 \
                                            : encode_integer_##source,                             \
     .encode_float = (has) && HAS_FLOATS ? encode_float_##source : NULL,                           \
     .publish = PUBLISH,                                                                           \
     .step = LANES > 1 ? VECTORS * LANES : 0,                                                      \
     .registers = REGISTERS,                                                                       \
     .pack = pack,                                                                                 \
     .widen = (has) ? widen_##source : NULL,                                                       \
     .unpack = unpack,                                                                             \
     .decode = (has) ? decode_##source : NULL,                                                     \
     .lanes = LANES,                                                                               \
     .take_lanes = CAQ_WITH_MSE ? take_lanes : NULL,                                               \
     .score = CAQ_WITH_MSE ? score : NULL,                                                         \
     .errors = CAQ_WITH_MSE ? errors : NULL,                                                       \
     .round_found = CAQ_WITH_MSE ? round_found : NULL,                                             \
     .store_scales = CAQ_WITH_MSE ? store_scales : NULL,                                           \
     .begin_columns = CAQ_WITH_FEEDBACK ? begin_columns : NULL,                                    \
     .round_column = CAQ_WITH_FEEDBACK ? round_column : NULL,                                      \
     ERRORS_OF_SOURCE TABLES_OF_SOURCE(source, has)}
#if CAQ_WITH_ERRORS
#define ERRORS_OF_SOURCE .add_squares = add_squares, .add_differences = add_differences,
#else
#define ERRORS_OF_SOURCE
#endif
#if CAQ_WITH_TABLES
#define TABLES_OF_SOURCE(source, has)                                                              \
    .best_last = best_last, .best_lasts = best_lasts,                                              \
    .count_below = (has) ? count_below_##source : NULL, .nearest_center = nearest_center,
#else
#define TABLES_OF_SOURCE(source, has)
#endif
#define KERNELS_OF_LEVEL                                                                           \
    {KERNELS_OF_SOURCE(f32, CAQ_WITH_F32 || HAS_FLOATS), KERNELS_OF_SOURCE(f16, CAQ_WITH_F16),     \
     KERNELS_OF_SOURCE(bf16, CAQ_WITH_BF16)}
