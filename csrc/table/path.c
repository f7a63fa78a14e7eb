/*
 * path.c - the best boundaries between clusters of sorted points
 *
 * By a price for clusters, as reference/tables.py describes it step by step; names are those there.
 */
#include "path.h"

#include "../geometry.h"

#if CAQ_WITH_TABLES

#define ENTRIES 256
#define STEPS_AT_ONCE 64 /* of points on the way to edges of a grid */
#define NONE (-1.0 / 0.0)

/* The search's memory, all of it scratch. Arrays of numbers have CAQ_ENDS more than `edges`. */
typedef struct path_search {
    const caq_kernels *kernels;
    size_t edges;             /* room of arrays */
    double *masses, *moments; /* sums before each edge */
    double *gains;            /* the most that is gained up to each edge, less what clusters cost */
    uint32_t *lasts;          /* where the last cluster begins that ends at each edge */
    uint32_t *places, *rough; /* edges as points */
    uint32_t *paths[3];       /* room for the edges of a path */
} path_search;

/* A path over edges, of so many clusters. */
typedef struct edge_path {
    uint32_t *edges; /* at which the clusters begin, and the last edge */
    size_t clusters;
    double price; /* of a cluster, at which the path is one of the best */
} edge_path;

static size_t at_least(size_t a, size_t b) { return a > b ? a : b; }

static size_t edges_of(size_t points, size_t clusters) {
    size_t most = MOST_EDGES + EDGES_PER_ENTRY * clusters + 2;
    return points <= MOST_POINTS ? points + 1 : at_least(most, MOST_POINTS + 1);
}

/* 32-bit words of scratch. */
static size_t words_of(size_t edges, size_t clusters) {
    return 5 * edges + EDGES_PER_ENTRY * clusters + 1;
}

size_t caq_path_scratch_size(size_t points, size_t clusters) {
    size_t edges = edges_of(points, clusters);
    return 3 * (edges + CAQ_ENDS) * sizeof(double) + (words_of(edges, clusters) + 1) / 2 * 8;
}

static path_search carve(const caq_kernels *kernels, size_t points, size_t clusters,
                         void *scratch) {
    path_search it;
    double *next = (double *)scratch;
    it.kernels = kernels;
    it.edges = edges_of(points, clusters);
    double **numbers[] = {&it.masses, &it.moments, &it.gains};
    for (size_t i = 0; i < 3; i++, next += it.edges + CAQ_ENDS)
        *numbers[i] = next;
    uint32_t *word = (uint32_t *)(void *)next;
    uint32_t **words[] = {&it.lasts, &it.places, &it.paths[0], &it.paths[1], &it.paths[2]};
    for (size_t i = 0; i < 5; i++, word += it.edges)
        *words[i] = word;
    it.rough = word;
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
    int32_t before = 0;
    for (size_t first = 0, some; first < count; first += some) {
        int32_t steps[STEPS_AT_ONCE];
        some = smaller(STEPS_AT_ONCE, count - first);
        for (size_t k = 0; k < some; k++) {
            const caq_point *point = points + first + k;
            steps[k] = (int32_t)((double)(int32_t)(first + k) * per_point) +
                       (int32_t)(point->before.mass * per_mass) +
                       (int32_t)((mean_of(point, 0) - start) * per_x);
        }
        for (size_t k = 0; k < some; k++) { /* without branches */
            edges[end + 1] = (uint32_t)(first + k);
            end += steps[k] != before;
            before = steps[k];
        }
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
    for (size_t i = end + 1; i <= end + CAQ_ENDS; i++) /* some number, so that none is undefined */
        it->masses[i] = it->moments[i] = 0;
}

/* What the points between two edges gain at most, each a cluster of its own. They lie between a and
 * b, so that (x - a) (b - x) >= 0. */
static double possible_between(const caq_edges *among, size_t first, size_t end) {
    const double *masses = among->masses, *moments = among->moments;
    double a = (moments[first + 1] - moments[first]) / (masses[first + 1] - masses[first]);
    double b = (moments[end] - moments[end - 1]) / (masses[end] - masses[end - 1]);
    return (a + b) * (moments[end] - moments[first]) - a * b * (masses[end] - masses[first]);
}

/* Settle the ends between `known` and `known` + `ends`, both of which are settled. */
static void settle_between(const path_search *it, const caq_edges *among, double price,
                           size_t known, size_t ends) {
    double *gains = it->gains + known;
    uint32_t *lasts = it->lasts + known;
    size_t stride = CAQ_ENDS;
    while (2 * stride < ends)
        stride *= 2;
    for (; stride >= CAQ_ENDS; stride /= 2)
        for (size_t u = stride; u < ends; u += 2 * stride) {
            size_t high = lasts[smaller(u + stride, ends)];
            lasts[u] = (uint32_t)it->kernels->best_last(among, it->gains, lasts[u - stride], high,
                                                        known + u, &gains[u]);
            gains[u] -= price;
        }
    for (size_t u = 0; u + 1 < ends; u += CAQ_ENDS) {
        double found[CAQ_ENDS];
        uint32_t firsts[CAQ_ENDS];
        size_t above = smaller(u + CAQ_ENDS, ends);
        it->kernels->best_lasts(among, it->gains, lasts[u], lasts[above], known + u + 1, found,
                                firsts);
        for (size_t k = u + 1; k < above; k++) {
            gains[k] = found[k - u - 1] - price;
            lasts[k] = firsts[k - u - 1];
        }
    }
}

/* Find the best path of any number of clusters, about as many as are looked for, if each costs
 * `price`. */
static void find_path(const path_search *it, const caq_edges *among, double price, size_t clusters,
                      edge_path *path) {
    double *gains = it->gains;
    size_t most = CAQ_ENDS; /* ends of a block */
    while (4 * most * clusters <= among->end)
        most *= 2;
    uint32_t *lasts = it->lasts;
    gains[0] = 0;
    lasts[0] = 0;
    for (size_t known = 0, ends = 1; known < among->end;) {
        double gain;
        size_t end = smaller(known + ends, among->end);
        size_t last = it->kernels->best_last(among, gains, lasts[known], known, end, &gain);
        if (end > known + 1 && gain < gains[known] + possible_between(among, known, end)) {
            ends = (end - known) / 2;
            continue;
        }
        gains[end] = gain - price;
        lasts[end] = (uint32_t)last;
        settle_between(it, among, price, known, end - known);
        known = end;
        ends = smaller(2 * ends, most);
    }
    path->price = price;
    path->clusters = 0;
    for (size_t j = among->end; j; j = lasts[j])
        path->clusters++;
    path->edges[path->clusters] = (uint32_t)among->end;
    for (size_t k = path->clusters; k > 0; k--)
        path->edges[k - 1] = lasts[path->edges[k]];
}

static double gain_along(const caq_edges *among, const edge_path *path) {
    double gain = 0;
    for (size_t k = 0; k < path->clusters; k++)
        gain += caq_gain_between(among, path->edges[k], path->edges[k + 1]);
    return gain;
}

/* Find the boundaries of a path of so many clusters that begins as one with fewer and ends as one
 * with more. */
static void splice(const edge_path *fewer, const edge_path *more, size_t clusters,
                   uint32_t *boundaries) {
    size_t shift = more->clusters - clusters, k = 1;
    for (; fewer->edges[k] < more->edges[k + shift]; k++)
        boundaries[k - 1] = fewer->edges[k];
    for (; k < clusters; k++)
        boundaries[k - 1] = more->edges[k + shift];
}

/* Find the best boundaries over the edges that were taken, as edges. *price is what a cluster costs
 * at first, or NONE; it becomes what clusters cost at last. */
static void path_over(path_search *it, size_t end, size_t clusters, double *price,
                      uint32_t *boundaries) {
    caq_edges among = {it->masses, it->moments, end};
    edge_path fewer = {it->paths[0], 1, -NONE}, more = {it->paths[1], end, 0};
    edge_path found = {it->paths[2], 0, 0};
    fewer.edges[0] = 0;
    fewer.edges[1] = (uint32_t)end;
    for (size_t j = 0; j <= end; j++)
        more.edges[j] = (uint32_t)j;
    if (*price == NONE)
        *price = 2 * (gain_along(&among, &more) - gain_along(&among, &fewer)) /
                 ((double)clusters * (double)clusters * (double)clusters);
    double next = *price;
    for (int tried = 0;; tried++) {
        int by_chord = tried >= GUESSES || !(more.price < next && next < fewer.price);
        if (by_chord)
            next = (gain_along(&among, &more) - gain_along(&among, &fewer)) /
                   (double)(more.clusters - fewer.clusters);
        find_path(it, &among, next, clusters, &found);
        if (by_chord && (found.clusters <= fewer.clusters || found.clusters >= more.clusters)) {
            splice(&fewer, &more, clusters, boundaries);
            break;
        }
        if (found.clusters == clusters) {
            for (size_t k = 1; k < clusters; k++)
                boundaries[k - 1] = found.edges[k];
            break;
        }
        edge_path *replaced = found.clusters < clusters ? &fewer : &more;
        edge_path swapped = *replaced;
        *replaced = found;
        found = swapped;
        double ratio = (double)replaced->clusters / (double)clusters;
        next *= ratio * ratio * ratio;
    }
    *price = next;
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
    double price = NONE;
    path_over(&it, rough_end, clusters, &price, path);
    if (rough_end == count)
        return;
    size_t end = count;
    if (count > MOST_POINTS) {
        size_t most = smaller(FINE_EDGES_PER_ENTRY * clusters, MOST_EDGES);
        end = make_grid(points, count, most, it.places);
        end = join(it.places, end, it.rough, rough_end, it.paths[0]);
    } else
        for (size_t i = 0; i <= count; i++)
            it.places[i] = (uint32_t)i;
    take_edges(&it, points, it.places, end);
    path_over(&it, end, clusters, &price, path);
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
