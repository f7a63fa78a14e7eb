/*
 * neon.c - the operations on four lanes of AArch64's Advanced SIMD
 *
 * AArch64 only: on 32-bit ARM the unit flushes subnormals.
 */
#include "kernels.h"

#ifdef HAVE_NEON
#include "../unaligned.h"

#include <arm_neon.h>

#define LANES 4
#define VECTORS 4
#define REGISTERS 32
#define TARGET
#define PUBLISH NULL

typedef float32x4_t vf;
typedef int32x4_t vi;

static inline vf v_load_f32(const uint32_t *p) {
    return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)p));
}
static inline uint16x4_t load_halves(const uint16_t *p) {
    return vreinterpret_u16_u8(vld1_u8((const uint8_t *)p));
}
static inline vf v_load_f16(const uint16_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(load_halves(p)));
}
static inline vf v_load_bf16(const uint16_t *p) {
    return vreinterpretq_f32_u32(vshll_n_u16(load_halves(p), 16));
}

/* Load two numbers of 16 bits into each lane; and the larger of two such numbers, as integers. */
static inline vi v_load_pairs(const uint16_t *p) {
    return vreinterpretq_s32_u8(vld1q_u8((const uint8_t *)p));
}
static inline vi v_max_pairs(vi a, vi b) {
    return vreinterpretq_s32_s16(vmaxq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}

/* `stream` asks to store past the caches, which this level does not do. */
static inline void v_store_f32(uint32_t *p, vf x, int stream) {
    (void)stream;
    vst1q_u8((uint8_t *)p, vreinterpretq_u8_f32(x));
}
static inline void v_store_f16(uint16_t *p, vf x, int stream) {
    (void)stream;
    vst1_u8((uint8_t *)p, vreinterpret_u8_f16(vcvt_f16_f32(x)));
}

static inline vf v_set_f(float x) { return vdupq_n_f32(x); }
static inline vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf v_lesser(vf a, vf b) { return vminq_f32(a, b); }
static inline vi v_bits(vf x) { return vreinterpretq_s32_f32(x); }
static inline vf v_from_bits(vi x) { return vreinterpretq_f32_s32(x); }
static inline vi v_round(vf x) { return vcvtnq_s32_f32(x); }

static inline vi v_set_i(int32_t x) { return vdupq_n_s32(x); }
static inline vi v_load_i(const int32_t *p) { return vld1q_s32(p); }
static inline void v_store_i(int32_t *p, vi x) { vst1q_s32(p, x); }
static inline vi v_and(vi a, vi b) { return vandq_s32(a, b); }
static inline vi v_or(vi a, vi b) { return vorrq_s32(a, b); }
static inline vi v_xor(vi a, vi b) { return veorq_s32(a, b); }
static inline vi v_add_i(vi a, vi b) { return vaddq_s32(a, b); }
static inline vi v_sub_i(vi a, vi b) { return vsubq_s32(a, b); }
static inline vi v_shift_down(vi a, int32_t n) {
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-n)));
}
static inline vi v_shift_up(vi a, int32_t n) { return vshlq_s32(a, vdupq_n_s32(n)); }
static inline vf v_to_float(vi a) { return vcvtq_f32_s32(a); }
static inline vi v_max(vi a, vi b) { return vmaxq_s32(a, b); }
/* Return a, or 0 in lanes where x is NaN. */
static inline vi v_if_number(vf x, vi a) {
    return vandq_s32(a, vreinterpretq_s32_u32(vceqq_f32(x, x)));
}
static inline int32_t v_largest(vi a) { return vmaxvq_s32(a); }

/* Raise p[k] to the largest lane of most[k], for four numbers. Pairwise operations transpose by
 * themselves. */
static inline void v_raise_4(int32_t *p, const vi most[4]) {
    vi all = vpmaxq_s32(vpmaxq_s32(most[0], most[1]), vpmaxq_s32(most[2], most[3]));
    vst1q_s32(p, vmaxq_s32(vld1q_s32(p), all));
}

/* Raise p[k] to the largest 16 bits of most[k], which stand in the upper half of p[k], for four
 * numbers. */
static inline void v_raise_4_pairs(int32_t *p, const vi most[4]) {
    int16x8_t a = vpmaxq_s16(vreinterpretq_s16_s32(most[0]), vreinterpretq_s16_s32(most[1]));
    int16x8_t b = vpmaxq_s16(vreinterpretq_s16_s32(most[2]), vreinterpretq_s16_s32(most[3]));
    int16x8_t all = vpmaxq_s16(a, b);
    vi four = vshll_n_s16(vget_low_s16(vpmaxq_s16(all, all)), 16);
    vst1q_s32(p, vmaxq_s32(vld1q_s32(p), four));
}

static inline vi v_load_bytes(const uint8_t *p) {
    uint16x8_t halves = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(load_32(p))));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(halves)));
}

/* Store the low half of each lane. */
static inline void v_store_halves(uint16_t *p, vi x, int stream) {
    (void)stream;
    vst1_u8((uint8_t *)p, vreinterpret_u8_s16(vmovn_s32(x)));
}

/* Store the upper halves of the lanes of two vectors. */
static inline void v_store_upper_halves(uint16_t *p, vi a, vi b, int stream) {
    (void)stream;
    vst1q_u8((uint8_t *)p,
             vreinterpretq_u8_s16(vuzp2q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b))));
}

/* A table of a 16-bit number for each of 16 codes, in lower and upper bytes. Looking up fills a
 * vector. */
typedef uint8x16x2_t vt;
static inline vt v_load_table(const uint16_t table[16]) { return vld2q_u8((const uint8_t *)table); }
static inline void v_look_up(uint16_t *p, vt table, const uint8_t *codes, int stream) {
    (void)stream;
    uint8x8_t x = vld1_u8(codes);
    uint8x8x2_t bytes = {{vqtbl1_u8(table.val[0], x), vqtbl1_u8(table.val[1], x)}};
    vst2_u8((uint8_t *)p, bytes);
}

/* The numbers of floating-point codes. They are made as binary16, whose exponent is at least as
 * long. */
static inline vf v_float_numbers(const uint8_t *codes, const caq_decoding *from) {
    uint16x4_t x = vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(load_32(codes)))));
    uint16x4_t magnitude = vand_u16(x, vdup_n_u16((uint16_t)(from->sign - 1)));
    uint16x4_t sign = vshl_u16(veor_u16(x, magnitude), vdup_n_s16((int16_t)(from->sign_up - 16)));
    uint16x4_t special = vcgt_u16(magnitude, vdup_n_u16((uint16_t)from->last));
    uint16x4_t half = vshl_u16(magnitude, vdup_n_s16(from->half_up));
    half = vorr_u16(half, vand_u16(special, vdup_n_u16(0x7C00)));
    vf number = vcvt_f32_f16(vreinterpret_f16_u16(vorr_u16(half, sign)));
    return vmulq_f32(number, vdupq_n_f32(from->half_gain));
}

/* Make bytes of the codes of a step, or of a vector. Narrowing clips to 0 .. 255. */
typedef uint8x16_t vb;
static inline uint8x8_t narrow(vi a, vi b) {
    return vqmovun_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)));
}
static inline vb b_narrow(const vi codes[VECTORS]) {
    return vcombine_u8(narrow(codes[0], codes[1]), narrow(codes[2], codes[3]));
}
static inline vb b_narrow_vector(vi codes) {
    uint8x8_t bytes = narrow(codes, codes);
    return vcombine_u8(bytes, bytes);
}
static inline vb b_set(uint8_t x) { return vdupq_n_u8(x); }
static inline vb b_lesser(vb a, vb b) { return vminq_u8(a, b); }
static inline vb b_add(vb a, vb b) { return vaddq_u8(a, b); }
static inline void b_store_vector(uint8_t *p, vb bytes) {
    store_32(p, vgetq_lane_u32(vreinterpretq_u32_u8(bytes), 0));
}

/* Pack two 4-bit codes, or four 2-bit ones, into a byte. */
static inline uint8x16_t join_4_bits(uint8x16x2_t c) {
    return vsliq_n_u8(vandq_u8(c.val[0], vdupq_n_u8(15)), c.val[1], 4);
}
static inline uint8x16_t join_2_bits(uint8x16x4_t c) {
    const uint8x16x2_t halves = {
        {vsliq_n_u8(c.val[0], c.val[1], 2), vsliq_n_u8(c.val[2], c.val[3], 2)}};
    return join_4_bits(halves);
}

static inline void b_store_step(uint8_t *p, vb all, const caq_encoding *to) {
    if (to->halvings == 0) {
        vst1q_u8(p, all);
        return;
    }
    uint8x16x2_t c = vuzpq_u8(all, all);
    if (to->halvings == 1) {
        vst1_u8(p, vget_low_u8(join_4_bits(c)));
        return;
    }
    uint8x16x2_t even = vuzpq_u8(c.val[0], c.val[0]), odd = vuzpq_u8(c.val[1], c.val[1]);
    const uint8x16x4_t quarters = {{even.val[0], odd.val[0], even.val[1], odd.val[1]}};
    store_32(p, vgetq_lane_u32(vreinterpretq_u32_u8(join_2_bits(quarters)), 0));
}

static void pack(const uint8_t *codes, size_t bytes, unsigned bits, uint8_t *packed) {
    size_t i = 0;
    for (; bits == 4 && i + 16 <= bytes; i += 16)
        vst1q_u8(packed + i, join_4_bits(vld2q_u8(codes + 2 * i)));
    for (; bits == 2 && i + 16 <= bytes; i += 16)
        vst1q_u8(packed + i, join_2_bits(vld4q_u8(codes + 4 * i)));
    caq_portable_kernels[CAQ_F32].pack(codes + i * (8 / bits), bytes - i, bits, packed + i);
}

/* Where the codes of a step are, one per byte: in memory if they are stored so, else unpacked in
 * the buffer. */
static inline const uint8_t *v_step_codes(const uint8_t *codes, int halvings, uint8_t *buffer) {
    if (!halvings)
        return codes;
    uint8x8_t packed =
        halvings == 1 ? vld1_u8(codes) : vreinterpret_u8_u32(vdup_n_u32(load_32(codes)));
    uint8x8x2_t c = vzip_u8(vand_u8(packed, vdup_n_u8(15)), vshr_n_u8(packed, 4));
    if (halvings == 2)
        c = vzip_u8(vand_u8(c.val[0], vdup_n_u8(3)), vshr_n_u8(c.val[0], 2));
    vst1q_u8(buffer, vcombine_u8(c.val[0], c.val[1]));
    return buffer;
}

static void unpack(const uint8_t *packed, size_t bytes, unsigned bits, uint8_t *codes) {
    size_t i = 0;
    for (; i + 16 <= bytes; i += 16) {
        uint8x16_t x = vld1q_u8(packed + i);
        uint8x16x2_t nibbles = {{vandq_u8(x, vdupq_n_u8(15)), vshrq_n_u8(x, 4)}};
        if (bits == 4) {
            vst2q_u8(codes + 2 * i, nibbles);
            continue;
        }
        uint8x16_t low = vdupq_n_u8(3);
        uint8x16x4_t c = {{vandq_u8(nibbles.val[0], low), vshrq_n_u8(nibbles.val[0], 2),
                           vandq_u8(nibbles.val[1], low), vshrq_n_u8(nibbles.val[1], 2)}};
        vst4q_u8(codes + 4 * i, c);
    }
    caq_portable_kernels[CAQ_F32].unpack(packed + i, bytes - i, bits, codes + i * (8 / bits));
}

static inline vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf v_greater(vf a, vf b) { return vmaxq_f32(a, b); }
static inline vi v_round_large(vf x) { return vcvtnq_s32_f32(x); }
static inline vf v_if_above(vf a, vf b, vf yes, vf no) {
    return vbslq_f32(vcgtq_f32(a, b), yes, no);
}
static inline vi v_pair(vi low, vi high) { return vsliq_n_s32(low, high, 16); }
static inline vi v_scale_pairs(vi a, vi b) {
    return vreinterpretq_s32_s16(vqrdmulhq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}
static inline vi v_mul_pairs(vi a, vi b) {
    return vreinterpretq_s32_s16(vmulq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}
static inline vi v_clip_pairs(vi a, vi lowest, vi highest) {
    int16x8_t raised = vmaxq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(lowest));
    return vreinterpretq_s32_s16(vminq_s16(raised, vreinterpretq_s16_s32(highest)));
}
static inline vi v_dot_pairs(vi a, vi b) {
    int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
    return vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
}

/* Interleave two vectors: a0 b0 a1 b1 and so on, in two halves. */
static inline void v_interleave(vf a, vf b, vf to[2]) {
    to[0] = vzip1q_f32(a, b);
    to[1] = vzip2q_f32(a, b);
}

#if HAS_DOUBLES
#define DOUBLES 2
typedef float64x2_t vd;
typedef uint8x16x4_t v16;

static inline vd d_load(const double *p) { return vld1q_f64(p); }
static inline vd d_widen(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
static inline void d_store(double *p, vd x) { vst1q_f64(p, x); }
static inline vd d_set(double x) { return vdupq_n_f64(x); }
static inline vd d_lanes(void) { return vcombine_f64(vdup_n_f64(0), vdup_n_f64(1)); }
static inline vd d_add(vd a, vd b) { return vaddq_f64(a, b); }
static inline vd d_sub(vd a, vd b) { return vsubq_f64(a, b); }
static inline vd d_mul(vd a, vd b) { return vmulq_f64(a, b); }
static inline vd d_div(vd a, vd b) { return vdivq_f64(a, b); }
static inline vd d_if_above(vd a, vd b, vd yes, vd no) {
    return vbslq_f64(vcgtq_f64(a, b), yes, no);
}
static inline v16 v_load_16(const float *p) { return vld1q_u8_x4((const uint8_t *)p); }
/* Bytes 4 i .. 4 i + 3 of the table are those of number i. */
static inline vf v_pick(v16 numbers, vi places) {
    vi bytes = vmlaq_s32(vdupq_n_s32(0x03020100), places, vdupq_n_s32(0x04040404));
    return vreinterpretq_f32_u8(vqtbl4q_u8(numbers, vreinterpretq_u8_s32(bytes)));
}
static inline void v_store_low_bytes(uint8_t *p, vi x) {
    uint16x4_t halves = vmovn_u32(vreinterpretq_u32_s32(x));
    uint8x8_t bytes = vmovn_u16(vcombine_u16(halves, halves));
    store_32(p, vget_lane_u32(vreinterpret_u32_u8(bytes), 0));
}
#endif

#include "../templates/level.h"

const caq_kernels caq_neon_kernels[CAQ_SOURCES] = KERNELS_OF_LEVEL;

#endif
