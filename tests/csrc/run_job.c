/*
 * run_job.c - quantize one weight with the C library alone, for tests on other processors
 *
 * run_job LEVEL SOURCE FORMAT SCHEME SCALE OBSERVER RANK SHAPE... BLOCK_SIZES...
 *
 * Numbers are the header's enums. Reads the weight from standard input; writes the packed codes,
 * the scales and the zero points, one after the other, to standard output. Every buffer is
 * allocated at its exact size, so that sanitizers see a step beyond it.
 *
 * The work is done granule by granule, and each granule's bytes are checked to be its own.
 */
#include "coreai_quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RANK 8
#define PARTS 3

static size_t number(char **arguments, int index) { return strtoul(arguments[index], NULL, 10); }

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory)
        abort();
    return memory;
}

enum { SHARED_BYTE = 66 };

/*
 * Quantize the units from first on into two canvases, one of zeros and one of ones. A byte in which
 * both agree has been written as a whole; one that is as it was has not been touched; any other has
 * been written in part, so another granule that runs at the same time could lose its codes.
 */
static int quantize_granule(const caq_job *job, size_t first, const void *weight, uint8_t *packed,
                            uint8_t *scales, uint8_t *zero_points, void *scratch) {
    size_t count = job->units - first < job->granule ? job->units - first : job->granule;
    uint8_t *zeros = allocate(job->packed_size), *ones = allocate(job->packed_size);
    memset(zeros, 0x00, job->packed_size);
    memset(ones, 0xFF, job->packed_size);
    int status = caq_quantize(job, first, count, weight, zeros, scales, zero_points, scratch);
    if (status == CAQ_OK)
        status = caq_quantize(job, first, count, weight, ones, scales, zero_points, scratch);
    for (size_t i = 0; status == CAQ_OK && i < job->packed_size; i++) {
        if (zeros[i] == ones[i])
            packed[i] = zeros[i];
        else if (zeros[i] != 0x00 || ones[i] != 0xFF)
            status = SHARED_BYTE;
    }
    free(zeros);
    free(ones);
    return status;
}

/* The last granule first: none may need what another has done. */
static int quantize_by_granules(const caq_job *job, const void *weight, uint8_t *packed,
                                uint8_t *scales, uint8_t *zero_points, void *scratch) {
    int status = CAQ_OK;
    size_t granules = (job->units + job->granule - 1) / job->granule;
    for (size_t i = granules; status == CAQ_OK && i-- > 0;)
        status =
            quantize_granule(job, i * job->granule, weight, packed, scales, zero_points, scratch);
    return status;
}

/* The levels are in order: the best is the last that there is. */
static int best_level_is_last(void) {
    int last = CAQ_PORTABLE;
    for (int level = last; level < CAQ_LEVELS; level++)
        if (caq_has_level((caq_level)level))
            last = level;
    return (int)caq_best_level() == last;
}

int main(int count, char **arguments) {
    size_t shape[MAX_RANK], block_sizes[MAX_RANK], elements = 1;
    if (!best_level_is_last())
        return 63;
    if (count < 8 || number(arguments, 7) > MAX_RANK || count != 8 + 2 * atoi(arguments[7]))
        return 64;
    size_t rank = number(arguments, 7);
    for (size_t axis = 0; axis < rank; axis++) {
        shape[axis] = number(arguments, 8 + (int)axis);
        block_sizes[axis] = number(arguments, 8 + (int)(rank + axis));
        elements *= shape[axis];
    }
    const caq_target target = {.source = (caq_source)number(arguments, 2),
                               .format = (caq_format)number(arguments, 3),
                               .scheme = (caq_scheme)number(arguments, 4),
                               .scale = (caq_scale)number(arguments, 5),
                               .observer = (caq_observer)number(arguments, 6),
                               .level = (caq_level)number(arguments, 1),
                               .parts = PARTS};
    caq_job job;
    caq_status status = caq_job_init(&job, &target, rank, shape, block_sizes);
    if (status != CAQ_OK)
        return (int)status;
    size_t element_size = target.source == CAQ_F32 ? 4 : 2;
    void *weight = allocate(elements * element_size);
    uint8_t *packed = allocate(job.packed_size), *zero_points = allocate(job.scale_count);
    uint8_t *scales = allocate(job.scale_count * job.scale_size);
    void *scratch = allocate(job.observer == CAQ_MSE ? CAQ_MSE_SCRATCH_SIZE : CAQ_SCRATCH_SIZE);
    if (fread(weight, element_size, elements, stdin) != elements)
        return 65;
    int result = quantize_by_granules(&job, weight, packed, scales, zero_points, scratch);
    if (result == CAQ_OK) {
        fwrite(packed, 1, job.packed_size, stdout);
        fwrite(scales, job.scale_size, job.scale_count, stdout);
        fwrite(zero_points, 1, job.scale_count, stdout);
    }
    free(weight);
    free(packed);
    free(scales);
    free(zero_points);
    free(scratch);
    return result;
}
