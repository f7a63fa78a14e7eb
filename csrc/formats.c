/*
 * formats.c - the formats of codes
 *
 * The C twin of reference/formats.py; tests compare the two.
 */
#include "coreai_quant.h"

caq_format_info caq_describe_format(caq_format format) {
    static const caq_format_info formats[CAQ_FORMATS] = {
        [CAQ_INT2] = {.bits = 2, .is_signed = 1},
        [CAQ_UINT2] = {.bits = 2},
        [CAQ_INT4] = {.bits = 4, .is_signed = 1},
        [CAQ_UINT4] = {.bits = 4},
        [CAQ_INT8] = {.bits = 8, .is_signed = 1},
        [CAQ_UINT8] = {.bits = 8},
        [CAQ_FP4_E2M1FN] = {.bits = 4, .mantissa = 1, .bias = 1, .emax = 2, .largest = 6.0f},
        [CAQ_FP8_E4M3FN] = {.bits = 8, .mantissa = 3, .bias = 7, .emax = 8, .largest = 448.0f},
        [CAQ_FP8_E5M2] = {.bits = 8, .mantissa = 2, .bias = 15, .emax = 15, .largest = 57344.0f},
    };
    return formats[format];
}
