/*
 * parameters.c - turn stored scales and zero points into numbers
 */
#include "parameters.h"
#include "codes.h"
#include "float_bits.h"
#include "kernels/kernels.h"

/* Turn E8M0 into binary32: a byte stands for 2^(byte - 127), which is subnormal for 0, and 255 for
 * NaN. */
static void widen_e8m0(const uint8_t *stored, size_t count, float *to) {
    for (size_t i = 0; i < count; i++) {
        uint32_t exponent = (uint32_t)stored[i] << 23;
        uint32_t bits = select_bits(stored[i] == 0, 0x400000, exponent);
        to[i] = float_from_bits(select_bits(stored[i] == 255, 0x7FC00000, bits));
    }
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
    for (size_t i = 0; i < piece->blocks; i++) {
        uint8_t stored = zero_points[piece->block + i];
        tile->zero[i] = (format.is_signed ? (int8_t)stored : stored) - integer_offset(job);
    }
}
