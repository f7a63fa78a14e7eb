/*
 * geometry.c - where the runs of units lie, and the pieces of any range of elements
 */
#include "geometry.h"

caq_run caq_run_of_unit(const caq_job *job, size_t unit) {
    size_t last = job->axes - 1;
    caq_run run = {unit / job->tiles, unit % job->tiles * job->tile, job->tile, job->length[last]};
    if (run.blocks > job->blocks[last] - run.first)
        run.blocks = job->blocks[last] - run.first;
    return run;
}

size_t caq_run_start(const caq_job *job, const caq_run *run, size_t row) {
    size_t element = run->first * run->length, stride = job->row, band = run->band;
    for (size_t axis = job->axes - 1; axis-- > 0;) {
        size_t block = band, within = row;
        if (axis) { /* the first axis takes all that is left */
            block %= job->blocks[axis];
            band /= job->blocks[axis];
            within %= job->length[axis];
            row /= job->length[axis];
        }
        element += (block * job->length[axis] + within) * stride;
        stride *= job->blocks[axis] * job->length[axis];
    }
    return element;
}

/* The block that a row of the tensor starts in. */
static size_t first_block_of(const caq_job *job, size_t row) {
    size_t last = job->axes - 1, block = 0, stride = job->blocks[last];
    for (size_t axis = last; axis-- > 0;) {
        size_t extent = job->blocks[axis] * job->length[axis];
        block += row % extent / job->length[axis] * stride;
        row /= extent;
        stride *= job->blocks[axis];
    }
    return block;
}

caq_piece caq_piece_at(const caq_job *job, size_t element, size_t count) {
    size_t row = element / job->row, column = element % job->row;
    size_t length = job->length[job->axes - 1], within = column % length;
    caq_piece piece = {first_block_of(job, row) + column / length, 1, length};
    count = smaller(count, job->row - column);
    if (within || count < length)
        piece.length = smaller(count, length - within);
    else
        piece.blocks = smaller(count / length, CAQ_TILE_BLOCKS);
    return piece;
}
