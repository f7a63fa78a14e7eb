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

#include "../kernels/kernels.h"
#include "../geometry.h"

/* Elements of a lane in a panel, even. Sums over so many fit into 32 bits. */
#define PANEL_DEPTH 128

/* The scales that are tried for an integer format, see reference/mse.py. */
typedef struct caq_grid {
    int32_t unit, first, dense, growth, reach, last;
} caq_grid;

static inline caq_grid integer_grid(unsigned bits) {
    const caq_grid of_2_bits = {1 << 11, 16, 16, 2, 32, 2048};
    const caq_grid of_4_bits = {1 << 13, 22, 40, 3, 32, 1024};
    const caq_grid of_8_bits = {1 << 13, 424, 516, 5, 512, 8192};
    return bits == 2 ? of_2_bits : bits == 4 ? of_4_bits : of_8_bits;
}

static inline int32_t next_step(caq_grid grid, int32_t step) {
    return step + (step < grid.dense ? 1 : step >> grid.growth);
}

/* FP8: sums of products of a panel, 128 · 2^12 · 3584, fit into 32 bits. */
#define FLOAT_UNIT 4096
#define FLOAT_STEPS 64

/* In what part of the extent errors count. */
static inline float error_unit(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    return format.mantissa && format.bits == 8 ? 0x1p16f : 0x1p14f;
}

/* In what parts of 1 importances count, see reference/mse.py. Sums of terms with codes of 2 and 4 bits
 * fit into 32 bits: 2^7 · 2^14 · 15 of products, 2^7 · 2^11 · 15^2 of squares. Terms with codes of 8 bits
 * are at most 2^30, of products 2^8 · 2^14 · 255 and 2^6 · 4096 · 3584, of squares 2^14 · 255^2 and
 * 2^6 · 3584^2, and are summed up in halves. */
#define IMPORTANCE_UNIT 2048.0f
#define INTEGER_PRODUCT_UNIT 256.0f
#define INTEGER_SQUARE_UNIT 16384.0f
#define FLOAT_PRODUCT_UNIT 64.0f
#define FLOAT_SQUARE_UNIT 64.0f

/* What sums of products x * code and of squares code * code count in. */
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

typedef struct caq_search_space {
    caq_search search;
    int is_shallow; /* the panel holds all of the blocks, each in a lane: scores need no sums */
    int is_fresh;   /* the panel has been filled anew */
    size_t depth;   /* elements of a lane in the panel, even */
    float weights[PANEL_DEPTH * CAQ_LANES];
    float run[PANEL_DEPTH * CAQ_LANES]; /* weights block by block, before they take their lanes */
    int32_t x[PANEL_DEPTH * CAQ_LANES]; /* weights as integers, those of integer formats in pairs */
    /* with importances these, from the second on divided by the largest of the lane's block: of 2 and 4
     * bits pairs of integers, of 8 bits the bits of floats */
    float importance[PANEL_DEPTH * CAQ_LANES];
    int32_t h[PANEL_DEPTH * CAQ_LANES];  /* in square_unit() */
    int32_t hx[PANEL_DEPTH * CAQ_LANES]; /* h * x, in product_unit() */
    int64_t a[CAQ_CANDIDATES][CAQ_LANES], b[CAQ_CANDIDATES][CAQ_LANES];
} caq_search_space;

/* How scratch is used. */
typedef struct caq_mse_scratch {
    caq_tile tile;
    caq_search_space space;
} caq_mse_scratch;

STATIC_ASSERT(sizeof(caq_mse_scratch) <= CAQ_MSE_SCRATCH_SIZE,
              "the header tells callers what a search takes");

/* Replace the scales and zero points of a run where better ones are found. */
void caq_search_run(const caq_job *job, const caq_run *run, const caq_encoding *encoding,
                    const void *weight, void *scratch, uint8_t *scales, uint8_t *zero_points);

#endif
