/*
 * reduce_template.h - the body of the reductions
 *
 * Included by kernels_template.h once for each kind of statistics, with REDUCE the kernel's name, SIDES
 * how many statistics a block has, and REDUCE's `_side` the function from bits to a side's numbers. A
 * statistic is the largest of its numbers, or 0.
 */
#define PART(op) KERNEL(CONCAT(REDUCE, op))

TARGET static inline void PART(_take)(vi bits, vi found[SIDES]) {
    for (size_t k = 0; k < SIDES; k++)
        found[k] = KERNEL(larger)(found[k], PART(_side)(bits, k));
}

/* Take in a vector's elements from each row. */
TARGET static inline void PART(_rows)(const ELEMENT *p, size_t rows, size_t stride,
                                      vi found[SIDES]) {
    UNROLL for (size_t row = 0; row < rows; row++)
        PART(_take)(KERNEL(load_bits)(p + row * stride), found);
}

/* Raise the statistics of a vector's columns. */
TARGET static inline void PART(_raise)(int32_t *stats, vi found) {
    if (WIDTH == LANES) {
        VECTOR(store_i)(stats, VECTOR(max)(VECTOR(load_i)(stats), found));
        return;
    }
    vf columns[2], even = VECTOR(from_bits)(VECTOR(shift_up)(found, 16));
    vf odd = VECTOR(from_bits)(VECTOR(and)(found, VECTOR(set_i)(INT32_MIN / 0x8000)));
    VECTOR(interleave)(even, odd, columns);
    for (size_t half = 0; half < 2; half++, stats += LANES)
        VECTOR(store_i)(stats, VECTOR(max)(VECTOR(load_i)(stats), VECTOR(bits)(columns[half])));
}

/* As many columns as a vector has elements. */
TARGET static inline void PART(_vector)(const ELEMENT *p, size_t rows, size_t stride, size_t first,
                                        size_t ahead, int32_t *const stats[SIDES]) {
    vi found[SIDES];
    for (size_t k = 0; k < SIDES; k++)
        found[k] = VECTOR(set_i)(0);
    KERNEL(prefetch_rows)(p + first, rows, stride, ahead);
    PART(_rows)(p + first, rows, stride, found);
    for (size_t k = 0; k < SIDES; k++)
        PART(_raise)(stats[k] + first, found[k]);
}

/* Fewer. */
TARGET static inline void PART(_few)(const ELEMENT *p, size_t rows, size_t stride, size_t count,
                                     int32_t *const stats[SIDES]) {
    ELEMENT padded[WIDTH];
    int32_t raised[SIDES][WIDTH] = {{0}};
    for (size_t row = 0; row < rows; row++) {
        vi found[SIDES];
        for (size_t k = 0; k < SIDES; k++)
            found[k] = VECTOR(set_i)(0);
        KERNEL(pad)(padded, WIDTH, p + row * stride, count);
        PART(_rows)(padded, 1, 0, found);
        for (size_t k = 0; k < SIDES; k++)
            PART(_raise)(raised[k], found[k]);
    }
    for (size_t k = 0; k < SIDES; k++)
        for (size_t i = 0; i < WIDTH && i < count; i++)
            stats[k][i] = stats[k][i] > raised[k][i] ? stats[k][i] : raised[k][i];
}

/* Blocks of one element: every column has statistics of its own. */
TARGET static inline void PART(_columns)(const ELEMENT *p, size_t rows, size_t stride, size_t count,
                                         size_t ahead, int32_t *const stats[SIDES]) {
    if (count < WIDTH) {
        PART(_few)(p, rows, stride, count, stats);
        return;
    }
    for (size_t i = 0; i + WIDTH <= count; i += WIDTH)
        PART(_vector)(p, rows, stride, i, ahead, stats);
    if (count % WIDTH)
        PART(_vector)(p, rows, stride, count - WIDTH, ahead, stats);
}

/* The statistics of each lane over a block. From p on, room elements can be read; rest is where the last
 * vector has elements of the block. */
TARGET static inline void PART(_block)(const ELEMENT *p, size_t length, size_t room, vi rest,
                                       size_t ahead, vi found[SIDES]) {
    for (size_t k = 0; k < SIDES; k++)
        found[k] = VECTOR(set_i)(0);
    size_t i = 0;
    for (; i + USUAL_LENGTH <= length; i += USUAL_LENGTH) {
        KERNEL(prefetch)(p + i, USUAL_LENGTH, ahead);
        PART(_rows)(p + i, USUAL_LENGTH / WIDTH, WIDTH, found);
    }
    for (; i + WIDTH <= length; i += WIDTH)
        PART(_rows)(p + i, 1, 0, found);
    if (i < length && i + WIDTH <= room) {
        PART(_take)(VECTOR(and)(KERNEL(load_bits)(p + i), rest), found);
    } else if (i < length) {
        ELEMENT padded[WIDTH];
        KERNEL(pad)(padded, WIDTH, p + i, length - i);
        PART(_rows)(padded, 1, 0, found);
    }
}

/* Four blocks are taken together, because four vectors are reduced to four numbers in little more time
 * than one vector to one. */
TARGET INLINE void PART(_blocks)(const ELEMENT *p, size_t blocks, size_t length, size_t ahead,
                                 int32_t *const stats[SIDES]) {
    const vi rest = KERNEL(first_elements)(length % WIDTH);
    size_t block = 0, room = blocks * length;
    for (; block + 4 <= blocks; block += 4) {
        vi found[SIDES], four[SIDES][4];
        UNROLL for (size_t b = 0; b < 4; b++, p += length, room -= length) {
            PART(_block)(p, length, room, rest, ahead, found);
            for (size_t k = 0; k < SIDES; k++)
                four[k][b] = found[k];
        }
        for (size_t k = 0; k < SIDES; k++)
            KERNEL(raise_4)(stats[k] + block, four[k]);
    }
    for (; block < blocks; block++, p += length, room -= length) {
        vi found[SIDES];
        PART(_block)(p, length, room, rest, ahead, found);
        for (size_t k = 0; k < SIDES; k++) {
            int32_t most = VECTOR(largest)(KERNEL(larger_half)(found[k]));
            stats[k][block] = stats[k][block] > most ? stats[k][block] : most;
        }
    }
}

/* Columns are taken some rows at a time, so that statistics are loaded and stored once for all. Blocks of
 * the usual lengths get copies of the loop in which that is a constant. */
TARGET static void KERNEL(REDUCE)(const void *source, size_t rows, size_t stride, size_t blocks,
                                  size_t length, size_t ahead, int32_t *above, int32_t *below) {
    int32_t *const stats[] = {above, below};
    const ELEMENT *p = source;
    for (; LANES > 1 && length == 1 && rows >= ROWS_TOGETHER;
         rows -= ROWS_TOGETHER, p += ROWS_TOGETHER * stride)
        PART(_columns)(p, ROWS_TOGETHER, stride, blocks, ahead, stats);
    for (; rows; rows--, p += stride) {
        if (length == 1)
            PART(_columns)(p, 1, stride, blocks, ahead, stats);
        else if (length == USUAL_LENGTH)
            PART(_blocks)(p, blocks, USUAL_LENGTH, ahead, stats);
        else if (LANES > 1 && length == SHORT_LENGTH)
            PART(_blocks)(p, blocks, SHORT_LENGTH, ahead, stats);
        else
            PART(_blocks)(p, blocks, length, ahead, stats);
    }
}

#undef PART
#undef REDUCE
#undef SIDES
