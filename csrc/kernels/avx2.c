/*
 * avx2.c - the operations on eight lanes of AVX2, with the conversions of F16C
 *
 * FMA is left out on purpose: products have to be rounded before anything is added to them.
 */
#include "kernels.h"

#ifdef HAVE_X86
#include <immintrin.h>

#define LANES 8
#define VECTORS 4
#define REGISTERS 16
#define TARGET __attribute__((target("avx2,f16c")))
#define PUBLISH publish

typedef __m256 vf;
typedef __m256i vi;

TARGET static inline vf v_load_f32(const uint32_t *p) {
    return _mm256_loadu_ps((const float *)(const void *)p);
}
TARGET static inline __m128i load_halves(const uint16_t *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
TARGET static inline vf v_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(load_halves(p)); }
TARGET static inline vf v_load_bf16(const uint16_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_halves(p)), 16));
}

/* Load two numbers of 16 bits into each lane; and the larger of two such numbers, as integers. */
TARGET static inline vi v_load_pairs(const uint16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
TARGET static inline vi v_max_pairs(vi a, vi b) { return _mm256_max_epi16(a, b); }

/* Whether to store past the caches, which takes an address that is aligned to the vector. */
static inline int is_streamed(const void *p, size_t bytes, int stream) {
    return stream && (uintptr_t)p % bytes == 0;
}

TARGET static inline void v_store_f32(uint32_t *p, vf x, int stream) {
    if (is_streamed(p, sizeof x, stream))
        _mm256_stream_ps((float *)(void *)p, x);
    else
        _mm256_storeu_ps((float *)(void *)p, x);
}
TARGET static inline void put_halves(uint16_t *p, __m128i x, int stream) {
    if (is_streamed(p, sizeof x, stream))
        _mm_stream_si128((__m128i *)(void *)p, x);
    else
        _mm_storeu_si128((__m128i *)(void *)p, x);
}
TARGET static inline void v_store_f16(uint16_t *p, vf x, int stream) {
    put_halves(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT), stream);
}

TARGET static inline vf v_set_f(float x) { return _mm256_set1_ps(x); }
TARGET static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
TARGET static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
TARGET static inline vf v_lesser(vf a, vf b) { return _mm256_min_ps(a, b); }
TARGET static inline vi v_bits(vf x) { return _mm256_castps_si256(x); }
TARGET static inline vf v_from_bits(vi x) { return _mm256_castsi256_ps(x); }
TARGET static inline vi v_round(vf x) { return _mm256_cvtps_epi32(x); }

TARGET static inline vi v_set_i(int32_t x) { return _mm256_set1_epi32(x); }
TARGET static inline vi v_load_i(const int32_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
TARGET static inline void v_store_i(int32_t *p, vi x) {
    _mm256_storeu_si256((__m256i *)(void *)p, x);
}
TARGET static inline vi v_and(vi a, vi b) { return _mm256_and_si256(a, b); }
TARGET static inline vi v_or(vi a, vi b) { return _mm256_or_si256(a, b); }
TARGET static inline vi v_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
TARGET static inline vi v_add_i(vi a, vi b) { return _mm256_add_epi32(a, b); }
TARGET static inline vi v_sub_i(vi a, vi b) { return _mm256_sub_epi32(a, b); }
TARGET static inline vi v_shift_down(vi a, int32_t n) {
    return _mm256_srlv_epi32(a, _mm256_set1_epi32(n));
}
TARGET static inline vi v_shift_up(vi a, int32_t n) {
    return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n));
}
TARGET static inline vf v_to_float(vi a) { return _mm256_cvtepi32_ps(a); }
TARGET static inline vi v_max(vi a, vi b) { return _mm256_max_epi32(a, b); }
/* Return a, or 0 in lanes where x is NaN. */
TARGET static inline vi v_if_number(vf x, vi a) {
    return _mm256_and_si256(a, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_ORD_Q)));
}

TARGET static inline int32_t v_largest(vi a) {
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
}

/* The largest lane of each of four vectors. Interleaving transposes: after two rounds each half of
 * `all` has numbers of all four. */
TARGET static inline __m128i largest_4(const vi x[4]) {
    vi a = v_max(_mm256_unpacklo_epi32(x[0], x[1]), _mm256_unpackhi_epi32(x[0], x[1]));
    vi b = v_max(_mm256_unpacklo_epi32(x[2], x[3]), _mm256_unpackhi_epi32(x[2], x[3]));
    vi all = v_max(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    return _mm_max_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}
TARGET static inline void v_raise_4(int32_t *p, const vi most[4]) {
    __m128i *to = (__m128i *)(void *)p;
    _mm_storeu_si128(to, _mm_max_epi32(_mm_loadu_si128(to), largest_4(most)));
}

/* Raise p[k] to the largest 16 bits of most[k], which stand in the upper half of p[k], for four
 * numbers. */
TARGET static inline void v_raise_4_pairs(int32_t *p, const vi most[4]) {
    vi a = v_max_pairs(_mm256_unpacklo_epi16(most[0], most[1]),
                       _mm256_unpackhi_epi16(most[0], most[1]));
    vi b = v_max_pairs(_mm256_unpacklo_epi16(most[2], most[3]),
                       _mm256_unpackhi_epi16(most[2], most[3]));
    vi all = v_max_pairs(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    __m128i x = _mm_max_epi16(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    x = _mm_max_epi16(x, _mm_unpackhi_epi64(x, x));
    __m128i *to = (__m128i *)(void *)p;
    x = _mm_unpacklo_epi16(_mm_setzero_si128(), x);
    _mm_storeu_si128(to, _mm_max_epi32(_mm_loadu_si128(to), x));
}

TARGET static inline vi v_load_bytes(const uint8_t *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

/* Store the low half of each lane, whose upper half is zero. */
TARGET static inline void v_store_halves(uint16_t *p, vi x, int stream) {
    vi halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(x, x), 0x08);
    put_halves(p, _mm256_castsi256_si128(halves), stream);
}

/* Store the upper halves of the lanes of two vectors. */
TARGET static inline void v_store_upper_halves(uint16_t *p, vi a, vi b, int stream) {
    vi halves = _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16));
    halves = _mm256_permute4x64_epi64(halves, 0xD8);
    put_halves(p, _mm256_castsi256_si128(halves), stream);
    put_halves(p + 8, _mm256_extracti128_si256(halves, 1), stream);
}

/* A table of a 16-bit number for each of 16 codes, in lower and upper bytes. Looking up fills a
 * vector. */
typedef struct {
    __m128i low, high;
} vt;
TARGET static inline vt v_load_table(const uint16_t table[16]) {
    __m128i first = load_halves(table), second = load_halves(table + 8);
    const __m128i low = _mm_set1_epi16(0xFF);
    vt bytes = {_mm_packus_epi16(_mm_and_si128(first, low), _mm_and_si128(second, low)),
                _mm_packus_epi16(_mm_srli_epi16(first, 8), _mm_srli_epi16(second, 8))};
    return bytes;
}
TARGET static inline void v_look_up(uint16_t *p, vt table, const uint8_t *codes, int stream) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)codes);
    __m128i low = _mm_shuffle_epi8(table.low, x), high = _mm_shuffle_epi8(table.high, x);
    put_halves(p, _mm_unpacklo_epi8(low, high), stream);
    put_halves(p + 8, _mm_unpackhi_epi8(low, high), stream);
}

/* The numbers of floating-point codes. They are made as binary16, whose exponent is at least as
 * long. */
TARGET static inline vf v_float_numbers(const uint8_t *codes, const caq_decoding *from) {
    __m128i x = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)codes));
    __m128i magnitude = _mm_and_si128(x, _mm_set1_epi16((short)(from->sign - 1)));
    __m128i sign =
        _mm_sll_epi16(_mm_xor_si128(x, magnitude), _mm_cvtsi32_si128(from->sign_up - 16));
    __m128i special = _mm_cmpgt_epi16(magnitude, _mm_set1_epi16((short)from->last));
    __m128i half = _mm_sll_epi16(magnitude, _mm_cvtsi32_si128(from->half_up));
    half = _mm_or_si128(half, _mm_and_si128(special, _mm_set1_epi16(0x7C00)));
    vf number = _mm256_cvtph_ps(_mm_or_si128(half, sign));
    return _mm256_mul_ps(number, _mm256_set1_ps(from->half_gain));
}

/* Make bytes of the codes of a step, or of a vector. Narrowing clips to 0 .. 255. It works on each
 * half of a vector alone, so that its pieces have to be put in order. */
typedef __m256i vb;
TARGET static inline vb b_narrow(const vi x[VECTORS]) {
    const vi order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    vi bytes = _mm256_packus_epi16(_mm256_packs_epi32(x[0], x[1]), _mm256_packs_epi32(x[2], x[3]));
    return _mm256_permutevar8x32_epi32(bytes, order);
}

TARGET static inline vb b_narrow_vector(vi codes) {
    __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    return _mm256_castsi128_si256(_mm_packus_epi16(halves, halves));
}
TARGET static inline vb b_set(uint8_t x) { return _mm256_set1_epi8((char)x); }
TARGET static inline vb b_lesser(vb a, vb b) { return _mm256_min_epu8(a, b); }
TARGET static inline vb b_add(vb a, vb b) { return _mm256_add_epi8(a, b); }
TARGET static inline void b_store_vector(uint8_t *p, vb bytes) {
    _mm_storel_epi64((__m128i *)(void *)p, _mm256_castsi256_si128(bytes));
}

/* Pack 4-bit codes: two in neighbouring bytes become c0 + 16 * c1 in 16 bits. */
TARGET static inline vi pair_4_bits(vi codes) {
    vi masked = _mm256_and_si256(codes, _mm256_set1_epi8(15));
    return _mm256_maddubs_epi16(masked, _mm256_set1_epi16(0x1001));
}
TARGET static inline vi join_4_bits(vi a, vi b) {
    vi bytes = _mm256_packus_epi16(pair_4_bits(a), pair_4_bits(b));
    return _mm256_permute4x64_epi64(bytes, 0xD8);
}

/* Pack 2-bit codes: four in neighbouring bytes become c0 + 4 * c1 and c2 + 4 * c3, and then one
 * number in 32 bits. */
TARGET static inline vi join_2_bits(vi codes) {
    vi masked = _mm256_and_si256(codes, _mm256_set1_epi8(3));
    vi pairs = _mm256_maddubs_epi16(masked, _mm256_set1_epi16(0x0401));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00100001));
}

TARGET static inline void b_store_step(uint8_t *p, vb codes, const caq_encoding *to) {
    __m256i *whole = (__m256i *)(void *)p;
    __m128i *half = (__m128i *)(void *)p;
    if (to->halvings == 2) {
        vi joined = join_2_bits(codes);
        const vi bytes[VECTORS] = {joined, joined, joined, joined};
        _mm_storel_epi64(half, _mm256_castsi256_si128(b_narrow(bytes)));
    } else if (to->halvings == 1) {
        __m128i joined = _mm256_castsi256_si128(join_4_bits(codes, codes));
        if (is_streamed(p, sizeof *half, to->stream))
            _mm_stream_si128(half, joined);
        else
            _mm_storeu_si128(half, joined);
    } else if (is_streamed(p, sizeof *whole, to->stream)) {
        _mm256_stream_si256(whole, codes);
    } else {
        _mm256_storeu_si256(whole, codes);
    }
}

TARGET static inline vi load_codes(const uint8_t *codes) {
    return _mm256_loadu_si256((const __m256i *)(const void *)codes);
}

TARGET static void pack(const uint8_t *codes, size_t bytes, unsigned bits, uint8_t *packed) {
    size_t i = 0;
    if (bits == 4) {
        for (; i + 32 <= bytes; i += 32) {
            const uint8_t *p = codes + 2 * i;
            _mm256_storeu_si256((__m256i *)(void *)(packed + i),
                                join_4_bits(load_codes(p), load_codes(p + 32)));
        }
    } else {
        for (; i + 32 <= bytes; i += 32) {
            const uint8_t *p = codes + 4 * i;
            const vi bytes_of[VECTORS] = {
                join_2_bits(load_codes(p)), join_2_bits(load_codes(p + 32)),
                join_2_bits(load_codes(p + 64)), join_2_bits(load_codes(p + 96))};
            _mm256_storeu_si256((__m256i *)(void *)(packed + i), b_narrow(bytes_of));
        }
    }
    caq_portable_kernels[CAQ_F32].pack(codes + i * (8 / bits), bytes - i, bits, packed + i);
}

/* Unpack bytes. The codes of a byte are spread over the bytes of 16 bits, two of 4 bits, or over
 * those of 32 bits, four of 2 bits. Each shift copies the upper half of what is left to where it
 * belongs. */
TARGET static inline vi split_4_bits(const uint8_t *packed) {
    vi x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)packed));
    return _mm256_and_si256(_mm256_or_si256(x, _mm256_slli_epi16(x, 4)), _mm256_set1_epi8(0x0F));
}
TARGET static inline vi split_2_bits(const uint8_t *packed) {
    vi x = v_load_bytes(packed);
    x = _mm256_and_si256(_mm256_or_si256(x, _mm256_slli_epi32(x, 12)),
                         _mm256_set1_epi32(0x000F000F));
    return _mm256_and_si256(_mm256_or_si256(x, _mm256_slli_epi32(x, 6)), _mm256_set1_epi8(3));
}

/* Where the codes of a step are, one per byte: in memory if they are stored so, else unpacked in
 * the buffer. */
TARGET static inline const uint8_t *v_step_codes(const uint8_t *codes, int halvings,
                                                 uint8_t *buffer) {
    if (!halvings)
        return codes;
    _mm256_storeu_si256((__m256i *)(void *)buffer,
                        halvings == 1 ? split_4_bits(codes) : split_2_bits(codes));
    return buffer;
}

TARGET static void unpack(const uint8_t *packed, size_t bytes, unsigned bits, uint8_t *codes) {
    size_t i = 0;
    if (bits == 4)
        for (; i + 16 <= bytes; i += 16)
            _mm256_storeu_si256((__m256i *)(void *)(codes + 2 * i), split_4_bits(packed + i));
    else
        for (; i + 8 <= bytes; i += 8)
            _mm256_storeu_si256((__m256i *)(void *)(codes + 4 * i), split_2_bits(packed + i));
    caq_portable_kernels[CAQ_F32].unpack(packed + i, bytes - i, bits, codes + i * (8 / bits));
}

TARGET static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
TARGET static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
TARGET static inline vf v_greater(vf a, vf b) { return _mm256_max_ps(a, b); }
TARGET static inline vi v_round_large(vf x) { return _mm256_cvtps_epi32(x); }
TARGET static inline vf v_if_above(vf a, vf b, vf yes, vf no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
TARGET static inline vi v_pair(vi low, vi high) {
    return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xAA);
}
TARGET static inline vi v_scale_pairs(vi a, vi b) { return _mm256_mulhrs_epi16(a, b); }
TARGET static inline vi v_mul_pairs(vi a, vi b) { return _mm256_mullo_epi16(a, b); }
TARGET static inline vi v_clip_pairs(vi a, vi lowest, vi highest) {
    return _mm256_min_epi16(_mm256_max_epi16(a, lowest), highest);
}
TARGET static inline vi v_dot_pairs(vi a, vi b) { return _mm256_madd_epi16(a, b); }

/* Interleave two vectors: a0 b0 a1 b1 and so on, in two halves. */
TARGET static inline void v_interleave(vf a, vf b, vf to[2]) {
    vf even = _mm256_unpacklo_ps(a, b), odd = _mm256_unpackhi_ps(a, b);
    to[0] = _mm256_permute2f128_ps(even, odd, 0x20);
    to[1] = _mm256_permute2f128_ps(even, odd, 0x31);
}

TARGET static void publish(void) { _mm_sfence(); }

#if HAS_DOUBLES
#define DOUBLES 4
typedef __m256d vd;
typedef struct v16 {
    __m256 low, high;
} v16;

TARGET static inline vd d_load(const double *p) { return _mm256_loadu_pd(p); }
TARGET static inline vd d_widen(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
TARGET static inline void d_store(double *p, vd x) { _mm256_storeu_pd(p, x); }
TARGET static inline vd d_set(double x) { return _mm256_set1_pd(x); }
TARGET static inline vd d_lanes(void) { return _mm256_setr_pd(0, 1, 2, 3); }
TARGET static inline vd d_add(vd a, vd b) { return _mm256_add_pd(a, b); }
TARGET static inline vd d_sub(vd a, vd b) { return _mm256_sub_pd(a, b); }
TARGET static inline vd d_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
TARGET static inline vd d_div(vd a, vd b) { return _mm256_div_pd(a, b); }
TARGET static inline vd d_if_above(vd a, vd b, vd yes, vd no) {
    return _mm256_blendv_pd(no, yes, _mm256_cmp_pd(a, b, _CMP_GT_OQ));
}
TARGET static inline v16 v_load_16(const float *p) {
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
/* Bit 3 of a place says which half it is in; as the sign it chooses. */
TARGET static inline vf v_pick(v16 numbers, vi places) {
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(numbers.low, places),
                            _mm256_permutevar8x32_ps(numbers.high, places),
                            _mm256_castsi256_ps(_mm256_slli_epi32(places, 28)));
}
TARGET static inline void v_store_low_bytes(uint8_t *p, vi x) {
    __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(halves, halves));
}
#endif

#include "../templates/level.h"

const caq_kernels caq_avx2_kernels[CAQ_SOURCES] = KERNELS_OF_LEVEL;

#endif
