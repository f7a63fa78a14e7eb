/*
 * nearest_center.h - a kernel that finds the nearest of some vectors
 *
 * Included by level.h.
 */

#if CAQ_WITH_TABLES

#define TOGETHER 2 /* registers of vectors for which a center is read once */

TARGET static inline vf v_square_apart(const float *members, vf center) {
    vf apart = v_sub(v_load_floats(members), center);
    return v_mul(apart, apart);
}

/* See caq_kernels. `length` is a constant where this is inlined for short vectors. */
AS_WRITTEN TARGET static inline void nearest_among(const float *members, size_t stride,
                                                   size_t count, size_t length,
                                                   const float *centers, size_t of_centers,
                                                   uint8_t *nearest, float *distances) {
    for (size_t i = 0; i < count; i += TOGETHER * LANES) {
        vf least[TOGETHER], which[TOGETHER];
        for (size_t t = 0; t < TOGETHER; t++) {
            least[t] = v_from_bits(v_set_i(0x7F800000));
            which[t] = v_from_bits(v_set_i(0));
        }
        for (size_t k = 0; k < of_centers; k++) {
            const float *center = centers + k * length;
            vf here[TOGETHER], number = v_from_bits(v_set_i((int32_t)k));
            for (size_t t = 0; t < TOGETHER; t++)
                here[t] = v_square_apart(members + i + t * LANES, v_set_f(center[0]));
            UNROLL for (size_t v = 1; v < length; v++) for (size_t t = 0; t < TOGETHER; t++)
                here[t] = v_add(here[t], v_square_apart(members + v * stride + i + t * LANES,
                                                        v_set_f(center[v])));
            for (size_t t = 0; t < TOGETHER; t++) {
                which[t] = v_if_above(least[t], here[t], number, which[t]);
                least[t] = v_if_above(least[t], here[t], here[t], least[t]);
            }
        }
        for (size_t t = 0; t < TOGETHER; t++) {
            v_store_low_bytes(nearest + i + t * LANES, v_bits(which[t]));
            v_store_floats(distances + i + t * LANES, least[t]);
        }
    }
}

/* See caq_kernels. */
AS_WRITTEN TARGET static void nearest_center(const float *members, size_t stride, size_t count,
                                             size_t length, const float *centers, size_t of_centers,
                                             uint8_t *nearest, float *distances) {
    if (length == 2)
        nearest_among(members, stride, count, 2, centers, of_centers, nearest, distances);
    else if (length == 4)
        nearest_among(members, stride, count, 4, centers, of_centers, nearest, distances);
    else
        nearest_among(members, stride, count, length, centers, of_centers, nearest, distances);
}

#undef TOGETHER

#endif
