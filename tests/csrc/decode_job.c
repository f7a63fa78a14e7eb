/*
 * decode_job.c - decode bytes with the C library alone, for tests on other processors
 *
 * decode_job LEVEL SOURCE FORMAT SCALE RANK SHAPE... BLOCK_SIZES...
 *
 * Numbers are the header's enums. Reads the packed codes, the scales and the zero points from
 * standard input; writes the weight as float32, as float16 and as bfloat16 to standard output.
 * Every buffer is allocated at its exact size, so that sanitizers see a step beyond it.
 *
 * Each is decoded in runs of a few lengths, the last run first, as one reads blocks at random.
 */
#include "coreai_quant.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_RANK 8

static size_t number(char **arguments, int index) { return strtoul(arguments[index], NULL, 10); }

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory)
        abort();
    return memory;
}

static void *take(size_t size) {
    void *memory = allocate(size);
    if (fread(memory, 1, size, stdin) != size)
        exit(65);
    return memory;
}

static int decode_in_runs(const caq_job *job, const uint8_t *packed, const void *scales,
                          const uint8_t *zero_points, caq_source to, void *scratch) {
    const size_t lengths[] = {1, 7, 64, 33, 2000}, size = to == CAQ_F32 ? 4 : 2;
    uint8_t *weight = allocate(job->elements * size);
    int status = CAQ_OK;
    for (size_t end = job->elements, turn = 0; status == CAQ_OK && end; turn++) {
        size_t length = lengths[turn % 5] < end ? lengths[turn % 5] : end;
        end -= length;
        uint8_t *run = allocate(length * size);
        status = caq_dequantize(job, end, length, packed, scales, zero_points, to, run, scratch);
        for (size_t i = 0; i < length * size; i++)
            weight[end * size + i] = run[i];
        free(run);
    }
    fwrite(weight, size, job->elements, stdout);
    free(weight);
    return status;
}

int main(int count, char **arguments) {
    size_t shape[MAX_RANK], block_sizes[MAX_RANK];
    if (count < 6 || number(arguments, 5) > MAX_RANK || count != 6 + 2 * atoi(arguments[5]))
        return 64;
    size_t rank = number(arguments, 5);
    for (size_t axis = 0; axis < rank; axis++) {
        shape[axis] = number(arguments, 6 + (int)axis);
        block_sizes[axis] = number(arguments, 6 + (int)(rank + axis));
    }
    const caq_target target = {.source = (caq_source)number(arguments, 2),
                               .format = (caq_format)number(arguments, 3),
                               .scale = (caq_scale)number(arguments, 4),
                               .level = (caq_level)number(arguments, 1)};
    caq_job job;
    int status = caq_job_init(&job, &target, rank, shape, block_sizes);
    if (status != CAQ_OK)
        return status;
    uint8_t *packed = take(job.packed_size), *scales = take(job.scale_count * job.scale_size);
    uint8_t *zero_points = take(job.scale_count), *scratch = allocate(CAQ_SCRATCH_SIZE);
    for (int to = 0; status == CAQ_OK && to < CAQ_SOURCES; to++)
        status = decode_in_runs(&job, packed, scales, zero_points, (caq_source)to, scratch);
    free(packed);
    free(scales);
    free(zero_points);
    free(scratch);
    return status;
}
