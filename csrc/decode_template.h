/*
 * decode_template.h - the body of the decoders
 *
 * Included by kernels_template.h once per source type, here the type to decode to, with all that
 * kernels_template.h has set.
 */

TARGET static inline void KERNEL(decode_vector)(const uint8_t *codes, vf scale, vi zero,
                                                const caq_decoding *from, int is_float,
                                                ELEMENT *to) {
    vi bytes = VECTOR(load_bytes)(codes);
    vf value = is_float ? VECTOR(float_values)(bytes, zero, from)
                        : VECTOR(integer_values)(bytes, zero, from);
    VECTOR(CONCAT(store_, SOURCE))(to, VECTOR(mul)(scale, value));
}

/* Decode count < LANES elements. */
TARGET static inline void KERNEL(decode_few)(const uint8_t *codes, size_t count, vf scale, vi zero,
                                             const caq_decoding *from, int is_float, ELEMENT *to) {
    uint8_t padded[LANES] = {0};
    ELEMENT all[LANES];
    for (size_t i = 0; i < count; i++)
        padded[i] = codes[i];
    KERNEL(decode_vector)(padded, scale, zero, from, is_float, all);
    for (size_t i = 0; i < count; i++)
        ((CONCAT(unaligned_, ELEMENT) *)to)[i].bits = all[i];
}

/* Every element has parameters of its own. */
TARGET static inline void KERNEL(decode_each)(const uint8_t *codes, size_t count,
                                              const float *scale, const int32_t *zero,
                                              const caq_decoding *from, int is_float, ELEMENT *to) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        KERNEL(decode_vector)
    (codes + i, KERNEL(load_parameters)(scale + i), VECTOR(load_i)(zero + i), from, is_float,
     to + i);
    for (; i < count; i++)
        KERNEL(decode_few)
    (codes + i, 1, VECTOR(set_f)(scale[i]), VECTOR(set_i)(zero[i]), from, is_float, to + i);
}

/* All elements of a block share parameters. */
TARGET static inline void KERNEL(decode_blocks)(const uint8_t *codes, size_t blocks, size_t length,
                                                const float *scale, const int32_t *zero,
                                                const caq_decoding *from, int is_float,
                                                ELEMENT *to) {
    for (size_t block = 0; block < blocks; block++, codes += length, to += length) {
        vf s = VECTOR(set_f)(scale[block]);
        vi z = VECTOR(set_i)(zero[block]);
        size_t i = 0;
        for (; i + STEP <= length; i += STEP)
            UNROLL for (size_t v = 0; v < STEP; v += LANES)
                KERNEL(decode_vector)(codes + i + v, s, z, from, is_float, to + i + v);
        for (; i + LANES <= length; i += LANES)
            KERNEL(decode_vector)(codes + i, s, z, from, is_float, to + i);
        if (i < length)
            KERNEL(decode_few)(codes + i, length - i, s, z, from, is_float, to + i);
    }
}

TARGET static inline void KERNEL(decode_run)(const uint8_t *codes, size_t blocks, size_t length,
                                             const float *scale, const int32_t *zero,
                                             const caq_decoding *from, int is_float, ELEMENT *to) {
    if (length == 1)
        KERNEL(decode_each)(codes, blocks, scale, zero, from, is_float, to);
    else if (length == USUAL_LENGTH)
        KERNEL(decode_blocks)(codes, blocks, USUAL_LENGTH, scale, zero, from, is_float, to);
    else
        KERNEL(decode_blocks)(codes, blocks, length, scale, zero, from, is_float, to);
}

/* See caq_kernels. */
TARGET static void KERNEL(decode)(const uint8_t *codes, size_t blocks, size_t length,
                                  const float *scale, const int32_t *zero,
                                  const caq_decoding *decoding, void *target) {
    const caq_decoding from = *decoding; /* a copy that no store through target can change */
    if (HAS_FLOATS && from.is_float)
        KERNEL(decode_run)(codes, blocks, length, scale, zero, &from, 1, target);
    else
        KERNEL(decode_run)(codes, blocks, length, scale, zero, &from, 0, target);
}
