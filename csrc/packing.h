/*
 * packing.h - codes one per byte, and codes packed: several in a byte
 */
#ifndef PACKING_H
#define PACKING_H

#include "coreai_quant.h"

/* Pack count codes of 2 or 4 bits as those from an element on. Other codes in the first and the last byte are
 * left alone; bits behind the tensor's last code are zeroed. */
void caq_pack_codes(const caq_job *job, const uint8_t *codes, size_t count, unsigned bits,
                    uint8_t *packed, size_t element);

/* Unpack count codes of 2 or 4 bits from an element on; the other bits of a byte are zero. */
void caq_unpack_codes(const caq_job *job, size_t element, size_t count, unsigned bits,
                      const uint8_t *packed, uint8_t *codes);

#endif
