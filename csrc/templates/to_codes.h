/*
 * to_codes.h - from scaled weights to codes: the rules of codes.h, by vectors
 *
 * Included once per instruction set.
 */

/* Integers: round(w * reciprocal) + zero. Halves are rounded to even. With a block's own scale the
 * product is less than twice as large as the largest code. A number is the same clipped to integers
 * before it is rounded as behind, so that the clip can wait until codes are bytes. */
TARGET static inline vi code_integer(vf w, vf reciprocal, vi zero, const caq_encoding *to) {
    (void)to;
    return v_add_i(v_round(v_mul(w, reciprocal)), zero);
}

/* Integers with any scale. Vectors turn a product that no 32-bit integer holds into the lowest one,
 * or into one that wraps when the zero point is added. That would do for negative weights only, so
 * that large products are made smaller. With one lane v_round() keeps their order. */
TARGET static inline vi code_wide(vf w, vf reciprocal, vi zero, const caq_encoding *to) {
    (void)to;
    return v_add_i(v_round(v_lesser(v_mul(w, reciprocal), v_set_f(0x1p22f))), zero);
}

/* Integers: clip to 0 .. largest, and add the offset. Codes that were narrowed to bytes are 0 ..
 * 255 already. */
TARGET static inline vb bytes_integer(vb codes, const caq_encoding *to) {
    vb clipped = b_lesser(codes, b_set(to->largest));
    return b_add(clipped, b_set(to->offset));
}
TARGET static inline vb bytes_wide(vb codes, const caq_encoding *to) {
    return bytes_integer(codes, to);
}

/* Floating point. Codes of one binade are equally spaced; those of subnormals go on with the
 * spacing of the smallest normal binade. Adding the number whose last place is that step rounds to
 * steps, half to even, and leaves their count in the last places; 2^mantissa of them for each
 * binade below. */
TARGET static inline vi code_float(vf w, vf reciprocal, vi zero, const caq_encoding *to) {
    (void)zero;
    vi bits = v_bits(v_mul(w, reciprocal));
    vf magnitude = v_from_bits(v_and(bits, v_set_i(INT32_MAX)));
    magnitude = v_lesser(magnitude, v_set_f(to->saturation));
    vi binade = v_and(v_bits(magnitude), v_set_i(0x7F800000));
    binade = v_max(binade, v_set_i(to->smallest));
    vi adder = v_add_i(binade, v_set_i(to->adder));
    vi sum = v_bits(v_add(magnitude, v_from_bits(adder)));
    vi below = v_sub_i(binade, v_set_i(to->smallest));
    vi code = v_add_i(v_sub_i(sum, adder), v_shift_down(below, to->dropped));
    vi sign = v_and(bits, v_set_i(INT32_MIN));
    return v_or(code, v_shift_down(sign, to->sign_down));
}

/* Floating point: codes that were narrowed to bytes are what is stored. */
TARGET static inline vb bytes_float(vb codes, const caq_encoding *to) {
    (void)to;
    return codes;
}
