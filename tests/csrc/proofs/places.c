/*
 * places.c - runs of units and pieces of ranges lie inside the tensor, and so do their blocks
 */
#include "any_job.h"
#include "geometry.h"

int main(void) {
    caq_job job;
    if (any_job(&job) != CAQ_OK)
        return 0;

    size_t unit = nondet_size(), row = nondet_size();
    __CPROVER_assume(unit < job.units && row < job.rows);
    caq_run run = caq_run_of_unit(&job, unit);
    size_t start = caq_run_start(&job, &run, row);
    size_t block = run.band * job.blocks[job.axes - 1] + run.first;
    __CPROVER_assert(run.blocks >= 1 && run.blocks <= CAQ_TILE_BLOCKS, "a run fits into a tile");
    __CPROVER_assert(start < job.elements, "a run begins in the tensor");
    __CPROVER_assert(run.blocks * run.length <= job.elements - start, "a run ends in the tensor");
    __CPROVER_assert(block + run.blocks <= job.scale_count, "there are such scales");

    size_t element = nondet_size(), count = nondet_size();
    __CPROVER_assume(element < job.elements && count >= 1 && count <= job.elements - element);
    caq_piece piece = caq_piece_at(&job, element, count);
    __CPROVER_assert(piece.blocks >= 1 && piece.blocks <= CAQ_TILE_BLOCKS, "a piece fits");
    __CPROVER_assert(piece.length >= 1, "a piece is not empty");
    __CPROVER_assert(piece.blocks * piece.length <= count, "a piece ends in its range");
    __CPROVER_assert(piece.block + piece.blocks <= job.scale_count, "it has scales");
    return 0;
}
