/*
 * encode_template.h - the body of the encoders
 *
 * Included by kernels_template.h once for each kind of code, with CODE the function that encodes a
 * vector and ENCODE the kernel's name.
 */

TARGET static inline void KERNEL(CONCAT(ENCODE, _step))(const ELEMENT *p, const vf reciprocal[4],
                                                        const vf zero[4], const caq_encoding *to,
                                                        uint8_t codes[STEP]) {
    VECTOR(store_bytes)
    (codes, KERNEL(CODE)(p, reciprocal[0], zero[0], to),
     KERNEL(CODE)(p + LANES, reciprocal[1], zero[1], to),
     KERNEL(CODE)(p + 2 * LANES, reciprocal[2], zero[2], to),
     KERNEL(CODE)(p + 3 * LANES, reciprocal[3], zero[3], to));
}

/* Encode count <= STEP elements. */
TARGET static inline void KERNEL(CONCAT(ENCODE, _rest))(const ELEMENT *p, size_t count,
                                                        const vf reciprocal[4], const vf zero[4],
                                                        const caq_encoding *to, uint8_t *codes) {
    ELEMENT padded[STEP];
    uint8_t last[STEP];
    KERNEL(pad)(padded, p, count);
    KERNEL(CONCAT(ENCODE, _step))(padded, reciprocal, zero, to, last);
    for (size_t i = 0; i < count; i++)
        codes[i] = last[i];
}

TARGET static void KERNEL(ENCODE)(const void *source, size_t blocks, size_t length,
                                  const float *reciprocal, const float *zero,
                                  const caq_encoding *encoding, uint8_t *codes) {
    const ELEMENT *p = source;
    const caq_encoding to = *encoding; /* a copy that no store through codes can change */
    vf r[4], z[4];
    if (length == 1) {
        size_t i = 0;
        for (; i + STEP <= blocks; i += STEP) {
            KERNEL(each)(r, reciprocal + i, STEP);
            KERNEL(each)(z, zero + i, STEP);
            KERNEL(CONCAT(ENCODE, _step))(p + i, r, z, &to, codes + i);
        }
        if (i == blocks)
            return;
        KERNEL(each)(r, reciprocal + i, blocks - i);
        KERNEL(each)(z, zero + i, blocks - i);
        KERNEL(CONCAT(ENCODE, _rest))(p + i, blocks - i, r, z, &to, codes + i);
        return;
    }
    for (size_t block = 0; block < blocks; block++, p += length, codes += length) {
        KERNEL(same)(r, reciprocal[block]);
        KERNEL(same)(z, zero[block]);
        size_t i = 0;
        for (; i + STEP <= length; i += STEP)
            KERNEL(CONCAT(ENCODE, _step))(p + i, r, z, &to, codes + i);
        if (i < length)
            KERNEL(CONCAT(ENCODE, _rest))(p + i, length - i, r, z, &to, codes + i);
    }
}

#undef CODE
#undef ENCODE
