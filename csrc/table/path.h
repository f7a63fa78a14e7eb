/*
 * path.h - the best boundaries between clusters of sorted points
 */
#ifndef PATH_H
#define PATH_H

#include "../kernels/kernels.h"
#include "edges.h"

#if CAQ_WITH_TABLES

/* A point's mass and moment: a count of weights and the sum of their integers, or with importances
 * both weighted by these. Later, the sums of both over all points before it. */
typedef union caq_point {
    struct {
        int64_t count, sum;
    } of;
    struct {
        double mass, moment;
    } weighed, before;
} caq_point;

/* The constants of reference/tables.py. */
#define MOST_POINTS 65535
#define FINE_EDGES_PER_ENTRY 512
#define MOST_EDGES 32768
#define EDGES_PER_ENTRY 8
#define GUESSES 8
#define REFINEMENT 4
#define CANDIDATES 16
#define MOST_ROUNDS 64

/* Bytes of scratch for so many points and clusters, a multiple of 8. */
size_t caq_path_scratch_size(size_t points, size_t clusters);

/*
 * Find the first points of all clusters but the first.
 *
 * points: sums before each of count points, and of all.
 * clusters: 2 or more, fewer than there are points.
 * path: clusters - 1 numbers, ascending.
 * scratch: caq_path_scratch_size() bytes, aligned to 8.
 */
void caq_best_path(const caq_kernels *kernels, const caq_point *points, size_t count,
                   size_t clusters, uint32_t *path, void *scratch);

#endif
#endif
