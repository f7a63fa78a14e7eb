/*
 * kernels_avx512.c - the kernels on sixteen lanes of AVX-512 (F and BW)
 */
#include "../kernels.h"

#ifdef HAVE_X86
#include <immintrin.h>

#define LANES 16
#define VECTORS 2
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define VECTOR(op) CONCAT(avx512_, op)
#define KERNEL(op) CONCAT(CONCAT(avx512_, SOURCE), CONCAT(_, op))

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

TARGET static inline vf avx512_load_f32(const uint32_t *p) { return _mm512_loadu_ps(p); }
TARGET static inline __m256i load_halves(const uint16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
TARGET static inline vf avx512_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(load_halves(p));
}
TARGET static inline vf avx512_load_bf16(const uint16_t *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_halves(p)), 16));
}

TARGET static inline vf avx512_set_f(float x) { return _mm512_set1_ps(x); }
TARGET static inline vf avx512_add(vf a, vf b) { return _mm512_add_ps(a, b); }
TARGET static inline vf avx512_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
TARGET static inline vf avx512_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
TARGET static inline vf avx512_clip(vf x, vf lo, vf hi) {
    return _mm512_min_ps(_mm512_max_ps(x, lo), hi);
}
TARGET static inline vm avx512_at_least(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
TARGET static inline vi avx512_bits(vf x) { return _mm512_castps_si512(x); }
TARGET static inline vf avx512_from_bits(vi x) { return _mm512_castsi512_ps(x); }
TARGET static inline vi avx512_round(vf x) { return _mm512_cvtps_epi32(x); }

TARGET static inline vi avx512_set_i(int32_t x) { return _mm512_set1_epi32(x); }
TARGET static inline vi avx512_load_i(const int32_t *p) { return _mm512_loadu_si512(p); }
TARGET static inline void avx512_store_i(int32_t *p, vi x) { _mm512_storeu_si512(p, x); }
TARGET static inline vi avx512_and(vi a, vi b) { return _mm512_and_si512(a, b); }
TARGET static inline vi avx512_or(vi a, vi b) { return _mm512_or_si512(a, b); }
TARGET static inline vi avx512_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
TARGET static inline vi avx512_add_i(vi a, vi b) { return _mm512_add_epi32(a, b); }
TARGET static inline vi avx512_sub_i(vi a, vi b) { return _mm512_sub_epi32(a, b); }
TARGET static inline vi avx512_shift_down(vi a, uint32_t n) {
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128((int)n));
}
TARGET static inline vi avx512_sign_mask(vi a) { return _mm512_srai_epi32(a, 31); }
TARGET static inline vi avx512_select(vm mask, vi a, vi b) {
    return _mm512_mask_blend_epi32(mask, b, a);
}
TARGET static inline vi avx512_min(vi a, vi b) { return _mm512_min_epi32(a, b); }
TARGET static inline vi avx512_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
TARGET static inline int32_t avx512_smallest(vi a) { return _mm512_reduce_min_epi32(a); }
TARGET static inline int32_t avx512_largest(vi a) { return _mm512_reduce_max_epi32(a); }

/* Interleaving transposes: after two rounds each quarter holds one lane of every vector. */
TARGET static inline __m128i largest_4(const vi x[4]) {
    vi a = avx512_max(_mm512_unpacklo_epi32(x[0], x[1]), _mm512_unpackhi_epi32(x[0], x[1]));
    vi b = avx512_max(_mm512_unpacklo_epi32(x[2], x[3]), _mm512_unpackhi_epi32(x[2], x[3]));
    vi all = avx512_max(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i half = _mm256_max_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}
TARGET static inline __m128i smallest_4(const vi x[4]) {
    vi a = avx512_min(_mm512_unpacklo_epi32(x[0], x[1]), _mm512_unpackhi_epi32(x[0], x[1]));
    vi b = avx512_min(_mm512_unpacklo_epi32(x[2], x[3]), _mm512_unpackhi_epi32(x[2], x[3]));
    vi all = avx512_min(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i half = _mm256_min_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_min_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}
TARGET static inline void avx512_raise_4(int32_t *p, const vi most[4]) {
    __m128i *to = (__m128i *)(void *)p;
    _mm_storeu_si128(to, _mm_max_epi32(_mm_loadu_si128(to), largest_4(most)));
}
TARGET static inline void avx512_lower_4(int32_t *p, const vi least[4]) {
    __m128i *to = (__m128i *)(void *)p;
    _mm_storeu_si128(to, _mm_min_epi32(_mm_loadu_si128(to), smallest_4(least)));
}

/* The low byte of each lane. */
TARGET static inline void avx512_store_bytes(uint8_t *p, vi codes) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(codes));
}
TARGET static inline void avx512_store_step(uint8_t *p, const vi codes[VECTORS]) {
    for (size_t v = 0; v < VECTORS; v++)
        avx512_store_bytes(p + v * LANES, codes[v]);
}

TARGET static inline vi load_masked(const uint8_t *codes, char mask) {
    return _mm512_and_si512(_mm512_loadu_si512(codes), _mm512_set1_epi8(mask));
}

/* Two 4-bit codes, one in each byte of a pair, become c0 + 16 * c1 in 16 bits. */
TARGET static inline __m256i join_4_bits(const uint8_t *codes) {
    vi pairs = _mm512_maddubs_epi16(load_masked(codes, 15), _mm512_set1_epi16(0x1001));
    return _mm512_cvtepi16_epi8(pairs);
}

/* Four 2-bit codes become c0 + 4 * c1 and c2 + 4 * c3, and then one number in 32 bits. */
TARGET static inline __m128i join_2_bits(const uint8_t *codes) {
    vi pairs = _mm512_maddubs_epi16(load_masked(codes, 3), _mm512_set1_epi16(0x0401));
    return _mm512_cvtepi32_epi8(_mm512_madd_epi16(pairs, _mm512_set1_epi32(0x00100001)));
}

TARGET static void avx512_pack(const uint8_t *codes, size_t bytes, unsigned bits, uint8_t *packed) {
    size_t i = 0;
    if (bits == 4)
        for (; i + 32 <= bytes; i += 32)
            _mm256_storeu_si256((__m256i *)(void *)(packed + i), join_4_bits(codes + 2 * i));
    else
        for (; i + 16 <= bytes; i += 16)
            _mm_storeu_si128((__m128i *)(void *)(packed + i), join_2_bits(codes + 4 * i));
    caq_portable_kernels[CAQ_F32].pack(codes + i * (8 / bits), bytes - i, bits, packed + i);
}

#include "../level_template.h"

const caq_kernels caq_avx512_kernels[CAQ_SOURCES] = CAQ_KERNEL_TABLE(avx512);

#endif
