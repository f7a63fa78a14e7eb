/*
 * best_last_template.h - the loops in which a path is looked for
 *
 * Included once per instruction set, with
 *   TARGET         its function attribute
 *   TABLE(op)      the name of an operation at this level
 *   DOUBLES        lanes of a vector of binary64, vd, and the operations on it: load, set, sub, add, mul,
 *                  div, if_above(a, b, yes, no), store
 */

/* before[first] with what the points from first to an edge gain as one cluster. */
TARGET static inline vd TABLE(gains)(vd before, vd mass, vd moment, vd end_mass, vd end_moment) {
    vd moved = TABLE(sub)(end_moment, moment);
    vd gain = TABLE(div)(TABLE(mul)(moved, moved), TABLE(sub)(end_mass, mass));
    return TABLE(add)(before, gain);
}

TARGET static size_t TABLE(best_last)(const edges *among, const double *before, size_t low,
                                      size_t high, size_t end, double *gain) {
    size_t first = low, best_first = low;
    double best = before[low] + gain_between(among, low, end);
#if DOUBLES > 1
    if (high - low >= DOUBLES) {
        const double *masses = among->masses, *moments = among->moments;
        vd end_mass = TABLE(set)(masses[end]), end_moment = TABLE(set)(moments[end]);
        vd bests = TABLE(set)(best), where = TABLE(set)((double)low);
        vd place = TABLE(count_up)((double)low), step = TABLE(set)(DOUBLES);
        for (; first + DOUBLES <= high + 1; first += DOUBLES) {
            vd found = TABLE(gains)(TABLE(load)(before + first), TABLE(load)(masses + first),
                                    TABLE(load)(moments + first), end_mass, end_moment);
            where = TABLE(if_above)(found, bests, place, where);
            bests = TABLE(if_above)(found, bests, found, bests);
            place = TABLE(add)(place, step);
        }
        double lane_best[DOUBLES], lane_first[DOUBLES];
        TABLE(store)(lane_best, bests);
        TABLE(store)(lane_first, where);
        for (size_t lane = 0; lane < DOUBLES; lane++) {
            size_t lanes_first = (size_t)lane_first[lane];
            if (lane_best[lane] > best || (lane_best[lane] == best && lanes_first < best_first)) {
                best = lane_best[lane];
                best_first = lanes_first;
            }
        }
    }
#endif
    for (; first <= high; first++) {
        double found = before[first] + gain_between(among, first, end);
        if (found > best) {
            best = found;
            best_first = first;
        }
    }
    *gain = best;
    return best_first;
}

TARGET static void TABLE(best_lasts)(const edges *among, const double *before, size_t low,
                                     size_t high, size_t end, double gains[STRIDE],
                                     uint32_t lasts[STRIDE]) {
    const double *masses = among->masses, *moments = among->moments;
    size_t shared = high < end ? high + 1 : end; /* up to here for all ends */
    vd end_mass[STRIDE / DOUBLES], end_moment[STRIDE / DOUBLES];
    vd bests[STRIDE / DOUBLES], where[STRIDE / DOUBLES];
    for (size_t k = 0; k < STRIDE / DOUBLES; k++) {
        end_mass[k] = TABLE(load)(masses + end + k * DOUBLES);
        end_moment[k] = TABLE(load)(moments + end + k * DOUBLES);
        bests[k] = TABLE(set)(-1);
        where[k] = TABLE(set)((double)low);
    }
    for (size_t first = low; first < shared; first++) {
        vd so_far = TABLE(set)(before[first]), place = TABLE(set)((double)first);
        vd mass = TABLE(set)(masses[first]), moment = TABLE(set)(moments[first]);
        for (size_t k = 0; k < STRIDE / DOUBLES; k++) {
            vd found = TABLE(gains)(so_far, mass, moment, end_mass[k], end_moment[k]);
            where[k] = TABLE(if_above)(found, bests[k], place, where[k]);
            bests[k] = TABLE(if_above)(found, bests[k], found, bests[k]);
        }
    }
    double places[STRIDE];
    for (size_t k = 0; k < STRIDE / DOUBLES; k++) {
        TABLE(store)(gains + k * DOUBLES, bests[k]);
        TABLE(store)(places + k * DOUBLES, where[k]);
    }
    for (size_t lane = 0; lane < STRIDE; lane++)
        lasts[lane] = (uint32_t)places[lane];
    for (size_t first = shared; first <= high && first < end + STRIDE - 1; first++)
        for (size_t lane = first - end + 1; lane < STRIDE && end + lane <= among->end; lane++) {
            double found = before[first] + gain_between(among, first, end + lane);
            if (found > gains[lane]) {
                gains[lane] = found;
                lasts[lane] = (uint32_t)first;
            }
        }
}
