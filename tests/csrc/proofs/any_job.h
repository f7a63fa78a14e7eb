/*
 * any_job.h - a job for any target, shape and blocks there are
 *
 * The model checker CBMC reads these programs: `make prove`. Functions named nondet_... have no body
 * and return any number. CBMC shows that what is asserted holds for all of them, or prints those
 * for which it does not. at_random.h runs the programs with random numbers instead.
 *
 * RANK is the most axes that a shape has, and LONGEST the length of the longest one.
 */
#ifndef ANY_JOB_H
#define ANY_JOB_H

#ifndef __CPROVER__
#define ROUNDS 1000000
#include "at_random.h"
#endif
#include "coreai_quant.h"
#include "kernels/kernels.h"
#include "target.h"

#ifndef LONGEST
#define LONGEST SIZE_MAX
#endif

size_t nondet_size(void);
int nondet_int(void);

/* Kernels that are there, but never called. */
static const caq_kernels kernels[CAQ_SOURCES];
const caq_kernels *const caq_kernels_of[CAQ_LEVELS] = {kernels, NULL, kernels, kernels};
int caq_has_usable_arithmetic(void) { return nondet_int() >= 0; }

static caq_status any_job(caq_job *job) {
    size_t shape[RANK], block_sizes[RANK], rank = nondet_size();
    const caq_target target = {.source = (caq_source)nondet_int(),
                               .format = (caq_format)nondet_int(),
                               .scheme = (caq_scheme)nondet_int(),
                               .scale = (caq_scale)nondet_int(),
                               .observer = (caq_observer)nondet_int(),
                               .level = (caq_level)nondet_int(),
                               .parts = nondet_size()};
    __CPROVER_assume(rank <= RANK);
    for (size_t axis = 0; axis < RANK; axis++) {
        shape[axis] = nondet_size();
        block_sizes[axis] = nondet_size();
        __CPROVER_assume(shape[axis] <= LONGEST);
    }
    return caq_job_init(job, &target, rank, shape, block_sizes);
}

#endif
