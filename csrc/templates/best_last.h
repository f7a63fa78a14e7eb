/*
 * best_last.h - kernels that look for where clusters of a look-up table begin
 *
 * Included by level.h.
 */

#if CAQ_WITH_TABLES

/* before[first] with what the points from first to an edge gain as one cluster. */
TARGET static inline vd d_gains(vd before, vd mass, vd moment, vd end_mass, vd end_moment) {
    vd moved = d_sub(end_moment, moment);
    vd gain = d_div(d_mul(moved, moved), d_sub(end_mass, mass));
    return d_add(before, gain);
}

TARGET static size_t best_last(const struct caq_edges *among, const double *before, size_t low,
                               size_t high, size_t end, double *gain) {
    size_t first = low, best_first = low;
    double best = before[low] + caq_gain_between(among, low, end);
    if (DOUBLES > 1 && high - low >= DOUBLES) {
        const double *masses = among->masses, *moments = among->moments;
        vd end_mass = d_set(masses[end]), end_moment = d_set(moments[end]);
        vd bests = d_set(best), where = d_set((double)low);
        vd place = d_add(d_set((double)low), d_lanes()), step = d_set(DOUBLES);
        for (; first + DOUBLES <= high + 1; first += DOUBLES) {
            vd found = d_gains(d_load(before + first), d_load(masses + first),
                               d_load(moments + first), end_mass, end_moment);
            where = d_if_above(found, bests, place, where);
            bests = d_if_above(found, bests, found, bests);
            place = d_add(place, step);
        }
        double lane_best[DOUBLES], lane_first[DOUBLES];
        d_store(lane_best, bests);
        d_store(lane_first, where);
        for (size_t lane = 0; lane < DOUBLES; lane++) {
            size_t lanes_first = (size_t)lane_first[lane];
            if (lane_best[lane] > best || (lane_best[lane] == best && lanes_first < best_first)) {
                best = lane_best[lane];
                best_first = lanes_first;
            }
        }
    }
    for (; first <= high; first++) {
        double found = before[first] + caq_gain_between(among, first, end);
        if (found > best) {
            best = found;
            best_first = first;
        }
    }
    *gain = best;
    return best_first;
}

TARGET static void best_lasts(const struct caq_edges *among, const double *before, size_t low,
                              size_t high, size_t end, double gains[CAQ_ENDS],
                              uint32_t lasts[CAQ_ENDS]) {
    const double *masses = among->masses, *moments = among->moments;
    vd end_mass[CAQ_ENDS / DOUBLES], end_moment[CAQ_ENDS / DOUBLES];
    vd bests[CAQ_ENDS / DOUBLES], where[CAQ_ENDS / DOUBLES];
    for (size_t k = 0; k < CAQ_ENDS / DOUBLES; k++) {
        end_mass[k] = d_load(masses + end + k * DOUBLES);
        end_moment[k] = d_load(moments + end + k * DOUBLES);
        bests[k] = d_set(-1.0 / 0.0);
        where[k] = d_set((double)low);
    }
    for (size_t first = low; first <= high; first++) {
        vd so_far = d_set(before[first]), place = d_set((double)first);
        vd mass = d_set(masses[first]), moment = d_set(moments[first]);
        for (size_t k = 0; k < CAQ_ENDS / DOUBLES; k++) {
            vd found = d_gains(so_far, mass, moment, end_mass[k], end_moment[k]);
            where[k] = d_if_above(found, bests[k], place, where[k]);
            bests[k] = d_if_above(found, bests[k], found, bests[k]);
        }
    }
    double places[CAQ_ENDS];
    for (size_t k = 0; k < CAQ_ENDS / DOUBLES; k++) {
        d_store(gains + k * DOUBLES, bests[k]);
        d_store(places + k * DOUBLES, where[k]);
    }
    for (size_t lane = 0; lane < CAQ_ENDS; lane++)
        lasts[lane] = (uint32_t)places[lane];
}

#endif
