/*
 * runs.h - where the elements of a tile lie
 */
#ifndef RUNS_H
#define RUNS_H

#include "coreai_quant.h"

/* The run of each row that a unit works on. */
typedef struct caq_run {
    size_t band;   /* which of the bands of rows that blocks share */
    size_t first;  /* block of the row */
    size_t blocks; /* how many */
    size_t length; /* elements of a block along the row */
} caq_run;

/* The element at which the run starts in the row-th row of its band. */
size_t caq_run_start(const caq_job *job, const caq_run *run, size_t row);

/* Rows of a band come in groups of so many that lie one after the other: those along the last of the earlier
 * axes. */
static inline size_t caq_rows_in_order(const caq_job *job) {
    return job->axes > 1 ? job->length[job->axes - 2] : 1;
}

static inline size_t source_size(caq_source source) { return source == CAQ_F32 ? 4 : 2; }

static inline const uint8_t *element_at(const caq_job *job, const void *weight, size_t element) {
    return (const uint8_t *)weight + element * source_size(job->source);
}

#endif
