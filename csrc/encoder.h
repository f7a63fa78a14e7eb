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
    size_t
        step; /* of packed codes and of rows that the kernel takes at once; 0: it takes neither */
    caq_encode_fn encode;
} caq_encoder;

caq_encoder caq_make_encoder(const caq_job *job);

/* Encode a run of some rows, for whose blocks the tile has the parameters. */
void caq_encode_run(caq_encoder *with, caq_tile *tile, size_t rows, size_t blocks, size_t length,
                    const uint8_t *source, uint8_t *packed, size_t element);

/* Have other threads see all codes. */
void caq_publish(const caq_job *job);

#endif
