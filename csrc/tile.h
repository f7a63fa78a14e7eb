/*
 * tile.h - what is known of the blocks that are worked on together
 *
 * Blocks are processed in tiles. A tile is as many blocks as the caller's scratch holds parameters
 * for. It goes through three steps: a kernel reduces its elements to statistics, find_scales()
 * turns those into scales and zero points, and a kernel encodes the elements with these.
 */
#ifndef TILE_H
#define TILE_H

#include "config.h"
#include "coreai_quant.h"

#define TILE_CODES 1024

typedef struct caq_tile {
    int32_t above[CAQ_TILE_BLOCKS]; /* symmetric: bits of max |w|; asymmetric: of max(0, max w) */
    int32_t below[CAQ_TILE_BLOCKS]; /* asymmetric: bits of max(0, max -w) */
    float absmax[CAQ_TILE_BLOCKS];  /* max |w| */
    float scale[CAQ_TILE_BLOCKS];   /* the number that the stored scale stands for */
    float reciprocal[CAQ_TILE_BLOCKS]; /* 1 / scale */
    int32_t zero[CAQ_TILE_BLOCKS]; /* integers: the zero point as an unsigned code, see codes.h */
    uint8_t codes[TILE_CODES];     /* codes on their way to being packed */
} caq_tile;

STATIC_ASSERT(sizeof(caq_tile) == CAQ_SCRATCH_SIZE, "the header tells callers what a tile takes");

#endif
