/*
 * parameters.h - turn stored scales and zero points into numbers
 */
#ifndef PARAMETERS_H
#define PARAMETERS_H

#include "geometry.h"

/* Load the scales of a piece's blocks as binary32. */
void caq_load_scales(const caq_job *job, const uint8_t *scales, caq_piece piece, float *to);

/* Load what encoders need of a piece's blocks into the tile: scales, their reciprocals, and zero
 * points. */
void caq_load_parameters(const caq_job *job, const caq_piece *piece, const uint8_t *scales,
                         const uint8_t *zero_points, caq_tile *tile);

#endif
