/*
 * quantize.c - quantize a tensor unit by unit
 *
 * The elements of a unit are read twice. The first time a kernel reduces them to statistics, from
 * which scales and zero points follow. The second time they are encoded: codes.h has the rules of
 * codes, templates/to_codes.h applies them. Most units are still in a near cache then.
 */
#include "direct.h"
#include "encoder.h"
#include "search/search.h"

/* Whether a unit that has been read is still in a near cache. */
static int is_near(const caq_job *job, const caq_run *run) {
    return job->rows <= NEAR_CACHE / source_size(job->source) / run->blocks / run->length;
}

/* Choose how many bytes ahead a unit is prefetched while it is reduced: along the row, or to the
 * rows below. */
static size_t choose_ahead(const caq_job *job, const caq_run *run) {
    if (job->rows > 1 && run->length == 1)
        return ROWS_TOGETHER * job->row * source_size(job->source);
    return is_near(job, run) ? PREFETCH_BYTES : FAR_PREFETCH;
}

/* Choose how many bytes ahead a unit is prefetched while it is encoded. If it is near, the next
 * unit is prefetched, which does not follow in memory if units have several rows. */
static size_t choose_second_ahead(const caq_job *job, const caq_run *run, size_t unit) {
    if (job->rows == 1 || !is_near(job, run))
        return choose_ahead(job, run);
    caq_run next = caq_run_of_unit(job, unit + 1);
    return (caq_run_start(job, &next, 0) - caq_run_start(job, run, 0)) * source_size(job->source);
}

/* Reduce a unit to the statistics of its blocks. */
static void reduce_unit(const caq_job *job, const caq_run *run, const void *weight,
                        caq_tile *tile) {
    for (size_t i = 0; i < run->blocks; i++)
        tile->above[i] = tile->below[i] = 0;
    caq_reduce_fn reduce = caq_statistics_of(job);
    size_t rows = caq_rows_in_order(job), ahead = choose_ahead(job, run);
    for (size_t row = 0; row < job->rows; row += rows) {
        const uint8_t *source = element_at(job, weight, caq_run_start(job, run, row));
        reduce(source, rows, job->row, run->blocks, run->length, ahead, tile->above, tile->below);
    }
}

/* Quantize a unit. */
static caq_status quantize_unit(caq_encoder *with, size_t unit, const void *weight, uint8_t *packed,
                                uint8_t *scales, uint8_t *zero_points, void *scratch) {
    const caq_job *job = with->job;
    caq_tile *tile = (caq_tile *)scratch;
    caq_run run = caq_run_of_unit(job, unit);
    size_t block = run.band * job->blocks[job->axes - 1] + run.first;
    scales += block * job->scale_size;
    zero_points += block;
    reduce_unit(job, &run, weight, tile);
    caq_status status = job->kernels->find_scales(job, tile, run.blocks, scales, zero_points);
    if (status != CAQ_OK)
        return status;
    if (is_searched(job))
        caq_search_run(job, &run, &with->encoding, weight, scratch, scales, zero_points);
    if (HAS_VECTORS)
        with->encoding.ahead = choose_second_ahead(job, &run, unit);
    for (size_t row = 0, rows; row < job->rows; row += rows) {
        rows = caq_count_together(job, with->step, run.length, row);
        size_t element = caq_run_start(job, &run, row);
        caq_encode_run(with, tile, rows, run.blocks, run.length, element_at(job, weight, element),
                       packed, element);
    }
    return CAQ_OK;
}

caq_status caq_quantize(const caq_job *job, size_t first, size_t count, const void *weight,
                        uint8_t *packed, void *scales, uint8_t *zero_points, void *scratch) {
    if (first > job->units || count > job->units - first)
        return CAQ_BAD_ARGUMENT;
    caq_encoder with = caq_make_encoder(job, 0);
    for (size_t unit = first; unit < first + count; unit++) {
        caq_status status =
            quantize_unit(&with, unit, weight, packed, (uint8_t *)scales, zero_points, scratch);
        if (status != CAQ_OK)
            return status;
    }
    caq_publish(job);
    return CAQ_OK;
}
