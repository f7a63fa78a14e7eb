/*
 * quantize.c - walk a tensor unit by unit: reduce, find scales, encode, pack
 *
 * A unit is one tile: `blocks` neighbouring blocks of the row axis, over all the rows that they span.
 * Its elements are read twice, the second time from a near cache.
 */
#include "float_bits.h"
#include "kernels.h"
#include "search.h"
#include "tile.h"

static caq_run locate_unit(const caq_job *job, size_t unit) {
    size_t last = job->axes - 1;
    caq_run run = {unit / job->tiles, unit % job->tiles * job->tile, job->tile, job->length[last]};
    if (run.blocks > job->blocks[last] - run.first)
        run.blocks = job->blocks[last] - run.first;
    return run;
}

size_t caq_run_start(const caq_job *job, caq_run run, size_t row) {
    size_t element = run.first * run.length, stride = job->row;
    for (size_t axis = job->axes - 1; axis-- > 0;) {
        size_t block = run.band, within = row;
        if (axis) { /* the first axis takes all that is left */
            block %= job->blocks[axis];
            run.band /= job->blocks[axis];
            within %= job->length[axis];
            row /= job->length[axis];
        }
        element += (block * job->length[axis] + within) * stride;
        stride *= job->blocks[axis] * job->length[axis];
    }
    return element;
}

static caq_reducer choose_reducer(const caq_job *job) {
    return job->scheme == CAQ_ASYMMETRIC ? job->kernels->range : job->kernels->absmax;
}

static void reduce_unit(const caq_job *job, caq_run run, const void *weight, tile *tile) {
    for (size_t i = 0; i < run.blocks; i++)
        tile->above[i] = tile->below[i] = 0;
    caq_reducer reduce = choose_reducer(job);
    /* rows along the last of the earlier axes lie one after the other */
    size_t rows = job->axes > 1 ? job->length[job->axes - 2] : 1;
    for (size_t row = 0; row < job->rows; row += rows) {
        const uint8_t *source = element_at(job, weight, caq_run_start(job, run, row));
        reduce(source, rows, job->row, run.blocks, run.length, tile->above, tile->below);
    }
}

caq_encoding caq_describe_encoding(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    if (!format.mantissa) {
        int32_t largest =
            job->scheme == CAQ_SYMMETRIC ? 2 * symmetric_max(format) : asymmetric_levels(format);
        return (caq_encoding){.largest = (uint8_t)largest,
                              .offset = (uint8_t)integer_offset(format, job->scheme)};
    }
    int32_t dropped = 23 - format.mantissa;
    return (caq_encoding){.largest = 255,
                          .saturation = format.largest,
                          .smallest = (128 - format.bias) * (1 << 23),
                          .adder = dropped * (1 << 23),
                          .dropped = dropped,
                          .sign_down = 32 - format.bits};
}

static void put_code(uint8_t *packed, size_t element, unsigned bits, uint8_t code) {
    size_t codes_per_byte = 8 / bits;
    unsigned shift = (unsigned)(element % codes_per_byte) * bits;
    unsigned mask = ((1u << bits) - 1) << shift;
    uint8_t *byte = packed + element / codes_per_byte;
    *byte = (uint8_t)((*byte & ~mask) | (((unsigned)code << shift) & mask));
}

/* Pack codes from any element on; other codes in the first and last byte are left alone. */
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
}

/* Where the encoder and what it needs come from, the same for all runs of a call. */
typedef struct encoder {
    const caq_job *job;
    caq_encoding encoding;
    unsigned bits;
    caq_encoder encode;
} encoder;

static encoder make_encoder(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    encoder with = {job, caq_describe_encoding(job), format.bits, job->kernels->encode_float};
    if (!format.mantissa)
        with.encode = job->kernels->encode_integer;
    return with;
}

/* Encode blocks first .. first + blocks - 1 of the tile, from `length` elements of each. */
static void encode_piece(const encoder *with, tile *tile, size_t first, size_t blocks,
                         size_t length, const void *weight, uint8_t *packed, size_t element) {
    const uint8_t *source = element_at(with->job, weight, element);
    uint8_t *codes = with->bits == 8 ? packed + element : tile->codes;
    with->encode(source, blocks, length, tile->reciprocal + first, tile->zero + first,
                 &with->encoding, codes);
    if (with->bits != 8)
        pack_codes(with->job, codes, blocks * length, with->bits, packed, element);
}

/* Encode a run in pieces whose codes fit into the tile: some blocks, or a part of one. */
static void encode_run(const encoder *with, tile *tile, caq_run run, const void *weight,
                       uint8_t *packed, size_t element) {
    size_t limit = with->bits == 8 ? SIZE_MAX : TILE_CODES;
    if (run.length <= limit) {
        size_t most = limit / run.length;
        for (size_t first = 0; first < run.blocks; first += most) {
            size_t blocks = run.blocks - first < most ? run.blocks - first : most;
            encode_piece(with, tile, first, blocks, run.length, weight, packed,
                         element + first * run.length);
        }
        return;
    }
    for (size_t block = 0; block < run.blocks; block++, element += run.length) {
        for (size_t i = 0; i < run.length; i += limit) {
            size_t length = run.length - i < limit ? run.length - i : limit;
            encode_piece(with, tile, block, 1, length, weight, packed, element + i);
        }
    }
}

static caq_status quantize_unit(const encoder *with, size_t unit, const void *weight,
                                uint8_t *packed, uint8_t *scales, uint8_t *zero_points,
                                void *scratch) {
    const caq_job *job = with->job;
    tile *tile = scratch;
    caq_run run = locate_unit(job, unit);
    size_t block = run.band * job->blocks[job->axes - 1] + run.first;
    scales += block * job->scale_size;
    zero_points += block;
    reduce_unit(job, run, weight, tile);
    caq_status status = job->kernels->find_scales(job, tile, run.blocks, scales, zero_points);
    if (status != CAQ_OK)
        return status;
    if (job->observer == CAQ_MSE)
        caq_search_run(job, run, &with->encoding, weight, scratch, scales, zero_points);
    for (size_t row = 0; row < job->rows; row++)
        encode_run(with, tile, run, weight, packed, caq_run_start(job, run, row));
    return CAQ_OK;
}

/* Bits of the last byte that no code fills. */
static void clear_padding(const caq_job *job, unsigned bits, uint8_t *packed) {
    for (size_t element = job->elements; element % (8 / bits); element++)
        put_code(packed, element, bits, 0);
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
    if (first + count == job->units)
        clear_padding(job, with.bits, packed);
    return CAQ_OK;
}

void caq_measure(const caq_job *job, size_t first, size_t count, const void *weight,
                 caq_extent *extent) {
    const uint8_t *source = element_at(job, weight, first);
    choose_reducer(job)(source, 1, 0, 1, count, &extent->above, &extent->below);
}

caq_extent caq_join(caq_extent a, caq_extent b) {
    return (caq_extent){a.above > b.above ? a.above : b.above,
                        a.below > b.below ? a.below : b.below};
}

caq_status caq_encode(const caq_job *job, caq_extent extent, size_t first, size_t count,
                      const void *weight, uint8_t *packed, void *scales, uint8_t *zero_points,
                      const caq_search *search, void *scratch) {
    if (job->scale_count != 1 || first % 8 || first > job->elements ||
        count > job->elements - first || count == 0)
        return CAQ_BAD_ARGUMENT;
    tile *tile = scratch;
    tile->above[0] = extent.above;
    tile->below[0] = extent.below;
    caq_status status = job->kernels->find_scales(job, tile, 1, scales, zero_points);
    if (status != CAQ_OK)
        return status;
    if (search)
        caq_search_take(job, search, tile, scales, zero_points);
    encoder with = make_encoder(job);
    caq_run part = {.blocks = 1, .length = count};
    encode_run(&with, tile, part, weight, packed, first);
    if (first + count == job->elements)
        clear_padding(job, with.bits, packed);
    return CAQ_OK;
}
