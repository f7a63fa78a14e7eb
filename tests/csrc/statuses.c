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

static void expect_tables(caq_status status, caq_table_target target, size_t rank, size_t rows,
                          size_t columns, size_t block_rows, size_t block_columns) {
    const size_t shape[] = {rows, columns}, block_sizes[] = {block_rows, block_columns};
    caq_table_job job;
    caq_status got = caq_table_job_init(&job, &target, rank, shape, block_sizes);
    if (got != status) {
        printf("tables: %s, not: %s\n", caq_strerror(got), caq_strerror(status));
        wrong = 1;
    }
}

static void ask_for_tables(void) {
    const caq_table_target of_4_bits = {.bits = 4};
    caq_table_target target = of_4_bits;
    expect_tables(CAQ_OK, target, 2, 4, 64, 1, 0);
    expect_tables(CAQ_BAD_SHAPE, target, 0, 4, 64, 1, 0);
    expect_tables(CAQ_BAD_SHAPE, target, 2, 0, 64, 1, 0);
    expect_tables(CAQ_BAD_SHAPE, target, 2, SIZE_MAX / 64, 64, 1, 0);
    expect_tables(CAQ_BAD_SHAPE, target, 2, (size_t)1 << 16, (size_t)1 << 16, 0, 0);
    expect_tables(CAQ_BAD_BLOCK_SIZE, target, 2, 4, 64, 3, 0);
    expect_tables(CAQ_BAD_BLOCK_SIZE, target, 2, 4, 64, 1, 32);
    target.bits = 5;
    expect_tables(CAQ_BAD_ARGUMENT, target, 2, 4, 64, 1, 0);
    target = of_4_bits;
    target.source = (caq_source)CAQ_SOURCES;
    expect_tables(CAQ_BAD_ARGUMENT, target, 2, 4, 64, 1, 0);
    target = of_4_bits;
    target.level = (caq_level)CAQ_LEVELS;
    expect_tables(CAQ_BAD_LEVEL, target, 2, 4, 64, 1, 0);
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
    ask_for_tables();
    if (!wrong)
        printf("all statuses are right\n");
    return wrong;
}
