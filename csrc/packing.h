/*
 * packing.h - pack codes, which are one per byte, and unpack them
 */
#ifndef PACKING_H
#define PACKING_H

#include "coreai_quant.h"

/* Pack count codes of 2 or 4 bits: those of the elements from `element` on. Codes of other elements
 * in the first and the last byte are left alone. Bits behind the tensor's last code become zero
 * with that code. */
void caq_pack_codes(const caq_job *job, const uint8_t *codes, size_t count, unsigned bits,
                    uint8_t *packed, size_t element);

/* Unpack the count codes of 2 or 4 bits from `element` on. The other bits of a code's byte are
 * zero. */
void caq_unpack_codes(const caq_job *job, size_t element, size_t count, unsigned bits,
                      const uint8_t *packed, uint8_t *codes);

#endif
