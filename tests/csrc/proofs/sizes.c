/*
 * sizes.c - what a job says of its sizes is true, and is worked out without overflow
 */
#include "any_job.h"

int main(void) {
    caq_job job;
    if (any_job(&job) != CAQ_OK)
        return 0;
    __CPROVER_assert(job.axes >= 1 && job.axes <= RANK, "axes");
    __CPROVER_assert(job.elements >= 1 && job.elements <= SIZE_MAX / 4,
                     "elements can be addressed");
    __CPROVER_assert(job.packed_size >= 1 && job.packed_size <= job.elements, "packed size");
    __CPROVER_assert(job.scale_count >= 1 && job.scale_count <= job.elements, "scales");
    __CPROVER_assert(job.units >= 1 && job.units <= job.scale_count, "units");
    __CPROVER_assert(job.granule >= 1 && job.granule <= SIZE_MAX / 2, "granules can be counted");
    __CPROVER_assert(job.tile >= 1 && job.tile <= CAQ_TILE_BLOCKS, "a tile fits into scratch");
    __CPROVER_assert((job.tiles - 1) * job.tile < job.blocks[job.axes - 1], "no tile is empty");
    return 0;
}
