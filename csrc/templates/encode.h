/*
 * encode.h - the body of the encoders
 *
 * Included by source_type.h once for each kind of code, with CODE its name in to_codes.h: integer,
 * wide or float.
 */
#define ENCODER(name) PASTE_3(name, CODE, SOURCE)

/* The codes of a vector of elements, which are made bytes when they are stored. */
TARGET static inline vi ENCODER(code)(const ELEMENT *p, vf reciprocal, vi zero,
                                      const caq_encoding *to) {
    return PASTE_2(code, CODE)(KERNEL(v_load)(p), reciprocal, zero, to);
}

/* Store the codes of a step, packed if the encoding says so. */
TARGET static inline void ENCODER(store_step)(uint8_t *p, const vi codes[VECTORS],
                                              const caq_encoding *to) {
    b_store_step(p, PASTE_2(bytes, CODE)(b_narrow(codes), to), to);
}

/* Store the codes of a vector, one per byte. */
TARGET static inline void ENCODER(store)(uint8_t *p, vi codes, const caq_encoding *to) {
    b_store_vector(p, PASTE_2(bytes, CODE)(b_narrow_vector(codes), to));
}

/* Encode count elements, which do not fill a vector. */
TARGET static inline void ENCODER(few)(const ELEMENT *p, size_t count, vf reciprocal, vi zero,
                                       const caq_encoding *to, uint8_t *codes) {
    ELEMENT padded[LANES];
    uint8_t all[LANES];
    KERNEL(pad)(padded, LANES, p, count);
    ENCODER(store)(all, ENCODER(code)(padded, reciprocal, zero, to), to);
    for (size_t i = 0; i < count; i++)
        codes[i] = all[i];
}

/* Encode the elements from i on, which do not fill a step. Each has parameters of its own. */
TARGET static inline void ENCODER(rest)(const ELEMENT *p, size_t i, size_t count,
                                        const float *reciprocal, const int32_t *zero,
                                        const caq_encoding *to, uint8_t *codes) {
    while (i < count && count >= LANES) {
        i = i + LANES <= count ? i : count - LANES;
        vi code =
            ENCODER(code)(p + i, KERNEL(load_parameters)(reciprocal + i), v_load_i(zero + i), to);
        ENCODER(store)(codes + i, code, to);
        i += LANES;
    }
    for (; i < count; i++)
        ENCODER(few)(p + i, 1, v_set_f(reciprocal[i]), v_set_i(zero[i]), to, codes + i);
}

/* Encode rows of columns, each of which has parameters of its own. */
TARGET INLINE void ENCODER(columns)(const ELEMENT *p, size_t rows, size_t stride, size_t count,
                                    const float *reciprocal, const int32_t *zero,
                                    const caq_encoding *to, uint8_t *codes, size_t code_stride) {
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        vf r[VECTORS];
        vi z[VECTORS];
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            r[v] = KERNEL(load_parameters)(reciprocal + i + v * LANES);
            z[v] = v_load_i(zero + i + v * LANES);
        }
        for (size_t row = 0; row < rows; row++) {
            const ELEMENT *from = p + row * stride + i;
            vi all[VECTORS];
            KERNEL(prefetch)(from, STEP, to->ahead);
            UNROLL for (size_t v = 0; v < VECTORS; v++) all[v] =
                ENCODER(code)(from + v * LANES, r[v], z[v], to);
            ENCODER(store_step)(codes + row * code_stride + (i >> to->halvings), all, to);
        }
    }
    for (size_t row = 0; LANES > 1 && row < rows; row++)
        ENCODER(rest)(p + row * stride, i, count, reciprocal, zero, to, codes + row * code_stride);
}

/* Encode a block, whose elements share parameters. From p on, room elements can be read and will
 * have codes. */
TARGET static inline void ENCODER(block)(const ELEMENT *p, size_t length, size_t room,
                                         vf reciprocal, vi zero, const caq_encoding *to,
                                         uint8_t *codes) {
    size_t i = 0;
    for (; i + STEP <= length; i += STEP) {
        vi all[VECTORS];
        KERNEL(prefetch)(p + i, STEP, to->ahead);
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            all[v] = ENCODER(code)(p + i + v * LANES, reciprocal, zero, to);
        }
        ENCODER(store_step)(codes + (i >> to->halvings), all, to);
    }
    for (; LANES > 1 && i < length && i + LANES <= room; i += LANES)
        ENCODER(store)(codes + i, ENCODER(code)(p + i, reciprocal, zero, to), to);
    if (LANES > 1 && i < length)
        ENCODER(few)(p + i, length - i, reciprocal, zero, to, codes + i);
}

/* Encode a group of blocks. This is inlined, and so is the loop around it: then the length is a
 * constant, and the constants of the encoding stay in registers from group to group. */
TARGET INLINE void ENCODER(group)(const ELEMENT *p, size_t length, const float *reciprocal,
                                  const int32_t *zero, const caq_encoding *to, uint8_t *codes) {
    for (size_t i = 0; i < GROUP; i += STEP) {
        vi all[VECTORS];
        KERNEL(prefetch)(p + i, STEP, to->ahead);
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            size_t at = i + v * LANES, block = at / length;
            all[v] = ENCODER(code)(p + at, v_set_f(reciprocal[block]), v_set_i(zero[block]), to);
        }
        ENCODER(store_step)(codes + (i >> to->halvings), all, to);
    }
}

/* Encode whole groups, and return how many blocks they were. */
TARGET INLINE size_t ENCODER(groups)(const ELEMENT *p, size_t blocks, size_t length,
                                     const float *reciprocal, const int32_t *zero,
                                     const caq_encoding *to, uint8_t *codes) {
    size_t block = 0;
    for (; block + GROUP / length <= blocks; block += GROUP / length)
        ENCODER(group)(p + block * length, length, reciprocal + block, zero + block, to,
                       codes + (block * length >> to->halvings));
    return block;
}

/* Encode a row. */
TARGET static inline void ENCODER(row)(const ELEMENT *p, size_t blocks, size_t length,
                                       const float *reciprocal, const int32_t *zero,
                                       const caq_encoding *to, uint8_t *codes) {
    size_t block = 0;
    /* With one lane too: that saves 5 % of instructions on Cortex-M. */
    if (length == USUAL_LENGTH)
        block = ENCODER(groups)(p, blocks, USUAL_LENGTH, reciprocal, zero, to, codes);
    if (LANES > 1 && length == SHORT_LENGTH)
        block = ENCODER(groups)(p, blocks, SHORT_LENGTH, reciprocal, zero, to, codes);
    for (; block < blocks; block++)
        ENCODER(block)(p + block * length, length, (blocks - block) * length,
                       v_set_f(reciprocal[block]), v_set_i(zero[block]), to,
                       codes + (block * length >> to->halvings));
}

/* The kernels `encode_integer`, `encode_wide` and `encode_float`. */
TARGET static void ENCODER(encode)(const void *source, size_t rows, size_t stride, size_t blocks,
                                   size_t length, const float *reciprocal, const int32_t *zero,
                                   const caq_encoding *encoding, uint8_t *codes,
                                   size_t code_stride) {
    const caq_encoding to =
        *encoding; /* a copy, so that the compiler sees that storing codes does not change it */
    const ELEMENT *p = (const ELEMENT *)source;
    for (; LANES > 1 && length == 1 && rows >= ROWS_TOGETHER; rows -= ROWS_TOGETHER) {
        ENCODER(columns)(p, ROWS_TOGETHER, stride, blocks, reciprocal, zero, &to, codes,
                         code_stride);
        p += ROWS_TOGETHER * stride;
        codes += ROWS_TOGETHER * code_stride;
    }
    for (; rows; rows--, p += stride, codes += code_stride) {
        if (length == 1)
            ENCODER(columns)(p, 1, 0, blocks, reciprocal, zero, &to, codes, 0);
        else
            ENCODER(row)(p, blocks, length, reciprocal, zero, &to, codes);
    }
}

#undef ENCODER
#undef CODE
