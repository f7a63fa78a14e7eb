/*
 * codes.c - the constants by which kernels make codes of a kind, and read them
 */
#include "codes.h"
#include "float_bits.h"
#include "kernels/kernels.h"

caq_encoding caq_describe_encoding(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    int32_t dropped = is_float(format) ? 23 - format.mantissa : 0;
    caq_encoding encoding = {.largest = (uint8_t)integer_largest(job),
                             .offset = (uint8_t)integer_offset(job),
                             .halvings = 0,
                             .stream = 0,
                             .saturation = format.largest,
                             .smallest = (128 - format.bias) * (1 << 23),
                             .adder = dropped * (1 << 23),
                             .dropped = dropped,
                             .sign_down = 32 - format.bits,
                             .ahead = FAR_PREFETCH};
    return encoding;
}

caq_decoding caq_describe_decoding(caq_format_info format) {
    /* The bits of a number are its exponent's and significand's in the format, shifted up, and the
     * bias between the exponents. */
    int32_t lacking = 23 - format.mantissa, bias = 127 - format.bias;
    int32_t largest = (int32_t)float_bits(format.largest);
    caq_decoding decoding = {.sign =
                                 is_float(format) || format.is_signed ? 1 << (format.bits - 1) : 0,
                             .is_float = (uint8_t)is_float(format),
                             .is_short = format.bits <= 4,
                             .halvings = 0,
                             .stream = 0,
                             .half_up = (uint8_t)(10 - format.mantissa),
                             .sign_up = 32 - format.bits,
                             .first = 1 << format.mantissa,
                             .last = (largest - bias * (1 << 23)) >> lacking,
                             .lacking = lacking,
                             .rebias = (bias - format.mantissa) * (1 << 23),
                             .half_gain = float_from_bits((uint32_t)(142 - format.bias) << 23)};
    return decoding;
}
