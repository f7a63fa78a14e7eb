/*
 * path.c - the best boundaries between clusters of sorted points
 *
 * By dynamic programming, as reference/tables.py describes it step by step; names are those there.
 */
#include "path.h"

#include "../geometry.h"

#if CAQ_WITH_TABLES

#define ENTRIES 256
#define UNSETTLED 0xFFFF
#define NONE (-1.0 / 0.0)

/* The search's memory, all of it scratch. Arrays of numbers have CAQ_ENDS more than `edges`. */
typedef struct path_search {
    const caq_kernels *kernels;
    size_t edges;                       /* room of arrays */
    double *masses, *moments;           /* sums before each edge */
    double *back_masses, *back_moments; /* negated, from the last edge on */
    double *needed, *back_needed;       /* what a path must gain up to each edge */
    double *forth[2], *back[2];         /* the most that is gained up to each edge */
    uint16_t *lasts;                    /* where last clusters begin, by number and edge */
    uint32_t *places, *rough;           /* edges as points */
} path_search;

/* The best paths from one end to each edge. */
typedef struct half_path {
    const double *gains;
    size_t furthest, clusters, edges;
    const uint16_t *lasts;
} half_path;

static size_t at_least(size_t a, size_t b) { return a > b ? a : b; }

static size_t edges_of(size_t points, size_t clusters) {
    size_t most = MOST_EDGES + EDGES_PER_ENTRY * clusters + 2;
    return points <= MOST_POINTS ? points + 1 : at_least(most, MOST_POINTS + 1);
}

size_t caq_path_scratch_size(size_t points, size_t clusters) {
    size_t edges = edges_of(points, clusters);
    size_t numbers = 10 * (edges + CAQ_ENDS);
    size_t words = edges + EDGES_PER_ENTRY * clusters + 1;
    size_t lasts = clusters > 2 ? (clusters - 2) * (edges + 1) : 0;
    return numbers * sizeof(double) + (words + 1) / 2 * 8 + (lasts + 3) / 4 * 8;
}

static path_search carve(const caq_kernels *kernels, size_t points, size_t clusters,
                         void *scratch) {
    path_search it;
    double *next = (double *)scratch;
    it.kernels = kernels;
    it.edges = edges_of(points, clusters);
    double **arrays[] = {&it.masses,  &it.moments,     &it.back_masses, &it.back_moments,
                         &it.needed,  &it.back_needed, &it.forth[0],    &it.forth[1],
                         &it.back[0], &it.back[1]};
    for (size_t i = 0; i < 10; i++, next += it.edges + CAQ_ENDS)
        *arrays[i] = next;
    it.places = (uint32_t *)(void *)next;
    it.rough = it.places + it.edges;
    size_t words = it.edges + EDGES_PER_ENTRY * clusters + 1;
    it.lasts = (uint16_t *)(void *)(next + (words + 1) / 2);
    return it;
}

static double gain_of(const caq_point *points, size_t first, size_t end) {
    double moment = points[end].before.moment - points[first].before.moment;
    return moment * moment / (points[end].before.mass - points[first].before.mass);
}

static double mean_of(const caq_point *points, size_t i) {
    return (points[i + 1].before.moment - points[i].before.moment) /
           (points[i + 1].before.mass - points[i].before.mass);
}

/* Choose at most most + 1 edges. Returns how many, less one. */
static size_t make_grid(const caq_point *points, size_t count, size_t most, uint32_t *edges) {
    size_t end = 0;
    edges[0] = 0;
    if (count <= most) {
        for (size_t i = 1; i <= count; i++)
            edges[i] = (uint32_t)i;
        return count;
    }
    double third = (double)most / 3.0, per_point = third / (double)count;
    double per_mass = third / points[count].before.mass, start = mean_of(points, 0);
    double per_x = third / (mean_of(points, count - 1) - start);
    int64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t step = (int64_t)((double)i * per_point);
        step += (int64_t)(points[i].before.mass * per_mass);
        step += (int64_t)((mean_of(points, i) - start) * per_x);
        if (i > 0 && step != before)
            edges[++end] = (uint32_t)i;
        before = step;
    }
    edges[++end] = (uint32_t)count;
    return end;
}

static void take_edges(path_search *it, const caq_point *points, const uint32_t *edges,
                       size_t end) {
    for (size_t i = 0; i <= end; i++) {
        it->masses[i] = points[edges[i]].before.mass;
        it->moments[i] = points[edges[i]].before.moment;
    }
    for (size_t i = 0; i <= end; i++) {
        it->back_masses[i] = -it->masses[end - i];
        it->back_moments[i] = -it->moments[end - i];
    }
    for (size_t i = end + 1; i <= end + CAQ_ENDS; i++) /* some number, so that none is undefined */
        it->masses[i] = it->moments[i] = it->back_masses[i] = it->back_moments[i] = 0;
}

/* Find the gains of `count` clusters from those of `count` - 1, which are known up to the edge
 * `reach`. Return the furthest edge that is worth going on from. */
static size_t one_more(const path_search *it, const caq_edges *among, const double *before,
                       size_t reach, size_t count, const double *needed_to, double *after,
                       uint16_t *lasts) {
    size_t ends = among->end - count + 1, furthest = ends - 1;
    /* Indices count from the first edge at which `count` clusters can end. */
    double *gains = after + count;
    const double *needed = needed_to + count;
    uint16_t *last = lasts + count;
    const uint16_t *last_before = last - (among->end + 1); /* read for count > 2 only */
    for (size_t u = 0; u < ends; u += CAQ_ENDS)
        last[u] = UNSETTLED;
    last[0] = (uint16_t)(count - 1);
    gains[0] = before[count - 1] + caq_gain_between(among, count - 1, count);
    size_t stride = CAQ_ENDS;
    while (2 * stride < ends)
        stride *= 2;
    for (; stride >= CAQ_ENDS; stride /= 2)
        for (size_t u = stride; u <= furthest; u += 2 * stride) {
            size_t low = last[u - stride], high = smaller(count + u - 1, reach);
            if (count > 2 && count + u <= reach)
                low = at_least(low, last_before[u]);
            if (u + stride < ends && last[u + stride] != UNSETTLED)
                high = smaller(high, last[u + stride]);
            last[u] =
                (uint16_t)it->kernels->best_last(among, before, low, high, count + u, &gains[u]);
            if (gains[u] < needed[u])
                furthest = u - 1;
        }
    for (size_t u = 0; u < furthest; u += CAQ_ENDS) {
        size_t high = reach, above = u + CAQ_ENDS;
        double found[CAQ_ENDS];
        uint32_t firsts[CAQ_ENDS];
        if (above < ends && last[above] != UNSETTLED)
            high = smaller(high, last[above]);
        it->kernels->best_lasts(among, before, last[u], high, count + u + 1, found, firsts);
        for (size_t lane = 0; lane < CAQ_ENDS - 1 && u + 1 + lane <= furthest; lane++) {
            gains[u + 1 + lane] = found[lane];
            last[u + 1 + lane] = (uint16_t)firsts[lane];
            if (found[lane] < needed[u + 1 + lane])
                furthest = u + lane;
        }
    }
    return count + furthest;
}

static half_path find_half(const path_search *it, const caq_edges *among, size_t clusters,
                           const double *needed, double *gains[2], uint16_t *lasts) {
    size_t end = among->end, furthest = 1;
    double *now = gains[0], *next = gains[1];
    now[0] = 0;
    now[1] = caq_gain_between(among, 0, 1);
    for (size_t j = 2; j <= end; j++) {
        now[j] = caq_gain_between(among, 0, j);
        if (now[j] < needed[j])
            break;
        furthest = j;
    }
    for (size_t count = 2; count <= clusters; count++) {
        furthest = one_more(it, among, now, furthest, count, needed, next,
                            lasts + (count - 2) * (end + 1));
        double *swapped = now;
        now = next;
        next = swapped;
    }
    half_path half = {now, furthest, clusters, end + 1, lasts};
    return half;
}

/* What paths must gain up to each edge, from either side, to gain what is known. */
static void find_needed(const path_search *it, const caq_edges *among, double known) {
    double possible = 0,
           *possible_to = it->back_needed; /* seen from the last edge, as needed there */
    size_t end = among->end;
    for (size_t j = 0; j <= end; j++) {
        if (j > 0)
            possible += caq_gain_between(among, j - 1, j);
        possible_to[end - j] = possible;
    }
    known -= possible * MARGIN;
    for (size_t j = 0; j <= end; j++)
        it->needed[j] = known - (possible - possible_to[end - j]);
    for (size_t j = 0; j <= end; j++)
        it->back_needed[j] = known - possible_to[j];
}

/* The last cluster of `count` that end at an edge. */
static size_t last_of(const half_path *half, size_t count, size_t end) {
    return half->lasts[(count - 2) * half->edges + end];
}

/* The best path over the edges that were taken, as edges, and what it gains. */
static double path_over(path_search *it, size_t end, size_t clusters, double known,
                        uint32_t *path) {
    size_t first_half = clusters / 2, other_half = clusters - first_half;
    caq_edges from_first = {it->masses, it->moments, end};
    caq_edges from_last = {it->back_masses, it->back_moments, end};
    find_needed(it, &from_first, known);
    half_path forth = find_half(it, &from_first, first_half, it->needed, it->forth, it->lasts);
    half_path back = find_half(it, &from_last, other_half, it->back_needed, it->back,
                               it->lasts + (first_half - 1) * (end + 1));
    double best = NONE;
    size_t middle = 0;
    size_t low = at_least(first_half, end - back.furthest);
    for (size_t j = low; j <= smaller(forth.furthest, end - other_half); j++) {
        double gain = forth.gains[j] + back.gains[end - j];
        if (gain > best) {
            best = gain;
            middle = j;
        }
    }
    path[first_half - 1] = (uint32_t)middle;
    for (size_t count = first_half, j = middle; count > 1; count--) {
        j = last_of(&forth, count, j);
        path[count - 2] = (uint32_t)j;
    }
    for (size_t count = other_half, j = end - middle; count > 1; count--) {
        j = last_of(&back, count, j);
        path[clusters - count] = (uint32_t)(end - j);
    }
    return best;
}

/* Improve a path: each boundary may move by up to CANDIDATES / 2 of its own steps. Return whether
 * any did. */
static int path_near(const caq_point *points, size_t count, size_t clusters, const uint32_t *steps,
                     uint32_t *path) {
    size_t boundaries = clusters - 1;
    uint32_t places[ENTRIES][CANDIDATES];
    uint8_t lasts[ENTRIES][CANDIDATES];
    double best[CANDIDATES];
    for (size_t m = 0; m < boundaries; m++)
        for (size_t k = 0; k < CANDIDATES; k++) {
            int64_t offset = (int64_t)steps[m] * ((int64_t)k - CANDIDATES / 2);
            int64_t place = (int64_t)path[m] + offset, low = (int64_t)m + 1;
            int64_t high = (int64_t)(count - boundaries + m);
            places[m][k] = (uint32_t)(place < low ? low : place > high ? high : place);
        }
    for (size_t k = 0; k < CANDIDATES; k++)
        best[k] = gain_of(points, 0, places[0][k]);
    for (size_t m = 1; m < boundaries; m++) {
        double next[CANDIDATES];
        for (size_t k = 0; k < CANDIDATES; k++) {
            next[k] = NONE;
            lasts[m][k] = 0;
            for (size_t i = 0; i < CANDIDATES; i++) {
                if (places[m - 1][i] >= places[m][k])
                    continue;
                double gain = gain_of(points, places[m - 1][i], places[m][k]) + best[i];
                if (gain > next[k]) {
                    next[k] = gain;
                    lasts[m][k] = (uint8_t)i;
                }
            }
        }
        for (size_t k = 0; k < CANDIDATES; k++)
            best[k] = next[k];
    }
    double most = NONE;
    size_t which = 0;
    for (size_t k = 0; k < CANDIDATES; k++) {
        double gain = best[k] + gain_of(points, places[boundaries - 1][k], count);
        if (gain > most) {
            most = gain;
            which = k;
        }
    }
    int moved = 0;
    for (size_t m = boundaries; m-- > 0;) {
        moved |= path[m] != places[m][which];
        path[m] = places[m][which];
        if (m > 0)
            which = lasts[m][which];
    }
    return moved;
}

/* Merge two ascending lists into the longer one, which is in place, each number once. Return the
 * index of the last number. */
static size_t join(uint32_t *places, size_t end, const uint32_t *more, size_t more_end,
                   uint32_t *spare) {
    size_t i = 0, j = 0, joined = 0;
    for (size_t k = 0; k <= end; k++)
        spare[k] = places[k];
    while (i <= end && j <= more_end) {
        uint32_t a = spare[i], b = more[j];
        places[joined++] = a < b ? a : b;
        i += a <= b;
        j += b <= a;
    }
    return joined - 1; /* both end with the number of points */
}

void caq_best_path(const caq_kernels *kernels, const caq_point *points, size_t count,
                   size_t clusters, uint32_t *path, void *scratch) {
    path_search it = carve(kernels, count, clusters, scratch);
    size_t rough_end = make_grid(points, count, EDGES_PER_ENTRY * clusters, it.rough);
    take_edges(&it, points, it.rough, rough_end);
    double known = path_over(&it, rough_end, clusters, NONE, path);
    if (rough_end == count)
        return;
    size_t end = count;
    if (count > MOST_POINTS) {
        size_t most = smaller(FINE_EDGES_PER_ENTRY * clusters, MOST_EDGES);
        end = make_grid(points, count, most, it.places);
        end = join(it.places, end, it.rough, rough_end, (uint32_t *)(void *)it.needed);
    } else
        for (size_t i = 0; i <= count; i++)
            it.places[i] = (uint32_t)i;
    take_edges(&it, points, it.places, end);
    path_over(&it, end, clusters, known, path);
    if (end == count)
        return;
    uint32_t steps[ENTRIES];
    for (size_t m = 0; m < clusters - 1; m++) {
        const uint32_t *place = it.places + path[m];
        steps[m] = (uint32_t)at_least(place[0] - place[-1], place[1] - place[0]);
        path[m] = place[0];
    }
    for (int round = 0; round < MOST_ROUNDS; round++) {
        int ones = 1;
        for (size_t m = 0; m < clusters - 1; m++) {
            steps[m] = (steps[m] + REFINEMENT - 1) / REFINEMENT;
            ones &= steps[m] == 1;
        }
        if (!path_near(points, count, clusters, steps, path) && ones)
            return;
    }
}

#endif
