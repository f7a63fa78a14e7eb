/*
 * feedback_template.h - the kernels of rounding with feedback
 *
 * Included once per instruction set, behind kernels_template.h, with TARGET, VECTOR, LANES and REGISTERS
 * as that has them.
 *
 * A tile is some columns of a few vectors of rows. Its sums stay in registers while the columns before
 * are passed over in their order. Each term is a product that is rounded and then added, at every level:
 * UNFUSED keeps compilers from making one operation of the two, which would round once.
 */
#if LANES > 1
#define TILE_VECTORS (REGISTERS > 16 ? 4 : 2)
#else
#define TILE_VECTORS 8 /* as good as a vector: compilers make one of the loops */
#endif

/* Add to the sums of `columns` columns from k on the shares of the errors of the columns first .. end - 1.
 * All pointers are to the tile's first row. */
TARGET INLINE void VECTOR(feed_back)(const caq_feedback *with, size_t k, size_t columns,
                                     const float *errors, size_t first, size_t end,
                                     const float *from, float *to) {
    vf sum[PANEL_COLUMNS][TILE_VECTORS];
    const float *coefficients = with->coefficients + k * with->stride;
    UNROLL for (size_t c = 0; c < columns; c++) UNROLL for (size_t v = 0; v < TILE_VECTORS; v++)
        sum[c][v] = VECTOR(load_floats)(from + c * PANEL_ROWS + v * LANES);
    for (size_t i = first; i < end; i++) {
        vf error[TILE_VECTORS];
        UNROLL for (size_t v = 0; v < TILE_VECTORS; v++) error[v] =
            VECTOR(load_floats)(errors + i * PANEL_ROWS + v * LANES);
        UNROLL for (size_t c = 0; c < columns; c++) {
            vf share = VECTOR(set_f)(coefficients[c * with->stride + i]);
            UNROLL for (size_t v = 0; v < TILE_VECTORS; v++) sum[c][v] =
                VECTOR(add)(sum[c][v], VECTOR(mul)(error[v], share));
        }
    }
    UNROLL for (size_t c = 0; c < columns; c++) UNROLL for (size_t v = 0; v < TILE_VECTORS; v++)
        VECTOR(store_floats)(to + c * PANEL_ROWS + v * LANES, sum[c][v]);
}

/* See caq_kernels. */
UNFUSED TARGET static void VECTOR(begin_columns)(const caq_feedback *with, size_t first,
                                                 size_t columns, caq_panel *panel) {
    for (size_t row = 0; row < PANEL_ROWS; row += TILE_VECTORS * LANES) {
        const float *errors = panel->errors + row, *from = errors + first * PANEL_ROWS;
        float *sums = panel->sums + row;
        if (columns == PANEL_COLUMNS)
            VECTOR(feed_back)(with, first, PANEL_COLUMNS, errors, 0, first, from, sums);
        else
            for (size_t c = 0; c < columns; c++)
                VECTOR(feed_back)(with, first + c, 1, errors, 0, first, from + c * PANEL_ROWS,
                                  sums + c * PANEL_ROWS);
    }
}

/* What rounding a vector of numbers takes. */
typedef struct VECTOR(rounding) {
    vf scale, reciprocal, lowest, highest;
    vf overflow; /* magnitudes from here on are infinite in the weight's type */
} VECTOR(rounding);

/* The nearest code of x, less the zero point, as a number, and what it decodes to. */
TARGET INLINE vf VECTOR(nearest)(vf x, const VECTOR(rounding) * by, const caq_encoding *to,
                                 caq_source source, vf *decoded) {
    vf code = VECTOR(code_of)(VECTOR(mul)(x, by->reciprocal), by->lowest, by->highest, to,
                              to->dropped != 0);
    *decoded = VECTOR(mul)(by->scale, code);
    if (source != CAQ_F32)
        *decoded = VECTOR(round_decoded)(*decoded, source);
    return code;
}

/* Round a vector of rows; the weights become their errors. Where what is fed back leads out of the numbers
 * that there are, or to a code that does, the weight is rounded without. */
TARGET INLINE void VECTOR(round_rows)(float *sum, float *error, const float *scale,
                                      const int32_t *zero, const caq_encoding *to,
                                      caq_source source, uint8_t *codes) {
    vf weight = VECTOR(load_floats)(error), x = VECTOR(load_floats)(sum), decoded;
    vf minus_zero = VECTOR(to_float)(VECTOR(sub_i)(VECTOR(set_i)(0), VECTOR(load_i)(zero)));
    VECTOR(rounding) by = {.scale = VECTOR(load_floats)(scale), .lowest = minus_zero};
    by.reciprocal = VECTOR(div)(VECTOR(set_f)(1.0f), by.scale);
    by.highest = VECTOR(add)(minus_zero, VECTOR(set_f)((float)to->largest));
    vf infinity = VECTOR(from_bits)(VECTOR(set_i)(0x7F800000));
    by.overflow = source == CAQ_F16 ? VECTOR(set_f)(0x1p16f) : infinity;
    x = VECTOR(if_above)(infinity, VECTOR(magnitude)(x), x, weight);
    VECTOR(nearest)(x, &by, to, source, &decoded);
    x = VECTOR(if_above)(by.overflow, VECTOR(magnitude)(decoded), x, weight);
    vf code = VECTOR(nearest)(x, &by, to, source, &decoded);
    VECTOR(store_floats)(error, VECTOR(sub)(weight, decoded));
    vi integer = VECTOR(add_i)(VECTOR(round)(code), VECTOR(load_i)(zero));
    if (to->dropped) {
        const void *p = sum;
        VECTOR(store_floats)(sum, x);
        integer = VECTOR(f32_float_code)(p, by.reciprocal, integer, to);
    }
    VECTOR(store_codes)(codes, integer, to);
}

/* See caq_kernels. */
UNFUSED TARGET static void VECTOR(round_column)(const caq_job *job, const caq_encoding *encoding,
                                                const caq_feedback *with, size_t first, size_t k,
                                                caq_panel *panel) {
    float *sums = panel->sums + (k - first) * PANEL_ROWS, *errors = panel->errors;
    for (size_t row = 0; row < PANEL_ROWS; row += TILE_VECTORS * LANES)
        VECTOR(feed_back)(with, k, 1, errors + row, first, k, sums + row, sums + row);
    for (size_t row = 0; row < PANEL_ROWS; row += LANES)
        VECTOR(round_rows)(sums + row, errors + k * PANEL_ROWS + row, panel->scale + row,
                           panel->zero + row, encoding, job->source, panel->codes + row);
}

#undef TILE_VECTORS
