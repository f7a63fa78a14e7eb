/*
 * feedback.c - round with feedback: panel of rows by panel of rows, column by column
 *
 * The C twin of reference/feedback.py.
 */
#include "feedback.h"
#include "../codes.h"
#include "../float_bits.h"
#include "../geometry.h"
#include "../kernels/kernels.h"
#include "../unaligned.h"

#if CAQ_WITH_FEEDBACK

/* The number of the block that an element belongs to. */
static size_t block_of(const caq_job *job, size_t element) {
    return caq_piece_at(job, element, 1).block;
}

/* Load a number of the weight's type. */
static float load_number(const caq_job *job, const uint8_t *at) {
    if (is_f32(job))
        return float_from_bits(load_32(at));
    return is_f16(job) ? float_from_f16(load_16(at)) : float_from_bf16(load_16(at));
}

/* Load rows into the panel. If there are too few, the others are copies of the first one. */
static void load_rows(const caq_job *job, const caq_feedback *with, const size_t *rows,
                      size_t count, const void *weight, caq_panel *panel) {
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        size_t first = rows[r < count ? r : 0];
        panel->row_blocks[r] = block_of(job, first);
        for (size_t k = 0; k < with->columns; k++)
            panel->errors[k * PANEL_ROWS + r] =
                load_number(job, element_at(job, weight, first + with->offsets[k]));
    }
}

/* Load the scale of a block. */
static float load_scale(const caq_job *job, const uint8_t *scales, size_t block) {
    const uint8_t *at = scales + block * job->scale_size;
    if (is_e8m0(job))
        return float_from_e8m0(*at);
    return load_number(job, at);
}

/* Load the scales and zero points of a column. */
static void load_column(const caq_job *job, size_t column_block, const uint8_t *scales,
                        const uint8_t *zero_points, caq_panel *panel) {
    int is_signed = caq_describe_format(job->format).is_signed;
    int32_t offset = integer_offset(job);
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        const size_t block = panel->row_blocks[r] + column_block;
        panel->scale[r] = load_scale(job, scales, block);
        panel->zero[r] = unsigned_zero(zero_points[block], is_signed, offset);
    }
}

/* Whether all that a call reads and writes is the job's. */
static int has_rows(const caq_job *job, const caq_feedback *with, const size_t *rows,
                    size_t count) {
    size_t last = 0, last_block = 0;
    for (size_t k = 0; k < with->columns; k++) {
        if (with->offsets[k] >= job->elements)
            return 0;
        size_t block = block_of(job, with->offsets[k]);
        last = with->offsets[k] > last ? with->offsets[k] : last;
        last_block = block > last_block ? block : last_block;
    }
    for (size_t r = 0; r < count; r++)
        if (rows[r] >= job->elements - last ||
            block_of(job, rows[r]) >= job->scale_count - last_block)
            return 0;
    return with->columns > 0;
}

/* Round the rows of a panel. */
static void round_panel(const caq_job *job, const caq_feedback *with, const size_t *rows,
                        size_t count, const uint8_t *scales, const uint8_t *zero_points,
                        uint8_t *codes, caq_panel *panel) {
    const caq_encoding encoding = caq_describe_encoding(job);
    size_t loaded = SIZE_MAX; /* the column's block whose parameters the panel has */
    for (size_t first = 0; first < with->columns; first += PANEL_COLUMNS) {
        size_t columns = smaller(with->columns - first, PANEL_COLUMNS);
        job->kernels->begin_columns(with, first, columns, panel);
        for (size_t k = first; k < first + columns; k++) {
            size_t block = block_of(job, with->offsets[k]);
            if (block != loaded)
                load_column(job, block, scales, zero_points, panel);
            loaded = block;
            job->kernels->round_column(job, &encoding, with, first, k, panel);
            for (size_t r = 0; r < count; r++)
                codes[rows[r] + with->offsets[k]] = panel->codes[r];
        }
    }
}

caq_status caq_round_rows(const caq_job *job, const caq_feedback *feedback, const size_t *rows,
                          size_t count, const void *weight, const void *scales,
                          const uint8_t *zero_points, uint8_t *codes, void *scratch) {
    if (!has_rows(job, feedback, rows, count))
        return CAQ_BAD_ARGUMENT;
    caq_panel *panel = (caq_panel *)scratch;
    panel->errors = (float *)(void *)(panel + 1);
    for (size_t some; count; rows += some, count -= some) {
        some = smaller(count, PANEL_ROWS);
        load_rows(job, feedback, rows, some, weight, panel);
        round_panel(job, feedback, rows, some, (const uint8_t *)scales, zero_points, codes, panel);
    }
    return CAQ_OK;
}

#endif
