/*
 * table.h - look-up tables: what is written once per instruction set
 *
 * The way from a weight to its table is described in reference/tables.py.
 */
#ifndef TABLE_H
#define TABLE_H

#include "../coreai_quant.h"

/* Indices of tables with no more entries are found in registers. */
#define FEW_ENTRIES 16

/* Ends that are settled together. */
#define STRIDE 8

/* Where clusters may begin: what lies before each edge. Arrays go on for STRIDE numbers of any value. */
typedef struct edges {
    const double *masses, *moments;
    size_t end; /* the last edge */
} edges;

/* What the points from one edge to another gain as one cluster. */
static inline double gain_between(const edges *among, size_t first, size_t end) {
    double moment = among->moments[end] - among->moments[first];
    return moment * moment / (among->masses[end] - among->masses[first]);
}

typedef struct caq_table_kernels {
    /* Of the last clusters that begin at low .. high and end at `end`, the first of those with the largest
     * gain, which is before[i] with what the cluster gains. Returns its edge. */
    size_t (*best_last)(const edges *among, const double *before, size_t low, size_t high,
                        size_t end, double *gain);
    /* The same for each of STRIDE ends from `end` on, which may be the edge `low` or later ones; none of
     * their last clusters begins before low, behind high, or at its end. */
    void (*best_lasts)(const edges *among, const double *before, size_t low, size_t high,
                       size_t end, double gains[STRIDE], uint32_t lasts[STRIDE]);
    /* How many of the bounds, ascending, each weight is above. There are FEW_ENTRIES - 1; bounds that do
     * not count are infinities. By type of the weight. */
    void (*indices[CAQ_SOURCES])(const void *weight, size_t count, const float *bounds,
                                 uint8_t *codes);
} caq_table_kernels;

extern const caq_table_kernels caq_portable_table_kernels;
extern const caq_table_kernels caq_avx2_table_kernels;
extern const caq_table_kernels caq_avx512_table_kernels;

#endif
