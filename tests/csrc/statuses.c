/*
 * statuses.c - ask for jobs that cannot be, and check which status says so
 */
#include "coreai_quant.h"

#include <stdio.h>

static int wrong;

static void expect(caq_status status, caq_target target, size_t rank, size_t rows, size_t columns,
                   size_t block) {
    const size_t shape[] = {rows, columns}, block_sizes[] = {1, block};
    caq_job job;
    caq_status got = caq_job_init(&job, &target, rank, shape, block_sizes);
    if (got != status) {
        printf("%s, not: %s\n", caq_strerror(got), caq_strerror(status));
        wrong = 1;
    }
}

int main(void) {
    const caq_target int4 = {.format = CAQ_INT4};
    caq_target target = int4;
    expect(CAQ_OK, target, 2, 4, 64, 32);
    expect(CAQ_BAD_SHAPE, target, 0, 4, 64, 32);
    expect(CAQ_BAD_SHAPE, target, 2, 0, 64, 32);
    expect(CAQ_BAD_SHAPE, target, 2, SIZE_MAX / 64, 64, 32);
    expect(CAQ_BAD_BLOCK_SIZE, target, 2, 4, 64, 33);
    target.format = (caq_format)CAQ_FORMATS;
    expect(CAQ_BAD_ARGUMENT, target, 2, 4, 64, 32);
    target = int4;
    target.source = (caq_source)CAQ_SOURCES;
    expect(CAQ_BAD_ARGUMENT, target, 2, 4, 64, 32);
    target = int4;
    target.scale = CAQ_SCALE_E8M0;
    expect(CAQ_BAD_COMBINATION, target, 2, 4, 64, 32);
    target.format = CAQ_FP4_E2M1FN;
    expect(CAQ_OK, target, 2, 4, 64, 32);
    target.scale = CAQ_SCALE_AS_WEIGHT;
    expect(CAQ_BAD_COMBINATION, target, 2, 4, 64, 32);
    target.format = CAQ_FP8_E5M2;
    expect(CAQ_OK, target, 2, 4, 64, 32);
    target.scheme = CAQ_ASYMMETRIC;
    expect(CAQ_BAD_COMBINATION, target, 2, 4, 64, 32);
    target = int4;
    target.level = (caq_level)CAQ_LEVELS;
    expect(CAQ_BAD_LEVEL, target, 2, 4, 64, 32);
    if (!wrong)
        printf("all statuses are right\n");
    return wrong;
}
