/*
 * points.h - from the weights of a group to sorted points
 */
#ifndef POINTS_H
#define POINTS_H

#include "path.h"

#if CAQ_WITH_TABLES

/* Float32 weights of larger groups are told apart by their first 16 digits only. */
#define FEW (1 << 20)

/* The most points that a group of so many weights can have, and the bytes of scratch that it needs
 * without and with importances, a multiple of 8. */
size_t caq_most_points(caq_source source, size_t weights);
size_t caq_points_scratch_size(caq_source source, size_t weights, int weighed);

/* Where a group's weights are, in C order: runs of so many, which start stride weights apart. */
typedef struct caq_members {
    const uint8_t *weight; /* the first */
    size_t runs, run, stride;
    size_t first; /* which element of the tensor it is */
} caq_members;

/* What the points of a group are, in units of 2^-shift. */
typedef struct caq_group {
    size_t count;      /* of points */
    int shift;         /* weights become integers when they are multiplied by 2^shift */
    double center;     /* what has been taken off these */
    caq_point *points; /* sums before each, and of all */
} caq_group;

/*
 * Sort and sum up the weights of a group.
 *
 * scratch: caq_points_scratch_size() bytes, aligned to 8; points are in it.
 *
 * Returns CAQ_OK or CAQ_NOT_FINITE.
 */
caq_status caq_find_points(caq_source source, const caq_members *of, caq_group *to, void *scratch);

/* Sort and sum up the weights of a group by importance: see caq_table_set_importance(). The
 * importances of the group may all be zero. */
caq_status caq_weigh_points(const caq_table_job *job, const caq_members *of, caq_group *to,
                            void *scratch);

#endif
#endif
