/*
 * float_bits.h - binary32 and the 16-bit formats, by their bits
 *
 * Conversions that some compilers lack and that must be the same everywhere.
 */
#ifndef FLOAT_BITS_H
#define FLOAT_BITS_H

#include <float.h>
#include <stdint.h>

/* 16 is GCC's word for the same where the processor has binary16 arithmetic. */
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "float arithmetic must be done in binary32, without excess precision"
#endif

static inline uint32_t float_bits(float x) {
    union {
        float f;
        uint32_t u;
    } pun = {x};
    return pun.u;
}

static inline float float_from_bits(uint32_t bits) {
    union {
        uint32_t u;
        float f;
    } pun = {bits};
    return pun.f;
}

/* condition ? yes : no, without a branch: loops over it can be vectorized. */
static inline uint32_t select_bits(int condition, uint32_t yes, uint32_t no) {
    uint32_t mask = 0u - (uint32_t)condition;
    return (yes & mask) | (no & ~mask);
}

/* Round half even. 32-bit processors have no instruction for it, and their compilers call a library: there
 * the number is halved until it is one of 32 bits, whose last bit says if anything was lost. */
static inline float float_from_int64(int64_t x) {
#if UINTPTR_MAX > UINT32_MAX
    return (float)x;
#else
    uint64_t magnitude = x < 0 ? 0u - (uint64_t)x : (uint64_t)x;
    uint32_t exponent = 127;
    for (; magnitude >> 31; exponent++)
        magnitude = magnitude >> 1 | (magnitude & 1);
    float whole = (float)(int32_t)magnitude * float_from_bits(exponent << 23);
    return x < 0 ? -whole : whole;
#endif
}

/* Exact. Shifted into place, the exponent is short by 127 - 15, and that of infinities and NaNs by as much
 * again; subnormals are counts of 2^-24. No binary32 is subnormal on the way: vectors of Arm's MVE, which
 * compilers may make of loops over this, would take it for zero. */
static inline float float_from_f16(uint16_t half) {
    uint32_t magnitude = half & 0x7FFFu, sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t rebias = select_bits(magnitude >= 0x7C00, 2 * (112u << 23), 112u << 23);
    uint32_t subnormal = float_bits((float)(int32_t)magnitude * 0x1p-24f);
    uint32_t normal = (magnitude << 13) + rebias;
    return float_from_bits(sign | select_bits(magnitude < 0x0400, subnormal, normal));
}

static inline float float_from_bf16(uint16_t half) { return float_from_bits((uint32_t)half << 16); }

/* 2^(byte - 127); 255 is NaN. 2^-127 is a subnormal binary32 number. */
static inline float float_from_e8m0(uint8_t byte) {
    uint32_t bits = select_bits(byte == 0, 0x400000, (uint32_t)byte << 23);
    return float_from_bits(select_bits(byte == 255, 0x7FC00000, bits));
}

/* Round half even; any number, NaN included. */
static inline uint16_t f16_from_float(float x) {
    uint32_t bits = float_bits(x), magnitude = bits & 0x7FFFFFFF;
    uint32_t sign = (bits >> 16) & 0x8000;
    if (magnitude > 0x7F800000)
        return (uint16_t)(sign | 0x7E00);
    if (magnitude < 0x38800000) /* below the normal numbers of f16 the adder rounds, at 2^-24 */
        return (uint16_t)(sign |
                          (float_bits(float_from_bits(magnitude) + 0.5f) - float_bits(0.5f)));
    if (magnitude > 0x47800000) /* 2^16, whose bits come out as infinity's */
        magnitude = 0x47800000;
    uint32_t rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
    return (uint16_t)(sign | ((rounded >> 13) - ((127 - 15) << 10)));
}

/* The numbers below are finite, and no more than the type's largest when rounded; those that are rounded
 * are not negative. */

/* Round half even to the precision of f16. Below its normal numbers the adder rounds, at 2^-24. */
static inline float round_to_f16(float x) {
    uint32_t bits = float_bits(x);
    uint32_t normal = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFFu;
    uint32_t subnormal = float_bits((x + 0.5f) - 0.5f);
    return float_from_bits(select_bits(x < 0x1p-14f, subnormal, normal));
}

/* Round half even to the precision of bf16. */
static inline float round_to_bf16(float x) {
    uint32_t bits = float_bits(x);
    return float_from_bits((bits + 0x7FFF + ((bits >> 16) & 1)) & ~0xFFFFu);
}

/* The bits of a number that f16 holds. */
static inline uint16_t f16_bits(float x) {
    uint32_t bits = float_bits(x) & 0x7FFFFFFF, sign = (float_bits(x) ^ bits) >> 16;
    float magnitude = float_from_bits(bits);
    uint32_t normal = (bits >> 13) - ((127 - 15) << 10);
    uint32_t subnormal = float_bits(magnitude + 0.5f) - float_bits(0.5f);
    return (uint16_t)(sign | select_bits(magnitude < 0x1p-14f, subnormal, normal));
}

/* The bits of a number that bf16 holds. */
static inline uint16_t bf16_bits(float x) { return (uint16_t)(float_bits(x) >> 16); }

#endif
