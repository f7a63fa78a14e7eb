/*
 * edges.h - where clusters may begin and end
 */
#ifndef EDGES_H
#define EDGES_H

#include "../config.h"

#include <stddef.h>

#if CAQ_WITH_TABLES

/* Sums of the points before each edge. Behind the last edge stand CAQ_ENDS more numbers, of any
 * value, because kernels read so many at a time. */
typedef struct caq_edges {
    const double *masses, *moments;
    size_t end; /* the last edge */
} caq_edges;

/* The gain of the points between two edges as one cluster: the squared error that it saves. */
static inline double caq_gain_between(const caq_edges *edges, size_t first, size_t end) {
    double moment = edges->moments[end] - edges->moments[first];
    return moment * moment / (edges->masses[end] - edges->masses[first]);
}

#endif
#endif
