/*
 * compare.h - kernels that add up squares and errors
 *
 * Included by level.h. CAQ_SUMS sums run side by side, so that they are the same with vectors of any
 * number of lanes. AS_WRITTEN keeps compilers from rounding a square and its sum only once.
 */

#if CAQ_WITH_ERRORS

#define SUM_VECTORS (CAQ_SUMS / DOUBLES)

/* See caq_kernels. */
AS_WRITTEN TARGET static void add_squares(const float *numbers, size_t count, double *sums) {
    vd sum[SUM_VECTORS];
    UNROLL_LANES for (size_t v = 0; v < SUM_VECTORS; v++) sum[v] = d_load(sums + v * DOUBLES);
    for (size_t i = 0; i < count; i += CAQ_SUMS)
        UNROLL_LANES for (size_t v = 0; v < SUM_VECTORS; v++) {
            vd number = d_widen(numbers + i + v * DOUBLES);
            sum[v] = d_add(sum[v], d_mul(number, number));
        }
    UNROLL_LANES for (size_t v = 0; v < SUM_VECTORS; v++) d_store(sums + v * DOUBLES, sum[v]);
}

/* See caq_kernels. */
AS_WRITTEN TARGET static void add_differences(const float *weight, const float *decoded,
                                              size_t count, double *sums, double *largest,
                                              double *squares) {
    vd sum[SUM_VECTORS], most[SUM_VECTORS];
    vd none = d_set(0);
    UNROLL_LANES for (size_t v = 0; v < SUM_VECTORS; v++) {
        sum[v] = d_load(sums + v * DOUBLES);
        most[v] = d_load(largest + v * DOUBLES);
    }
    for (size_t i = 0; i < count; i += CAQ_SUMS)
        UNROLL_LANES for (size_t v = 0; v < SUM_VECTORS; v++) {
            size_t at = i + v * DOUBLES;
            vd error = d_sub(d_widen(decoded + at), d_widen(weight + at));
            vd magnitude = d_if_above(error, none, error, d_sub(none, error));
            vd square = d_mul(error, error);
            sum[v] = d_add(sum[v], square);
            most[v] = d_if_above(magnitude, most[v], magnitude, most[v]);
            d_store(squares + at, square);
        }
    UNROLL_LANES for (size_t v = 0; v < SUM_VECTORS; v++) {
        d_store(sums + v * DOUBLES, sum[v]);
        d_store(largest + v * DOUBLES, most[v]);
    }
}
#undef SUM_VECTORS

#endif
