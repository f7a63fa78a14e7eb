/*
 * edges.h - where clusters may begin and end
 */
#ifndef EDGES_H
#define EDGES_H

#include "../config.h"

#include <stddef.h>

#if CAQ_WITH_TABLES

/* What lies before each edge. Arrays go on behind the last edge for CAQ_ENDS numbers of any value. */
typedef struct caq_edges {
    const double *masses, *moments;
    size_t end; /* the last edge */
} caq_edges;

/* What the points between two edges gain as one cluster. */
static inline double caq_gain_between(const caq_edges *edges, size_t first, size_t end) {
    double moment = edges->moments[end] - edges->moments[first];
    return moment * moment / (edges->masses[end] - edges->masses[first]);
}

#endif
#endif
