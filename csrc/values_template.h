/*
 * values_template.h - from codes to numbers, and from numbers to the types they are stored in
 *
 * The vector half of decoding, included once per instruction set with VECTOR and TARGET as
 * kernels_template.h has them.
 */

/* Signed integers count from the lowest one, as their zero points do. */
TARGET static inline vf VECTOR(integer_values)(vi codes, vi zero, const caq_decoding *from) {
    vi raised = VECTOR(xor)(codes, VECTOR(set_i)(from->sign));
    return VECTOR(to_float)(VECTOR(sub_i)(raised, zero));
}

/* Round half even, to the upper half of each lane. NaNs that arithmetic gives are cut off: their first bit
 * says what they are. */
TARGET static inline vi VECTOR(round_bf16)(vf x) {
    vi bits = VECTOR(bits)(x);
    vi odd = VECTOR(and)(VECTOR(shift_down)(bits, 16), VECTOR(set_i)(1));
    vi half = VECTOR(if_number)(x, VECTOR(add_i)(odd, VECTOR(set_i)(0x7FFF)));
    return VECTOR(add_i)(bits, half);
}
TARGET static inline void VECTOR(store_bf16)(uint16_t *p, vf x, int stream) {
    VECTOR(store_halves)(p, VECTOR(shift_down)(VECTOR(round_bf16)(x), 16), stream);
}

#if LANES > 1
/* Two vectors, one after the other. */
TARGET static inline void VECTOR(store_pair_f32)(uint32_t *p, vf a, vf b, int stream) {
    VECTOR(store_f32)(p, a, stream);
    VECTOR(store_f32)(p + LANES, b, stream);
}
TARGET static inline void VECTOR(store_pair_f16)(uint16_t *p, vf a, vf b, int stream) {
    VECTOR(store_f16)(p, a, stream);
    VECTOR(store_f16)(p + LANES, b, stream);
}
TARGET static inline void VECTOR(store_pair_bf16)(uint16_t *p, vf a, vf b, int stream) {
    VECTOR(store_upper_halves)(p, VECTOR(round_bf16)(a), VECTOR(round_bf16)(b), stream);
}
#endif
