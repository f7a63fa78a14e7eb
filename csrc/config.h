/*
 * config.h - the switches of a build
 *
 * A build has everything, unless the compiler is told to leave something out, as by
 * -DCAQ_WITH_FP8=0. caq_job_init() refuses what is left out. -DCAQ_PORTABLE_ONLY=1 leaves out the
 * instruction sets.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <float.h>
#include <stdint.h>

#ifndef CAQ_WITH_INT2 /* INT2 and UINT2 */
#define CAQ_WITH_INT2 1
#endif
#ifndef CAQ_WITH_INT4 /* INT4 and UINT4 */
#define CAQ_WITH_INT4 1
#endif
#ifndef CAQ_WITH_INT8 /* INT8 and UINT8 */
#define CAQ_WITH_INT8 1
#endif
#ifndef CAQ_WITH_FP4 /* FP4_E2M1FN */
#define CAQ_WITH_FP4 1
#endif
#ifndef CAQ_WITH_FP8 /* FP8_E4M3FN and FP8_E5M2 */
#define CAQ_WITH_FP8 1
#endif
#ifndef CAQ_WITH_ASYMMETRIC /* integers with zero points that are chosen */
#define CAQ_WITH_ASYMMETRIC 1
#endif
#ifndef CAQ_WITH_MSE /* the observer MSE, and caq_search_...() */
#define CAQ_WITH_MSE 1
#endif
#ifndef CAQ_WITH_TABLES /* look-up tables, which need binary64 */
#define CAQ_WITH_TABLES (UINTPTR_MAX > UINT32_MAX)
#endif
#ifndef CAQ_WITH_ERRORS /* caq_compare() and caq_sum_squares(), which need binary64 */
#define CAQ_WITH_ERRORS (UINTPTR_MAX > UINT32_MAX)
#endif
#ifndef CAQ_WITH_FEEDBACK /* caq_round_rows() */
#define CAQ_WITH_FEEDBACK 1
#endif
#ifndef CAQ_WITH_F32 /* weights of these types */
#define CAQ_WITH_F32 1
#endif
#ifndef CAQ_WITH_F16
#define CAQ_WITH_F16 1
#endif
#ifndef CAQ_WITH_BF16
#define CAQ_WITH_BF16 1
#endif
#ifndef CAQ_PORTABLE_ONLY
#define CAQ_PORTABLE_ONLY 0
#endif

/* The bytes depend on the order of operations, on rounded quotients, on the sign of zero and on
 * NaNs. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||     \
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "-ffast-math, -Ofast and what they stand for change the bytes: compile without them"
#endif

/* 0 says that binary32 is computed in binary32. So does 16, where the processor has binary16
 * arithmetic. */
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "float arithmetic must be done in binary32, without excess precision"
#endif

#ifdef __cplusplus
#define STATIC_ASSERT static_assert
#else
#define STATIC_ASSERT _Static_assert
#endif

/* Conditions on these are constants, so that compilers drop the code for what is left out. */
#define HAS_INTEGERS (CAQ_WITH_INT2 || CAQ_WITH_INT4 || CAQ_WITH_INT8)
#define HAS_FLOATS (CAQ_WITH_FP4 || CAQ_WITH_FP8)
#define HAS_DOUBLES (CAQ_WITH_TABLES || CAQ_WITH_ERRORS)

#endif
