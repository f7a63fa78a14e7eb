/*
 * index_vectors.c - from vectors to indices and back
 */
#include "../unaligned.h"
#include "nearest.h"
#include "vectors.h"

#if CAQ_WITH_TABLES

size_t caq_vectors_index_scratch_size(const caq_table_job *job) {
    size_t numbers = job->tables * job->entries * job->length;
    return (numbers + VECTORS_AT_ONCE * (job->length + 1)) * sizeof(float) +
           job->tables * sizeof(int32_t);
}

caq_vector_encoder caq_begin_vectors(const caq_table_job *job, const float *tables, void *scratch) {
    size_t numbers = job->entries * job->length;
    caq_vector_encoder it;
    it.job = job;
    it.entries = (float *)scratch;
    it.members = it.entries + job->tables * numbers;
    it.distances = it.members + VECTORS_AT_ONCE * job->length;
    it.shifts = (int32_t *)(void *)(it.distances + VECTORS_AT_ONCE);
    for (size_t i = 0; i < VECTORS_AT_ONCE * job->length; i++)
        it.members[i] = 0;
    for (size_t t = 0; t < job->tables; t++) {
        float *own = it.entries + t * numbers;
        uint32_t largest = 0;
        for (size_t i = 0; i < numbers; i++) {
            own[i] = tables[t * numbers + i];
            uint32_t bits = float_bits(own[i]) & 0x7FFFFFFF;
            largest = bits > largest ? bits : largest;
        }
        it.shifts[t] = -exponent_of(largest);
        scale_numbers(own, numbers, power_of_two(it.shifts[t]));
    }
    return it;
}

void caq_encode_vectors(const caq_vector_encoder *with, size_t first, size_t count,
                        const uint8_t *weight, uint8_t *codes) {
    const caq_table_job *job = with->job;
    for (size_t i = 0, some; i < count; i += some) {
        size_t index = first + i, table = index / job->run % job->tables;
        some = smaller(smaller(count - i, VECTORS_AT_ONCE), job->run - index % job->run);
        for (size_t k = 0, part; k < some; k += part) {
            part = indices_in_row(job, index + k, some - k);
            for (size_t v = 0; v < job->length; v++)
                caq_read_members(job, weight, index + k, part, v,
                                 with->members + v * VECTORS_AT_ONCE + k);
        }
        for (size_t v = 0; v < job->length; v++)
            scale_numbers(with->members + v * VECTORS_AT_ONCE, some,
                          power_of_two(with->shifts[table]));
        size_t padded = (some + CAQ_VECTORS - 1) / CAQ_VECTORS * CAQ_VECTORS;
        job->kernels->nearest_center(with->members, VECTORS_AT_ONCE, padded, job->length,
                                     with->entries + table * job->entries * job->length,
                                     job->entries, codes + i, with->distances);
    }
}

void caq_decode_vectors(const caq_table_job *job, size_t first, size_t count, const uint8_t *codes,
                        const float *tables, caq_source target, uint8_t *weight) {
    size_t size = source_size(target), step = index_step(job) * size;
    for (size_t i = 0, some; i < count; i += some) {
        size_t index = first + i, table = index / job->run % job->tables;
        some = indices_in_row(job, index, smaller(count - i, job->run - index % job->run));
        const float *own = tables + table * job->entries * job->length;
        for (size_t v = 0; v < job->length; v++) {
            uint8_t *to = weight + (first_element(job, index) + v * job->between) * size;
            for (size_t k = 0; k < some; k++)
                store_number(target, to + k * step, own[codes[i + k] * job->length + v]);
        }
    }
}

#endif
