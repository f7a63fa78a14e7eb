/*
 * target.h - the questions that code asks about a job's target
 *
 * Each answer is a constant where a build leaves no choice (config.h), so that compilers drop the
 * code for what was left out.
 */
#ifndef TARGET_H
#define TARGET_H

#include "config.h"
#include "coreai_quant.h"

static inline int is_float(caq_format_info format) {
    return HAS_FLOATS && (!HAS_INTEGERS || format.mantissa != 0);
}
static inline int is_asymmetric(const caq_job *job) {
    return CAQ_WITH_ASYMMETRIC && job->scheme == CAQ_ASYMMETRIC;
}
static inline int is_searched(const caq_job *job) {
    return CAQ_WITH_MSE && job->observer == CAQ_MSE;
}

/* Whether this build has a type of weights. */
static inline int has_source(caq_source source) {
    return (CAQ_WITH_F32 && source == CAQ_F32) || (CAQ_WITH_F16 && source == CAQ_F16) ||
           (CAQ_WITH_BF16 && source == CAQ_BF16);
}
static inline int is_f16(const caq_job *job) {
    return CAQ_WITH_F16 && ((!CAQ_WITH_F32 && !CAQ_WITH_BF16) || job->source == CAQ_F16);
}
static inline int is_bf16(const caq_job *job) {
    return CAQ_WITH_BF16 && ((!CAQ_WITH_F32 && !CAQ_WITH_F16) || job->source == CAQ_BF16);
}
static inline int is_f32(const caq_job *job) { return !is_f16(job) && !is_bf16(job); }
static inline int is_e8m0(const caq_job *job) { return HAS_FLOATS && job->scale == CAQ_SCALE_E8M0; }

/* Bytes of an element. */
static inline size_t source_size(caq_source source) { return source == CAQ_F32 ? 4 : 2; }

#endif
