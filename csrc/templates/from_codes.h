/*
 * from_codes.h - from codes to numbers, and from numbers to the types they are stored in
 *
 * Included once per instruction set.
 */

/* The numbers code - zero of integer codes. Codes and zero points of signed formats have the sign
 * bit flipped: they count from the lowest code. */
TARGET static inline vf v_integer_values(vi codes, vi zero, const caq_decoding *from) {
    vi raised = v_xor(codes, v_set_i(from->sign));
    return v_to_float(v_sub_i(raised, zero));
}

/* What is added to the bits of a number before the lower half is cut off, to round half to even. */
TARGET static inline vi v_half_of_bf16(vi bits) {
    vi odd = v_and(v_shift_down(bits, 16), v_set_i(1));
    return v_add_i(odd, v_set_i(0x7FFF));
}

/* Round to bfloat16 in the upper half of each lane, half to even. NaNs are cut off instead: those
 * that arithmetic gives have the first bit of the significand set. */
TARGET static inline vi v_round_bf16(vf x) {
    vi bits = v_bits(x);
    return v_add_i(bits, v_if_number(x, v_half_of_bf16(bits)));
}
TARGET static inline void v_store_bf16(uint16_t *p, vf x, int stream) {
    v_store_halves(p, v_shift_down(v_round_bf16(x), 16), stream);
}

#if LANES > 1
/* Store two vectors, one after the other. */
TARGET static inline void v_store_pair_f32(uint32_t *p, vf a, vf b, int stream) {
    v_store_f32(p, a, stream);
    v_store_f32(p + LANES, b, stream);
}
TARGET static inline void v_store_pair_f16(uint16_t *p, vf a, vf b, int stream) {
    v_store_f16(p, a, stream);
    v_store_f16(p + LANES, b, stream);
}
TARGET static inline void v_store_pair_bf16(uint16_t *p, vf a, vf b, int stream) {
    v_store_upper_halves(p, v_round_bf16(a), v_round_bf16(b), stream);
}
#endif
