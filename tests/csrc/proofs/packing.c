/*
 * packing.c - codes are packed and unpacked without leaving their buffers, and come back
 *
 * Every part of every tensor that has at most one code more than a byte holds, with any codes, in
 * buffers of exactly their sizes.
 */
#ifndef __CPROVER__
#define ROUNDS 100
#include "at_random.h"
#endif
#include "coreai_quant.h"
#include "kernels/kernels.h"

#include <stdlib.h>

unsigned char nondet_byte(void);

/* As many bytes as are needed, of any contents. */
static uint8_t *any_bytes(size_t size) {
    uint8_t *bytes = malloc(size);
    __CPROVER_assume(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = nondet_byte();
    return bytes;
}

static void pack_part(const caq_job *job, size_t first, size_t count) {
    uint8_t *codes = any_bytes(count), *packed = any_bytes(job->packed_size);
    uint8_t *before = any_bytes(job->elements), *after = any_bytes(job->elements);
    unsigned mask = (1u << caq_describe_format(FORMAT).bits) - 1;
    caq_unpack(job, 0, job->elements, packed, before);
    __CPROVER_assert(caq_pack(job, first, count, codes, packed) == CAQ_OK, "a part is packed");
    caq_unpack(job, first, count, packed, after + first);
    for (size_t i = 0; i < count; i++)
        __CPROVER_assert(((codes[i] ^ after[first + i]) & mask) == 0, "codes come back");
    caq_unpack(job, 0, job->elements, packed, after);
    for (size_t i = 0; i < job->elements; i++)
        __CPROVER_assert((i >= first && i < first + count) || before[i] == after[i],
                         "codes of other parts are left alone");
    __CPROVER_assert(caq_pack(job, first, job->elements - first + 1, codes, packed) != CAQ_OK,
                     "a part that leaves the tensor is refused");
    free(codes);
    free(packed);
    free(before);
    free(after);
}

int main(void) {
    size_t codes_per_byte = 8 / caq_describe_format(FORMAT).bits;
    for (size_t elements = 1; elements <= codes_per_byte + 1; elements++)
        for (size_t first = 0; first <= elements; first++)
            for (size_t count = 0; count <= elements - first; count++) {
                const caq_job job = {.elements = elements,
                                     .packed_size = (elements - 1) / codes_per_byte + 1,
                                     .format = FORMAT,
                                     .kernels = caq_portable_kernels};
                pack_part(&job, first, count);
            }
    return 0;
}
