/*
 * geometry.h - where a job's blocks and elements lie
 */
#ifndef GEOMETRY_H
#define GEOMETRY_H

#include "target.h"
#include "tile.h"

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The part of each row that a unit works on: some neighbouring blocks. */
typedef struct caq_run {
    size_t band;   /* the number of the band, whose rows the same blocks span */
    size_t first;  /* the first block, counted along the row */
    size_t blocks; /* how many blocks */
    size_t length; /* elements of a block along the row */
} caq_run;

/* The run of a unit. */
caq_run caq_run_of_unit(const caq_job *job, size_t unit);

/* The element at which a run starts in the row-th row of its band. */
size_t caq_run_start(const caq_job *job, const caq_run *run, size_t row);

/* Elements that lie side by side in memory: `length` of each of some neighbouring blocks. */
typedef struct caq_piece {
    size_t block, blocks, length;
} caq_piece;

/* The piece at an element. It has at most count elements, and no more blocks than a tile has room
 * for: whole blocks where that is possible, else a part of one. */
caq_piece caq_piece_at(const caq_job *job, size_t element, size_t count);

/* How many rows of a band lie one after the other in memory: those along the last but one merged
 * axis. */
static inline size_t caq_rows_in_order(const caq_job *job) {
    return job->axes > 1 ? job->length[job->axes - 2] : 1;
}

/* Whether elements first .. first + count - 1 are the job's. */
static inline int has_elements(const caq_job *job, size_t first, size_t count) {
    return first <= job->elements && count <= job->elements - first;
}

/* Where an element lies, from the address of element 0 on. */
static inline const uint8_t *element_at(const caq_job *job, const void *weight, size_t element) {
    return (const uint8_t *)weight + element * source_size(job->source);
}

#endif
