/*
 * tile.h - the blocks that are worked on together, and what is known of each
 *
 * A tile goes through three steps: a kernel reduces its elements to statistics, find_scales() turns
 * those into scales and zero points, and a kernel encodes the elements with these.
 */
#ifndef TILE_H
#define TILE_H

#include "coreai_quant.h"

#define TILE_BLOCKS CAQ_TILE_BLOCKS
#define TILE_CODES 1024

typedef struct tile {
    union {
        int32_t absmax[TILE_BLOCKS]; /* bits of max |w| in binary32: they order like the numbers */
        struct {
            int32_t lo[TILE_BLOCKS]; /* min(0, min w) and max(0, max w) as sortable bits */
            int32_t hi[TILE_BLOCKS];
        } range;
    } found;
    float absmax[TILE_BLOCKS];     /* max |w| */
    float scale[TILE_BLOCKS];      /* the number that the stored scale stands for */
    float reciprocal[TILE_BLOCKS]; /* 1 / scale */
    float zero[TILE_BLOCKS];       /* asymmetric: the zero point as an unsigned code */
    uint8_t codes[TILE_CODES];     /* codes on their way to being packed */
} tile;

_Static_assert(sizeof(tile) == CAQ_SCRATCH_SIZE, "the header tells callers what a tile takes");

/* Q of the contract: the largest symmetric integer code. */
static inline int32_t symmetric_max(caq_format_info format) { return (1 << (format.bits - 1)) - 1; }

/* L of the contract: steps of the full integer range. */
static inline int32_t asymmetric_levels(caq_format_info format) { return (1 << format.bits) - 1; }

/* Stored asymmetric codes are above unsigned ones by this. */
static inline int32_t asymmetric_offset(caq_format_info format) {
    return format.is_signed ? -(1 << (format.bits - 1)) : 0;
}

/* The zero point of symmetric integers: INT is centred on 0, UINT is INT + Q. */
static inline int32_t symmetric_zero(caq_format_info format) {
    return format.is_signed ? 0 : symmetric_max(format);
}

#endif
