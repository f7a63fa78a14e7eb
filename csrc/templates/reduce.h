/*
 * reduce.h - the body of the reductions
 *
 * Included by source_type.h once for each kind of statistics, with REDUCE its name, absmax or
 * range, and SIDES how many statistics a block has. A statistic is the largest of the numbers that
 * side_absmax() or side_range() makes of the elements' bits, or 0.
 */
#define REDUCER(name) PASTE_3(name, REDUCE, SOURCE)

/* Take in the bits of a vector. */
TARGET static inline void REDUCER(take)(vi bits, vi found[SIDES]) {
    for (size_t k = 0; k < SIDES; k++)
        found[k] = KERNEL(larger)(found[k], REDUCER(side)(bits, k));
}

/* Take in WIDTH elements of each row. */
TARGET static inline void REDUCER(rows)(const ELEMENT *p, size_t rows, size_t stride,
                                        vi found[SIDES]) {
    UNROLL for (size_t row = 0; row < rows; row++)
        REDUCER(take)(KERNEL(load_bits)(p + row * stride), found);
}

/* Raise the statistics of WIDTH columns. */
TARGET static inline void REDUCER(raise)(int32_t *stats, vi found) {
    if (WIDTH == LANES) {
        v_store_i(stats, v_max(v_load_i(stats), found));
        return;
    }
    vf columns[2], even = v_from_bits(v_shift_up(found, 16));
    vf odd = v_from_bits(v_and(found, v_set_i(INT32_MIN / 0x8000)));
    v_interleave(even, odd, columns);
    for (size_t half = 0; half < 2; half++, stats += LANES)
        v_store_i(stats, v_max(v_load_i(stats), v_bits(columns[half])));
}

/* Reduce rows of WIDTH columns. */
TARGET static inline void REDUCER(vector)(const ELEMENT *p, size_t rows, size_t stride,
                                          size_t first, size_t ahead, int32_t *const stats[SIDES]) {
    vi found[SIDES];
    for (size_t k = 0; k < SIDES; k++)
        found[k] = v_set_i(0);
    KERNEL(prefetch_rows)(p + first, rows, stride, ahead);
    REDUCER(rows)(p + first, rows, stride, found);
    for (size_t k = 0; k < SIDES; k++)
        REDUCER(raise)(stats[k] + first, found[k]);
}

/* Reduce rows of count columns, which are less than WIDTH. */
TARGET static inline void REDUCER(few)(const ELEMENT *p, size_t rows, size_t stride, size_t count,
                                       int32_t *const stats[SIDES]) {
    ELEMENT padded[WIDTH];
    int32_t raised[SIDES][WIDTH] = {{0}};
    for (size_t row = 0; row < rows; row++) {
        vi found[SIDES];
        for (size_t k = 0; k < SIDES; k++)
            found[k] = v_set_i(0);
        KERNEL(pad)(padded, WIDTH, p + row * stride, count);
        REDUCER(rows)(padded, 1, 0, found);
        for (size_t k = 0; k < SIDES; k++)
            REDUCER(raise)(raised[k], found[k]);
    }
    for (size_t k = 0; k < SIDES; k++)
        for (size_t i = 0; i < WIDTH && i < count; i++)
            stats[k][i] = stats[k][i] > raised[k][i] ? stats[k][i] : raised[k][i];
}

/* Reduce rows of columns, each of which has statistics of its own. */
TARGET static inline void REDUCER(columns)(const ELEMENT *p, size_t rows, size_t stride,
                                           size_t count, size_t ahead,
                                           int32_t *const stats[SIDES]) {
    if (LANES > 1 && count < WIDTH) {
        REDUCER(few)(p, rows, stride, count, stats);
        return;
    }
    for (size_t i = 0; i + WIDTH <= count; i += WIDTH)
        REDUCER(vector)(p, rows, stride, i, ahead, stats);
    if (LANES > 1 && count % WIDTH)
        REDUCER(vector)(p, rows, stride, count - WIDTH, ahead, stats);
}

/* Find the statistics of a block, lane by lane. From p on, room elements can be read. `rest` is a
 * mask of the last vector's elements that are the block's. */
TARGET static inline void REDUCER(block)(const ELEMENT *p, size_t length, size_t room, vi rest,
                                         size_t ahead, vi found[SIDES]) {
    for (size_t k = 0; k < SIDES; k++)
        found[k] = v_set_i(0);
    size_t i = 0;
    for (; i + USUAL_LENGTH <= length; i += USUAL_LENGTH) {
        KERNEL(prefetch)(p + i, USUAL_LENGTH, ahead);
        REDUCER(rows)(p + i, USUAL_LENGTH / WIDTH, WIDTH, found);
    }
    for (; i + WIDTH <= length; i += WIDTH)
        REDUCER(rows)(p + i, 1, 0, found);
    if (LANES > 1 && i < length && i + WIDTH <= room) {
        REDUCER(take)(v_and(KERNEL(load_bits)(p + i), rest), found);
    } else if (LANES > 1 && i < length) {
        ELEMENT padded[WIDTH];
        KERNEL(pad)(padded, WIDTH, p + i, length - i);
        REDUCER(rows)(padded, 1, 0, found);
    }
}

/* Reduce the blocks of a row. Four are taken together, because four vectors are reduced to four
 * numbers in little more time than one vector is to one. */
TARGET INLINE void REDUCER(blocks)(const ELEMENT *p, size_t blocks, size_t length, size_t ahead,
                                   int32_t *const stats[SIDES]) {
    const vi rest = KERNEL(first_elements)(length % WIDTH);
    size_t block = 0, room = blocks * length;
    for (; LANES > 1 && block + 4 <= blocks; block += 4) {
        vi found[SIDES], four[SIDES][4];
        UNROLL for (size_t b = 0; b < 4; b++, p += length, room -= length) {
            REDUCER(block)(p, length, room, rest, ahead, found);
            for (size_t k = 0; k < SIDES; k++)
                four[k][b] = found[k];
        }
        for (size_t k = 0; k < SIDES; k++)
            KERNEL(raise_4)(stats[k] + block, four[k]);
    }
    for (; block < blocks; block++, p += length, room -= length) {
        vi found[SIDES];
        REDUCER(block)(p, length, room, rest, ahead, found);
        for (size_t k = 0; k < SIDES; k++) {
            int32_t most = v_largest(KERNEL(larger_half)(found[k]));
            stats[k][block] = stats[k][block] > most ? stats[k][block] : most;
        }
    }
}

/* The kernels `absmax` and `range`. Columns are taken some rows at a time, so that their statistics
 * are loaded and stored once for all. Blocks of the usual lengths have loops in which the length is
 * a constant. */
TARGET static void REDUCER(reduce)(const void *source, size_t rows, size_t stride, size_t blocks,
                                   size_t length, size_t ahead, int32_t *above, int32_t *below) {
    int32_t *const stats[] = {above, below};
    const ELEMENT *p = (const ELEMENT *)source;
    for (; LANES > 1 && length == 1 && rows >= ROWS_TOGETHER;
         rows -= ROWS_TOGETHER, p += ROWS_TOGETHER * stride)
        REDUCER(columns)(p, ROWS_TOGETHER, stride, blocks, ahead, stats);
    for (; rows; rows--, p += stride) {
        if (length == 1)
            REDUCER(columns)(p, 1, stride, blocks, ahead, stats);
        else if (length == USUAL_LENGTH)
            REDUCER(blocks)(p, blocks, USUAL_LENGTH, ahead, stats);
        else if (LANES > 1 && length == SHORT_LENGTH)
            REDUCER(blocks)(p, blocks, SHORT_LENGTH, ahead, stats);
        else
            REDUCER(blocks)(p, blocks, length, ahead, stats);
    }
}

#undef REDUCER
#undef REDUCE
#undef SIDES
