/*
 * vectors.c - clusters of vectors, by the rules of reference/table_vectors.py; names are those there
 */
#include "vectors.h"

#include "nearest.h"

#if CAQ_WITH_TABLES

/* The constants of the reference. */
#define SAMPLE ((size_t)1 << 20)
#define FALL 0x1p-16
#define GROWTH 4
#define GROWING_ROUNDS 4
#define ROUNDS 100
#define WHOLE_ROUNDS 20
#define JUMPING 4
#define JUMPS 12

#define INFINITE 0x7F800000
#define NEVER (1.0 / 0.0)

/* How vectors are clustered around centers. */
typedef struct fit {
    size_t count;
    float *centers;
    double *masses, *errors; /* of each center */
    double *sums, *spreads;  /* of each number of each center */
    double error;            /* of all */
} fit;

/* The search's memory, all of it scratch. */
typedef struct search {
    const caq_table_job *job;
    caq_vector_reader every;
    size_t length, room, sampled;
    double *sample_masses, *chunk_masses;
    float *sample, *chunk, *distances;
    uint8_t *nearest;
    fit kept, tried;
    double *costs; /* of joining each center with its partner */
    uint16_t *worst, *cheapest, *partners, *freed;
    uint8_t *taken;
} search;

/* Room for the sample: it has vectors side by side in rows of so many. */
static size_t sample_room(const caq_table_job *job) {
    size_t most = (SAMPLE + job->length - 1) / job->length;
    most = smaller(job->indices / job->tables, most);
    most = most < VECTORS_AT_ONCE ? VECTORS_AT_ONCE : most;
    return (most + CAQ_VECTORS - 1) / CAQ_VECTORS * CAQ_VECTORS;
}

/* Take bytes of scratch, if there is any, or only count them. */
static void *take(void *scratch, size_t *used, size_t bytes) {
    void *taken = scratch ? (uint8_t *)scratch + *used : NULL;
    *used += (bytes + 7) / 8 * 8;
    return taken;
}

static size_t carve_search(const caq_table_job *job, search *it, void *scratch) {
    size_t length = job->length, entries = job->entries, room = sample_room(job), used = 0;
    size_t numbers = entries * length;
    it->job = job;
    it->length = length;
    it->room = room;
    it->sample_masses = (double *)take(scratch, &used, room * sizeof(double));
    it->chunk_masses = (double *)take(scratch, &used, VECTORS_AT_ONCE * sizeof(double));
    it->costs = (double *)take(scratch, &used, entries * sizeof(double));
    it->sample = (float *)take(scratch, &used, room * length * sizeof(float));
    it->chunk = (float *)take(scratch, &used, VECTORS_AT_ONCE * length * sizeof(float));
    it->distances = (float *)take(scratch, &used, VECTORS_AT_ONCE * sizeof(float));
    it->nearest = (uint8_t *)take(scratch, &used, room);
    it->taken = (uint8_t *)take(scratch, &used, entries);
    uint16_t **lists[] = {&it->worst, &it->cheapest, &it->partners, &it->freed};
    for (size_t i = 0; i < 4; i++)
        *lists[i] = (uint16_t *)take(scratch, &used, entries * sizeof(uint16_t));
    fit *fits[] = {&it->kept, &it->tried};
    for (size_t i = 0; i < 2; i++) {
        /* One more: distinct vectors are counted until there are too many. */
        fits[i]->centers = (float *)take(scratch, &used, (numbers + length) * sizeof(float));
        fits[i]->masses = (double *)take(scratch, &used, entries * sizeof(double));
        fits[i]->errors = (double *)take(scratch, &used, entries * sizeof(double));
        fits[i]->sums = (double *)take(scratch, &used, numbers * sizeof(double));
        fits[i]->spreads = (double *)take(scratch, &used, numbers * sizeof(double));
    }
    return used;
}

size_t caq_vectors_scratch_size(const caq_table_job *job) {
    search unused;
    return carve_search(job, &unused, NULL);
}

/* Order vectors by their first number, then by the second, and so on. */
static int is_before(const float *a, const float *b, size_t length) {
    for (size_t v = 0; v < length; v++)
        if (a[v] != b[v])
            return a[v] < b[v];
    return 0;
}

static void copy(const float *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

/* Insert a vector into an ascending list if it is not in it. Return how many there are. */
static size_t insert_distinct(float *list, size_t count, const float *vector, size_t length) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (is_before(list + middle * length, vector, length))
            low = middle + 1;
        else
            high = middle;
    }
    if (low < count && !is_before(vector, list + low * length, length))
        return count;
    for (size_t i = count * length; i-- > low * length;)
        list[i + length] = list[i];
    copy(vector, length, list + low * length);
    return count + 1;
}

/* Find the distinct vectors, in the place of centers, or one more than there are entries. */
static size_t find_distinct(search *it) {
    caq_vector_reader from = it->every;
    size_t count = 0, some;
    float *vector = it->tried.centers;
    while ((some = caq_next_vectors(&from, it->chunk, it->chunk_masses)) > 0)
        for (size_t i = 0; i < some; i++) {
            for (size_t v = 0; v < it->length; v++)
                vector[v] = it->chunk[v * VECTORS_AT_ONCE + i];
            count = insert_distinct(it->kept.centers, count, vector, it->length);
            if (count > it->job->entries)
                return count;
        }
    return count;
}

/* Keep every step-th vector. */
static void take_sample(search *it, size_t step) {
    caq_vector_reader from = it->every;
    size_t some, next = 0, kept = 0;
    for (size_t i = 0; i < it->room * it->length; i++)
        it->sample[i] = 0;
    while ((some = caq_next_vectors(&from, it->chunk, it->chunk_masses)) > 0) {
        for (; next < some; next += step, kept++) {
            it->sample_masses[kept] = it->chunk_masses[next];
            for (size_t v = 0; v < it->length; v++)
                it->sample[v * it->room + kept] = it->chunk[v * VECTORS_AT_ONCE + next];
        }
        next -= some;
    }
    it->sampled = kept;
}

/* Add vectors to the sums of their centers. At most VECTORS_AT_ONCE of them, with room for a
 * multiple of CAQ_VECTORS. */
AS_WRITTEN static void add_vectors(const search *it, fit *to, const float *members, size_t stride,
                                   const double *masses, size_t count, uint8_t *nearest) {
    size_t padded = (count + CAQ_VECTORS - 1) / CAQ_VECTORS * CAQ_VECTORS;
    it->job->kernels->nearest_center(members, stride, padded, it->length, to->centers, to->count,
                                     nearest, it->distances);
    for (size_t i = 0; i < count; i++) {
        size_t k = nearest[i];
        double mass = masses[i];
        to->masses[k] += mass;
        to->errors[k] += mass * (double)it->distances[i];
        for (size_t v = 0; v < it->length; v++)
            to->sums[k * it->length + v] += mass * (double)members[v * stride + i];
    }
}

/* Find each vector's center, among the sample or, with is_whole, among all. */
static void measure(search *it, fit *to, int is_whole) {
    for (size_t k = 0; k < to->count; k++)
        to->masses[k] = to->errors[k] = 0;
    for (size_t i = 0; i < to->count * it->length; i++)
        to->sums[i] = 0;
    if (is_whole) {
        caq_vector_reader from = it->every;
        size_t some;
        while ((some = caq_next_vectors(&from, it->chunk, it->chunk_masses)) > 0)
            add_vectors(it, to, it->chunk, VECTORS_AT_ONCE, it->chunk_masses, some, it->nearest);
    } else
        for (size_t i = 0; i < it->sampled; i += VECTORS_AT_ONCE)
            add_vectors(it, to, it->sample + i, it->room, it->sample_masses + i,
                        smaller(VECTORS_AT_ONCE, it->sampled - i), it->nearest + i);
    to->error = 0;
    for (size_t k = 0; k < to->count; k++)
        to->error += to->errors[k];
}

/* Move centers to means, so many times at the most. */
static void settle(search *it, fit *to, int rounds, int is_whole) {
    measure(it, to, is_whole);
    for (int round = 0; round < rounds; round++) {
        double before = to->error;
        for (size_t k = 0; k < to->count; k++)
            if (to->masses[k] > 0)
                for (size_t i = k * it->length; i < (k + 1) * it->length; i++)
                    to->centers[i] = (float)(to->sums[i] / to->masses[k]);
        measure(it, to, is_whole);
        if (!(to->error < before * (1 - FALL)))
            return;
    }
}

/* Add up how far the sample's vectors are from their centers, number by number. */
AS_WRITTEN static void find_spreads(const search *it, fit *to) {
    for (size_t i = 0; i < to->count * it->length; i++)
        to->spreads[i] = 0;
    for (size_t i = 0; i < it->sampled; i++) {
        size_t first = it->nearest[i] * it->length;
        for (size_t v = 0; v < it->length; v++) {
            double apart = (double)it->sample[v * it->room + i] - (double)to->centers[first + v];
            to->spreads[first + v] += it->sample_masses[i] * (apart < 0 ? -apart : apart);
        }
    }
}

/* Order centers, those with the least of a number first, the first of equals. */
static void order_by(const double *numbers, double sign, size_t count, uint16_t *order) {
    for (size_t k = 0; k < count; k++) {
        size_t place = k;
        for (; place > 0 && sign * numbers[k] < sign * numbers[order[place - 1]]; place--)
            order[place] = order[place - 1];
        order[place] = (uint16_t)k;
    }
}

/* Replace a center by two, the second in the place of a free one. */
static void split(const search *it, const fit *from, size_t center, fit *to, size_t other) {
    const float *middle = from->centers + center * it->length;
    const double *spreads = from->spreads + center * it->length;
    size_t axis = 0;
    for (size_t v = 1; v < it->length; v++)
        axis = spreads[v] > spreads[axis] ? v : axis;
    double distance = from->masses[center] > 0 ? spreads[axis] / from->masses[center] : 0;
    float below = (float)((double)middle[axis] - distance);
    float above = (float)((double)middle[axis] + distance);
    copy(middle, it->length, to->centers + other * it->length);
    to->centers[other * it->length + axis] = above;
    copy(middle, it->length, to->centers + center * it->length);
    to->centers[center * it->length + axis] = below;
}

/* Make as many centers as there are entries. */
static void grow(search *it) {
    fit *to = &it->kept;
    to->count = 1;
    for (size_t v = 0; v < it->length; v++)
        to->centers[v] = 0;
    settle(it, to, 1, 0);
    while (to->count < it->job->entries) {
        size_t count = to->count, splitting = (count + GROWTH - 1) / GROWTH;
        splitting = smaller(splitting, it->job->entries - count);
        find_spreads(it, to);
        order_by(to->errors, -1, count, it->worst);
        for (size_t i = 0; i < splitting; i++)
            split(it, to, it->worst[i], to, count + i);
        to->count += splitting;
        settle(it, to, GROWING_ROUNDS, 0);
    }
}

/* What joining two centers adds to the error. */
AS_WRITTEN static double joining_cost(const search *it, const fit *of, size_t a, size_t b) {
    double distance = 0, both = of->masses[a] + of->masses[b];
    for (size_t v = 0; v < it->length; v++) {
        double apart = (double)of->centers[a * it->length + v];
        apart -= (double)of->centers[b * it->length + v];
        distance += apart * apart;
    }
    return both > 0 ? of->masses[a] * of->masses[b] / both * distance : 0;
}

/* Join pairs of centers that are not taken, at most so many. Return how many this frees. */
AS_WRITTEN static size_t join_centers(search *it, const fit *from, size_t most, fit *to) {
    size_t count = from->count, freed = 0;
    for (size_t a = 0; a < count; a++) {
        it->costs[a] = NEVER;
        it->partners[a] = 0;
        for (size_t b = 0; b < count && !it->taken[a]; b++) {
            if (b == a || it->taken[b])
                continue;
            double cost = joining_cost(it, from, a, b);
            if (cost < it->costs[a]) {
                it->costs[a] = cost;
                it->partners[a] = (uint16_t)b;
            }
        }
    }
    order_by(it->costs, 1, count, it->cheapest);
    for (size_t i = 0; i < count && freed < most; i++) {
        size_t a = it->cheapest[i], b = it->partners[a];
        if (!(it->costs[a] < NEVER))
            break;
        if (it->taken[a] || it->taken[b])
            continue;
        it->taken[a] = it->taken[b] = 1;
        double mass = from->masses[a], other = from->masses[b], both = mass + other;
        if (both > 0)
            for (size_t v = 0; v < it->length; v++) {
                double sum = mass * (double)from->centers[a * it->length + v] +
                             other * (double)from->centers[b * it->length + v];
                to->centers[a * it->length + v] = (float)(sum / both);
            }
        it->freed[freed++] = (uint16_t)b;
    }
    return freed;
}

/* Settle, and have centers jump to where they make more difference. */
static void jump(search *it) {
    settle(it, &it->kept, ROUNDS, 0);
    find_spreads(it, &it->kept);
    size_t count = it->kept.count, jumping = count / JUMPING;
    for (int tries = 0; tries < JUMPS && jumping; tries++) {
        fit *kept = &it->kept, *tried = &it->tried;
        tried->count = count;
        copy(kept->centers, count * it->length, tried->centers);
        order_by(kept->errors, -1, count, it->worst);
        for (size_t k = 0; k < count; k++)
            it->taken[k] = 0;
        for (size_t i = 0; i < jumping; i++)
            it->taken[it->worst[i]] = 1;
        size_t freed = join_centers(it, kept, jumping, tried);
        for (size_t i = 0; i < freed; i++)
            split(it, kept, it->worst[i], tried, it->freed[i]);
        settle(it, tried, ROUNDS, 0);
        if (tried->error < kept->error) {
            find_spreads(it, tried);
            fit swapped = *kept;
            *kept = *tried;
            *tried = swapped;
        } else
            jumping /= 2;
    }
}

/* Put a vector into an ascending table of `count`. */
static void insert_entry(float *table, size_t count, const float *entry, size_t length) {
    size_t place = count;
    for (; place > 0 && is_before(entry, table + (place - 1) * length, length); place--)
        copy(table + (place - 1) * length, length, table + place * length);
    copy(entry, length, table + place * length);
}

caq_status caq_find_vectors(const caq_table_job *job, size_t which, const uint8_t *weight,
                            float *table, void *scratch) {
    search it;
    carve_search(job, &it, scratch);
    size_t length = job->length, entries = job->entries, some, count = 0;
    caq_vector_reader first = caq_first_vectors(job, which, weight), from = first;
    for (size_t i = 0; i < VECTORS_AT_ONCE * length; i++)
        it.chunk[i] = 0;
    uint32_t largest = 0;
    while ((some = caq_next_vectors(&from, it.chunk, it.chunk_masses)) > 0) {
        for (size_t v = 0; v < length; v++)
            for (size_t i = 0; i < some; i++) {
                uint32_t bits = float_bits(it.chunk[v * VECTORS_AT_ONCE + i]) & 0x7FFFFFFF;
                largest = bits > largest ? bits : largest;
            }
        count += some;
    }
    if (from.not_finite)
        return CAQ_NOT_FINITE;
    int shift = -exponent_of(largest);
    it.every = caq_scaled_vectors(&first, power_of_two(shift));
    it.kept.count = find_distinct(&it);
    if (it.kept.count > entries) {
        size_t step = (count * length + SAMPLE - 1) / SAMPLE;
        take_sample(&it, step);
        grow(&it);
        jump(&it);
        if (step > 1)
            settle(&it, &it.kept, WHOLE_ROUNDS, 1);
    }
    float *entry = it.tried.centers;
    for (size_t k = 0; k < entries; k++) {
        size_t from_center = smaller(k, it.kept.count - 1);
        for (size_t v = 0; v < length; v++) {
            double number = (double)it.kept.centers[from_center * length + v];
            entry[v] = round_to(job->source, (float)(number * power_of_two(-shift)));
        }
        insert_entry(table, k, entry, length);
    }
    return CAQ_OK;
}

#endif
