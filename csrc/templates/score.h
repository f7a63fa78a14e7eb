/*
 * score.h - the kernels of the observer MSE: they score scales, and add up errors
 *
 * Included once per instruction set. search/search.h has the panel, and reference/mse.py has the
 * formulas: x stands for weights that were made integers, h for importances, c for codes.
 */

TARGET static inline vf v_load_floats(const float *p) {
    return v_load_f32((const uint32_t *)(const void *)p);
}
TARGET static inline void v_store_floats(float *p, vf x) {
    v_store_i((int32_t *)(void *)p, v_bits(x));
}

TARGET static inline vf v_magnitude(vf x) {
    return v_from_bits(v_and(v_bits(x), v_set_i(INT32_MAX)));
}

#if LANES > 1
/* Transpose a square of numbers. Each round interleaves the first half of the rows with the second,
 * which moves a bit from the number of the row to that of the column. */
TARGET INLINE void v_transpose(vf rows[LANES]) {
    UNROLL_LANES for (size_t round = 1; round < LANES; round *= 2) {
        vf shuffled[LANES];
        UNROLL_LANES for (size_t row = 0; row < LANES / 2; row++)
            v_interleave(rows[row], rows[row + LANES / 2], shuffled + 2 * row);
        UNROLL_LANES for (size_t row = 0; row < LANES; row++) rows[row] = shuffled[row];
    }
}
#endif

/* The kernel `take_lanes`. */
TARGET static void take_lanes(const float *blocks, size_t length, float *to) {
    size_t i = 0;
#if LANES > 1
    for (; i + LANES <= length; i += LANES) {
        vf rows[LANES];
        UNROLL_LANES for (size_t lane = 0; lane < LANES; lane++) rows[lane] =
            v_load_floats(blocks + lane * length + i);
        v_transpose(rows);
        UNROLL_LANES for (size_t e = 0; e < LANES; e++)
            v_store_floats(to + (i + e) * LANES, rows[e]);
    }
#endif
    for (; i < length; i++)
        UNROLL_LANES for (size_t lane = 0; lane < LANES; lane++) to[i * LANES + lane] =
            blocks[lane * length + i];
}

/* Make integers of weights, in pairs. */
TARGET static void fill_pairs(caq_search_space *space) {
    vf gain = v_load_floats(space->search.gain);
    for (size_t e = 0; e < space->depth; e += 2) {
        vf even = v_load_floats(space->weights + e * LANES);
        vf odd = v_load_floats(space->weights + (e + 1) * LANES);
        vi pair = v_pair(v_round(v_mul(even, gain)), v_round(v_mul(odd, gain)));
        v_store_i(space->x + e / 2 * LANES, pair);
    }
}

/* Make integers of the magnitudes of weights. */
TARGET static void fill_magnitudes(caq_search_space *space) {
    vf gain = v_load_floats(space->search.gain);
    for (size_t e = 0; e < space->depth; e++) {
        vf weight = v_magnitude(v_load_floats(space->weights + e * LANES));
        v_store_i(space->x + e * LANES, v_round(v_mul(weight, gain)));
    }
}

/* Raise importances to `least`, and divide them by the largest of their block. */
TARGET static void divide_importance(caq_search_space *space) {
    vf most = v_load_floats(space->search.most);
    vf least = v_load_floats(space->search.least);
    for (size_t i = 0; i < space->depth * LANES; i += LANES) {
        vf raised = v_greater(v_load_floats(space->importance + i), least);
        v_store_floats(space->importance + i, v_div(raised, most));
    }
}

/* Fill h and h * x for codes of 2 and 4 bits. */
TARGET static void weigh_pairs(caq_search_space *space) {
    vf gain = v_load_floats(space->search.gain), part = v_set_f(1.0f / IMPORTANCE_UNIT);
    for (size_t e = 0; e < space->depth; e += 2) {
        vi h[2], hx[2];
        for (size_t k = 0; k < 2; k++) {
            vf weight = v_load_floats(space->weights + (e + k) * LANES);
            vf importance = v_load_floats(space->importance + (e + k) * LANES);
            h[k] = v_round(v_mul(importance, v_set_f(IMPORTANCE_UNIT)));
            vf rounded = v_mul(v_to_float(h[k]), part);
            hx[k] = v_round(v_mul(v_mul(weight, gain), rounded));
        }
        v_store_i(space->h + e / 2 * LANES, v_pair(h[0], h[1]));
        v_store_i(space->hx + e / 2 * LANES, v_pair(hx[0], hx[1]));
    }
}

/* Fill h and h * x for codes of 8 bits. */
TARGET static void weigh_numbers(const caq_job *job, caq_search_space *space) {
    vf gain = v_load_floats(space->search.gain);
    vf product = v_set_f(product_unit(job)), square = v_set_f(square_unit(job));
    int is_float = caq_describe_format(job->format).mantissa != 0;
    for (size_t i = 0; i < space->depth * LANES; i += LANES) {
        vf weight = v_load_floats(space->weights + i);
        vf importance = v_load_floats(space->importance + i);
        weight = is_float ? v_magnitude(weight) : weight;
        vf x = v_to_float(v_round(v_mul(weight, gain)));
        vf hx = v_mul(v_mul(x, importance), product);
        vf h = v_mul(importance, square);
        v_store_i(space->h + i, v_bits(h));
        v_store_i(space->hx + i, v_bits(hx));
    }
}

/* Fill h and h * x. */
TARGET static void weigh(const caq_job *job, caq_search_space *space) {
    divide_importance(space);
    if (caq_describe_format(job->format).bits < 8)
        weigh_pairs(space);
    else
        weigh_numbers(job, space);
}

/* The best score of each lane so far, and its sums. */
typedef struct vbest {
    vf score, a, b;
} vbest;

TARGET static inline vbest load_best(const caq_search *search) {
    vbest best = {v_load_floats(search->score), v_load_floats(search->a), v_load_floats(search->b)};
    return best;
}

/* Store the best. Where it was found in this pass, its zero point is that of the pass. */
TARGET static inline void store_best(caq_search *search, vbest best) {
    vf zero = v_if_above(best.score, v_load_floats(search->score), v_load_floats(search->turn_zero),
                         v_load_floats(search->zero));
    v_store_floats(search->zero, zero);
    v_store_floats(search->score, best.score);
    v_store_floats(search->a, best.a);
    v_store_floats(search->b, best.b);
}

/* Sums of products x * c and of squares c * c of a candidate. */
typedef struct vsums {
    vi a, b;
} vsums;

/* Sums of terms that are up to 2^30, in two halves: a sum is high * 2^15 + low. */
typedef struct vhalves {
    vi high, low;
} vhalves;
typedef struct vlarge_sums {
    vhalves a, b;
} vlarge_sums;

/* Add a term. */
TARGET static inline void add_large(vhalves *sum, vf term) {
    vi rounded = v_round_large(term);
    sum->high = v_add_i(sum->high, v_shift_down(rounded, 15));
    sum->low = v_add_i(sum->low, v_and(rounded, v_set_i(0x7FFF)));
}

/* Add the sums of the lanes to those of a candidate. */
TARGET static void put_large(int64_t *to, vhalves sum) {
    int32_t high[LANES], low[LANES];
    v_store_i(high, sum.high);
    v_store_i(low, sum.low);
    for (size_t lane = 0; lane < LANES; lane++)
        to[lane] += ((int64_t)high[lane] << 15) + low[lane];
}

/* Round a sum to binary32. It is rounded only once, because either half is exact. */
TARGET static inline vf large_to_float(vhalves sum) {
    vi high = v_add_i(sum.high, v_shift_down(sum.low, 15));
    vf low = v_to_float(v_and(sum.low, v_set_i(0x7FFF)));
    return v_add(v_mul(v_to_float(high), v_set_f(0x1p15f)), low);
}

/* Keep a score a * a / b and its sums where it is better. */
TARGET INLINE void raise_best(vf a, vf b, vbest *best) {
    vf score = v_div(v_mul(a, a), b);
    best->a = v_if_above(score, best->score, a, best->a);
    best->b = v_if_above(score, best->score, b, best->b);
    best->score = v_greater(score, best->score);
}

/* Make a score of the sums of a candidate, or add them to those of a block that does not fit into a
 * panel. */
TARGET INLINE void put_sums(caq_search_space *space, size_t candidate, vsums sums, float unit,
                            vbest *best) {
    if (space->is_shallow) {
        vf b = v_to_float(v_max(sums.b, v_set_i(1)));
        if (unit != 1.0f)
            b = v_mul(b, v_set_f(1.0f / unit));
        raise_best(v_to_float(sums.a), b, best);
        return;
    }
    int32_t parts[2][LANES];
    v_store_i(parts[0], sums.a);
    v_store_i(parts[1], sums.b);
    for (size_t lane = 0; lane < LANES; lane++) {
        space->a[candidate][lane] += parts[0][lane];
        space->b[candidate][lane] += parts[1][lane];
    }
}

/* Do what put_sums() does for sums in halves. */
TARGET INLINE void put_large_sums(caq_search_space *space, size_t candidate, vlarge_sums sums,
                                  float product, float square, vbest *best) {
    if (space->is_shallow) {
        vf a = large_to_float(sums.a);
        vf b = v_greater(large_to_float(sums.b), v_set_f(1.0f));
        raise_best(v_mul(a, v_set_f(1.0f / product)), v_mul(b, v_set_f(1.0f / square)), best);
        return;
    }
    put_large(space->a[candidate], sums.a);
    put_large(space->b[candidate], sums.b);
}

/* Sum up the terms of a candidate, which is given as the factor `steps`. */
TARGET INLINE vsums sum_pairs(const caq_search_space *space, vi steps, vi lowest, vi highest,
                              size_t depth, int weighed) {
    vsums sums = {v_set_i(0), v_set_i(0)};
    for (size_t i = 0; i < depth / 2 * LANES; i += LANES) {
        vi x = v_load_i(space->x + i);
        vi codes = v_clip_pairs(v_scale_pairs(x, steps), lowest, highest);
        vi hx = weighed ? v_load_i(space->hx + i) : x;
        vi h_codes = weighed ? v_mul_pairs(v_load_i(space->h + i), codes) : codes;
        sums.a = v_add_i(sums.a, v_dot_pairs(hx, codes));
        sums.b = v_add_i(sums.b, v_dot_pairs(h_codes, codes));
    }
    return sums;
}

/* Add the terms of a vector of elements, from i on. */
TARGET INLINE void add_terms(const caq_search_space *space, size_t i, vi codes, vlarge_sums *sums) {
    vf c = v_to_float(codes);
    vf hx = v_from_bits(v_load_i(space->hx + i));
    vf h = v_from_bits(v_load_i(space->h + i));
    add_large(&sums->a, v_mul(hx, c));
    add_large(&sums->b, v_mul(h, v_mul(c, c)));
}

TARGET static inline vlarge_sums no_large_sums(void) {
    vhalves none = {v_set_i(0), v_set_i(0)};
    vlarge_sums sums = {none, none};
    return sums;
}

TARGET INLINE vlarge_sums sum_large_pairs(const caq_search_space *space, vi steps, vi lowest,
                                          vi highest) {
    vlarge_sums sums = no_large_sums();
    for (size_t i = 0; i < space->depth / 2 * LANES; i += LANES) {
        vi x = v_load_i(space->x + i);
        vi codes = v_clip_pairs(v_scale_pairs(x, steps), lowest, highest);
        for (size_t k = 0; k < 2; k++) {
            vi one = v_dot_pairs(codes, v_set_i(k ? 0x10000 : 1));
            add_terms(space, 2 * i + k * LANES, one, &sums);
        }
    }
    return sums;
}

/* Score the candidates of an integer format. */
TARGET INLINE void score_integers(const caq_job *job, caq_search_space *space, size_t depth,
                                  unsigned bits, int weighed) {
    vbest best = load_best(&space->search);
    vi lowest = v_load_i(space->search.lowest);
    vi highest = v_load_i(space->search.highest);
    caq_grid grid = integer_grid(bits);
    float product = weighed ? product_unit(job) : 1.0f;
    float square = weighed ? square_unit(job) : 1.0f;
    int32_t step = grid.first;
    for (size_t candidate = 0; candidate < (size_t)space->search.tries; candidate++) {
        vi steps = v_set_i(step * 0x10001);
        if (weighed && bits == 8)
            put_large_sums(space, candidate, sum_large_pairs(space, steps, lowest, highest),
                           product, square, &best);
        else
            put_sums(space, candidate, sum_pairs(space, steps, lowest, highest, depth, weighed),
                     square, &best);
        step = next_step(grid, step);
    }
    store_best(&space->search, best);
}

/* Score the candidates of FP8. */
TARGET INLINE void score_floats(const caq_job *job, caq_search_space *space, int weighed) {
    vbest best = load_best(&space->search);
    uint32_t dropped = 23u - caq_describe_format(job->format).mantissa;
    vi half = v_set_i(1 << (dropped - 1)), kept = v_set_i(-(1 << dropped));
    float product = weighed ? product_unit(job) : 1.0f;
    float square = weighed ? square_unit(job) : 1.0f;
    for (size_t candidate = 0; candidate < FLOAT_STEPS; candidate++) {
        /* 7/8 of FLOAT_UNIT has the significand of the largest code, 1.75 */
        float times = 0.875f * (float)(2 * FLOAT_STEPS - candidate) / (2 * FLOAT_STEPS);
        vf factor = v_set_f(times);
        vsums sums = {v_set_i(0), v_set_i(0)};
        vlarge_sums large = no_large_sums();
        for (size_t i = 0; i < space->depth * LANES; i += LANES) {
            vi x = v_load_i(space->x + i);
            vi scaled = v_bits(v_mul(v_to_float(x), factor));
            vi rounded = v_and(v_add_i(scaled, half), kept);
            vi codes = v_round(v_from_bits(rounded));
            if (weighed) {
                add_terms(space, i, codes, &large);
                continue;
            }
            sums.a = v_add_i(sums.a, v_dot_pairs(x, codes));
            sums.b = v_add_i(sums.b, v_dot_pairs(codes, codes));
        }
        if (weighed)
            put_large_sums(space, candidate, large, product, square, &best);
        else
            put_sums(space, candidate, sums, 1.0f, &best);
    }
    store_best(&space->search, best);
}

/* Score candidates with importances. */
TARGET static void score_weighed(const caq_job *job, caq_search_space *space) {
    caq_format_info format = caq_describe_format(job->format);
    if (space->is_fresh)
        weigh(job, space);
    if (format.mantissa)
        score_floats(job, space, 1);
    else if (format.bits == 8)
        score_integers(job, space, space->depth, 8, 1);
    else
        score_integers(job, space, space->depth, format.bits, 1);
}

/* The kernel `score`. Panels of the usual depth have a loop in which the depth is a constant. */
TARGET static void score(const caq_job *job, caq_search_space *space) {
    caq_format_info format = caq_describe_format(job->format);
    if (space->is_fresh && format.mantissa)
        fill_magnitudes(space);
    else if (space->is_fresh)
        fill_pairs(space);
    if (job->importance)
        score_weighed(job, space);
    else if (format.mantissa)
        score_floats(job, space, 0);
    else if (space->depth == USUAL_LENGTH)
        score_integers(job, space, USUAL_LENGTH, format.bits, 0);
    else
        score_integers(job, space, space->depth, format.bits, 0);
}

/* Round magnitudes half to even to steps. A step is 2^-dropped of the binade, or of the binade of
 * `smallest` if that is larger: see code_float() in to_codes.h. */
TARGET static inline vf round_to_steps(vf magnitude, int32_t smallest, int32_t dropped) {
    vi binade = v_and(v_bits(magnitude), v_set_i(0x7F800000));
    binade = v_max(binade, v_set_i(smallest));
    vf adder = v_from_bits(v_add_i(binade, v_set_i(dropped * (1 << 23))));
    return v_sub(v_add(magnitude, adder), adder);
}

/* Give magnitudes the signs of other numbers. */
TARGET static inline vf with_sign(vf magnitude, vf sign) {
    vi bit = v_and(v_bits(sign), v_set_i(INT32_MIN));
    return v_from_bits(v_or(v_bits(magnitude), bit));
}

/* The codes of scaled weights, less the zero point, as numbers: the rule of codes.h. They are
 * clipped before they are rounded, which gives the numbers that clipping afterwards gives. */
TARGET static inline vf code_of(vf scaled, vf lowest, vf highest, const caq_encoding *to,
                                int is_float) {
    if (!is_float) {
        vf clipped = v_lesser(v_greater(scaled, lowest), highest);
        return v_to_float(v_round(clipped));
    }
    vf magnitude = v_lesser(v_magnitude(scaled), v_set_f(to->saturation));
    return with_sign(round_to_steps(magnitude, to->smallest, to->dropped), scaled);
}

/* Round decoded weights to the type of the weight. */
TARGET static inline vf round_decoded(vf decoded, caq_source source) {
    if (source == CAQ_F32) /* no number is larger, but this keeps compilers from fusing across it */
        return v_lesser(decoded, v_set_f(FLT_MAX));
    if (source == CAQ_F16) {
        vf magnitude = v_magnitude(decoded);
        return with_sign(round_to_steps(magnitude, (127 - 14) * (1 << 23), 13), decoded);
    }
    vi bits = v_bits(decoded);
    vi rounded = v_add_i(bits, v_half_of_bf16(bits));
    return v_from_bits(v_and(rounded, v_set_i(-0x10000)));
}

/* Add the errors of a panel with one candidate. The last three arguments are constants. */
TARGET INLINE void add_errors(const caq_encoding *to, caq_search_space *space, size_t candidate,
                              int is_float, caq_source source, int weighed) {
    const caq_search *search = &space->search;
    vf scale = v_load_floats(search->scales[candidate]);
    vf reciprocal = v_div(v_set_f(1.0f), scale);
    vf zero = v_load_floats(search->zeros[candidate]);
    vf lowest = v_sub(v_set_f(0.0f), zero);
    vf highest = v_sub(v_set_f((float)to->largest), zero);
    vf gain = v_load_floats(search->error_gain);
    vhalves sum = {v_set_i(0), v_set_i(0)};
    for (size_t i = 0; i < space->depth * LANES; i += LANES) {
        vf weight = v_load_floats(space->weights + i);
        vf code = code_of(v_mul(weight, reciprocal), lowest, highest, to, is_float);
        vf decoded = round_decoded(v_mul(scale, code), source);
        vf error = v_mul(v_sub(weight, decoded), gain);
        vf square = v_lesser(v_mul(error, error), v_set_f(0x1p30f));
        if (weighed)
            square = v_mul(square, v_load_floats(space->importance + i));
        add_large(&sum, square);
    }
    put_large(space->a[candidate], sum);
}

TARGET INLINE void add_source_errors(const caq_job *job, const caq_encoding *to,
                                     caq_search_space *space, size_t candidate, int is_float,
                                     int weighed) {
    if (job->source == CAQ_F32)
        add_errors(to, space, candidate, is_float, CAQ_F32, weighed);
    else if (job->source == CAQ_F16)
        add_errors(to, space, candidate, is_float, CAQ_F16, weighed);
    else
        add_errors(to, space, candidate, is_float, CAQ_BF16, weighed);
}

TARGET static void plain_errors(const caq_job *job, const caq_encoding *to, caq_search_space *space,
                                size_t candidate) {
    if (to->dropped)
        add_source_errors(job, to, space, candidate, 1, 0);
    else
        add_source_errors(job, to, space, candidate, 0, 0);
}

TARGET static void weighed_errors(const caq_job *job, const caq_encoding *to,
                                  caq_search_space *space, size_t candidate) {
    if (to->dropped)
        add_source_errors(job, to, space, candidate, 1, 1);
    else
        add_source_errors(job, to, space, candidate, 0, 1);
}

/* The kernel `errors`. */
TARGET static void errors(const caq_job *job, const caq_encoding *encoding,
                          caq_search_space *space) {
    const caq_encoding to = *encoding;
    if (job->importance && space->is_fresh)
        divide_importance(space);
    for (size_t candidate = 0; candidate < (size_t)space->search.candidates; candidate++) {
        if (job->importance)
            weighed_errors(job, &to, space, candidate);
        else
            plain_errors(job, &to, space, candidate);
    }
}

/* The kernel `round_found`. */
TARGET static void round_found(const caq_job *job, float *scale, size_t count) {
    round_scales(job, describe_scale(job).smallest, scale, count);
}
