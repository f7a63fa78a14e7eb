/*
 * round_rows.h - the kernels of rounding with feedback
 *
 * Included once per instruction set.
 *
 * Sums are formed in parts: a few columns of a few vectors of rows. A part stays in registers while
 * the errors of all earlier columns are added in their order. Each term is a product that is
 * rounded and then added, at every level: AS_WRITTEN keeps compilers from rounding only once.
 */
#if LANES > 1
#define PART_VECTORS (REGISTERS > 16 ? 4 : 2)
#else
#define PART_VECTORS 8 /* compilers make vectors of their own of so many */
#endif

STATIC_ASSERT(PANEL_ROWS % (PART_VECTORS * LANES) == 0 && PANEL_ROWS % (VECTORS * LANES) == 0,
              "CAQ_FEEDBACK_ROWS must be a multiple of 64, or without vectors of 8");

/* Add the shares of the errors of the columns first .. end - 1 to the sums of `columns` columns
 * from k on. All pointers are to the first row of the part. */
TARGET INLINE void feed_back(const caq_feedback *with, size_t k, size_t columns,
                             const float *errors, size_t first, size_t end, const float *from,
                             float *to) {
    vf sum[PANEL_COLUMNS][PART_VECTORS];
    const float *coefficients = with->coefficients + k * with->stride;
    UNROLL for (size_t c = 0; c < columns; c++) UNROLL for (size_t v = 0; v < PART_VECTORS; v++)
        sum[c][v] = v_load_floats(from + c * PANEL_ROWS + v * LANES);
    for (size_t i = first; i < end; i++) {
        vf error[PART_VECTORS];
        UNROLL for (size_t v = 0; v < PART_VECTORS; v++) error[v] =
            v_load_floats(errors + i * PANEL_ROWS + v * LANES);
        UNROLL for (size_t c = 0; c < columns; c++) {
            vf share = v_set_f(coefficients[c * with->stride + i]);
            UNROLL for (size_t v = 0; v < PART_VECTORS; v++) sum[c][v] =
                v_add(sum[c][v], v_mul(error[v], share));
        }
    }
    UNROLL for (size_t c = 0; c < columns; c++) UNROLL for (size_t v = 0; v < PART_VECTORS; v++)
        v_store_floats(to + c * PANEL_ROWS + v * LANES, sum[c][v]);
}

/* The kernel `begin_columns`. */
AS_WRITTEN TARGET static void begin_columns(const caq_feedback *with, size_t first, size_t columns,
                                            caq_panel *panel) {
    for (size_t row = 0; row < PANEL_ROWS; row += PART_VECTORS * LANES) {
        const float *errors = panel->errors + row, *from = errors + first * PANEL_ROWS;
        float *sums = panel->sums + row;
        if (columns == PANEL_COLUMNS)
            feed_back(with, first, PANEL_COLUMNS, errors, 0, first, from, sums);
        else
            for (size_t c = 0; c < columns; c++)
                feed_back(with, first + c, 1, errors, 0, first, from + c * PANEL_ROWS,
                          sums + c * PANEL_ROWS);
    }
}

/* What the numbers of a vector are rounded by. */
typedef struct vrounding {
    vf scale, reciprocal, lowest, highest;
    vf overflow; /* magnitudes from here on are infinite in the weight's type */
} vrounding;

/* The number that the code nearest to x decodes to. */
TARGET INLINE vf decoded_of(vf x, const vrounding *by, const caq_encoding *to, caq_source source) {
    vf code = code_of(v_mul(x, by->reciprocal), by->lowest, by->highest, to, to->dropped != 0);
    vf decoded = v_mul(by->scale, code);
    return source == CAQ_F32 ? decoded : round_decoded(decoded, source);
}

/* Return the codes of a vector of rows, and turn their weights into errors. A weight is rounded
 * without feedback if that leads to a number that is not finite, or to a code that decodes to one.
 */
TARGET INLINE vi round_vector(vf x, float *error, const float *scale, const int32_t *zero,
                              const caq_encoding *to, caq_source source) {
    const vf weight = v_load_floats(error), infinity = v_from_bits(v_set_i(0x7F800000));
    const vf zeros = v_to_float(v_load_i(zero)), scales = v_load_floats(scale);
    const vrounding by = {.scale = scales,
                          .reciprocal = v_div(v_set_f(1.0f), scales),
                          .lowest = v_sub(v_set_f(0.0f), zeros),
                          .highest = v_sub(v_set_f((float)to->largest), zeros),
                          .overflow = source == CAQ_F16 ? v_set_f(0x1p16f) : infinity};
    x = v_if_above(infinity, v_magnitude(x), x, weight);
    x = v_if_above(by.overflow, v_magnitude(decoded_of(x, &by, to, source)), x, weight);
    v_store_floats(error, v_sub(weight, decoded_of(x, &by, to, source)));
    if (to->dropped)
        return code_float(x, by.reciprocal, v_load_i(zero), to);
    vf code = code_of(v_mul(x, by.reciprocal), by.lowest, by.highest, to, 0);
    return v_add_i(v_round(code), v_load_i(zero));
}

/* The kernel `round_column`. */
AS_WRITTEN TARGET static void round_column(const caq_job *job, const caq_encoding *encoding,
                                           const caq_feedback *with, size_t first, size_t k,
                                           caq_panel *panel) {
    float *sums = panel->sums + (k - first) * PANEL_ROWS;
    float *errors = panel->errors + k * PANEL_ROWS;
    for (size_t row = 0; row < PANEL_ROWS; row += PART_VECTORS * LANES)
        feed_back(with, k, 1, panel->errors + row, first, k, sums + row, sums + row);
    for (size_t row = 0; row < PANEL_ROWS; row += VECTORS * LANES) {
        vi codes[VECTORS];
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            size_t r = row + v * LANES;
            codes[v] = round_vector(v_load_floats(sums + r), errors + r, panel->scale + r,
                                    panel->zero + r, encoding, job->source);
        }
        vb bytes = b_narrow(codes);
        bytes = encoding->dropped ? bytes_float(bytes, encoding) : bytes_integer(bytes, encoding);
        b_store_step(panel->codes + row, bytes, encoding);
    }
}

#undef PART_VECTORS
