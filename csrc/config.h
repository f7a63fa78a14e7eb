/*
 * config.h - what a build of the library has
 *
 * All there is, unless the compiler is told otherwise, as by -DCAQ_WITH_FP8=0. caq_job_init() refuses what
 * is left out. -DCAQ_PORTABLE_ONLY=1 leaves out the instruction sets.
 */
#ifndef CONFIG_H
#define CONFIG_H

#ifndef CAQ_WITH_INT2 /* INT2 and UINT2 */
#define CAQ_WITH_INT2 1
#endif
#ifndef CAQ_WITH_INT4 /* INT4 and UINT4 */
#define CAQ_WITH_INT4 1
#endif
#ifndef CAQ_WITH_INT8 /* INT8 and UINT8 */
#define CAQ_WITH_INT8 1
#endif
#ifndef CAQ_WITH_FP4
#define CAQ_WITH_FP4 1
#endif
#ifndef CAQ_WITH_FP8
#define CAQ_WITH_FP8 1
#endif
#ifndef CAQ_WITH_ASYMMETRIC
#define CAQ_WITH_ASYMMETRIC 1
#endif
#ifndef CAQ_WITH_MSE /* the observer */
#define CAQ_WITH_MSE 1
#endif
#ifndef CAQ_WITH_TABLES /* look-up tables, which need binary64 */
#define CAQ_WITH_TABLES 1
#endif
#ifndef CAQ_WITH_F32 /* weights of that type */
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

/* Conditions on these are constant, so compilers drop what is behind them. */
#define HAS_INTEGERS (CAQ_WITH_INT2 || CAQ_WITH_INT4 || CAQ_WITH_INT8)
#define HAS_FLOATS (CAQ_WITH_FP4 || CAQ_WITH_FP8)

#endif
