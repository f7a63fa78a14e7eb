/*
 * direct.h - what kernels of several lanes take at once: packed codes, and rows of columns
 */
#ifndef DIRECT_H
#define DIRECT_H

#include "geometry.h"
#include "kernels/kernels.h"

/* Bytes that a near cache holds, at least, on processors with vectors. */
#define NEAR_CACHE 0x100000

/* Bytes of a line of such a cache. */
#define CACHE_LINE 64

/* Whether output of so many bytes is written past the caches: if it is too much to stay there. */
static inline uint8_t caq_goes_past(const caq_kernels *kernels, size_t bytes) {
    return HAS_VECTORS && kernels->publish && bytes > NEAR_CACHE;
}

/* How many of these blocks a kernel can take packed, in memory where their codes belong: as many as
 * begin at a byte and are whole steps. With 8 bits, all of them. */
static inline size_t caq_count_direct(const caq_job *job, unsigned bits, size_t step, size_t rows,
                                      size_t blocks, size_t length, size_t element) {
    if (bits == 8)
        return blocks;
    if (!HAS_VECTORS || !step || (element | (rows > 1 ? job->row : 0)) % (8 / bits))
        return 0;
    if (length == 1)
        return blocks / step * step;
    if (length == USUAL_LENGTH || length == SHORT_LENGTH)
        return blocks - blocks % (GROUP / length);
    return length % step ? 0 : blocks;
}

/* How many rows from this one on the kernels take together: ROWS_TOGETHER or 1. */
static inline size_t caq_count_together(const caq_job *job, size_t step, size_t length,
                                        size_t row) {
    size_t in_order = caq_rows_in_order(job);
    int are_columns = HAS_VECTORS && step && length == 1;
    return are_columns && in_order - row % in_order >= ROWS_TOGETHER ? ROWS_TOGETHER : 1;
}

#endif
