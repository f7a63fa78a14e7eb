/*
 * feedback.h - rounding with feedback: a panel of rows, and what its columns are rounded with
 *
 * Rows are rounded side by side, one in each lane, column by column. A panel holds the weights of a
 * column until it is rounded, and from then on their errors, of which every later column takes its
 * share: row r of column k stands at [k * PANEL_ROWS + r].
 */
#ifndef FEEDBACK_H
#define FEEDBACK_H

#include "../kernels/kernels.h"

/* Rows of a panel: whole steps of every level, and whole parts of templates/round_rows.h. */
#define PANEL_ROWS CAQ_FEEDBACK_ROWS

/* How many columns have their sums formed together, so that what is loaded of an earlier column
 * serves all. */
#define PANEL_COLUMNS 4

/* How a call uses scratch. */
typedef struct caq_panel {
    size_t row_blocks[PANEL_ROWS]; /* the number of the block that each row begins in */
    /* of the columns that are rounded next, each of so many rows: */
    float sums[PANEL_COLUMNS * PANEL_ROWS]; /* weights and what is fed back to them */
    float scale[PANEL_ROWS];                /* the number that the stored scale stands for */
    int32_t zero[PANEL_ROWS];               /* integers: the zero point as an unsigned code */
    uint8_t codes[PANEL_ROWS];
    /* of all columns: */
    float *errors; /* weights, and errors where they are rounded; behind the panel in scratch */
} caq_panel;

STATIC_ASSERT(sizeof(caq_panel) <= CAQ_FEEDBACK_SCRATCH_SIZE(0),
              "the header tells callers what a panel takes");

#endif
