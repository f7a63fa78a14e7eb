/*
 * encode_template.h - the body of the encoders
 *
 * Included by kernels_template.h once for each kind of code, with CODE the function that encodes a
 * vector and ENCODE the kernel's name.
 */
#define PART(op) KERNEL(CONCAT(ENCODE, op))

/* Encode count < LANES elements. */
TARGET static inline void PART(_few)(const ELEMENT *p, size_t count, vf reciprocal, vi zero,
                                     const caq_encoding *to, uint8_t *codes) {
    ELEMENT padded[LANES];
    uint8_t all[LANES];
    KERNEL(pad)(padded, p, count);
    VECTOR(store_codes)(all, KERNEL(CODE)(padded, reciprocal, zero, to), to);
    for (size_t i = 0; i < count; i++)
        codes[i] = all[i];
}

/* Every element has parameters of its own. */
TARGET static inline void PART(_each)(const ELEMENT *p, size_t count, const float *reciprocal,
                                      const int32_t *zero, const caq_encoding *to, uint8_t *codes) {
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        vi all[VECTORS];
        KERNEL(prefetch)(p + i, STEP, to->ahead);
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            size_t at = i + v * LANES;
            all[v] = KERNEL(CODE)(p + at, KERNEL(load_parameters)(reciprocal + at),
                                  VECTOR(load_i)(zero + at), to);
        }
        VECTOR(store_step)(codes + i, all, to);
    }
    while (i < count && count >= LANES) {
        i = i + LANES <= count ? i : count - LANES;
        vi code = KERNEL(CODE)(p + i, KERNEL(load_parameters)(reciprocal + i),
                               VECTOR(load_i)(zero + i), to);
        VECTOR(store_codes)(codes + i, code, to);
        i += LANES;
    }
    for (; i < count; i++)
        PART(_few)(p + i, 1, VECTOR(set_f)(reciprocal[i]), VECTOR(set_i)(zero[i]), to, codes + i);
}

/* All elements of a block share parameters. From p on, room elements can be read and have codes. */
TARGET static inline void PART(_block)(const ELEMENT *p, size_t length, size_t room, vf reciprocal,
                                       vi zero, const caq_encoding *to, uint8_t *codes) {
    size_t i = 0;
    for (; i + STEP <= length; i += STEP) {
        vi all[VECTORS];
        KERNEL(prefetch)(p + i, STEP, to->ahead);
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            all[v] = KERNEL(CODE)(p + i + v * LANES, reciprocal, zero, to);
        }
        VECTOR(store_step)(codes + i, all, to);
    }
    for (; i < length && i + LANES <= room; i += LANES)
        VECTOR(store_codes)(codes + i, KERNEL(CODE)(p + i, reciprocal, zero, to), to);
    if (i < length)
        PART(_few)(p + i, length - i, reciprocal, zero, to, codes + i);
}

/* Two blocks of the usual length, which are a step or some. Inlined, so that constants stay in
 * registers from pair to pair. */
TARGET INLINE void PART(_usual_pair)(const ELEMENT *p, const float *reciprocal, const int32_t *zero,
                                     const caq_encoding *to, uint8_t *codes) {
    for (size_t i = 0; i < 2 * USUAL_LENGTH; i += STEP) {
        vi all[VECTORS];
        KERNEL(prefetch)(p + i, STEP, to->ahead);
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            size_t at = i + v * LANES, block = at / USUAL_LENGTH;
            all[v] = KERNEL(CODE)(p + at, VECTOR(set_f)(reciprocal[block]),
                                  VECTOR(set_i)(zero[block]), to);
        }
        VECTOR(store_step)(codes + i, all, to);
    }
}

TARGET static void KERNEL(ENCODE)(const void *source, size_t blocks, size_t length,
                                  const float *reciprocal, const int32_t *zero,
                                  const caq_encoding *encoding, uint8_t *codes) {
    const caq_encoding to = *encoding; /* a copy that no store through codes can change */
    const ELEMENT *p = source;
    size_t block = 0;
    if (length == 1) {
        PART(_each)(p, blocks, reciprocal, zero, &to, codes);
        return;
    }
    for (; length == USUAL_LENGTH && block + 2 <= blocks; block += 2)
        PART(_usual_pair)(p + block * length, reciprocal + block, zero + block, &to,
                          codes + block * length);
    for (; block < blocks; block++)
        PART(_block)(p + block * length, length, (blocks - block) * length,
                     VECTOR(set_f)(reciprocal[block]), VECTOR(set_i)(zero[block]), &to,
                     codes + block * length);
}

#undef PART
#undef CODE
#undef ENCODE
