/*
 * encoder.c - encode runs of elements into packed codes
 *
 * Kernels store packed codes themselves where blocks begin and end at whole bytes: direct.h says
 * how many. The other blocks are encoded one code per byte into the tile, and packed from there.
 */
#include "encoder.h"
#include "direct.h"
#include "packing.h"

caq_encoder caq_make_encoder(const caq_job *job, int any_scales) {
    caq_format_info format = caq_describe_format(job->format);
    int at_once = HAS_VECTORS && (!is_float(format) || job->kernels->registers > 16);
    caq_encoder with = {.job = job,
                        .encoding = caq_describe_encoding(job),
                        .bits = format.bits,
                        .step = at_once ? job->kernels->step : 0,
                        .encode = is_float(format) ? job->kernels->encode_float
                                  : any_scales     ? job->kernels->encode_wide
                                                   : job->kernels->encode_integer};
    return with;
}

/* Whether codes go past the caches, if they can. */
static int may_go_past(const caq_job *job) { return caq_goes_past(job->kernels, job->packed_size); }

/* Whether the codes of so many rows can go past the caches. Rows that are taken together are stored
 * step by step. If a step is no whole line, the processor has several lines begun at once, and
 * gives them up half written. That costs more than going through the caches. */
static uint8_t is_streamed(const caq_encoder *with, size_t rows) {
    return may_go_past(with->job) && (rows == 1 || with->step * with->bits >= 8 * CACHE_LINE);
}

/* Make codes that went past the caches visible to other threads. */
void caq_publish(const caq_job *job) {
    if (may_go_past(job))
        job->kernels->publish();
}

/* Encode the tile's first blocks, `length` elements of each block in each row. The kernel packs the
 * codes. */
static void encode_direct(caq_encoder *with, const caq_tile *tile, size_t rows, size_t blocks,
                          size_t length, const void *source, uint8_t *packed, size_t element) {
    size_t codes_per_byte = 8 / with->bits;
    if (HAS_VECTORS) {
        with->encoding.halvings = (uint8_t)(codes_per_byte / 2);
        with->encoding.stream = is_streamed(with, rows);
    }
    with->encode(source, rows, with->job->row, blocks, length, tile->reciprocal, tile->zero,
                 &with->encoding, packed + element / codes_per_byte,
                 with->job->row / codes_per_byte);
}

/* Encode the tile's blocks from block `first` on by way of its codes. Each time these have room for
 * some blocks, or for a part of one. */
static void encode_packing(caq_encoder *with, caq_tile *tile, size_t rows, size_t first,
                           size_t blocks, size_t length, const uint8_t *source, uint8_t *packed,
                           size_t element) {
    size_t limit = TILE_CODES / rows, part = 0;
    if (HAS_VECTORS)
        with->encoding.halvings = with->encoding.stream = 0;
    while (first < blocks) {
        size_t most = length <= limit ? smaller(blocks - first, limit / length) : 1;
        size_t elements = smaller(length - part, limit), count = most * elements;
        with->encode(source, rows, with->job->row, most, elements, tile->reciprocal + first,
                     tile->zero + first, &with->encoding, tile->codes, count);
        for (size_t row = 0; row < rows; row++)
            caq_pack_codes(with->job, tile->codes + row * count, count, with->bits, packed,
                           element + row * with->job->row);
        source = element_at(with->job, source, count);
        element += count;
        part += elements;
        if (part == length) {
            first += most;
            part = 0;
        }
    }
}

void caq_encode_run(caq_encoder *with, caq_tile *tile, size_t rows, size_t blocks, size_t length,
                    const uint8_t *source, uint8_t *packed, size_t element) {
    const caq_job *job = with->job;
    size_t direct = caq_count_direct(job, with->bits, with->step, rows, blocks, length, element);
    size_t done = direct * length;
    if (direct)
        encode_direct(with, tile, rows, direct, length, source, packed, element);
    if (direct < blocks)
        encode_packing(with, tile, rows, direct, blocks, length,
                       element_at(with->job, source, done), packed, element + done);
}
