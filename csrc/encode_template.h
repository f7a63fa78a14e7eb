/*
 * encode_template.h - the body of the encoders
 *
 * Included by kernels_template.h once for each kind of code, with CODE the function that encodes a
 * vector and ENCODE the kernel's name.
 */
#define PART(op) KERNEL(CONCAT(ENCODE, op))

TARGET static inline void PART(_step)(const ELEMENT *p, const vf reciprocal[VECTORS],
                                      const vf zero[VECTORS], const caq_encoding *to,
                                      uint8_t codes[STEP]) {
    vi all[VECTORS];
    EACH_VECTOR(v)
    all[v] = KERNEL(CODE)(p + v * LANES, reciprocal[v], zero[v], to);
    VECTOR(store_bytes)(codes, all);
}

/* Encode count < STEP elements. */
TARGET static inline void PART(_rest)(const ELEMENT *p, size_t count, const vf reciprocal[VECTORS],
                                      const vf zero[VECTORS], const caq_encoding *to,
                                      uint8_t *codes) {
    ELEMENT padded[STEP];
    uint8_t last[STEP];
    KERNEL(pad)(padded, p, count);
    PART(_step)(padded, reciprocal, zero, to, last);
    for (size_t i = 0; i < count; i++)
        codes[i] = last[i];
}

TARGET static inline void PART(_each)(const ELEMENT *p, size_t count, const float *reciprocal,
                                      const float *zero, const caq_encoding *to, uint8_t *codes) {
    vf r[VECTORS], z[VECTORS];
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        KERNEL(each)(r, reciprocal + i, STEP);
        KERNEL(each)(z, zero + i, STEP);
        PART(_step)(p + i, r, z, to, codes + i);
    }
    if (i == count)
        return;
    KERNEL(each)(r, reciprocal + i, count - i);
    KERNEL(each)(z, zero + i, count - i);
    PART(_rest)(p + i, count - i, r, z, to, codes + i);
}

TARGET static inline void PART(_blocks)(const ELEMENT *p, size_t blocks, size_t length,
                                        const float *reciprocal, const float *zero,
                                        const caq_encoding *to, uint8_t *codes) {
    vf r[VECTORS], z[VECTORS];
    for (size_t block = 0; block < blocks; block++, p += length, codes += length) {
        KERNEL(same)(r, reciprocal[block]);
        KERNEL(same)(z, zero[block]);
        size_t i = 0;
        for (; i + STEP <= length; i += STEP)
            PART(_step)(p + i, r, z, to, codes + i);
        if (i < length)
            PART(_rest)(p + i, length - i, r, z, to, codes + i);
    }
}

TARGET static void KERNEL(ENCODE)(const void *source, size_t blocks, size_t length,
                                  const float *reciprocal, const float *zero,
                                  const caq_encoding *encoding, uint8_t *codes) {
    const caq_encoding to = *encoding; /* a copy that no store through codes can change */
    if (length == 1)
        PART(_each)(source, blocks, reciprocal, zero, &to, codes);
    else if (length == USUAL_LENGTH)
        PART(_blocks)(source, blocks, USUAL_LENGTH, reciprocal, zero, &to, codes);
    else
        PART(_blocks)(source, blocks, length, reciprocal, zero, &to, codes);
}

#undef PART
#undef CODE
#undef ENCODE
