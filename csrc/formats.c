/*
 * formats.c - the table of formats
 *
 * The C twin of reference/formats.py; a test compares the two.
 */
#include "coreai_quant.h"

caq_format_info caq_describe_format(caq_format format) {
    /* in the order of the enum: bits, is_signed, mantissa, bias, emax, largest */
    static const caq_format_info formats[CAQ_FORMATS] = {
        {2, 1, 0, 0, 0, 0.0f},      /* INT2 */
        {2, 0, 0, 0, 0, 0.0f},      /* UINT2 */
        {4, 1, 0, 0, 0, 0.0f},      /* INT4 */
        {4, 0, 0, 0, 0, 0.0f},      /* UINT4 */
        {8, 1, 0, 0, 0, 0.0f},      /* INT8 */
        {8, 0, 0, 0, 0, 0.0f},      /* UINT8 */
        {4, 0, 1, 1, 2, 6.0f},      /* FP4_E2M1FN */
        {8, 0, 3, 7, 8, 448.0f},    /* FP8_E4M3FN */
        {8, 0, 2, 15, 15, 57344.0f} /* FP8_E5M2 */
    };
    return formats[format];
}
