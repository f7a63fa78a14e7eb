/*
 * packing.c - pack codes, which are one per byte, and unpack them
 *
 * Kernels pack and unpack whole bytes. Codes that share a byte with others are put and taken one by
 * one.
 */
#include "packing.h"
#include "geometry.h"
#include "kernels/kernels.h"

/* The lowest bit that an element's code has in its byte. The first code has the lowest bits. */
static unsigned shift_of(size_t element, unsigned bits) {
    return (unsigned)element % (8 / bits) * bits;
}

/* Put an element's code where it belongs. */
static void put_code(uint8_t *packed, size_t element, unsigned bits, uint8_t code) {
    unsigned shift = shift_of(element, bits);
    unsigned mask = ((1u << bits) - 1) << shift;
    uint8_t *byte = packed + element / (8 / bits);
    *byte = (uint8_t)((*byte & ~mask) | (((unsigned)code << shift) & mask));
}

void caq_pack_codes(const caq_job *job, const uint8_t *codes, size_t count, unsigned bits,
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

/* Get an element's code. */
static uint8_t get_code(const uint8_t *packed, size_t element, unsigned bits) {
    unsigned byte = packed[element / (8 / bits)];
    return (uint8_t)((byte >> shift_of(element, bits)) & ((1u << bits) - 1));
}

void caq_unpack_codes(const caq_job *job, size_t element, size_t count, unsigned bits,
                      const uint8_t *packed, uint8_t *codes) {
    size_t codes_per_byte = 8 / bits;
    for (; count && element % codes_per_byte; count--)
        *codes++ = get_code(packed, element++, bits);
    size_t bytes = count / codes_per_byte;
    job->kernels->unpack(packed + element / codes_per_byte, bytes, bits, codes);
    for (size_t i = bytes * codes_per_byte; i < count; i++)
        codes[i] = get_code(packed, element + i, bits);
}

caq_status caq_pack(const caq_job *job, size_t first, size_t count, const uint8_t *codes,
                    uint8_t *packed) {
    if (!has_elements(job, first, count))
        return CAQ_BAD_ARGUMENT;
    unsigned bits = caq_describe_format(job->format).bits;
    if (bits != 8)
        caq_pack_codes(job, codes, count, bits, packed, first);
    for (size_t i = 0; bits == 8 && i < count; i++)
        packed[first + i] = codes[i];
    return CAQ_OK;
}

caq_status caq_unpack(const caq_job *job, size_t first, size_t count, const uint8_t *packed,
                      uint8_t *codes) {
    if (!has_elements(job, first, count))
        return CAQ_BAD_ARGUMENT;
    caq_format_info format = caq_describe_format(job->format);
    if (format.bits != 8)
        caq_unpack_codes(job, first, count, format.bits, packed, codes);
    for (size_t i = 0; format.bits == 8 && i < count; i++)
        codes[i] = packed[first + i];
    unsigned sign = format.is_signed ? 1u << (format.bits - 1) : 0;
    for (size_t i = 0; i < count; i++)
        codes[i] = (uint8_t)((codes[i] ^ sign) - sign);
    return CAQ_OK;
}
