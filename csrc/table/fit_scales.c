/*
 * fit_scales.c - scales for the entries of look-up tables, block by block
 *
 * reference/table_scales.py has the rules.
 */
#include "../geometry.h"
#include "../kernels/kernels.h"
#include "nearest.h"

#if CAQ_WITH_TABLES

#define TURNS 2
#define FITTED_AT_ONCE 256 /* elements whose entries are found at once */

/* A block, and the table that its elements share. */
typedef struct block {
    const caq_table_job *job;
    const uint8_t *weight;
    size_t first, length; /* elements of the tensor */
    const float *table, *bounds;
} block;

typedef struct block_sums {
    double products, squares, error;
} block_sums;

static int is_usable(float scale) {
    uint32_t magnitude = float_bits(scale) & 0x7FFFFFFF;
    return magnitude > 0 && magnitude < 0x7F800000;
}

/* The number of the largest magnitude, the positive one of equals. */
static float largest_of_block(const block *it) {
    float low = number_at(it->job->source, it->weight, it->first), high = low;
    for (size_t i = 1; i < it->length; i++) {
        float here = number_at(it->job->source, it->weight, it->first + i);
        low = here < low ? here : low;
        high = here > high ? here : high;
    }
    return high >= -low ? high : low;
}

static void find_indices(const block *it, const float *quotients, size_t count, uint8_t *indices) {
    const caq_kernels *of_f32 = it->job->kernels - it->job->source + CAQ_F32;
    if (CAQ_WITH_F32 && it->job->entries <= FEW_ENTRIES)
        of_f32->count_below(quotients, count, it->bounds, indices);
    else
        for (size_t i = 0; i < count; i++)
            indices[i] = index_of(it->bounds, it->job->entries, quotients[i]);
}

/* Sums over a block whose entries are those nearest to the weights divided by a scale. */
static block_sums sum_up_block(const block *it, float scale) {
    block_sums sums = {0, 0, 0};
    const caq_table_job *job = it->job;
    float numbers[FITTED_AT_ONCE], quotients[FITTED_AT_ONCE];
    uint8_t indices[FITTED_AT_ONCE];
    size_t which = it->first / job->repeat % job->importances;
    size_t left = job->repeat - it->first % job->repeat;
    for (size_t done = 0, some; done < it->length; done += some) {
        some = smaller(FITTED_AT_ONCE, it->length - done);
        for (size_t i = 0; i < some; i++) {
            numbers[i] = number_at(job->source, it->weight, it->first + done + i);
            quotients[i] = numbers[i] / scale;
        }
        find_indices(it, quotients, some, indices);
        for (size_t i = 0; i < some; i++) {
            double w = (double)numbers[i], t = (double)it->table[indices[i]], h = 1;
            if (job->importance) {
                h = (double)job->importance[which];
                if (--left == 0) {
                    left = job->repeat;
                    which = which + 1 == job->importances ? 0 : which + 1;
                }
            }
            double miss = w - (double)scale * t;
            sums.products += h * w * t;
            sums.squares += h * t * t;
            sums.error += h * (miss * miss);
        }
    }
    return sums;
}

static float fit_block(const block *it) {
    static const float starts[] = {0.85f, 0.95f, 1.05f};
    caq_source source = it->job->source;
    float largest = largest_of_block(it), first = it->table[0],
          last = it->table[it->job->entries - 1];
    float top = last >= -first ? last : -first;
    if (largest == 0)
        return 1;
    float best = largest;
    double least = 1.0 / 0.0;
    for (size_t k = 0; k < sizeof starts / sizeof starts[0]; k++) {
        float scale = largest * starts[k] / (top > 0 ? top : 1);
        if (!is_usable(scale))
            scale = largest;
        for (int turn = 0; turn < TURNS; turn++) {
            block_sums sums = sum_up_block(it, scale);
            float next = sums.squares > 0 ? (float)(sums.products / sums.squares) : 0;
            scale = is_usable(next) ? next : scale;
        }
        scale = round_to(source, scale);
        if (!is_usable(scale))
            scale = largest;
        double error = sum_up_block(it, scale).error;
        if (error < least) {
            least = error;
            best = scale;
        }
    }
    return best;
}

caq_status caq_table_fit_scales(const caq_table_job *job, size_t length, size_t first, size_t count,
                                const void *weight, const float *tables, float *scales) {
    if (job->length > 1 || length == 0 || job->run % length || first > job->elements / length ||
        count > job->elements / length - first)
        return CAQ_BAD_ARGUMENT;
    float bounds[MOST_ENTRIES];
    size_t current = job->tables;
    for (size_t b = first; b < first + count; b++) {
        size_t table = b * length / job->run % job->tables;
        const float *own = tables + table * job->entries;
        if (table != current)
            find_bounds(own, job->entries, bounds);
        current = table;
        block it = {job, (const uint8_t *)weight, b * length, length, own, bounds};
        scales[b] = fit_block(&it);
    }
    return CAQ_OK;
}

#endif
