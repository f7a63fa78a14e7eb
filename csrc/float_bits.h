/*
 * float_bits.h - conversions between binary32, binary16, bfloat16 and their bits
 *
 * Some compilers lack these, and the results have to be equal everywhere.
 */
#ifndef FLOAT_BITS_H
#define FLOAT_BITS_H

#include <stddef.h>
#include <stdint.h>

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

/* Return condition ? yes : no without a branch, so that loops over it can be vectorized. */
static inline uint32_t select_bits(int condition, uint32_t yes, uint32_t no) {
    uint32_t mask = 0u - (uint32_t)condition;
    return (yes & mask) | (no & ~mask);
}

/* The largest of some numbers >= 0, or 0. Bits of such numbers order like the numbers, and those of
 * NaN are above all. */
static inline float largest_of(const float *x, size_t count) {
    int32_t most = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t bits = (int32_t)float_bits(x[i]);
        most = bits > most ? bits : most;
    }
    return float_from_bits((uint32_t)most);
}

/* Round a 64-bit integer half to even. 32-bit processors have no instruction for that, and their
 * compilers call a library. There the number is halved until it has 32 bits, and its last bit keeps
 * whether anything was lost. */
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

/* Widen binary16, which is exact. An exponent that is shifted into place is short by 127 - 15, and
 * that of infinities and NaNs by as much again. Subnormals are counts of 2^-24. No binary32 is
 * subnormal on the way: compilers may make vectors of Arm's MVE of loops over this, and these take
 * subnormals for zero. */
static inline float float_from_f16(uint16_t half) {
    uint32_t magnitude = half & 0x7FFFu, sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t rebias = select_bits(magnitude >= 0x7C00, 2 * (112u << 23), 112u << 23);
    uint32_t subnormal = float_bits((float)(int32_t)magnitude * 0x1p-24f);
    uint32_t normal = (magnitude << 13) + rebias;
    return float_from_bits(sign | select_bits(magnitude < 0x0400, subnormal, normal));
}

/* Widen bfloat16, which is exact. */
static inline float float_from_bf16(uint16_t half) { return float_from_bits((uint32_t)half << 16); }

/* Widen E8M0: a byte stands for 2^(byte - 127), which is subnormal for 0, and 255 for NaN. */
static inline float float_from_e8m0(uint8_t byte) {
    uint32_t bits = select_bits(byte == 0, 0x400000, (uint32_t)byte << 23);
    return float_from_bits(select_bits(byte == 255, 0x7FC00000, bits));
}

/* Round any number to binary16, half to even. A NaN gives a NaN. */
static inline uint16_t f16_from_float(float x) {
    uint32_t bits = float_bits(x), magnitude = bits & 0x7FFFFFFF;
    uint32_t sign = (bits >> 16) & 0x8000;
    if (magnitude > 0x7F800000)
        return (uint16_t)(sign | 0x7E00);
    if (magnitude <
        0x38800000) /* below the normal numbers adding 0.5 rounds to multiples of 2^-24 */
        return (uint16_t)(sign |
                          (float_bits(float_from_bits(magnitude) + 0.5f) - float_bits(0.5f)));
    if (magnitude > 0x47800000) /* the bits of 2^16 come out as those of infinity */
        magnitude = 0x47800000;
    uint32_t rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
    return (uint16_t)(sign | ((rounded >> 13) - ((127 - 15) << 10)));
}

/* Round a number >= 0 half to even to one that binary16 holds, which has to be finite. Below the
 * normal numbers adding 0.5 rounds to multiples of 2^-24. */
static inline float round_to_f16(float x) {
    uint32_t bits = float_bits(x);
    uint32_t normal = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFFu;
    uint32_t subnormal = float_bits((x + 0.5f) - 0.5f);
    return float_from_bits(select_bits(x < 0x1p-14f, subnormal, normal));
}

/* Round a number >= 0 half to even to one that bfloat16 holds, which has to be finite. */
static inline float round_to_bf16(float x) {
    uint32_t bits = float_bits(x);
    return float_from_bits((bits + 0x7FFF + ((bits >> 16) & 1)) & ~0xFFFFu);
}

/* The bits of a finite number that binary16 holds. */
static inline uint16_t f16_bits(float x) {
    uint32_t bits = float_bits(x) & 0x7FFFFFFF, sign = (float_bits(x) ^ bits) >> 16;
    float magnitude = float_from_bits(bits);
    uint32_t normal = (bits >> 13) - ((127 - 15) << 10);
    uint32_t subnormal = float_bits(magnitude + 0.5f) - float_bits(0.5f);
    return (uint16_t)(sign | select_bits(magnitude < 0x1p-14f, subnormal, normal));
}

/* The bits of a number that bfloat16 holds. */
static inline uint16_t bf16_bits(float x) { return (uint16_t)(float_bits(x) >> 16); }

#endif
