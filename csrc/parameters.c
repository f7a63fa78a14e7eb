/*
 * parameters.c - turn stored scales and zero points into numbers
 */
#include "parameters.h"
#include "codes.h"
#include "float_bits.h"
#include "kernels/kernels.h"

/* Widen E8M0 scales. */
static void widen_e8m0(const uint8_t *stored, size_t count, float *to) {
    for (size_t i = 0; i < count; i++)
        to[i] = float_from_e8m0(stored[i]);
}

void caq_load_scales(const caq_job *job, const uint8_t *scales, caq_piece piece, float *to) {
    scales += piece.block * job->scale_size;
    if (is_e8m0(job))
        widen_e8m0(scales, piece.blocks, to);
    else
        job->kernels->widen(scales, piece.blocks, to);
}

void caq_load_parameters(const caq_job *job, const caq_piece *piece, const uint8_t *scales,
                         const uint8_t *zero_points, caq_tile *tile) {
    caq_format_info format = caq_describe_format(job->format);
    caq_load_scales(job, scales, *piece, tile->scale);
    for (size_t i = 0; i < piece->blocks; i++)
        tile->reciprocal[i] = 1.0f / tile->scale[i];
    int32_t offset = integer_offset(job);
    for (size_t i = 0; i < piece->blocks; i++)
        tile->zero[i] = unsigned_zero(zero_points[piece->block + i], format.is_signed, offset);
}
