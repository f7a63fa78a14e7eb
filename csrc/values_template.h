/*
 * values_template.h - from codes to numbers, and from numbers to the types they are stored in
 *
 * The vector half of decoding, included once per instruction set with VECTOR and TARGET as
 * kernels_template.h has them.
 */

/* All bits of a lane if a > b, else none; neither is negative. */
TARGET static inline vi VECTOR(mask_above)(vi a, vi b) {
    return VECTOR(sub_i)(VECTOR(set_i)(0), VECTOR(shift_down)(VECTOR(sub_i)(b, a), 31));
}

/* Signed integers count from the lowest one, as their zero points do. */
TARGET static inline vf VECTOR(integer_values)(vi codes, vi zero, const caq_decoding *from) {
    vi raised = VECTOR(xor)(codes, VECTOR(set_i)(from->sign));
    return VECTOR(to_float)(VECTOR(sub_i)(raised, zero));
}

/* Codes of one binade are equally spaced; those of subnormals go on with the spacing of the smallest
 * normal binade: a number is a count of steps, 2^mantissa fewer for each binade below. No binary32 is
 * subnormal on the way, which some processors are slow with. */
TARGET static inline vf VECTOR(float_values)(vi codes, vi zero, const caq_decoding *from) {
    vi sign = VECTOR(shift_up)(VECTOR(and)(codes, VECTOR(set_i)(from->sign)), from->sign_up);
    vi magnitude = VECTOR(and)(codes, VECTOR(set_i)(from->sign - 1));
    vi binade = VECTOR(and)(magnitude, VECTOR(set_i)(-from->first));
    binade = VECTOR(max)(binade, VECTOR(set_i)(from->first));
    vi count = VECTOR(sub_i)(VECTOR(add_i)(magnitude, VECTOR(set_i)(from->first)), binade);
    vi step = VECTOR(add_i)(VECTOR(shift_up)(binade, from->lacking), VECTOR(set_i)(from->rebias));
    vf number = VECTOR(mul)(VECTOR(to_float)(count), VECTOR(from_bits)(step));
    /* with all exponent bits it is the infinity or NaN that the code stands for */
    vi special = VECTOR(mask_above)(magnitude, VECTOR(set_i)(from->last));
    special = VECTOR(and)(special, VECTOR(set_i)(0x7F800000));
    vi bits = VECTOR(or)(VECTOR(or)(VECTOR(bits)(number), special), sign);
    return VECTOR(add)(VECTOR(from_bits)(bits), VECTOR(from_bits)(zero));
}

/* Round half even. NaNs that arithmetic gives are cut off: their first bit says what they are. */
TARGET static inline void VECTOR(store_bf16)(uint16_t *p, vf x) {
    vi bits = VECTOR(bits)(x);
    vi odd = VECTOR(and)(VECTOR(shift_down)(bits, 16), VECTOR(set_i)(1));
    vi half = VECTOR(if_number)(x, VECTOR(add_i)(odd, VECTOR(set_i)(0x7FFF)));
    VECTOR(store_halves)(p, VECTOR(shift_down)(VECTOR(add_i)(bits, half), 16));
}
