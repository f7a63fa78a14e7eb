/*
 * dequantize.c - turn stored codes, scales and zero points back into weights
 *
 * Any range of elements is decoded piece by piece. A piece is as much as the tile has room for
 * parameters for.
 */
#include "codes.h"
#include "direct.h"
#include "packing.h"
#include "parameters.h"

/* What all pieces of a call have in common. */
typedef struct decoder {
    const caq_job *job;
    const caq_kernels *to; /* the kernels of the type to decode to */
    caq_decoding decoding;
    unsigned bits;
    size_t size; /* of a number to decode to */
    uint8_t stream;
    const uint8_t *packed, *scales, *zero_points;
    caq_tile *tile;
    caq_piece loaded; /* the piece whose scales and zero points are in the tile */
} decoder;

/* Load the zero points of the loaded piece as the kernel `decode` takes them. */
static void load_zero_points(decoder *with) {
    caq_piece piece = with->loaded;
    const uint8_t *zero_points = with->zero_points + piece.block;
    /* A zero point is a code, and is decoded like one. */
    if (HAS_FLOATS && with->decoding.is_float) {
        const float minus_one = -1.0f;
        const int32_t minus_zero = INT32_MIN;
        const caq_kernels *to_f32 = with->job->kernels - with->job->source + CAQ_F32;
        with->decoding.halvings = with->decoding.stream = 0;
        to_f32->decode(zero_points, 1, 0, 1, piece.blocks, &minus_one, &minus_zero, &with->decoding,
                       with->tile->zero, 0);
        return;
    }
    int32_t mask = (1 << with->bits) - 1;
    for (size_t i = 0; i < piece.blocks; i++)
        with->tile->zero[i] = (zero_points[i] & mask) ^ with->decoding.sign;
}

/* Load a piece's scales and zero points, and return where in the tile they are. If blocks span
 * rows, those that count elements of the row need are loaded too, and stay in the tile for the rows
 * below. */
static size_t load_parameters(decoder *with, caq_piece piece, size_t count) {
    const caq_job *job = with->job;
    size_t offset =
        piece.block - with->loaded.block; /* huge if the piece lies before what is loaded */
    if (offset < with->loaded.blocks && piece.blocks <= with->loaded.blocks - offset)
        return offset;
    if (job->rows > 1) {
        size_t of_row = job->blocks[job->axes - 1], length = job->length[job->axes - 1];
        piece.blocks = smaller(of_row - piece.block % of_row, count / length + 2);
        piece.blocks = smaller(piece.blocks, CAQ_TILE_BLOCKS);
    }
    with->loaded = piece;
    caq_load_scales(job, with->scales, piece, with->tile->scale);
    load_zero_points(with);
    return 0;
}

/* Decode a piece in each of some rows. Its parameters are in the tile from `at` on. Blocks whose
 * packed codes the kernel can read come first, the others are decoded by way of the tile's codes.
 */
static void decode_rows(decoder *with, size_t rows, caq_piece piece, size_t at, size_t element,
                        uint8_t *out) {
    const caq_job *job = with->job;
    caq_tile *tile = with->tile;
    size_t codes_per_byte = 8 / with->bits, size = with->size, length = piece.length;
    size_t direct =
        caq_count_direct(job, with->bits, job->kernels->step, rows, piece.blocks, length, element);
    with->decoding.stream = with->stream;
    if (direct) {
        with->decoding.halvings = (uint8_t)(codes_per_byte / 2);
        with->to->decode(with->packed + element / codes_per_byte, rows, job->row / codes_per_byte,
                         direct, length, tile->scale + at, tile->zero + at, &with->decoding, out,
                         job->row);
    }
    with->decoding.halvings = 0;
    for (size_t row = 0; row < rows && direct < piece.blocks; row++) {
        size_t part = 0, block = direct, done = row * job->row + direct * length;
        while (block < piece.blocks) {
            size_t most =
                length <= TILE_CODES ? smaller(piece.blocks - block, TILE_CODES / length) : 1;
            size_t elements = smaller(length - part, TILE_CODES);
            caq_unpack_codes(job, element + done, most * elements, with->bits, with->packed,
                             tile->codes);
            with->to->decode(tile->codes, 1, 0, most, elements, tile->scale + at + block,
                             tile->zero + at + block, &with->decoding, out + done * size, 0);
            done += most * elements;
            part += elements;
            if (part == length) {
                block += most;
                part = 0;
            }
        }
    }
}

/* Decode whole rows of columns together, if as many lie in order as kernels take. Return how many
 * elements they were. */
static size_t decode_columns(decoder *with, size_t first, size_t count, uint8_t *out) {
    const caq_job *job = with->job;
    size_t length = job->length[job->axes - 1];
    size_t rows = caq_count_together(job, job->kernels->step, length, first / job->row);
    if (rows == 1 || first % job->row || count / rows < job->row)
        return 0;
    for (size_t column = 0; column < job->row; column += CAQ_TILE_BLOCKS) {
        caq_piece piece = caq_piece_at(job, first + column, job->row - column);
        decode_rows(with, rows, piece, load_parameters(with, piece, piece.blocks), first + column,
                    out + column * with->size);
    }
    return rows * job->row;
}

caq_status caq_dequantize(const caq_job *job, size_t first, size_t count, const uint8_t *packed,
                          const void *scales, const uint8_t *zero_points, caq_source to,
                          void *weight, void *scratch) {
    if (!has_elements(job, first, count) || !has_source(to))
        return CAQ_BAD_ARGUMENT;
    caq_format_info format = caq_describe_format(job->format);
    decoder with = {.job = job,
                    .to = job->kernels - job->source + to,
                    .decoding = caq_describe_decoding(format),
                    .bits = format.bits,
                    .size = source_size(to),
                    .stream = caq_goes_past(job->kernels, count * source_size(to)),
                    .packed = packed,
                    .scales = (const uint8_t *)scales,
                    .zero_points = zero_points,
                    .tile = (caq_tile *)scratch,
                    .loaded = {0, 0, 0}};
    uint8_t *out = (uint8_t *)weight;
    for (size_t done; count; first += done, count -= done, out += done * with.size) {
        done = HAS_VECTORS ? decode_columns(&with, first, count, out) : 0;
        if (done)
            continue;
        caq_piece piece = caq_piece_at(job, first, count);
        decode_rows(&with, 1, piece, load_parameters(&with, piece, count), first, out);
        done = piece.blocks * piece.length;
    }
    if (with.stream)
        job->kernels->publish();
    return CAQ_OK;
}
