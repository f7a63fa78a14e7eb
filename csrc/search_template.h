/*
 * search_template.h - the kernels of the observer MSE
 *
 * Included once per instruction set, with TARGET, VECTOR and LANES as kernels_template.h has them.
 */

TARGET static inline vf VECTOR(load_floats)(const float *p) {
    return VECTOR(load_f32)((const uint32_t *)(const void *)p);
}
TARGET static inline void VECTOR(store_floats)(float *p, vf x) {
    VECTOR(store_i)((int32_t *)(void *)p, VECTOR(bits)(x));
}

TARGET static inline vf VECTOR(magnitude)(vf x) {
    return VECTOR(from_bits)(VECTOR(and)(VECTOR(bits)(x), VECTOR(set_i)(INT32_MAX)));
}

TARGET static void VECTOR(fill_pairs)(caq_search_space *space) {
    vf gain = VECTOR(load_floats)(space->search.gain);
    for (size_t e = 0; e < space->depth; e += 2) {
        vf even = VECTOR(load_floats)(space->weights + e * LANES);
        vf odd = VECTOR(load_floats)(space->weights + (e + 1) * LANES);
        vi pair = VECTOR(pair)(VECTOR(round)(VECTOR(mul)(even, gain)),
                               VECTOR(round)(VECTOR(mul)(odd, gain)));
        VECTOR(store_i)(space->x + e / 2 * LANES, pair);
    }
}

TARGET static void VECTOR(fill_magnitudes)(caq_search_space *space) {
    vf gain = VECTOR(load_floats)(space->search.gain);
    for (size_t e = 0; e < space->depth; e++) {
        vf weight = VECTOR(magnitude)(VECTOR(load_floats)(space->weights + e * LANES));
        VECTOR(store_i)(space->x + e * LANES, VECTOR(round)(VECTOR(mul)(weight, gain)));
    }
}

/* The best of each lane so far. */
typedef struct VECTOR(best) {
    vf score, a, b, zero;
} VECTOR(best);

TARGET static inline VECTOR(best) VECTOR(load_best)(const caq_search *search) {
    return (VECTOR(best)){VECTOR(load_floats)(search->score), VECTOR(load_floats)(search->a),
                          VECTOR(load_floats)(search->b), VECTOR(load_floats)(search->zero)};
}

TARGET static inline void VECTOR(store_best)(caq_search *search, VECTOR(best) best) {
    VECTOR(store_floats)(search->score, best.score);
    VECTOR(store_floats)(search->a, best.a);
    VECTOR(store_floats)(search->b, best.b);
    VECTOR(store_floats)(search->zero, best.zero);
}

/* What becomes of a candidate's sums: a score, or a part of the sums of a longer block. */
TARGET INLINE void VECTOR(put_sums)(caq_search_space *space, size_t candidate, vi a, vi b,
                                    VECTOR(best) * best) {
    if (space->is_shallow) {
        vf fa = VECTOR(to_float)(a);
        vf fb = VECTOR(to_float)(VECTOR(max)(b, VECTOR(set_i)(1)));
        vf score = VECTOR(div)(VECTOR(mul)(fa, fa), fb);
        vf zero = VECTOR(load_floats)(space->search.turn_zero);
        best->a = VECTOR(if_above)(score, best->score, fa, best->a);
        best->b = VECTOR(if_above)(score, best->score, fb, best->b);
        best->zero = VECTOR(if_above)(score, best->score, zero, best->zero);
        best->score = VECTOR(if_above)(score, best->score, score, best->score);
        return;
    }
    int32_t parts[2][LANES];
    VECTOR(store_i)(parts[0], a);
    VECTOR(store_i)(parts[1], b);
    for (size_t lane = 0; lane < LANES; lane++) {
        space->a[candidate][lane] += parts[0][lane];
        space->b[candidate][lane] += parts[1][lane];
    }
}

TARGET INLINE void VECTOR(score_integers)(const caq_job *job, caq_search_space *space,
                                          size_t depth) {
    VECTOR(best) best = VECTOR(load_best)(&space->search);
    vi lowest = VECTOR(load_i)(space->search.lowest);
    vi highest = VECTOR(load_i)(space->search.highest);
    caq_grid grid = integer_grid(caq_describe_format(job->format).bits);
    size_t candidate = 0;
    for (int32_t step = grid.first; step <= grid.last; step = next_step(grid, step)) {
        vi steps = VECTOR(set_i)(step * 0x10001), a = VECTOR(set_i)(0), b = a;
        for (size_t i = 0; i < depth / 2 * LANES; i += LANES) {
            vi x = VECTOR(load_i)(space->x + i);
            vi codes = VECTOR(clip_pairs)(VECTOR(scale_pairs)(x, steps), lowest, highest);
            a = VECTOR(add_i)(a, VECTOR(dot_pairs)(x, codes));
            b = VECTOR(add_i)(b, VECTOR(dot_pairs)(codes, codes));
        }
        VECTOR(put_sums)(space, candidate++, a, b, &best);
    }
    VECTOR(store_best)(&space->search, best);
}

TARGET INLINE void VECTOR(score_floats)(const caq_job *job, caq_search_space *space, size_t depth) {
    VECTOR(best) best = VECTOR(load_best)(&space->search);
    uint32_t dropped = 23u - caq_describe_format(job->format).mantissa;
    vi half = VECTOR(set_i)(1 << (dropped - 1)), kept = VECTOR(set_i)(-(1 << dropped));
    for (size_t candidate = 0; candidate < FLOAT_STEPS; candidate++) {
        /* 7/8 of FLOAT_UNIT has the significand of the largest code, 1.75 */
        float times = 0.875f * (float)(2 * FLOAT_STEPS - candidate) / (2 * FLOAT_STEPS);
        vf factor = VECTOR(set_f)(times);
        vi a = VECTOR(set_i)(0), b = a;
        for (size_t i = 0; i < depth * LANES; i += LANES) {
            vi x = VECTOR(load_i)(space->x + i);
            vi scaled = VECTOR(bits)(VECTOR(mul)(VECTOR(to_float)(x), factor));
            vi rounded = VECTOR(and)(VECTOR(add_i)(scaled, half), kept);
            vi codes = VECTOR(round)(VECTOR(from_bits)(rounded));
            a = VECTOR(add_i)(a, VECTOR(dot_pairs)(x, codes));
            b = VECTOR(add_i)(b, VECTOR(dot_pairs)(codes, codes));
        }
        VECTOR(put_sums)(space, candidate, a, b, &best);
    }
    VECTOR(store_best)(&space->search, best);
}

/* See caq_kernels. Panels of the usual depth get a copy of the loop in which that is a constant. */
TARGET static void VECTOR(score)(const caq_job *job, caq_search_space *space) {
    int is_float = caq_describe_format(job->format).mantissa != 0;
    if (space->is_fresh && is_float)
        VECTOR(fill_magnitudes)(space);
    else if (space->is_fresh)
        VECTOR(fill_pairs)(space);
    if (is_float)
        VECTOR(score_floats)(job, space, space->depth);
    else if (space->depth == USUAL_LENGTH)
        VECTOR(score_integers)(job, space, USUAL_LENGTH);
    else
        VECTOR(score_integers)(job, space, space->depth);
}

/* Round magnitudes half to even to steps, which are 2^-dropped of the binade, or of that of `smallest` where
 * that is larger: see float_code in kernels_template.h. */
TARGET static inline vf VECTOR(round_to_steps)(vf magnitude, int32_t smallest, int32_t dropped) {
    vi binade = VECTOR(and)(VECTOR(bits)(magnitude), VECTOR(set_i)(0x7F800000));
    binade = VECTOR(max)(binade, VECTOR(set_i)(smallest));
    vf adder = VECTOR(from_bits)(VECTOR(add_i)(binade, VECTOR(set_i)(dropped * (1 << 23))));
    return VECTOR(sub)(VECTOR(add)(magnitude, adder), adder);
}

TARGET static inline vf VECTOR(with_sign)(vf magnitude, vf sign) {
    vi bit = VECTOR(and)(VECTOR(bits)(sign), VECTOR(set_i)(INT32_MIN));
    return VECTOR(from_bits)(VECTOR(or)(VECTOR(bits)(magnitude), bit));
}

/* The code of a weight, less the zero point, as a number. */
TARGET static inline vf VECTOR(code_of)(vf scaled, vf lowest, vf highest, const caq_encoding *to,
                                        int is_float) {
    if (!is_float) {
        vf clipped = VECTOR(lesser)(VECTOR(greater)(scaled, lowest), highest);
        return VECTOR(to_float)(VECTOR(round)(clipped));
    }
    vf magnitude = VECTOR(lesser)(VECTOR(magnitude)(scaled), VECTOR(set_f)(to->saturation));
    return VECTOR(with_sign)(VECTOR(round_to_steps)(magnitude, to->smallest, to->dropped), scaled);
}

/* Decoded weights in their type. */
TARGET static inline vf VECTOR(round_decoded)(vf decoded, caq_source source) {
    if (source == CAQ_F32) /* nothing is larger, but nothing can be fused across it */
        return VECTOR(lesser)(decoded, VECTOR(set_f)(FLT_MAX));
    if (source == CAQ_F16) {
        vf magnitude = VECTOR(magnitude)(decoded);
        return VECTOR(with_sign)(VECTOR(round_to_steps)(magnitude, (127 - 14) * (1 << 23), 13),
                                 decoded);
    }
    vi bits = VECTOR(bits)(decoded);
    vi odd = VECTOR(and)(VECTOR(shift_down)(bits, 16), VECTOR(set_i)(1));
    vi rounded = VECTOR(add_i)(VECTOR(add_i)(bits, VECTOR(set_i)(0x7FFF)), odd);
    return VECTOR(from_bits)(VECTOR(and)(rounded, VECTOR(set_i)(-0x10000)));
}

TARGET INLINE void VECTOR(add_errors)(const caq_encoding *to, caq_search_space *space,
                                      size_t candidate, int is_float, caq_source source) {
    const caq_search *search = &space->search;
    vf scale = VECTOR(load_floats)(search->scales[candidate]);
    vf reciprocal = VECTOR(div)(VECTOR(set_f)(1.0f), scale);
    vf zero = VECTOR(load_floats)(search->zeros[candidate]);
    vf lowest = VECTOR(sub)(VECTOR(set_f)(0.0f), zero);
    vf highest = VECTOR(sub)(VECTOR(set_f)((float)to->largest), zero);
    vf gain = VECTOR(load_floats)(search->error_gain);
    vi high = VECTOR(set_i)(0), low = high;
    for (size_t i = 0; i < space->depth * LANES; i += LANES) {
        vf weight = VECTOR(load_floats)(space->weights + i);
        vf code = VECTOR(code_of)(VECTOR(mul)(weight, reciprocal), lowest, highest, to, is_float);
        vf decoded = VECTOR(round_decoded)(VECTOR(mul)(scale, code), source);
        vf error = VECTOR(mul)(VECTOR(sub)(weight, decoded), gain);
        vf square = VECTOR(lesser)(VECTOR(mul)(error, error), VECTOR(set_f)(0x1p30f));
        vi rounded = VECTOR(round_large)(square);
        high = VECTOR(add_i)(high, VECTOR(shift_down)(rounded, 15));
        low = VECTOR(add_i)(low, VECTOR(and)(rounded, VECTOR(set_i)(0x7FFF)));
    }
    int32_t parts[2][LANES];
    VECTOR(store_i)(parts[0], high);
    VECTOR(store_i)(parts[1], low);
    for (size_t lane = 0; lane < LANES; lane++)
        space->a[candidate][lane] += ((int64_t)parts[0][lane] << 15) + parts[1][lane];
}

TARGET static void VECTOR(integer_errors)(const caq_job *job, const caq_encoding *to,
                                          caq_search_space *space, size_t candidate) {
    if (job->source == CAQ_F32)
        VECTOR(add_errors)(to, space, candidate, 0, CAQ_F32);
    else if (job->source == CAQ_F16)
        VECTOR(add_errors)(to, space, candidate, 0, CAQ_F16);
    else
        VECTOR(add_errors)(to, space, candidate, 0, CAQ_BF16);
}

TARGET static void VECTOR(float_errors)(const caq_job *job, const caq_encoding *to,
                                        caq_search_space *space, size_t candidate) {
    if (job->source == CAQ_F32)
        VECTOR(add_errors)(to, space, candidate, 1, CAQ_F32);
    else if (job->source == CAQ_F16)
        VECTOR(add_errors)(to, space, candidate, 1, CAQ_F16);
    else
        VECTOR(add_errors)(to, space, candidate, 1, CAQ_BF16);
}

/* See caq_kernels. */
TARGET static void VECTOR(errors)(const caq_job *job, const caq_encoding *encoding,
                                  caq_search_space *space) {
    const caq_encoding to = *encoding;
    for (size_t candidate = 0; candidate < (size_t)space->search.candidates; candidate++) {
        if (to.dropped)
            VECTOR(float_errors)(job, &to, space, candidate);
        else
            VECTOR(integer_errors)(job, &to, space, candidate);
    }
}

/* See caq_kernels. */
TARGET static void VECTOR(round_found)(const caq_job *job, float *scale, size_t count) {
    round_scales(job, describe_scale(job).smallest, scale, count);
}
