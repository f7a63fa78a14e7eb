/*
 * stream_rows.c - quantize a matrix without ever holding more than a few of its rows
 *
 * stream_rows LEVEL SOURCE FORMAT SCHEME SCALE ROWS COLUMNS BLOCK_ROWS BLOCK_COLUMNS CHUNK FILE
 *
 * Numbers are the header's enums; FILE has the matrix. Reads CHUNK rows at a time and writes what
 * run_job writes. If CHUNK rows are whole blocks, they are a job of their own; else the matrix is
 * read twice. Every buffer is allocated at its exact size, so that sanitizers see a step beyond it.
 */
#include "coreai_quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct matrix {
    FILE *file;
    size_t rows, columns, element_size, chunk;
} matrix;

static void *allocate(size_t size) {
    void *memory = calloc(size, 1);
    if (!memory)
        abort();
    return memory;
}

/* The rows from first on that are read together, as a new buffer. */
static void *read_rows(const matrix *from, size_t first, size_t *rows) {
    *rows = from->chunk < from->rows - first ? from->chunk : from->rows - first;
    size_t row_size = from->columns * from->element_size;
    void *memory = allocate(*rows * row_size);
    if (fseek(from->file, (long)(first * row_size), SEEK_SET) ||
        fread(memory, row_size, *rows, from->file) != *rows)
        exit(65);
    return memory;
}

/* Chunks of whole blocks: one job for each, whose outputs follow one another. */
static int quantize_chunks(const caq_target *target, const matrix *from, const size_t *block_sizes,
                           uint8_t *packed, uint8_t *scales, uint8_t *zero_points, void *scratch) {
    int status = CAQ_OK;
    for (size_t first = 0, rows; status == CAQ_OK && first < from->rows; first += rows) {
        void *weight = read_rows(from, first, &rows);
        size_t shape[] = {rows, from->columns};
        caq_job job;
        status = caq_job_init(&job, target, 2, shape, block_sizes);
        if (status == CAQ_OK)
            status = caq_quantize(&job, 0, job.units, weight, packed, scales, zero_points, scratch);
        packed += job.packed_size;
        scales += job.scale_count * job.scale_size;
        zero_points += job.scale_count;
        free(weight);
    }
    return status;
}

/* Blocks that span chunks: measure all rows, find the scales, encode all rows from the last. */
static int quantize_twice(const caq_job *job, const matrix *from, uint8_t *packed, uint8_t *scales,
                          uint8_t *zero_points, void *scratch) {
    int32_t *extents = allocate(2 * job->scale_count * sizeof *extents);
    int status = CAQ_OK;
    for (size_t first = 0, rows; status == CAQ_OK && first < from->rows; first += rows) {
        void *weight = read_rows(from, first, &rows);
        status = caq_measure(job, first * from->columns, rows * from->columns, weight, extents);
        free(weight);
    }
    if (status == CAQ_OK)
        status = caq_scale_blocks(job, extents, scales, zero_points, scratch);
    for (size_t chunks = (from->rows - 1) / from->chunk + 1; status == CAQ_OK && chunks--;) {
        size_t rows, first = chunks * from->chunk;
        void *weight = read_rows(from, first, &rows);
        status = caq_encode(job, first * from->columns, rows * from->columns, weight, scales,
                            zero_points, packed, scratch);
        free(weight);
    }
    free(extents);
    return status;
}

/* Unpacked and packed again in odd parts, codes are the same. */
static int pack_again(const caq_job *job, const uint8_t *packed, uint8_t *again) {
    int status = CAQ_OK;
    for (size_t first = 0, count; status == CAQ_OK && first < job->elements; first += count) {
        count = job->elements - first < 37 ? job->elements - first : 37;
        uint8_t *codes = allocate(count);
        status = caq_unpack(job, first, count, packed, codes);
        if (status == CAQ_OK)
            status = caq_pack(job, first, count, codes, again);
        free(codes);
    }
    return status;
}

int main(int count, char **arguments) {
    size_t number[10];
    if (count != 12)
        return 64;
    for (int i = 0; i < 10; i++)
        number[i] = strtoul(arguments[1 + i], NULL, 10);
    const caq_target target = {.source = (caq_source)number[1],
                               .format = (caq_format)number[2],
                               .scheme = (caq_scheme)number[3],
                               .scale = (caq_scale)number[4],
                               .level = (caq_level)number[0]};
    caq_job job;
    int status = caq_job_init(&job, &target, 2, number + 5, number + 7);
    if (status != CAQ_OK)
        return status;
    matrix from = {fopen(arguments[11], "rb"), number[5], number[6], job.source == CAQ_F32 ? 4 : 2,
                   number[9]};
    if (!from.file)
        return 66;
    uint8_t *packed = allocate(job.packed_size), *again = allocate(job.packed_size);
    memset(packed, 0xFF, job.packed_size); /* bits that no code fills become zeros */
    memset(again, 0xFF, job.packed_size);
    uint8_t *scales = allocate(job.scale_count * job.scale_size);
    uint8_t *zero_points = allocate(job.scale_count), *scratch = allocate(caq_scratch_size(&job));
    size_t block_rows = number[7] ? number[7] : number[5];
    if (from.chunk % block_rows == 0)
        status = quantize_chunks(&target, &from, number + 7, packed, scales, zero_points, scratch);
    else
        status = quantize_twice(&job, &from, packed, scales, zero_points, scratch);
    if (status == CAQ_OK)
        status = pack_again(&job, packed, again);
    if (status == CAQ_OK) {
        fwrite(again, 1, job.packed_size, stdout);
        fwrite(scales, job.scale_size, job.scale_count, stdout);
        fwrite(zero_points, 1, job.scale_count, stdout);
    } else {
        fputs(caq_strerror((caq_status)status), stderr);
    }
    fclose(from.file);
    free(packed);
    free(again);
    free(scales);
    free(zero_points);
    free(scratch);
    return status;
}
