/*
 * read_vectors.c - where the vectors of a weight lie
 */
#include "../geometry.h"
#include "nearest.h"
#include "vectors.h"

#if CAQ_WITH_TABLES

void caq_read_members(const caq_table_job *job, const uint8_t *weight, size_t index, size_t count,
                      size_t v, float *to) {
    size_t element = first_element(job, index) + v * job->between, step = index_step(job);
    const uint8_t *from = weight + element * source_size(job->source);
    if (step == 1)
        job->kernels->widen(from, count, to);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = number_at(job->source, from, i * step);
}

/* The largest importance of a group. */
static float find_most(const caq_table_job *job, const caq_vector_reader *group) {
    size_t step = index_step(job);
    float most = 0;
    for (size_t r = 0; r < group->left; r++)
        for (size_t i = 0, some; i < group->run; i += some) {
            size_t index = group->index + r * job->run * job->tables + i;
            some = indices_in_row(job, index, smaller(WEIGHED_AT_ONCE / step, group->run - i));
            for (size_t v = 0; v < (step == 1 ? job->length : 1); v++)
                most = most_important(job, first_element(job, index) + v * job->between,
                                      some * step, most);
        }
    return most;
}

caq_vector_reader caq_first_vectors(const caq_table_job *job, size_t which, const uint8_t *weight) {
    size_t indices = job->indices / job->tables;
    caq_vector_reader it = {
        job, weight, which * job->run, job->run, indices / job->run, 0, {job, 0}, 1, 0};
    if (job->importance)
        it.weigh = new_weigher(job, indices * job->length, find_most(job, &it));
    return it;
}

caq_vector_reader caq_scaled_vectors(const caq_vector_reader *from, double scale) {
    caq_vector_reader it = *from;
    it.scale = scale;
    return it;
}

/* What the vectors of some indices in a row count. */
static void weigh_vectors(const caq_vector_reader *with, size_t index, size_t count,
                          double *masses) {
    const caq_table_job *job = with->job;
    uint32_t each[WEIGHED_AT_ONCE];
    size_t element = first_element(job, index), step = index_step(job);
    for (size_t i = 0; i < count; i++)
        masses[i] = with->weigh.scale == 0;
    if (with->weigh.scale == 0)
        return;
    for (size_t v = 0; v < (step == 1 ? job->length : 1); v++) {
        find_masses(&with->weigh, element + v * job->between, count * step, each);
        for (size_t i = 0; i < count * step; i++)
            masses[i / step] += each[i];
    }
}

/* Drop vectors that count 0, from a vector on. Return how many are left in all. */
static size_t drop_weightless(size_t length, size_t first, size_t end, float *members,
                              double *masses) {
    size_t kept = first;
    for (size_t i = first; i < end; i++)
        if (masses[i] > 0) {
            masses[kept] = masses[i];
            for (size_t v = 0; v < length; v++)
                members[v * VECTORS_AT_ONCE + kept] = members[v * VECTORS_AT_ONCE + i];
            kept++;
        }
    return kept;
}

size_t caq_next_vectors(caq_vector_reader *from, float *members, double *masses) {
    const caq_table_job *job = from->job;
    size_t count = 0, at_once = WEIGHED_AT_ONCE / index_step(job);
    while (from->left && count < VECTORS_AT_ONCE) {
        size_t index = from->index + from->read;
        size_t some = smaller(smaller(at_once, from->run - from->read), VECTORS_AT_ONCE - count);
        some = indices_in_row(job, index, some);
        for (size_t v = 0; v < job->length; v++) {
            float *to = members + v * VECTORS_AT_ONCE + count;
            caq_read_members(job, from->weight, index, some, v, to);
            for (size_t i = 0; i < some; i++)
                from->not_finite |= (float_bits(to[i]) & 0x7F800000) == 0x7F800000;
            scale_numbers(to, some, from->scale);
        }
        weigh_vectors(from, index, some, masses + count);
        count = from->weigh.scale == 0
                    ? count + some
                    : drop_weightless(job->length, count, count + some, members, masses);
        from->read += some;
        if (from->read == from->run) {
            from->read = 0;
            from->index += job->run * job->tables;
            from->left--;
        }
    }
    return count;
}

#endif
