/*
 * encode_template.h - the body of the encoders
 *
 * Included by kernels_template.h once for each kind of code, with CODE the function that encodes a
 * vector and ENCODE the kernel's name.
 */
#define PART(op) KERNEL(CONCAT(ENCODE, op))

/* Encode count < LANES elements. */
TARGET static inline void PART(_few)(const ELEMENT *p, size_t count, vf reciprocal, vf zero,
                                     const caq_encoding *to, uint8_t *codes) {
    ELEMENT padded[LANES];
    uint8_t all[LANES];
    KERNEL(pad)(padded, p, count);
    VECTOR(store_bytes)(all, KERNEL(CODE)(padded, reciprocal, zero, to));
    for (size_t i = 0; i < count; i++)
        codes[i] = all[i];
}

/* Every element has parameters of its own. */
TARGET static inline void PART(_each)(const ELEMENT *p, size_t count, const float *reciprocal,
                                      const float *zero, const caq_encoding *to, uint8_t *codes) {
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        vi all[VECTORS];
        KERNEL(prefetch)(p + i, STEP, PREFETCH_BYTES);
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            size_t at = i + v * LANES;
            all[v] = KERNEL(CODE)(p + at, KERNEL(load_parameters)(reciprocal + at),
                                  KERNEL(load_parameters)(zero + at), to);
        }
        VECTOR(store_step)(codes + i, all);
    }
    for (; i + LANES <= count; i += LANES)
        VECTOR(store_bytes)
    (codes + i, KERNEL(CODE)(p + i, KERNEL(load_parameters)(reciprocal + i),
                             KERNEL(load_parameters)(zero + i), to));
    for (; i < count; i++)
        PART(_few)(p + i, 1, VECTOR(set_f)(reciprocal[i]), VECTOR(set_f)(zero[i]), to, codes + i);
}

/* All elements of a block share parameters. */
TARGET static inline void PART(_block)(const ELEMENT *p, size_t length, vf reciprocal, vf zero,
                                       const caq_encoding *to, uint8_t *codes) {
    size_t i = 0;
    for (; i + STEP <= length; i += STEP) {
        vi all[VECTORS];
        KERNEL(prefetch)(p + i, STEP, PREFETCH_BYTES);
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            all[v] = KERNEL(CODE)(p + i + v * LANES, reciprocal, zero, to);
        }
        VECTOR(store_step)(codes + i, all);
    }
    for (; i + LANES <= length; i += LANES)
        VECTOR(store_bytes)(codes + i, KERNEL(CODE)(p + i, reciprocal, zero, to));
    if (i < length)
        PART(_few)(p + i, length - i, reciprocal, zero, to, codes + i);
}

TARGET static inline void PART(_blocks)(const ELEMENT *p, size_t blocks, size_t length,
                                        const float *reciprocal, const float *zero,
                                        const caq_encoding *to, uint8_t *codes) {
    for (size_t block = 0; block < blocks; block++, p += length, codes += length)
        PART(_block)(p, length, VECTOR(set_f)(reciprocal[block]), VECTOR(set_f)(zero[block]), to,
                     codes);
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
