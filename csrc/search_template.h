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

#if LANES > 1
/* Transpose: each round of a perfect shuffle of all rows moves a bit of the row to the column. */
TARGET INLINE void VECTOR(transpose)(vf rows[LANES]) {
    UNROLL_LANES for (size_t round = 1; round < LANES; round *= 2) {
        vf shuffled[LANES];
        UNROLL_LANES for (size_t row = 0; row < LANES / 2; row++)
            VECTOR(interleave)(rows[row], rows[row + LANES / 2], shuffled + 2 * row);
        UNROLL_LANES for (size_t row = 0; row < LANES; row++) rows[row] = shuffled[row];
    }
}
#endif

/* See caq_kernels. */
TARGET static void VECTOR(take_lanes)(const float *blocks, size_t length, float *to) {
    size_t i = 0;
#if LANES > 1
    for (; i + LANES <= length; i += LANES) {
        vf rows[LANES];
        UNROLL_LANES for (size_t lane = 0; lane < LANES; lane++) rows[lane] =
            VECTOR(load_floats)(blocks + lane * length + i);
        VECTOR(transpose)(rows);
        UNROLL_LANES for (size_t e = 0; e < LANES; e++)
            VECTOR(store_floats)(to + (i + e) * LANES, rows[e]);
    }
#endif
    for (; i < length; i++)
        UNROLL_LANES for (size_t lane = 0; lane < LANES; lane++) to[i * LANES + lane] =
            blocks[lane * length + i];
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

/* Divide importances by the largest of their block. */
TARGET static void VECTOR(divide_importance)(caq_search_space *space) {
    vf most = VECTOR(load_floats)(space->search.most);
    vf least = VECTOR(load_floats)(space->search.least);
    for (size_t i = 0; i < space->depth * LANES; i += LANES) {
        vf raised = VECTOR(greater)(VECTOR(load_floats)(space->importance + i), least);
        VECTOR(store_floats)(space->importance + i, VECTOR(div)(raised, most));
    }
}

/* h and h * x for codes of 2 and 4 bits. */
TARGET static void VECTOR(weigh_pairs)(caq_search_space *space) {
    vf gain = VECTOR(load_floats)(space->search.gain), part = VECTOR(set_f)(1.0f / IMPORTANCE_UNIT);
    for (size_t e = 0; e < space->depth; e += 2) {
        vi h[2], hx[2];
        for (size_t k = 0; k < 2; k++) {
            vf weight = VECTOR(load_floats)(space->weights + (e + k) * LANES);
            vf importance = VECTOR(load_floats)(space->importance + (e + k) * LANES);
            h[k] = VECTOR(round)(VECTOR(mul)(importance, VECTOR(set_f)(IMPORTANCE_UNIT)));
            vf rounded = VECTOR(mul)(VECTOR(to_float)(h[k]), part);
            hx[k] = VECTOR(round)(VECTOR(mul)(VECTOR(mul)(weight, gain), rounded));
        }
        VECTOR(store_i)(space->h + e / 2 * LANES, VECTOR(pair)(h[0], h[1]));
        VECTOR(store_i)(space->hx + e / 2 * LANES, VECTOR(pair)(hx[0], hx[1]));
    }
}

/* The same for codes of 8 bits. */
TARGET static void VECTOR(weigh_numbers)(const caq_job *job, caq_search_space *space) {
    vf gain = VECTOR(load_floats)(space->search.gain);
    vf product = VECTOR(set_f)(product_unit(job)), square = VECTOR(set_f)(square_unit(job));
    int is_float = caq_describe_format(job->format).mantissa != 0;
    for (size_t i = 0; i < space->depth * LANES; i += LANES) {
        vf weight = VECTOR(load_floats)(space->weights + i);
        vf importance = VECTOR(load_floats)(space->importance + i);
        weight = is_float ? VECTOR(magnitude)(weight) : weight;
        vf x = VECTOR(to_float)(VECTOR(round)(VECTOR(mul)(weight, gain)));
        vf hx = VECTOR(mul)(VECTOR(mul)(x, importance), product);
        vf h = VECTOR(mul)(importance, square);
        VECTOR(store_i)(space->h + i, VECTOR(bits)(h));
        VECTOR(store_i)(space->hx + i, VECTOR(bits)(hx));
    }
}

TARGET static void VECTOR(weigh)(const caq_job *job, caq_search_space *space) {
    VECTOR(divide_importance)(space);
    if (caq_describe_format(job->format).bits < 8)
        VECTOR(weigh_pairs)(space);
    else
        VECTOR(weigh_numbers)(job, space);
}

/* The best of each lane so far. */
typedef struct VECTOR(best) {
    vf score, a, b;
} VECTOR(best);

TARGET static inline VECTOR(best) VECTOR(load_best)(const caq_search *search) {
    return (VECTOR(best)){VECTOR(load_floats)(search->score), VECTOR(load_floats)(search->a),
                          VECTOR(load_floats)(search->b)};
}

/* With the turn's zero point where it is of this turn. */
TARGET static inline void VECTOR(store_best)(caq_search *search, VECTOR(best) best) {
    vf zero =
        VECTOR(if_above)(best.score, VECTOR(load_floats)(search->score),
                         VECTOR(load_floats)(search->turn_zero), VECTOR(load_floats)(search->zero));
    VECTOR(store_floats)(search->zero, zero);
    VECTOR(store_floats)(search->score, best.score);
    VECTOR(store_floats)(search->a, best.a);
    VECTOR(store_floats)(search->b, best.b);
}

/* A candidate's sums of products and of squares. */
typedef struct VECTOR(sums) {
    vi a, b;
} VECTOR(sums);

/* The same of larger terms, in halves: a sum is high * 2^15 + low. */
typedef struct VECTOR(halves) {
    vi high, low;
} VECTOR(halves);
typedef struct VECTOR(large_sums) {
    VECTOR(halves) a, b;
} VECTOR(large_sums);

TARGET static inline void VECTOR(add_large)(VECTOR(halves) * sum, vf term) {
    vi rounded = VECTOR(round_large)(term);
    sum->high = VECTOR(add_i)(sum->high, VECTOR(shift_down)(rounded, 15));
    sum->low = VECTOR(add_i)(sum->low, VECTOR(and)(rounded, VECTOR(set_i)(0x7FFF)));
}

TARGET static void VECTOR(put_large)(int64_t *to, VECTOR(halves) sum) {
    int32_t high[LANES], low[LANES];
    VECTOR(store_i)(high, sum.high);
    VECTOR(store_i)(low, sum.low);
    for (size_t lane = 0; lane < LANES; lane++)
        to[lane] += ((int64_t)high[lane] << 15) + low[lane];
}

/* Rounded once: either half is exact. */
TARGET static inline vf VECTOR(large_to_float)(VECTOR(halves) sum) {
    vi high = VECTOR(add_i)(sum.high, VECTOR(shift_down)(sum.low, 15));
    vf low = VECTOR(to_float)(VECTOR(and)(sum.low, VECTOR(set_i)(0x7FFF)));
    return VECTOR(add)(VECTOR(mul)(VECTOR(to_float)(high), VECTOR(set_f)(0x1p15f)), low);
}

TARGET INLINE void VECTOR(raise_best)(vf a, vf b, VECTOR(best) * best) {
    vf score = VECTOR(div)(VECTOR(mul)(a, a), b);
    best->a = VECTOR(if_above)(score, best->score, a, best->a);
    best->b = VECTOR(if_above)(score, best->score, b, best->b);
    best->score = VECTOR(greater)(score, best->score);
}

/* What becomes of a candidate's sums: a score, or a part of the sums of a longer block. */
TARGET INLINE void VECTOR(put_sums)(caq_search_space *space, size_t candidate, VECTOR(sums) sums,
                                    float unit, VECTOR(best) * best) {
    if (space->is_shallow) {
        vf b = VECTOR(to_float)(VECTOR(max)(sums.b, VECTOR(set_i)(1)));
        if (unit != 1.0f)
            b = VECTOR(mul)(b, VECTOR(set_f)(1.0f / unit));
        VECTOR(raise_best)(VECTOR(to_float)(sums.a), b, best);
        return;
    }
    int32_t parts[2][LANES];
    VECTOR(store_i)(parts[0], sums.a);
    VECTOR(store_i)(parts[1], sums.b);
    for (size_t lane = 0; lane < LANES; lane++) {
        space->a[candidate][lane] += parts[0][lane];
        space->b[candidate][lane] += parts[1][lane];
    }
}

TARGET INLINE void VECTOR(put_large_sums)(caq_search_space *space, size_t candidate,
                                          VECTOR(large_sums) sums, float product, float square,
                                          VECTOR(best) * best) {
    if (space->is_shallow) {
        vf a = VECTOR(large_to_float)(sums.a);
        vf b = VECTOR(greater)(VECTOR(large_to_float)(sums.b), VECTOR(set_f)(1.0f));
        VECTOR(raise_best)(VECTOR(mul)(a, VECTOR(set_f)(1.0f / product)),
                           VECTOR(mul)(b, VECTOR(set_f)(1.0f / square)), best);
        return;
    }
    VECTOR(put_large)(space->a[candidate], sums.a);
    VECTOR(put_large)(space->b[candidate], sums.b);
}

TARGET INLINE VECTOR(sums) VECTOR(sum_pairs)(const caq_search_space *space, vi steps, vi lowest,
                                             vi highest, size_t depth, int weighed) {
    VECTOR(sums) sums = {VECTOR(set_i)(0), VECTOR(set_i)(0)};
    for (size_t i = 0; i < depth / 2 * LANES; i += LANES) {
        vi x = VECTOR(load_i)(space->x + i);
        vi codes = VECTOR(clip_pairs)(VECTOR(scale_pairs)(x, steps), lowest, highest);
        vi hx = weighed ? VECTOR(load_i)(space->hx + i) : x;
        vi h_codes = weighed ? VECTOR(mul_pairs)(VECTOR(load_i)(space->h + i), codes) : codes;
        sums.a = VECTOR(add_i)(sums.a, VECTOR(dot_pairs)(hx, codes));
        sums.b = VECTOR(add_i)(sums.b, VECTOR(dot_pairs)(h_codes, codes));
    }
    return sums;
}

/* Add the terms of the elements at i. */
TARGET INLINE void VECTOR(add_terms)(const caq_search_space *space, size_t i, vi codes,
                                     VECTOR(large_sums) * sums) {
    vf c = VECTOR(to_float)(codes);
    vf hx = VECTOR(from_bits)(VECTOR(load_i)(space->hx + i));
    vf h = VECTOR(from_bits)(VECTOR(load_i)(space->h + i));
    VECTOR(add_large)(&sums->a, VECTOR(mul)(hx, c));
    VECTOR(add_large)(&sums->b, VECTOR(mul)(h, VECTOR(mul)(c, c)));
}

TARGET static inline VECTOR(large_sums) VECTOR(no_large_sums)(void) {
    VECTOR(halves) none = {VECTOR(set_i)(0), VECTOR(set_i)(0)};
    return (VECTOR(large_sums)){none, none};
}

TARGET INLINE VECTOR(large_sums)
    VECTOR(sum_large_pairs)(const caq_search_space *space, vi steps, vi lowest, vi highest) {
    VECTOR(large_sums) sums = VECTOR(no_large_sums)();
    for (size_t i = 0; i < space->depth / 2 * LANES; i += LANES) {
        vi x = VECTOR(load_i)(space->x + i);
        vi codes = VECTOR(clip_pairs)(VECTOR(scale_pairs)(x, steps), lowest, highest);
        for (size_t k = 0; k < 2; k++) {
            vi one = VECTOR(dot_pairs)(codes, VECTOR(set_i)(k ? 0x10000 : 1));
            VECTOR(add_terms)(space, 2 * i + k * LANES, one, &sums);
        }
    }
    return sums;
}

TARGET INLINE void VECTOR(score_integers)(const caq_job *job, caq_search_space *space, size_t depth,
                                          unsigned bits, int weighed) {
    VECTOR(best) best = VECTOR(load_best)(&space->search);
    vi lowest = VECTOR(load_i)(space->search.lowest);
    vi highest = VECTOR(load_i)(space->search.highest);
    caq_grid grid = integer_grid(bits);
    float product = weighed ? product_unit(job) : 1.0f;
    float square = weighed ? square_unit(job) : 1.0f;
    int32_t step = grid.first;
    for (size_t candidate = 0; candidate < (size_t)space->search.tries; candidate++) {
        vi steps = VECTOR(set_i)(step * 0x10001);
        if (weighed && bits == 8)
            VECTOR(put_large_sums)(space, candidate,
                                   VECTOR(sum_large_pairs)(space, steps, lowest, highest), product,
                                   square, &best);
        else
            VECTOR(put_sums)(space, candidate,
                             VECTOR(sum_pairs)(space, steps, lowest, highest, depth, weighed),
                             square, &best);
        step = next_step(grid, step);
    }
    VECTOR(store_best)(&space->search, best);
}

TARGET INLINE void VECTOR(score_floats)(const caq_job *job, caq_search_space *space, int weighed) {
    VECTOR(best) best = VECTOR(load_best)(&space->search);
    uint32_t dropped = 23u - caq_describe_format(job->format).mantissa;
    vi half = VECTOR(set_i)(1 << (dropped - 1)), kept = VECTOR(set_i)(-(1 << dropped));
    float product = weighed ? product_unit(job) : 1.0f;
    float square = weighed ? square_unit(job) : 1.0f;
    for (size_t candidate = 0; candidate < FLOAT_STEPS; candidate++) {
        /* 7/8 of FLOAT_UNIT has the significand of the largest code, 1.75 */
        float times = 0.875f * (float)(2 * FLOAT_STEPS - candidate) / (2 * FLOAT_STEPS);
        vf factor = VECTOR(set_f)(times);
        VECTOR(sums) sums = {VECTOR(set_i)(0), VECTOR(set_i)(0)};
        VECTOR(large_sums) large = VECTOR(no_large_sums)();
        for (size_t i = 0; i < space->depth * LANES; i += LANES) {
            vi x = VECTOR(load_i)(space->x + i);
            vi scaled = VECTOR(bits)(VECTOR(mul)(VECTOR(to_float)(x), factor));
            vi rounded = VECTOR(and)(VECTOR(add_i)(scaled, half), kept);
            vi codes = VECTOR(round)(VECTOR(from_bits)(rounded));
            if (weighed) {
                VECTOR(add_terms)(space, i, codes, &large);
                continue;
            }
            sums.a = VECTOR(add_i)(sums.a, VECTOR(dot_pairs)(x, codes));
            sums.b = VECTOR(add_i)(sums.b, VECTOR(dot_pairs)(codes, codes));
        }
        if (weighed)
            VECTOR(put_large_sums)(space, candidate, large, product, square, &best);
        else
            VECTOR(put_sums)(space, candidate, sums, 1.0f, &best);
    }
    VECTOR(store_best)(&space->search, best);
}

/* With importances. */
TARGET static void VECTOR(score_weighed)(const caq_job *job, caq_search_space *space) {
    caq_format_info format = caq_describe_format(job->format);
    if (space->is_fresh)
        VECTOR(weigh)(job, space);
    if (format.mantissa)
        VECTOR(score_floats)(job, space, 1);
    else if (format.bits == 8)
        VECTOR(score_integers)(job, space, space->depth, 8, 1);
    else
        VECTOR(score_integers)(job, space, space->depth, format.bits, 1);
}

/* See caq_kernels. Panels of the usual depth get a copy of the loop in which that is a constant. */
TARGET static void VECTOR(score)(const caq_job *job, caq_search_space *space) {
    caq_format_info format = caq_describe_format(job->format);
    if (space->is_fresh && format.mantissa)
        VECTOR(fill_magnitudes)(space);
    else if (space->is_fresh)
        VECTOR(fill_pairs)(space);
    if (job->importance)
        VECTOR(score_weighed)(job, space);
    else if (format.mantissa)
        VECTOR(score_floats)(job, space, 0);
    else if (space->depth == USUAL_LENGTH)
        VECTOR(score_integers)(job, space, USUAL_LENGTH, format.bits, 0);
    else
        VECTOR(score_integers)(job, space, space->depth, format.bits, 0);
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
                                      size_t candidate, int is_float, caq_source source,
                                      int weighed) {
    const caq_search *search = &space->search;
    vf scale = VECTOR(load_floats)(search->scales[candidate]);
    vf reciprocal = VECTOR(div)(VECTOR(set_f)(1.0f), scale);
    vf zero = VECTOR(load_floats)(search->zeros[candidate]);
    vf lowest = VECTOR(sub)(VECTOR(set_f)(0.0f), zero);
    vf highest = VECTOR(sub)(VECTOR(set_f)((float)to->largest), zero);
    vf gain = VECTOR(load_floats)(search->error_gain);
    VECTOR(halves) sum = {VECTOR(set_i)(0), VECTOR(set_i)(0)};
    for (size_t i = 0; i < space->depth * LANES; i += LANES) {
        vf weight = VECTOR(load_floats)(space->weights + i);
        vf code = VECTOR(code_of)(VECTOR(mul)(weight, reciprocal), lowest, highest, to, is_float);
        vf decoded = VECTOR(round_decoded)(VECTOR(mul)(scale, code), source);
        vf error = VECTOR(mul)(VECTOR(sub)(weight, decoded), gain);
        vf square = VECTOR(lesser)(VECTOR(mul)(error, error), VECTOR(set_f)(0x1p30f));
        if (weighed)
            square = VECTOR(mul)(square, VECTOR(load_floats)(space->importance + i));
        VECTOR(add_large)(&sum, square);
    }
    VECTOR(put_large)(space->a[candidate], sum);
}

TARGET INLINE void VECTOR(add_source_errors)(const caq_job *job, const caq_encoding *to,
                                             caq_search_space *space, size_t candidate,
                                             int is_float, int weighed) {
    if (job->source == CAQ_F32)
        VECTOR(add_errors)(to, space, candidate, is_float, CAQ_F32, weighed);
    else if (job->source == CAQ_F16)
        VECTOR(add_errors)(to, space, candidate, is_float, CAQ_F16, weighed);
    else
        VECTOR(add_errors)(to, space, candidate, is_float, CAQ_BF16, weighed);
}

TARGET static void VECTOR(plain_errors)(const caq_job *job, const caq_encoding *to,
                                        caq_search_space *space, size_t candidate) {
    if (to->dropped)
        VECTOR(add_source_errors)(job, to, space, candidate, 1, 0);
    else
        VECTOR(add_source_errors)(job, to, space, candidate, 0, 0);
}

TARGET static void VECTOR(weighed_errors)(const caq_job *job, const caq_encoding *to,
                                          caq_search_space *space, size_t candidate) {
    if (to->dropped)
        VECTOR(add_source_errors)(job, to, space, candidate, 1, 1);
    else
        VECTOR(add_source_errors)(job, to, space, candidate, 0, 1);
}

/* See caq_kernels. */
TARGET static void VECTOR(errors)(const caq_job *job, const caq_encoding *encoding,
                                  caq_search_space *space) {
    const caq_encoding to = *encoding;
    if (job->importance && space->is_fresh)
        VECTOR(divide_importance)(space);
    for (size_t candidate = 0; candidate < (size_t)space->search.candidates; candidate++) {
        if (job->importance)
            VECTOR(weighed_errors)(job, &to, space, candidate);
        else
            VECTOR(plain_errors)(job, &to, space, candidate);
    }
}

/* See caq_kernels. */
TARGET static void VECTOR(round_found)(const caq_job *job, float *scale, size_t count) {
    round_scales(job, describe_scale(job).smallest, scale, count);
}
