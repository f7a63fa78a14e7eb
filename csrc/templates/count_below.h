/*
 * count_below.h - kernels that find the indices of small look-up tables
 *
 * Included by source_type.h.
 */

/* Count by halves: all bounds in the first half of a range lie below a weight if the last of them
 * does. */
TARGET static inline vi KERNEL(places_of)(v16 bounds, vf x) {
    vi place = v_set_i(0);
    UNROLL for (int32_t half = 8; half; half /= 2) {
        vf bound = v_pick(bounds, v_add_i(place, v_set_i(half - 1)));
        vf passed = v_if_above(x, bound, v_from_bits(v_set_i(half)), v_from_bits(v_set_i(0)));
        place = v_add_i(place, v_bits(passed));
    }
    return place;
}

/* See caq_kernels. */
TARGET static void KERNEL(count_below)(const void *weight, size_t count, const float *bounds,
                                       uint8_t *counts) {
    const ELEMENT *p = (const ELEMENT *)weight;
    v16 all = v_load_16(bounds);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        v_store_low_bytes(counts + i, KERNEL(places_of)(all, LOAD(p + i)));
    if (LANES > 1 && i < count) {
        ELEMENT padded[LANES];
        uint8_t padded_counts[LANES];
        KERNEL(pad)(padded, LANES, p + i, count - i);
        v_store_low_bytes(padded_counts, KERNEL(places_of)(all, LOAD(padded)));
        for (size_t k = 0; i + k < count; k++)
            counts[i + k] = padded_counts[k];
    }
}
