/*
 * stream.c - quantize a tensor that comes in parts: measure all parts, find the scales, encode all
 * parts
 */
#include "encoder.h"
#include "parameters.h"

caq_status caq_measure(const caq_job *job, size_t first, size_t count, const void *weight,
                       int32_t *extents) {
    if (!has_elements(job, first, count))
        return CAQ_BAD_ARGUMENT;
    caq_reduce_fn reduce = caq_statistics_of(job);
    int32_t *above = extents, *below = extents + job->scale_count;
    const uint8_t *source = (const uint8_t *)weight;
    for (size_t done; count; first += done, count -= done) {
        caq_piece piece = caq_piece_at(job, first, count);
        reduce(source, 1, 0, piece.blocks, piece.length, FAR_PREFETCH, above + piece.block,
               below + piece.block);
        done = piece.blocks * piece.length;
        source = element_at(job, source, done);
    }
    return CAQ_OK;
}

caq_status caq_scale_blocks(const caq_job *job, const int32_t *extents, void *scales,
                            uint8_t *zero_points, void *scratch) {
    caq_tile *tile = (caq_tile *)scratch;
    const int32_t *above = extents, *below = extents + job->scale_count;
    uint8_t *to = (uint8_t *)scales;
    for (size_t block = 0; block < job->scale_count; block += CAQ_TILE_BLOCKS) {
        size_t blocks = smaller(job->scale_count - block, CAQ_TILE_BLOCKS);
        for (size_t i = 0; i < blocks; i++) {
            tile->above[i] = above[block + i];
            tile->below[i] = below[block + i];
        }
        caq_status status = job->kernels->find_scales(
            job, tile, blocks, to + block * job->scale_size, zero_points + block);
        if (status != CAQ_OK)
            return status;
    }
    return CAQ_OK;
}

caq_status caq_encode(const caq_job *job, size_t first, size_t count, const void *weight,
                      const void *scales, const uint8_t *zero_points, uint8_t *packed,
                      void *scratch) {
    if (!has_elements(job, first, count))
        return CAQ_BAD_ARGUMENT;
    caq_encoder with = caq_make_encoder(job, 1);
    caq_tile *tile = (caq_tile *)scratch;
    const uint8_t *source = (const uint8_t *)weight;
    for (size_t done; count; first += done, count -= done) {
        caq_piece piece = caq_piece_at(job, first, count);
        caq_load_parameters(job, &piece, (const uint8_t *)scales, zero_points, tile);
        caq_encode_run(&with, tile, 1, piece.blocks, piece.length, source, packed, first);
        done = piece.blocks * piece.length;
        source = element_at(job, source, done);
    }
    caq_publish(job);
    return CAQ_OK;
}
