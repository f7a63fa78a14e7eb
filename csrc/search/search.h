/*
 * search.h - the observer MSE: look for scales with less squared error than those of MINMAX
 *
 * Blocks are searched side by side, one in each lane of a vector. A long block is spread over all
 * lanes, which gives the result of one lane because sums of integers do not depend on their order.
 * Either way a panel is filled with weights, element e of lane l at [e * lanes + l], and the
 * level's kernels pass over it.
 *
 * A search is a sequence of passes over the weights. One or more passes score scales, and the last
 * one compares the errors of two or three. If the panel holds whole blocks, it is filled once for
 * all passes.
 */
#ifndef SEARCH_H
#define SEARCH_H

#include "../geometry.h"
#include "../kernels/kernels.h"

/* The most elements that a lane has in a panel, an even number: sums fit into 32 bits. */
#define PANEL_DEPTH 128

/* Which scales are tried for an integer format: reference/mse.py has the meaning of each number. */
typedef struct caq_grid {
    int32_t unit, first, dense, growth, reach, last;
} caq_grid;

static inline caq_grid integer_grid(unsigned bits) {
    const caq_grid of_2_bits = {1 << 11, 16, 16, 2, 32, 2048};
    const caq_grid of_4_bits = {1 << 13, 22, 40, 3, 32, 1024};
    const caq_grid of_8_bits = {1 << 13, 424, 516, 5, 512, 8192};
    return bits == 2 ? of_2_bits : bits == 4 ? of_4_bits : of_8_bits;
}

/* The step after this one. */
static inline int32_t next_step(caq_grid grid, int32_t step) {
    return step + (step < grid.dense ? 1 : step >> grid.growth);
}

/* The extent of FP8 weights as integers, and how many scales are tried. Sums of products over a
 * panel fit into 32 bits: 128 · 2^12 · 3584. */
#define FLOAT_UNIT 4096
#define FLOAT_STEPS 64

/* How many units of error the extent of a block has. */
static inline float error_unit(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    return format.mantissa && format.bits == 8 ? 0x1p16f : 0x1p14f;
}

/* How many units an importance of 1 has: see reference/mse.py. With codes of 2 and 4 bits sums over
 * a panel fit into 32 bits: 2^7 · 2^14 · 15 of products, 2^7 · 2^11 · 15^2 of squares. With codes
 * of 8 bits terms are at most 2^30 and are summed up in halves: products are up to 2^8 · 2^14 · 255
 * and 2^6 · 4096 · 3584, squares up to 2^14 · 255^2 and 2^6 · 3584^2. */
#define IMPORTANCE_UNIT 2048.0f
#define INTEGER_PRODUCT_UNIT 256.0f
#define INTEGER_SQUARE_UNIT 16384.0f
#define FLOAT_PRODUCT_UNIT 64.0f
#define FLOAT_SQUARE_UNIT 64.0f

/* The units of sums of products x * code, and of sums of squares code * code. */
static inline float product_unit(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    if (!job->importance || format.bits < 8)
        return 1.0f;
    return format.mantissa ? FLOAT_PRODUCT_UNIT : INTEGER_PRODUCT_UNIT;
}
static inline float square_unit(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    if (!job->importance)
        return 1.0f;
    if (format.bits < 8)
        return IMPORTANCE_UNIT;
    return format.mantissa ? FLOAT_SQUARE_UNIT : INTEGER_SQUARE_UNIT;
}

/* What a search keeps in scratch. */
typedef struct caq_search_space {
    caq_search search;
    int is_shallow; /* whether each lane holds a whole block, whose scores need no sums */
    int is_fresh;   /* whether the panel has been filled since the last pass over it */
    size_t depth;   /* elements that each lane has in the panel, an even number */
    float weights[PANEL_DEPTH * CAQ_LANES];
    float run[PANEL_DEPTH *
              CAQ_LANES]; /* weights block by block, before each block is given its lane */
    int32_t x[PANEL_DEPTH * CAQ_LANES]; /* weights as integers, those of integer formats in pairs */
    /* Importances, which the first pass divides by the largest of their block. Of these and of
     * their products with x, formats of 2 and 4 bits have pairs of integers, and those of 8 bits
     * the bits of floats. */
    float importance[PANEL_DEPTH * CAQ_LANES];
    int32_t h[PANEL_DEPTH * CAQ_LANES];  /* importances, in units of square_unit() */
    int32_t hx[PANEL_DEPTH * CAQ_LANES]; /* importances times x, in units of product_unit() */
    int64_t a[CAQ_CANDIDATES][CAQ_LANES], b[CAQ_CANDIDATES][CAQ_LANES];
} caq_search_space;

/* How a job with CAQ_MSE uses scratch. */
typedef struct caq_mse_scratch {
    caq_tile tile;
    caq_search_space space;
} caq_mse_scratch;

STATIC_ASSERT(sizeof(caq_mse_scratch) <= CAQ_MSE_SCRATCH_SIZE,
              "the header tells callers what a search takes");

/* Replace the scales and zero points of a run by better ones, where those are found, in the tile
 * and where they are stored. */
void caq_search_run(const caq_job *job, const caq_run *run, const caq_encoding *encoding,
                    const void *weight, void *scratch, uint8_t *scales, uint8_t *zero_points);

#endif
