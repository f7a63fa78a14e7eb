/*
 * quantize.c - walk a tensor unit by unit: reduce, find scales, encode, pack
 *
 * A unit is one tile: `blocks` neighbouring blocks of the row axis, over all the rows that they span.
 * Its elements are read twice, the second time from a near cache.
 */
#include "float_bits.h"
#include "kernels.h"
#include "pieces.h"
#include "search.h"
#include "together.h"

static caq_run locate_unit(const caq_job *job, size_t unit) {
    size_t last = job->axes - 1;
    caq_run run = {unit / job->tiles, unit % job->tiles * job->tile, job->tile, job->length[last]};
    if (run.blocks > job->blocks[last] - run.first)
        run.blocks = job->blocks[last] - run.first;
    return run;
}

size_t caq_run_start(const caq_job *job, const caq_run *run, size_t row) {
    size_t element = run->first * run->length, stride = job->row, band = run->band;
    for (size_t axis = job->axes - 1; axis-- > 0;) {
        size_t block = band, within = row;
        if (axis) { /* the first axis takes all that is left */
            block %= job->blocks[axis];
            band /= job->blocks[axis];
            within %= job->length[axis];
            row /= job->length[axis];
        }
        element += (block * job->length[axis] + within) * stride;
        stride *= job->blocks[axis] * job->length[axis];
    }
    return element;
}

/* Whether a unit that was read is still in a near cache. */
static int is_near(const caq_job *job, const caq_run *run) {
    return job->rows <= NEAR_CACHE / source_size(job->source) / run->blocks / run->length;
}

/* How far ahead to prefetch in a unit that is passed over: along the row, or to the rows below. */
static size_t choose_ahead(const caq_job *job, const caq_run *run) {
    if (job->rows > 1 && run->length == 1)
        return ROWS_TOGETHER * job->row * source_size(job->source);
    return is_near(job, run) ? PREFETCH_BYTES : FAR_PREFETCH;
}

/* The same while it is encoded. If it is near, that is to the next unit, which of several rows is not what
 * comes next in memory. */
static size_t choose_second_ahead(const caq_job *job, const caq_run *run, size_t unit) {
    if (job->rows == 1 || !is_near(job, run))
        return choose_ahead(job, run);
    caq_run next = locate_unit(job, unit + 1);
    return (caq_run_start(job, &next, 0) - caq_run_start(job, run, 0)) * source_size(job->source);
}

static caq_reducer choose_reducer(const caq_job *job) {
    return is_asymmetric(job) ? job->kernels->range : job->kernels->absmax;
}

static void reduce_unit(const caq_job *job, const caq_run *run, const void *weight, tile *tile) {
    for (size_t i = 0; i < run->blocks; i++)
        tile->above[i] = tile->below[i] = 0;
    caq_reducer reduce = choose_reducer(job);
    size_t rows = caq_rows_in_order(job), ahead = choose_ahead(job, run);
    for (size_t row = 0; row < job->rows; row += rows) {
        const uint8_t *source = element_at(job, weight, caq_run_start(job, run, row));
        reduce(source, rows, job->row, run->blocks, run->length, ahead, tile->above, tile->below);
    }
}

caq_encoding caq_describe_encoding(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    int32_t dropped = is_float(format) ? 23 - format.mantissa : 0;
    int32_t largest = is_asymmetric(job) ? asymmetric_levels(format)
                                         : symmetric_zero(job) + symmetric_max(format);
    int32_t offset = integer_offset(job);
    return (caq_encoding){.largest = is_float(format) ? 255 : (uint8_t)largest,
                          .offset = is_float(format) ? 0 : (uint8_t)offset,
                          .saturation = format.largest,
                          .smallest = (128 - format.bias) * (1 << 23),
                          .adder = dropped * (1 << 23),
                          .dropped = dropped,
                          .sign_down = 32 - format.bits,
                          .ahead = FAR_PREFETCH,
                          .halvings = 0,
                          .stream = 0};
}

static void put_code(uint8_t *packed, size_t element, unsigned bits, uint8_t code) {
    size_t codes_per_byte = 8 / bits;
    unsigned shift = (unsigned)(element % codes_per_byte) * bits;
    unsigned mask = ((1u << bits) - 1) << shift;
    uint8_t *byte = packed + element / codes_per_byte;
    *byte = (uint8_t)((*byte & ~mask) | (((unsigned)code << shift) & mask));
}

/* Other codes in the first and last byte are left alone; bits behind the last code are zeroed. */
static void pack_codes(const caq_job *job, const uint8_t *codes, size_t count, unsigned bits,
                       uint8_t *packed, size_t element) {
    size_t codes_per_byte = 8 / bits;
    for (; count && element % codes_per_byte; count--)
        put_code(packed, element++, bits, *codes++);
    size_t bytes = count / codes_per_byte;
    job->kernels->pack(codes, bytes, bits, packed + element / codes_per_byte);
    codes += bytes * codes_per_byte;
    element += bytes * codes_per_byte;
    for (size_t rest = count % codes_per_byte; rest; rest--)
        put_code(packed, element++, bits, *codes++);
    for (; element >= job->elements && element % codes_per_byte; element++)
        put_code(packed, element, bits, 0);
}

caq_status caq_pack(const caq_job *job, size_t first, size_t count, const uint8_t *codes,
                    uint8_t *packed) {
    if (!has_elements(job, first, count))
        return CAQ_BAD_ARGUMENT;
    unsigned bits = caq_describe_format(job->format).bits;
    if (bits != 8)
        pack_codes(job, codes, count, bits, packed, first);
    for (size_t i = 0; bits == 8 && i < count; i++)
        packed[first + i] = codes[i];
    return CAQ_OK;
}

/* Where the encoder and what it needs come from, the same for all runs of a call. */
typedef struct encoder {
    const caq_job *job;
    caq_encoding encoding;
    unsigned bits;
    size_t step; /* of packed codes and of rows that it takes at once; 0: it takes neither */
    caq_encoder encode;
} encoder;

static encoder make_encoder(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    int at_once = HAS_VECTORS && (!is_float(format) || job->kernels->registers > 16);
    return (encoder){.job = job,
                     .encoding = caq_describe_encoding(job),
                     .bits = format.bits,
                     .step = at_once ? job->kernels->step : 0,
                     .encode = is_float(format) ? job->kernels->encode_float
                                                : job->kernels->encode_integer};
}

/* Whether codes may go past the caches. */
static int may_go_past(const caq_job *job) { return caq_goes_past(job->kernels, job->packed_size); }

/* Whether those of so many rows do. Rows that are taken together go step by step, and processors that
 * have several lines begun at once give them up half written, which costs more than reading them first. */
static uint8_t is_streamed(const encoder *with, size_t rows) {
    return may_go_past(with->job) && (rows == 1 || with->step * with->bits >= 8 * CACHE_LINE);
}

/* Have other threads see all codes. */
static void publish(const caq_job *job) {
    if (may_go_past(job))
        job->kernels->publish();
}

/* Encode `length` elements of each of the tile's first so many blocks in each row. */
static void encode_direct(encoder *with, const tile *tile, size_t rows, size_t blocks,
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

/* The same from block `first` of the tile on, by way of the tile's codes, in pieces for which there is room:
 * some blocks, or a part of one. */
static void encode_packing(encoder *with, tile *tile, size_t rows, size_t first, size_t blocks,
                           size_t length, const uint8_t *source, uint8_t *packed, size_t element) {
    size_t limit = TILE_CODES / rows, part = 0;
    if (HAS_VECTORS)
        with->encoding.halvings = with->encoding.stream = 0;
    while (first < blocks) {
        size_t most = length <= limit ? smaller(blocks - first, limit / length) : 1;
        size_t elements = smaller(length - part, limit), count = most * elements;
        with->encode(source, rows, with->job->row, most, elements, tile->reciprocal + first,
                     tile->zero + first, &with->encoding, tile->codes, count);
        for (size_t row = 0; row < rows; row++)
            pack_codes(with->job, tile->codes + row * count, count, with->bits, packed,
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

/* Encode a run of some rows, for whose blocks the tile has the parameters. */
static void encode_run(encoder *with, tile *tile, size_t rows, size_t blocks, size_t length,
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

static caq_status quantize_unit(encoder *with, size_t unit, const void *weight, uint8_t *packed,
                                uint8_t *scales, uint8_t *zero_points, void *scratch) {
    const caq_job *job = with->job;
    tile *tile = scratch;
    caq_run run = locate_unit(job, unit);
    size_t block = run.band * job->blocks[job->axes - 1] + run.first;
    scales += block * job->scale_size;
    zero_points += block;
    reduce_unit(job, &run, weight, tile);
    caq_status status = job->kernels->find_scales(job, tile, run.blocks, scales, zero_points);
    if (status != CAQ_OK)
        return status;
    if (CAQ_WITH_MSE && job->observer == CAQ_MSE)
        caq_search_run(job, &run, &with->encoding, weight, scratch, scales, zero_points);
    if (HAS_VECTORS)
        with->encoding.ahead = choose_second_ahead(job, &run, unit);
    for (size_t row = 0, rows; row < job->rows; row += rows) {
        rows = caq_count_together(job, with->step, run.length, row);
        size_t element = caq_run_start(job, &run, row);
        encode_run(with, tile, rows, run.blocks, run.length, element_at(job, weight, element),
                   packed, element);
    }
    return CAQ_OK;
}

caq_status caq_quantize(const caq_job *job, size_t first, size_t count, const void *weight,
                        uint8_t *packed, void *scales, uint8_t *zero_points, void *scratch) {
    if (first > job->units || count > job->units - first)
        return CAQ_BAD_ARGUMENT;
    encoder with = make_encoder(job);
    for (size_t unit = first; unit < first + count; unit++) {
        caq_status status =
            quantize_unit(&with, unit, weight, packed, scales, zero_points, scratch);
        if (status != CAQ_OK)
            return status;
    }
    publish(job);
    return CAQ_OK;
}

caq_status caq_measure(const caq_job *job, size_t first, size_t count, const void *weight,
                       int32_t *extents) {
    if (!has_elements(job, first, count))
        return CAQ_BAD_ARGUMENT;
    caq_reducer reduce = choose_reducer(job);
    int32_t *above = extents, *below = extents + job->scale_count;
    const uint8_t *source = weight;
    for (size_t done; count; first += done, count -= done) {
        piece piece = next_piece(job, first, count);
        reduce(source, 1, 0, piece.blocks, piece.length, FAR_PREFETCH, above + piece.block,
               below + piece.block);
        done = piece.blocks * piece.length;
        source = element_at(job, source, done);
    }
    return CAQ_OK;
}

caq_status caq_scale_blocks(const caq_job *job, const int32_t *extents, void *scales,
                            uint8_t *zero_points, void *scratch) {
    tile *tile = scratch;
    const int32_t *above = extents, *below = extents + job->scale_count;
    uint8_t *to = scales;
    for (size_t block = 0; block < job->scale_count; block += TILE_BLOCKS) {
        size_t blocks = smaller(job->scale_count - block, TILE_BLOCKS);
        for (size_t i = 0; i < blocks; i++) {
            tile->above[i] = above[block + i];
            tile->below[i] = below[block + i];
        }
        caq_status status = job->kernels->find_scales(
            job, tile, blocks, to + block * job->scale_size, zero_points + block);
        if (status != CAQ_OK)
            return status;
    }
    return CAQ_OK;
}

/* Fill the tile with what the encoders need, from scales and zero points as they are stored. */
static void load_encoder_parameters(const caq_job *job, const piece *piece, const void *scales,
                                    const uint8_t *zero_points, tile *tile) {
    caq_format_info format = caq_describe_format(job->format);
    caq_load_scales(job, scales, *piece, tile->scale);
    for (size_t i = 0; i < piece->blocks; i++)
        tile->reciprocal[i] = 1.0f / tile->scale[i];
    for (size_t i = 0; i < piece->blocks; i++) {
        uint8_t stored = zero_points[piece->block + i];
        tile->zero[i] = (format.is_signed ? (int8_t)stored : stored) - integer_offset(job);
    }
}

caq_status caq_encode(const caq_job *job, size_t first, size_t count, const void *weight,
                      const void *scales, const uint8_t *zero_points, uint8_t *packed,
                      void *scratch) {
    if (!has_elements(job, first, count))
        return CAQ_BAD_ARGUMENT;
    encoder with = make_encoder(job);
    const uint8_t *source = weight;
    for (size_t done; count; first += done, count -= done) {
        piece piece = next_piece(job, first, count);
        load_encoder_parameters(job, &piece, scales, zero_points, scratch);
        encode_run(&with, scratch, 1, piece.blocks, piece.length, source, packed, first);
        done = piece.blocks * piece.length;
        source = element_at(job, source, done);
    }
    publish(job);
    return CAQ_OK;
}
