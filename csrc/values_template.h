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

/* Round half even. NaNs that arithmetic gives are cut off: their first bit says what they are. */
TARGET static inline void VECTOR(store_bf16)(uint16_t *p, vf x, int stream) {
    vi bits = VECTOR(bits)(x);
    vi odd = VECTOR(and)(VECTOR(shift_down)(bits, 16), VECTOR(set_i)(1));
    vi half = VECTOR(if_number)(x, VECTOR(add_i)(odd, VECTOR(set_i)(0x7FFF)));
    VECTOR(store_halves)(p, VECTOR(shift_down)(VECTOR(add_i)(bits, half), 16), stream);
}
