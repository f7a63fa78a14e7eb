/*
 * encoder.h - encode runs of elements into packed codes
 */
#ifndef ENCODER_H
#define ENCODER_H

#include "codes.h"
#include "geometry.h"
#include "kernels/kernels.h"

/* What all runs of a call have in common. */
typedef struct caq_encoder {
    const caq_job *job;
    caq_encoding encoding;
    unsigned bits;
    size_t step; /* elements of a step, if packed codes and rows are taken by steps; else 0 */
    caq_encode_fn encode;
} caq_encoder;

/* The encoder of a job. Scales may be any, or are those of the weights that are encoded. */
caq_encoder caq_make_encoder(const caq_job *job, int any_scales);

/* Encode some rows of a run: `length` elements of each block in each row, the first row at source.
 * The tile has the parameters of the blocks. `element` is the first element's place in the tensor.
 */
void caq_encode_run(caq_encoder *with, caq_tile *tile, size_t rows, size_t blocks, size_t length,
                    const uint8_t *source, uint8_t *packed, size_t element);

/* Make codes that went past the caches visible to other threads. */
void caq_publish(const caq_job *job);

#endif
