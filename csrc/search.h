/*
 * search.h - the observer MSE: what is known while better scales are looked for
 *
 * Blocks are searched side by side, one in each lane of a vector; a long block is spread over all lanes,
 * since sums of integers do not depend on their order. Either way a panel of weights is filled, element e
 * of lane l at [e * lanes + l], and the level's kernels pass over it.
 *
 * A search is a sequence of passes over the weights: one or more that score scales, and one that compares
 * errors. Where the panel holds all of a block, it is filled once for all passes.
 */
#ifndef SEARCH_H
#define SEARCH_H

#include "kernels.h"
#include "runs.h"
#include "tile.h"

/* Elements of a lane in a panel, even. Sums over so many fit into 32 bits. */
#define PANEL_DEPTH 128

/* The scales that are tried for an integer format, see reference/search.py. */
typedef struct caq_grid {
    int32_t unit, first, dense, growth, last;
} caq_grid;

static inline caq_grid integer_grid(unsigned bits) {
    if (bits == 2)
        return (caq_grid){1 << 11, 16, 16, 2, 1024};
    return bits == 4 ? (caq_grid){1 << 13, 22, 40, 3, 512} : (caq_grid){1 << 13, 424, 516, 5, 8192};
}

static inline int32_t next_step(caq_grid grid, int32_t step) {
    return step + (step < grid.dense ? 1 : step >> grid.growth);
}

#define FLOAT_UNIT 2048
#define FLOAT_STEPS 64

typedef struct caq_search_space {
    caq_search search;
    int is_shallow; /* the panel holds all of the blocks: scores need no sums */
    int is_fresh;   /* the panel has been filled anew */
    size_t depth;   /* elements of a lane in the panel, even */
    float weights[PANEL_DEPTH * CAQ_LANES];
    float run[PANEL_DEPTH * CAQ_LANES]; /* weights block by block, before they take their lanes */
    int32_t x[PANEL_DEPTH * CAQ_LANES]; /* weights as integers, those of integer formats in pairs */
    int64_t a[CAQ_CANDIDATES][CAQ_LANES], b[CAQ_CANDIDATES][CAQ_LANES];
} caq_search_space;

/* How scratch is used. */
typedef struct caq_mse_scratch {
    tile tile;
    caq_search_space space;
} caq_mse_scratch;

_Static_assert(sizeof(caq_mse_scratch) <= CAQ_MSE_SCRATCH_SIZE,
               "the header tells callers what a search takes");

/* Replace the scales and zero points of a run where better ones are found. */
void caq_search_run(const caq_job *job, caq_run run, const caq_encoding *encoding,
                    const void *weight, void *scratch, uint8_t *scales, uint8_t *zero_points);

#endif
