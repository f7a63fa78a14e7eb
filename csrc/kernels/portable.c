/*
 * portable.c - the operations in plain C, on one lane
 */
#include "kernels.h"

/* Clang would make vectors of Arm's MVE of the loops, and these flush subnormals. */
#if defined(__clang__) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
#define NO_MVE_FLOATS
#pragma clang attribute push(__attribute__((target("no-mve.fp"))), apply_to = function)
#endif

#include "../float_bits.h"
#include "../unaligned.h"

#define LANES 1
#define VECTORS 1
#define REGISTERS 0
#define TARGET
#define PUBLISH NULL

typedef float vf;
typedef int32_t vi;

static inline vf v_load_f32(const uint32_t *p) { return float_from_bits(load_32(p)); }
static inline vf v_load_f16(const uint16_t *p) { return float_from_f16(load_16(p)); }
static inline vf v_load_bf16(const uint16_t *p) { return float_from_bf16(load_16(p)); }

/* Load a number of 16 bits into the upper half. */
static inline vi v_load_pairs(const uint16_t *p) { return (vi)((uint32_t)load_16(p) << 16); }

/* `stream` asks to store past the caches, which this level does not do. */
static inline void v_store_f32(uint32_t *p, vf x, int stream) {
    (void)stream;
    store_32(p, float_bits(x));
}
static inline void v_store_f16(uint16_t *p, vf x, int stream) {
    (void)stream;
    store_16(p, f16_from_float(x));
}

static inline vf v_set_f(float x) { return x; }
static inline vf v_add(vf a, vf b) { return a + b; }
static inline vf v_mul(vf a, vf b) { return a * b; }
static inline vf v_lesser(vf a, vf b) { return a < b ? a : b; }
static inline vi v_bits(vf x) { return (vi)float_bits(x); }
static inline vf v_from_bits(vi x) { return float_from_bits((uint32_t)x); }

static inline vf v_greater(vf a, vf b) { return a > b ? a : b; }

/* Round |x| < 2^22 half to even: the last place of the number that is added is 1. Any larger x
 * becomes 2^22 or more, by the order of bits, and any lower one -2^22. v_greater() also keeps
 * compilers from fusing the product that x is into the addition. */
static inline vi v_round(vf x) {
    return (vi)(float_bits(v_greater(x, -0x1p22f) + 0x1.8p23f) - float_bits(0x1.8p23f));
}

static inline vi v_set_i(int32_t x) { return x; }
static inline vi v_load_i(const int32_t *p) { return *p; }
static inline void v_store_i(int32_t *p, vi x) { *p = x; }
static inline vi v_and(vi a, vi b) { return a & b; }
static inline vi v_or(vi a, vi b) { return a | b; }
static inline vi v_xor(vi a, vi b) { return a ^ b; }
static inline vi v_add_i(vi a, vi b) { return (vi)((uint32_t)a + (uint32_t)b); }
static inline vi v_sub_i(vi a, vi b) { return (vi)((uint32_t)a - (uint32_t)b); }
static inline vi v_shift_down(vi a, int32_t n) { return (vi)((uint32_t)a >> n); }
static inline vi v_shift_up(vi a, int32_t n) { return (vi)((uint32_t)a << n); }
static inline vf v_to_float(vi a) { return (float)a; }
static inline vi v_min(vi a, vi b) { return a < b ? a : b; }
static inline vi v_max(vi a, vi b) { return a > b ? a : b; }
static inline vi v_max_pairs(vi a, vi b) { return v_max(a, b); }
/* Return a, or 0 if x is NaN. */
static inline vi v_if_number(vf x, vi a) { return x == x ? a : 0; }
static inline int32_t v_largest(vi a) { return a; }

/* Raise p[k] to the largest lane of most[k], for four numbers. */
static inline void v_raise_4(int32_t *p, const vi most[4]) {
    for (size_t k = 0; k < 4; k++)
        p[k] = v_max(p[k], most[k]);
}

/* Raise p[k] to the largest 16 bits of most[k], which stand in the upper half already. */
static inline void v_raise_4_pairs(int32_t *p, const vi most[4]) { v_raise_4(p, most); }

static inline vi v_load_bytes(const uint8_t *p) { return *p; }
static inline const uint8_t *v_step_codes(const uint8_t *codes, int halvings, uint8_t *buffer) {
    (void)halvings;
    (void)buffer;
    return codes;
}

/* The number of a floating-point code. Codes of one binade are equally spaced, and those of
 * subnormals go on with the spacing of the smallest normal binade. So a number is a count of steps:
 * the code, less 2^mantissa for each binade below. No binary32 is subnormal on the way, which some
 * processors are slow with. */
static inline vf v_float_numbers(const uint8_t *code, const caq_decoding *from) {
    uint32_t sign = (uint32_t)(*code & from->sign) << from->sign_up;
    int32_t magnitude = *code & (from->sign - 1);
    int32_t binade = v_max(magnitude & -from->first, from->first);
    int32_t count = magnitude + from->first - binade;
    uint32_t step = ((uint32_t)binade << from->lacking) + (uint32_t)from->rebias;
    uint32_t number = float_bits((float)count * float_from_bits(step));
    /* with all exponent bits set, the number is the infinity or the NaN that the code stands for */
    uint32_t special = select_bits(magnitude > from->last, 0x7F800000, 0);
    return float_from_bits(number | special | sign);
}

/* Store the low half. */
static inline void v_store_halves(uint16_t *p, vi x, int stream) {
    (void)stream;
    store_16(p, (uint16_t)x);
}

/* Make bytes of codes. They stay integers of 32 bits: narrowing raises what is below 0, and leaves
 * it to b_lesser() to lower what is above 255. */
typedef int32_t vb;
static inline vb b_narrow_vector(vi codes) { return v_max(codes, 0); }
static inline vb b_narrow(const vi codes[VECTORS]) { return b_narrow_vector(codes[0]); }
static inline vb b_set(uint8_t x) { return x; }
static inline vb b_lesser(vb a, vb b) { return v_min(a, b); }
static inline vb b_add(vb a, vb b) { return a + b; }
static inline void b_store_vector(uint8_t *p, vb bytes) { *p = (uint8_t)bytes; }
static inline void b_store_step(uint8_t *p, vb bytes, const caq_encoding *to) {
    (void)to;
    b_store_vector(p, bytes);
}

static void pack(const uint8_t *codes, size_t bytes, unsigned bits, uint8_t *packed) {
    if (bits == 4) {
        for (size_t i = 0; i < bytes; i++, codes += 2)
            packed[i] = (uint8_t)((codes[0] & 15) | codes[1] << 4);
        return;
    }
    for (size_t i = 0; i < bytes; i++, codes += 4)
        packed[i] =
            (uint8_t)((codes[0] & 3) | (codes[1] & 3) << 2 | (codes[2] & 3) << 4 | codes[3] << 6);
}

static void unpack(const uint8_t *packed, size_t bytes, unsigned bits, uint8_t *codes) {
    for (size_t i = 0; i < bytes; i++)
        for (unsigned shift = 0; shift < 8; shift += bits)
            *codes++ = (uint8_t)(((unsigned)packed[i] >> shift) & ((1u << bits) - 1));
}

static inline vf v_sub(vf a, vf b) { return a - b; }
static inline vf v_div(vf a, vf b) { return a / b; }

/* Round 0 <= x <= 2^30 half to even. v_lesser() changes nothing, but keeps
 * compilers from fusing the product that x is. */
static inline vi v_round_large(vf x) {
    x = v_lesser(x, 0x1p30f);
    int32_t whole = (int32_t)x;
    float rest = x - (float)whole;
    return whole + (rest > 0.5f || (rest == 0.5f && whole % 2));
}

/* Return a > b ? yes : no, lane by lane. */
static inline vf v_if_above(vf a, vf b, vf yes, vf no) { return a > b ? yes : no; }

/* Put two 16-bit integers into a lane. */
static inline vi v_pair(vi low, vi high) {
    return (vi)(((uint32_t)low & 0xFFFF) | (uint32_t)high << 16);
}
static inline int32_t low_of(vi pair) { return (int16_t)pair; }
static inline int32_t high_of(vi pair) { return (int16_t)((uint32_t)pair >> 16); }

/* Return a * b / 2^15 of both halves, rounded, halves up. */
static inline vi v_scale_pairs(vi a, vi b) {
    return v_pair((low_of(a) * low_of(b) + (1 << 14)) >> 15,
                  (high_of(a) * high_of(b) + (1 << 14)) >> 15);
}
/* Return a * b of both halves, which fits into 16 bits. */
static inline vi v_mul_pairs(vi a, vi b) {
    return v_pair(low_of(a) * low_of(b), high_of(a) * high_of(b));
}
static inline vi v_clip_pairs(vi a, vi lowest, vi highest) {
    vi low = v_min(v_max(low_of(a), low_of(lowest)), low_of(highest));
    vi high = v_min(v_max(high_of(a), high_of(lowest)), high_of(highest));
    return v_pair(low, high);
}
/* Return the sum of the products of both halves, in 32 bits. */
static inline vi v_dot_pairs(vi a, vi b) { return low_of(a) * low_of(b) + high_of(a) * high_of(b); }

static inline void v_interleave(vf a, vf b, vf to[2]) {
    to[0] = a;
    to[1] = b;
}

#if HAS_DOUBLES
#define DOUBLES 1
typedef double vd;
typedef const float *v16;

static inline vd d_load(const double *p) { return *p; }
static inline vd d_widen(const float *p) { return (double)*p; }
static inline void d_store(double *p, vd x) { *p = x; }
static inline vd d_set(double x) { return x; }
static inline vd d_lanes(void) { return 0; }
static inline vd d_add(vd a, vd b) { return a + b; }
static inline vd d_sub(vd a, vd b) { return a - b; }
static inline vd d_mul(vd a, vd b) { return a * b; }
static inline vd d_div(vd a, vd b) { return a / b; }
static inline vd d_if_above(vd a, vd b, vd yes, vd no) { return a > b ? yes : no; }
static inline v16 v_load_16(const float *p) { return p; }
static inline vf v_pick(v16 numbers, vi place) { return numbers[place]; }
static inline void v_store_low_bytes(uint8_t *p, vi x) { *p = (uint8_t)x; }
#endif

#include "../templates/level.h"

const caq_kernels caq_portable_kernels[CAQ_SOURCES] = KERNELS_OF_LEVEL;

#ifdef NO_MVE_FLOATS
#pragma clang attribute pop
#endif
