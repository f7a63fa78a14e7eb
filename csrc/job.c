/*
 * job.c - digest a target, a shape and its blocks into a job
 *
 * Neighbouring axes are merged where blocks do not tell them apart: if the second one lies inside a
 * block as a whole, or if blocks have length 1 along the first. Everyday weights have one axis left
 * if their blocks lie along the last axes, and two if blocks lie along an earlier axis. The last
 * merged axis is the row.
 */
#include "environment.h"
#include "kernels/kernels.h"
#include "target.h"

#include <float.h>

static int in_range(int value, int count) { return value >= 0 && value < count; }

static int has_format(caq_format format) {
    switch (format) {
    case CAQ_INT2:
    case CAQ_UINT2:
        return CAQ_WITH_INT2;
    case CAQ_INT4:
    case CAQ_UINT4:
        return CAQ_WITH_INT4;
    case CAQ_INT8:
    case CAQ_UINT8:
        return CAQ_WITH_INT8;
    case CAQ_FP4_E2M1FN:
        return CAQ_WITH_FP4;
    case CAQ_FP8_E4M3FN:
    case CAQ_FP8_E5M2:
        return CAQ_WITH_FP8;
    }
    return 0;
}

static int has_values(const caq_job *job) {
    return has_source(job->source) && has_format(job->format) &&
           in_range((int)job->scheme, CAQ_WITH_ASYMMETRIC ? 2 : 1) &&
           in_range((int)job->scale, 2) && in_range((int)job->observer, CAQ_WITH_MSE ? 2 : 1);
}

/* Whether the format can have the scheme and the type of scales. */
static int is_combination(const caq_job *job) {
    if (!is_float(caq_describe_format(job->format)))
        return job->scale == CAQ_SCALE_AS_WEIGHT;
    return job->scheme == CAQ_SYMMETRIC &&
           (job->scale == CAQ_SCALE_E8M0 || job->format != CAQ_FP4_E2M1FN);
}

/* Append an axis to the merged ones, or merge it into the last of them. */
static caq_status add_axis(caq_job *job, size_t blocks, size_t length) {
    size_t last = job->axes - 1;
    if (job->axes && (blocks == 1 || job->length[last] == 1)) {
        job->blocks[last] *= blocks;
        job->length[last] *= length;
        return CAQ_OK;
    }
    if (job->axes == CAQ_MAX_AXES)
        return CAQ_BAD_SHAPE;
    job->blocks[job->axes] = blocks;
    job->length[job->axes] = length;
    job->axes++;
    return CAQ_OK;
}

static caq_status merge_axes(caq_job *job, size_t rank, const size_t *shape,
                             const size_t *block_sizes) {
    job->axes = 0;
    job->elements = 1;
    for (size_t axis = 0; axis < rank; axis++) {
        size_t length = block_sizes[axis] ? block_sizes[axis] : shape[axis];
        if (shape[axis] == 0 || job->elements > SIZE_MAX / sizeof(float) / shape[axis])
            return CAQ_BAD_SHAPE;
        if (shape[axis] % length != 0)
            return CAQ_BAD_BLOCK_SIZE;
        job->elements *= shape[axis];
        caq_status status = add_axis(job, shape[axis] / length, length);
        if (status != CAQ_OK)
            return status;
    }
    return rank ? CAQ_OK : CAQ_BAD_SHAPE;
}

static size_t at_least_1(size_t n) { return n ? n : 1; }

/* The most elements in a tile of a single row, so that it is still in the nearest cache when it is
 * read again. A tile of several rows is as long as it may be, because long runs are read faster. */
#define SINGLE_ROW_RUN 4096

/* Choose how many blocks of a row a tile has. Tiles of a single row may not share bytes of codes,
 * so that is a multiple of eight, unless the codes of one block are whole bytes. */
static size_t choose_tile(size_t rows, size_t blocks, size_t length, size_t bits, size_t parts) {
    size_t tile = at_least_1((rows == 1 ? SINGLE_ROW_RUN : CAQ_TILE_BLOCKS) / length);
    if (tile > CAQ_TILE_BLOCKS)
        tile = CAQ_TILE_BLOCKS;
    if (tile > blocks / parts)
        tile = at_least_1(blocks / parts);
    if (tile >= 8)
        return tile / 8 * 8;
    return length * bits % 8 == 0 ? tile : 8;
}

/* Choose how many units have to stay together because they may share a byte of codes. */
static size_t choose_granule(const caq_job *job, size_t bits) {
    size_t codes_per_byte = 8 / bits;
    if (job->axes == 1 || job->row % codes_per_byte == 0)
        return 1;
    if (job->axes > 2)
        return job->units;
    /* Bands lie one after the other: take as many as end at a whole byte. */
    size_t bands = codes_per_byte;
    while (bands > 1 && job->rows * job->row * (bands / 2) % codes_per_byte == 0)
        bands /= 2;
    return bands * job->tiles;
}

static void cut_into_units(caq_job *job, size_t parts) {
    size_t last = job->axes - 1, bits = caq_describe_format(job->format).bits;
    size_t bands = 1;
    job->rows = 1;
    for (size_t axis = 0; axis < last; axis++) {
        job->rows *= job->length[axis];
        bands *= job->blocks[axis];
    }
    job->row = job->blocks[last] * job->length[last];
    size_t parts_of_row = (parts - 1) / bands + 1;
    job->tile = choose_tile(job->rows, job->blocks[last], job->length[last], bits, parts_of_row);
    job->tiles = (job->blocks[last] + job->tile - 1) / job->tile;
    job->units = bands * job->tiles;
    job->granule = choose_granule(job, bits);
    job->scale_count = bands * job->blocks[last];
    job->scale_size = job->scale == CAQ_SCALE_E8M0 ? 1 : is_f32(job) ? 4 : 2;
    size_t codes_per_byte = 8 / bits;
    job->packed_size = job->elements / codes_per_byte + (job->elements % codes_per_byte != 0);
}

caq_status caq_job_init(caq_job *job, const caq_target *target, size_t rank, const size_t *shape,
                        const size_t *block_sizes) {
    job->source = target->source;
    job->format = target->format;
    job->scheme = target->scheme;
    job->scale = target->scale;
    job->observer = target->observer;
    job->importance = NULL;
    if (!has_values(job))
        return CAQ_BAD_ARGUMENT;
    if (!is_combination(job))
        return CAQ_BAD_COMBINATION;
    if (!in_range((int)target->level, CAQ_LEVELS) || !caq_kernels_of[target->level])
        return CAQ_BAD_LEVEL;
    if (!caq_has_usable_arithmetic())
        return CAQ_BAD_ARITHMETIC;
    job->kernels = &caq_kernels_of[target->level][target->source];
    caq_status status = merge_axes(job, rank, shape, block_sizes);
    if (status == CAQ_OK)
        cut_into_units(job, at_least_1(target->parts));
    return status;
}

caq_status caq_set_importance(caq_job *job, const float *importance, size_t count, size_t repeat) {
    if (!is_searched(job) || count == 0 || repeat == 0 || job->elements % count != 0 ||
        job->elements / count % repeat != 0)
        return CAQ_BAD_ARGUMENT;
    for (size_t i = 0; i < count; i++)
        if (!(importance[i] >= 0.0f && importance[i] <= FLT_MAX))
            return CAQ_BAD_ARGUMENT;
    job->importance = importance;
    job->importances = count;
    job->repeat = repeat;
    return CAQ_OK;
}
