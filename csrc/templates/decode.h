/*
 * decode.h - the body of the decoders
 *
 * Included by source_type.h, here once per type to decode to.
 */

/* The numbers of a vector of codes. */
TARGET INLINE vf KERNEL(decoded)(const uint8_t *codes, vf scale, vi zero, const caq_decoding *from,
                                 int is_float) {
    if (is_float) {
        vf number = v_float_numbers(codes, from);
        return v_mul(scale, v_add(number, v_from_bits(zero)));
    }
    return v_mul(scale, v_integer_values(v_load_bytes(codes), zero, from));
}

/* Decode a vector. */
TARGET static inline void KERNEL(decode_vector)(const uint8_t *codes, vf scale, vi zero,
                                                const caq_decoding *from, int is_float, int stream,
                                                ELEMENT *to) {
    vf numbers = KERNEL(decoded)(codes, scale, zero, from, is_float);
    KERNEL(v_store)(to, numbers, stream);
}

/* Decode a step. Vectors are stored in pairs, which are whole vectors of 16-bit numbers. */
TARGET INLINE void KERNEL(decode_step)(const uint8_t *codes, const vf scale[VECTORS],
                                       const vi zero[VECTORS], const caq_decoding *from,
                                       int is_float, ELEMENT *to) {
#if LANES > 1
    UNROLL for (size_t v = 0; v < VECTORS; v += 2) {
        const uint8_t *second = codes + (v + 1) * LANES;
        vf a = KERNEL(decoded)(codes + v * LANES, scale[v], zero[v], from, is_float);
        vf b = KERNEL(decoded)(second, scale[v + 1], zero[v + 1], from, is_float);
        KERNEL(v_store_pair)(to + v * LANES, a, b, from->stream);
    }
#else
    KERNEL(decode_vector)(codes, scale[0], zero[0], from, is_float, 0, to);
#endif
}

/* Decode count elements, which do not fill a vector. */
TARGET static inline void KERNEL(decode_few)(const uint8_t *codes, size_t count, vf scale, vi zero,
                                             const caq_decoding *from, int is_float, ELEMENT *to) {
    uint8_t padded[LANES] = {0};
    ELEMENT all[LANES];
    for (size_t i = 0; i < count; i++)
        padded[i] = codes[i];
    KERNEL(decode_vector)(padded, scale, zero, from, is_float, 0, all);
    for (size_t i = 0; i < count; i++)
        KERNEL(put)(to + i, all[i]);
}

/* Decode the elements from i on, which do not fill a step. Each has parameters of its own. */
TARGET static inline void KERNEL(decode_rest)(const uint8_t *codes, size_t i, size_t count,
                                              const float *scale, const int32_t *zero,
                                              const caq_decoding *from, int is_float, ELEMENT *to) {
    for (; i + LANES <= count; i += LANES)
        KERNEL(decode_vector)(codes + i, KERNEL(load_parameters)(scale + i), v_load_i(zero + i),
                              from, is_float, from->stream, to + i);
    for (; LANES > 1 && i < count; i++)
        KERNEL(decode_few)(codes + i, 1, v_set_f(scale[i]), v_set_i(zero[i]), from, is_float,
                           to + i);
}

/* Decode rows of columns, each of which has parameters of its own. */
TARGET INLINE void KERNEL(decode_columns)(const uint8_t *codes, size_t rows, size_t code_stride,
                                          size_t count, const float *scale, const int32_t *zero,
                                          const caq_decoding *from, int is_float, ELEMENT *to,
                                          size_t stride) {
    uint8_t buffer[STEP];
    size_t i = 0;
    for (; LANES > 1 && i + STEP <= count; i += STEP) {
        vf s[VECTORS];
        vi z[VECTORS];
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            s[v] = KERNEL(load_parameters)(scale + i + v * LANES);
            z[v] = v_load_i(zero + i + v * LANES);
        }
        for (size_t row = 0; row < rows; row++) {
            const uint8_t *at = codes + row * code_stride + (i >> from->halvings);
            const uint8_t *bytes = v_step_codes(at, from->halvings, buffer);
            KERNEL(decode_step)(bytes, s, z, from, is_float, to + row * stride + i);
        }
    }
    for (size_t row = 0; row < rows; row++)
        KERNEL(decode_rest)(codes + row * code_stride, i, count, scale, zero, from, is_float,
                            to + row * stride);
}

#if LANES > 1
/* Make the table of what each of 16 codes decodes to in a block. */
TARGET static inline vt KERNEL(make_table)(vf scale, vi zero, const caq_decoding *from,
                                           int is_float) {
    static const uint8_t codes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ELEMENT table[16];
    UNROLL for (size_t v = 0; v < 16; v += LANES)
        KERNEL(decode_vector)(codes + v, scale, zero, from, is_float, 0, table + v);
    const void *halves = table;
    return v_load_table((const uint16_t *)halves);
}

/* Decode the whole steps of a block by looking numbers up; return how many elements they were. */
TARGET static inline size_t KERNEL(look_up_block)(const uint8_t *codes, size_t length, vf scale,
                                                  vi zero, const caq_decoding *from, int is_float,
                                                  ELEMENT *to) {
    uint8_t buffer[STEP];
    size_t i = 0;
    if (length < STEP)
        return 0;
    const vt table = KERNEL(make_table)(scale, zero, from, is_float);
    for (; i + STEP <= length; i += STEP) {
        const uint8_t *bytes = v_step_codes(codes + (i >> from->halvings), from->halvings, buffer);
        void *target = to + i;
        UNROLL for (size_t v = 0; v < STEP; v += WIDTH)
            v_look_up((uint16_t *)target + v, table, bytes + v, from->stream);
    }
    return i;
}

/* Decode a group of blocks of the usual length by looking numbers up. */
TARGET static inline void KERNEL(look_up_group)(const uint8_t *codes, const float *scale,
                                                const int32_t *zero, const caq_decoding *from,
                                                int is_float, ELEMENT *to) {
    uint8_t buffer[STEP];
    vt tables[GROUP / USUAL_LENGTH];
    UNROLL for (size_t block = 0; block < GROUP / USUAL_LENGTH; block++) tables[block] =
        KERNEL(make_table)(v_set_f(scale[block]), v_set_i(zero[block]), from, is_float);
    UNROLL for (size_t i = 0; i < GROUP; i += STEP) {
        const uint8_t *bytes = v_step_codes(codes + (i >> from->halvings), from->halvings, buffer);
        void *target = to + i;
        UNROLL for (size_t v = 0; v < STEP; v += WIDTH) v_look_up(
            (uint16_t *)target + v, tables[(i + v) / USUAL_LENGTH], bytes + v, from->stream);
    }
}
#endif

/* Decode a block, whose elements share parameters. */
TARGET INLINE void KERNEL(decode_block)(const uint8_t *codes, size_t length, vf scale, vi zero,
                                        const caq_decoding *from, int is_float, ELEMENT *to) {
    uint8_t buffer[STEP];
    size_t i = 0;
#if LANES > 1
    if (IS_HALF && from->is_short)
        i = KERNEL(look_up_block)(codes, length, scale, zero, from, is_float, to);
#endif
    vf s[VECTORS];
    vi z[VECTORS];
    UNROLL for (size_t v = 0; v < VECTORS; v++) {
        s[v] = scale;
        z[v] = zero;
    }
    for (; LANES > 1 && i + STEP <= length; i += STEP) {
        const uint8_t *bytes = v_step_codes(codes + (i >> from->halvings), from->halvings, buffer);
        KERNEL(decode_step)(bytes, s, z, from, is_float, to + i);
    }
    for (; i + LANES <= length; i += LANES)
        KERNEL(decode_vector)(codes + i, scale, zero, from, is_float, from->stream, to + i);
    if (LANES > 1 && i < length)
        KERNEL(decode_few)(codes + i, length - i, scale, zero, from, is_float, to + i);
}

/* Decode a group of blocks. */
TARGET INLINE void KERNEL(decode_group)(const uint8_t *codes, size_t length, const float *scale,
                                        const int32_t *zero, const caq_decoding *from, int is_float,
                                        ELEMENT *to) {
    uint8_t buffer[STEP];
#if LANES > 1
    /* Not for SHORT_LENGTH: a table takes as many numbers as such a block has. */
    if (IS_HALF && from->is_short && length == USUAL_LENGTH) {
        KERNEL(look_up_group)(codes, scale, zero, from, is_float, to);
        return;
    }
#endif
    for (size_t i = 0; i < GROUP; i += STEP) {
        const uint8_t *bytes = v_step_codes(codes + (i >> from->halvings), from->halvings, buffer);
        vf s[VECTORS];
        vi z[VECTORS];
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            size_t block = (i + v * LANES) / length;
            s[v] = v_set_f(scale[block]);
            z[v] = v_set_i(zero[block]);
        }
        KERNEL(decode_step)(bytes, s, z, from, is_float, to + i);
    }
}

/* Decode whole groups, and return how many blocks they were. */
TARGET INLINE size_t KERNEL(decode_groups)(const uint8_t *codes, size_t blocks, size_t length,
                                           const float *scale, const int32_t *zero,
                                           const caq_decoding *from, int is_float, ELEMENT *to) {
    size_t block = 0;
    for (; block + GROUP / length <= blocks; block += GROUP / length)
        KERNEL(decode_group)(codes + (block * length >> from->halvings), length, scale + block,
                             zero + block, from, is_float, to + block * length);
    return block;
}

/* Decode a row. */
TARGET INLINE void KERNEL(decode_row)(const uint8_t *codes, size_t blocks, size_t length,
                                      const float *scale, const int32_t *zero,
                                      const caq_decoding *from, int is_float, ELEMENT *to) {
    size_t block = 0;
    if (LANES > 1 && length == USUAL_LENGTH)
        block = KERNEL(decode_groups)(codes, blocks, USUAL_LENGTH, scale, zero, from, is_float, to);
    if (LANES > 1 && length == SHORT_LENGTH)
        block = KERNEL(decode_groups)(codes, blocks, SHORT_LENGTH, scale, zero, from, is_float, to);
    for (; block < blocks; block++)
        KERNEL(decode_block)(codes + (block * length >> from->halvings), length,
                             v_set_f(scale[block]), v_set_i(zero[block]), from, is_float,
                             to + block * length);
}

/* Decode all rows. is_float is a constant, so that each kind of codes has loops of its own. */
TARGET INLINE void KERNEL(decode_all)(const uint8_t *codes, size_t rows, size_t code_stride,
                                      size_t blocks, size_t length, const float *scale,
                                      const int32_t *zero, const caq_decoding *from, int is_float,
                                      ELEMENT *to, size_t stride) {
    if (length == 1)
        KERNEL(decode_columns)(codes, rows, code_stride, blocks, scale, zero, from, is_float, to,
                               stride);
    for (; length > 1 && rows; rows--, codes += code_stride, to += stride)
        KERNEL(decode_row)(codes, blocks, length, scale, zero, from, is_float, to);
}

/* The kernel `decode`. */
TARGET static void KERNEL(decode)(const uint8_t *codes, size_t rows, size_t code_stride,
                                  size_t blocks, size_t length, const float *scale,
                                  const int32_t *zero, const caq_decoding *decoding, void *numbers,
                                  size_t stride) {
    const caq_decoding from =
        *decoding; /* a copy, so that the compiler sees that storing numbers does not change it */
    ELEMENT *to = (ELEMENT *)numbers;
    if (HAS_FLOATS && (!HAS_INTEGERS || from.is_float))
        KERNEL(decode_all)(codes, rows, code_stride, blocks, length, scale, zero, &from, 1, to,
                           stride);
    else
        KERNEL(decode_all)(codes, rows, code_stride, blocks, length, scale, zero, &from, 0, to,
                           stride);
}
