/*
 * vectors.h - look-up tables of vectors, as reference/table_vectors.py has them
 */
#ifndef VECTORS_H
#define VECTORS_H

#include "../float_bits.h"
#include "../kernels/kernels.h"
#include "masses.h"

#if CAQ_WITH_TABLES

/* Vectors that are read at once, a multiple of CAQ_VECTORS. */
#define VECTORS_AT_ONCE 1024

/* The number of an element, of which `length` make the vector of an index, `between` apart. */
static inline size_t first_element(const caq_table_job *job, size_t index) {
    return index / job->between * job->between * job->length + index % job->between;
}

/* How many of the indices from one on, at most `most`, have their elements at steps of
 * index_step(). */
static inline size_t indices_in_row(const caq_table_job *job, size_t index, size_t most) {
    return job->between == 1 ? most : smaller(most, job->between - index % job->between);
}
static inline size_t index_step(const caq_table_job *job) {
    return job->between == 1 ? job->length : 1;
}

/* Read number v of the vectors of `count` indices in a row. */
void caq_read_members(const caq_table_job *job, const uint8_t *weight, size_t index, size_t count,
                      size_t v, float *to);

/* Scale numbers as the reference does: to binary32, with no negative zeros. */
static inline void scale_numbers(float *numbers, size_t count, double scale) {
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)((double)numbers[i] * scale) + 0.0f;
}

/* Vectors of a group that take part, of which some are read at a time. */
typedef struct caq_vector_reader {
    const caq_table_job *job;
    const uint8_t *weight; /* the whole tensor */
    size_t index, run;     /* where the next run begins, and its indices */
    size_t left;           /* runs that are left */
    size_t read;           /* indices of the run that have been read */
    weigher weigh;         /* with a scale of 0 if all count alike */
    double scale;          /* that numbers are multiplied by */
    uint32_t not_finite;   /* not 0 after a NaN or an infinity */
} caq_vector_reader;

/* Begin with a group. Numbers are not multiplied. */
caq_vector_reader caq_first_vectors(const caq_table_job *job, size_t which, const uint8_t *weight);

/* Begin again, with numbers multiplied. */
caq_vector_reader caq_scaled_vectors(const caq_vector_reader *from, double scale);

/* Read VECTORS_AT_ONCE vectors, or what is left. Number v of vector i becomes
 * members[v * VECTORS_AT_ONCE + i]. Return how many there were. */
size_t caq_next_vectors(caq_vector_reader *from, float *members, double *masses);

/* Bytes of scratch for caq_find_vectors(), a multiple of 8. */
size_t caq_vectors_scratch_size(const caq_table_job *job);

/* Find a table: see caq_find_tables(). */
caq_status caq_find_vectors(const caq_table_job *job, size_t which, const uint8_t *weight,
                            float *table, void *scratch);

/* Bytes of scratch for caq_encode_vectors(). */
size_t caq_vectors_index_scratch_size(const caq_table_job *job);

/* Tables whose entries are scaled, and where vectors are read: scratch. */
typedef struct caq_vector_encoder {
    const caq_table_job *job;
    float *entries, *members, *distances;
    int32_t *shifts;
} caq_vector_encoder;

caq_vector_encoder caq_begin_vectors(const caq_table_job *job, const float *tables, void *scratch);

/* Find the indices first .. first + count - 1, one in each byte. Behind codes is room for
 * CAQ_VECTORS more bytes. */
void caq_encode_vectors(const caq_vector_encoder *with, size_t first, size_t count,
                        const uint8_t *weight, uint8_t *codes);

/* Decode `count` indices from `first` on, one in each byte, to the whole tensor. */
void caq_decode_vectors(const caq_table_job *job, size_t first, size_t count, const uint8_t *codes,
                        const float *tables, caq_source target, uint8_t *weight);

#endif
#endif
