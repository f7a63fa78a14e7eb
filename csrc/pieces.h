/*
 * pieces.h - cut any run of elements into pieces that kernels take
 */
#ifndef PIECES_H
#define PIECES_H

#include "tile.h"

/* `length` elements of each of some neighbouring blocks, all of them contiguous. */
typedef struct piece {
    size_t block, blocks, length;
} piece;

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The block at the start of a row. */
static inline size_t first_block_of(const caq_job *job, size_t row) {
    size_t last = job->axes - 1, block = 0, stride = job->blocks[last];
    for (size_t axis = last; axis-- > 0;) {
        size_t extent = job->blocks[axis] * job->length[axis];
        block += row % extent / job->length[axis] * stride;
        row /= extent;
        stride *= job->blocks[axis];
    }
    return block;
}

/* The piece at an element, of at most count elements and no more blocks than a tile has room for: whole
 * blocks where it can be, else a part of one. */
static inline piece next_piece(const caq_job *job, size_t element, size_t count) {
    size_t row = element / job->row, column = element % job->row;
    size_t length = job->length[job->axes - 1], within = column % length;
    piece piece = {first_block_of(job, row) + column / length, 1, length};
    count = smaller(count, job->row - column);
    if (within || count < length)
        piece.length = smaller(count, length - within);
    else
        piece.blocks = smaller(count / length, TILE_BLOCKS);
    return piece;
}

/* Whether elements first .. first + count - 1 are the job's. */
static inline int has_elements(const caq_job *job, size_t first, size_t count) {
    return first <= job->elements && count <= job->elements - first;
}

/* In dequantize.c: the scales of a piece's blocks as binary32. */
void caq_load_scales(const caq_job *job, const uint8_t *scales, piece piece, float *to);

#endif
