/*
 * from_codes.h - from codes to numbers, and from numbers to the types they are stored in
 *
 * Included once per instruction set.
 */

/* Signed integers count from the lowest one, as their zero points do. */
TARGET static inline vf v_integer_values(vi codes, vi zero, const caq_decoding *from) {
    vi raised = v_xor(codes, v_set_i(from->sign));
    return v_to_float(v_sub_i(raised, zero));
}

/* Round half even, to the upper half of each lane. NaNs that arithmetic gives are cut off: their first bit
 * says what they are. */
TARGET static inline vi v_round_bf16(vf x) {
    vi bits = v_bits(x);
    vi odd = v_and(v_shift_down(bits, 16), v_set_i(1));
    vi half = v_if_number(x, v_add_i(odd, v_set_i(0x7FFF)));
    return v_add_i(bits, half);
}
TARGET static inline void v_store_bf16(uint16_t *p, vf x, int stream) {
    v_store_halves(p, v_shift_down(v_round_bf16(x), 16), stream);
}

#if LANES > 1
/* Two vectors, one after the other. */
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
