/*
 * avx512.c - the operations on sixteen lanes of AVX-512 (F and BW)
 */
#include "kernels.h"

#ifdef HAVE_X86
#include <immintrin.h>

#define LANES 16
#define VECTORS 4
#define REGISTERS 32
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define PUBLISH publish

typedef __m512 vf;
typedef __m512i vi;

TARGET static inline vf v_load_f32(const uint32_t *p) { return _mm512_loadu_ps(p); }
TARGET static inline __m256i load_halves(const uint16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
TARGET static inline vf v_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(load_halves(p)); }
TARGET static inline vf v_load_bf16(const uint16_t *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_halves(p)), 16));
}

/* Load two numbers of 16 bits into each lane; and the larger of two such numbers, as integers. */
TARGET static inline vi v_load_pairs(const uint16_t *p) { return _mm512_loadu_si512(p); }
TARGET static inline vi v_max_pairs(vi a, vi b) { return _mm512_max_epi16(a, b); }

/* Whether to store past the caches, which takes an address that is aligned to the vector. */
static inline int is_streamed(const void *p, size_t bytes, int stream) {
    return stream && (uintptr_t)p % bytes == 0;
}

TARGET static inline void v_store_f32(uint32_t *p, vf x, int stream) {
    if (is_streamed(p, sizeof x, stream))
        _mm512_stream_ps((float *)(void *)p, x);
    else
        _mm512_storeu_ps(p, x);
}
TARGET static inline void put_halves(uint16_t *p, __m256i x, int stream) {
    if (is_streamed(p, sizeof x, stream))
        _mm256_stream_si256((__m256i *)(void *)p, x);
    else
        _mm256_storeu_si256((__m256i *)(void *)p, x);
}
TARGET static inline void v_store_f16(uint16_t *p, vf x, int stream) {
    put_halves(p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT), stream);
}

TARGET static inline vf v_set_f(float x) { return _mm512_set1_ps(x); }
TARGET static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
TARGET static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
TARGET static inline vf v_lesser(vf a, vf b) { return _mm512_min_ps(a, b); }
TARGET static inline vi v_bits(vf x) { return _mm512_castps_si512(x); }
TARGET static inline vf v_from_bits(vi x) { return _mm512_castsi512_ps(x); }
TARGET static inline vi v_round(vf x) { return _mm512_cvtps_epi32(x); }

TARGET static inline vi v_set_i(int32_t x) { return _mm512_set1_epi32(x); }
TARGET static inline vi v_load_i(const int32_t *p) { return _mm512_loadu_si512(p); }
TARGET static inline void v_store_i(int32_t *p, vi x) { _mm512_storeu_si512(p, x); }
TARGET static inline vi v_and(vi a, vi b) { return _mm512_and_si512(a, b); }
TARGET static inline vi v_or(vi a, vi b) { return _mm512_or_si512(a, b); }
TARGET static inline vi v_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
TARGET static inline vi v_add_i(vi a, vi b) { return _mm512_add_epi32(a, b); }
TARGET static inline vi v_sub_i(vi a, vi b) { return _mm512_sub_epi32(a, b); }
TARGET static inline vi v_shift_down(vi a, int32_t n) {
    return _mm512_srlv_epi32(a, _mm512_set1_epi32(n));
}
TARGET static inline vi v_shift_up(vi a, int32_t n) {
    return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n));
}
TARGET static inline vf v_to_float(vi a) { return _mm512_cvtepi32_ps(a); }
TARGET static inline vi v_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
/* Return a, or 0 in lanes where x is NaN. */
TARGET static inline vi v_if_number(vf x, vi a) {
    return _mm512_maskz_mov_epi32(_mm512_cmp_ps_mask(x, x, _CMP_ORD_Q), a);
}
TARGET static inline int32_t v_largest(vi a) { return _mm512_reduce_max_epi32(a); }

/* The largest lane of each of four vectors. Interleaving transposes: after two rounds each quarter
 * of `all` has numbers of all four. */
TARGET static inline __m128i largest_4(const vi x[4]) {
    vi a = v_max(_mm512_unpacklo_epi32(x[0], x[1]), _mm512_unpackhi_epi32(x[0], x[1]));
    vi b = v_max(_mm512_unpacklo_epi32(x[2], x[3]), _mm512_unpackhi_epi32(x[2], x[3]));
    vi all = v_max(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i half = _mm256_max_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}
TARGET static inline void v_raise_4(int32_t *p, const vi most[4]) {
    __m128i *to = (__m128i *)(void *)p;
    _mm_storeu_si128(to, _mm_max_epi32(_mm_loadu_si128(to), largest_4(most)));
}

/* Raise p[k] to the largest 16 bits of most[k], which stand in the upper half of p[k], for four
 * numbers. */
TARGET static inline void v_raise_4_pairs(int32_t *p, const vi most[4]) {
    vi a = v_max_pairs(_mm512_unpacklo_epi16(most[0], most[1]),
                       _mm512_unpackhi_epi16(most[0], most[1]));
    vi b = v_max_pairs(_mm512_unpacklo_epi16(most[2], most[3]),
                       _mm512_unpackhi_epi16(most[2], most[3]));
    vi all = v_max_pairs(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m256i half = _mm256_max_epi16(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    __m128i x = _mm_max_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    x = _mm_max_epi16(x, _mm_unpackhi_epi64(x, x));
    __m128i *to = (__m128i *)(void *)p;
    x = _mm_unpacklo_epi16(_mm_setzero_si128(), x);
    _mm_storeu_si128(to, _mm_max_epi32(_mm_loadu_si128(to), x));
}

TARGET static inline vi v_load_bytes(const uint8_t *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* Store the low half of each lane. */
TARGET static inline void v_store_halves(uint16_t *p, vi x, int stream) {
    put_halves(p, _mm512_cvtepi32_epi16(x), stream);
}

TARGET static inline void put_pair(uint16_t *p, vi halves, int stream) {
    if (is_streamed(p, sizeof halves, stream))
        _mm512_stream_si512((__m512i *)(void *)p, halves);
    else
        _mm512_storeu_si512(p, halves);
}

/* Store the upper halves of the lanes of two vectors. */
TARGET static inline void v_store_upper_halves(uint16_t *p, vi a, vi b, int stream) {
    const vi upper = _mm512_cvtepu8_epi16(
        _mm256_setr_epi8(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39,
                         41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63));
    put_pair(p, _mm512_permutex2var_epi16(a, upper, b), stream);
}

/* A table of a 16-bit number for each of 16 codes. Looking up fills a vector. */
typedef __m512i vt;
TARGET static inline vt v_load_table(const uint16_t table[16]) {
    return _mm512_castsi256_si512(load_halves(table));
}
TARGET static inline void v_look_up(uint16_t *p, vt table, const uint8_t *codes, int stream) {
    vi index = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)codes));
    put_pair(p, _mm512_permutexvar_epi16(index, table), stream);
}

/* The numbers of floating-point codes. They are made as binary16, whose exponent is at least as
 * long. */
TARGET static inline vf numbers_of(__m128i codes, const caq_decoding *from) {
    __m256i x = _mm256_cvtepu8_epi16(codes);
    __m256i magnitude = _mm256_and_si256(x, _mm256_set1_epi16((short)(from->sign - 1)));
    __m256i sign =
        _mm256_sll_epi16(_mm256_xor_si256(x, magnitude), _mm_cvtsi32_si128(from->sign_up - 16));
    __m256i special = _mm256_cmpgt_epi16(magnitude, _mm256_set1_epi16((short)from->last));
    __m256i half = _mm256_sll_epi16(magnitude, _mm_cvtsi32_si128(from->half_up));
    half = _mm256_or_si256(half, _mm256_and_si256(special, _mm256_set1_epi16(0x7C00)));
    vf number = _mm512_cvtph_ps(_mm256_or_si256(half, sign));
    return _mm512_mul_ps(number, _mm512_set1_ps(from->half_gain));
}

/* Numbers of formats with no more than 16 codes are looked up, in a table that compilers make once
 * for a loop. */
TARGET static inline vf v_float_numbers(const uint8_t *codes, const caq_decoding *from) {
    if (!from->is_short)
        return numbers_of(_mm_loadu_si128((const __m128i *)(const void *)codes), from);
    const __m128i all = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_permutexvar_ps(v_load_bytes(codes), numbers_of(all, from));
}

/* Make bytes of the codes of a step, or of a vector. Narrowing clips to 0 .. 255. It works on each
 * quarter of a vector alone, so that its pieces have to be put in order. */
typedef __m512i vb;
TARGET static inline vb b_narrow(const vi codes[VECTORS]) {
    const vi order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    vi bytes = _mm512_packus_epi16(_mm512_packs_epi32(codes[0], codes[1]),
                                   _mm512_packs_epi32(codes[2], codes[3]));
    return _mm512_permutexvar_epi32(order, bytes);
}
TARGET static inline vb b_narrow_vector(vi codes) {
    return _mm512_castsi128_si512(_mm512_cvtusepi32_epi8(v_max(codes, _mm512_setzero_si512())));
}
TARGET static inline vb b_set(uint8_t x) { return _mm512_set1_epi8((char)x); }
TARGET static inline vb b_lesser(vb a, vb b) { return _mm512_min_epu8(a, b); }
TARGET static inline vb b_add(vb a, vb b) { return _mm512_add_epi8(a, b); }
TARGET static inline void b_store_vector(uint8_t *p, vb bytes) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_castsi512_si128(bytes));
}

/* Pack 4-bit codes: two in neighbouring bytes become c0 + 16 * c1 in 16 bits. */
TARGET static inline __m256i join_4_bits(vi codes) {
    vi masked = _mm512_and_si512(codes, _mm512_set1_epi8(15));
    return _mm512_cvtepi16_epi8(_mm512_maddubs_epi16(masked, _mm512_set1_epi16(0x1001)));
}

/* Pack 2-bit codes: four in neighbouring bytes become c0 + 4 * c1 and c2 + 4 * c3, and then one
 * number in 32 bits. */
TARGET static inline __m128i join_2_bits(vi codes) {
    vi masked = _mm512_and_si512(codes, _mm512_set1_epi8(3));
    vi pairs = _mm512_maddubs_epi16(masked, _mm512_set1_epi16(0x0401));
    return _mm512_cvtepi32_epi8(_mm512_madd_epi16(pairs, _mm512_set1_epi32(0x00100001)));
}

TARGET static inline void b_store_step(uint8_t *p, vb codes, const caq_encoding *to) {
    __m512i *whole = (__m512i *)(void *)p;
    __m256i *half = (__m256i *)(void *)p;
    __m128i *quarter = (__m128i *)(void *)p;
    if (to->halvings == 2)
        _mm_storeu_si128(quarter, join_2_bits(codes));
    else if (to->halvings == 1 && is_streamed(p, sizeof *half, to->stream))
        _mm256_stream_si256(half, join_4_bits(codes));
    else if (to->halvings == 1)
        _mm256_storeu_si256(half, join_4_bits(codes));
    else if (is_streamed(p, sizeof *whole, to->stream))
        _mm512_stream_si512(whole, codes);
    else
        _mm512_storeu_si512(whole, codes);
}

TARGET static void pack(const uint8_t *codes, size_t bytes, unsigned bits, uint8_t *packed) {
    size_t i = 0;
    if (bits == 4)
        for (; i + 32 <= bytes; i += 32)
            _mm256_storeu_si256((__m256i *)(void *)(packed + i),
                                join_4_bits(_mm512_loadu_si512(codes + 2 * i)));
    else
        for (; i + 16 <= bytes; i += 16)
            _mm_storeu_si128((__m128i *)(void *)(packed + i),
                             join_2_bits(_mm512_loadu_si512(codes + 4 * i)));
    caq_portable_kernels[CAQ_F32].pack(codes + i * (8 / bits), bytes - i, bits, packed + i);
}

/* Unpack bytes. The codes of a byte are spread over the bytes of 16 bits, two of 4 bits, or over
 * those of 32 bits, four of 2 bits. Each shift copies the upper half of what is left to where it
 * belongs. */
TARGET static inline vi split_4_bits(const uint8_t *packed) {
    vi x = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)packed));
    return _mm512_and_si512(_mm512_or_si512(x, _mm512_slli_epi16(x, 4)), _mm512_set1_epi8(0x0F));
}
TARGET static inline vi split_2_bits(const uint8_t *packed) {
    vi x = v_load_bytes(packed);
    x = _mm512_and_si512(_mm512_or_si512(x, _mm512_slli_epi32(x, 12)),
                         _mm512_set1_epi32(0x000F000F));
    return _mm512_and_si512(_mm512_or_si512(x, _mm512_slli_epi32(x, 6)), _mm512_set1_epi8(3));
}

/* Where the codes of a step are, one per byte: in memory if they are stored so, else unpacked in
 * the buffer. */
TARGET static inline const uint8_t *v_step_codes(const uint8_t *codes, int halvings,
                                                 uint8_t *buffer) {
    if (!halvings)
        return codes;
    _mm512_storeu_si512(buffer, halvings == 1 ? split_4_bits(codes) : split_2_bits(codes));
    return buffer;
}

TARGET static void unpack(const uint8_t *packed, size_t bytes, unsigned bits, uint8_t *codes) {
    size_t i = 0;
    if (bits == 4)
        for (; i + 32 <= bytes; i += 32)
            _mm512_storeu_si512(codes + 2 * i, split_4_bits(packed + i));
    else
        for (; i + 16 <= bytes; i += 16)
            _mm512_storeu_si512(codes + 4 * i, split_2_bits(packed + i));
    caq_portable_kernels[CAQ_F32].unpack(packed + i, bytes - i, bits, codes + i * (8 / bits));
}

TARGET static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
TARGET static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
TARGET static inline vf v_greater(vf a, vf b) { return _mm512_max_ps(a, b); }
TARGET static inline vi v_round_large(vf x) { return _mm512_cvtps_epi32(x); }
TARGET static inline vf v_if_above(vf a, vf b, vf yes, vf no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
}
TARGET static inline vi v_pair(vi low, vi high) {
    return _mm512_mask_blend_epi16(0xAAAAAAAA, low, _mm512_slli_epi32(high, 16));
}
TARGET static inline vi v_scale_pairs(vi a, vi b) { return _mm512_mulhrs_epi16(a, b); }
TARGET static inline vi v_mul_pairs(vi a, vi b) { return _mm512_mullo_epi16(a, b); }
TARGET static inline vi v_clip_pairs(vi a, vi lowest, vi highest) {
    return _mm512_min_epi16(_mm512_max_epi16(a, lowest), highest);
}
TARGET static inline vi v_dot_pairs(vi a, vi b) { return _mm512_madd_epi16(a, b); }

/* Interleave two vectors: a0 b0 a1 b1 and so on, in two halves. */
TARGET static inline void v_interleave(vf a, vf b, vf to[2]) {
    const vi low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const vi high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    to[0] = _mm512_permutex2var_ps(a, low, b);
    to[1] = _mm512_permutex2var_ps(a, high, b);
}

TARGET static void publish(void) { _mm_sfence(); }

#if HAS_DOUBLES
#define DOUBLES 8
typedef __m512d vd;
typedef __m512 v16;

TARGET static inline vd d_load(const double *p) { return _mm512_loadu_pd(p); }
TARGET static inline vd d_widen(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
TARGET static inline void d_store(double *p, vd x) { _mm512_storeu_pd(p, x); }
TARGET static inline vd d_set(double x) { return _mm512_set1_pd(x); }
TARGET static inline vd d_lanes(void) { return _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7); }
TARGET static inline vd d_add(vd a, vd b) { return _mm512_add_pd(a, b); }
TARGET static inline vd d_sub(vd a, vd b) { return _mm512_sub_pd(a, b); }
TARGET static inline vd d_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
TARGET static inline vd d_div(vd a, vd b) { return _mm512_div_pd(a, b); }
TARGET static inline vd d_if_above(vd a, vd b, vd yes, vd no) {
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), no, yes);
}
TARGET static inline v16 v_load_16(const float *p) { return _mm512_loadu_ps(p); }
TARGET static inline vf v_pick(v16 numbers, vi places) {
    return _mm512_permutexvar_ps(places, numbers);
}
TARGET static inline void v_store_low_bytes(uint8_t *p, vi x) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(x));
}
#endif

#include "../templates/level.h"

const caq_kernels caq_avx512_kernels[CAQ_SOURCES] = KERNELS_OF_LEVEL;

#endif
