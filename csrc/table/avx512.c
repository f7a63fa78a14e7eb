/*
 * avx512.c - the kernels of look-up tables on AVX-512 (F and BW)
 */
#include "../float_bits.h"
#include "../kernels.h"
#include "../unaligned.h"
#include "table.h"

#ifdef HAVE_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw")))
#define TABLE(op) CONCAT(avx512_, op)
#define DOUBLES 8
#define FLOATS 16

typedef __m512d vd;
typedef __m512 vf;
typedef __m512i vi;
typedef __m512 vbounds;

TARGET static inline vd avx512_load(const double *p) { return _mm512_loadu_pd(p); }
TARGET static inline void avx512_store(double *p, vd x) { _mm512_storeu_pd(p, x); }
TARGET static inline vd avx512_set(double x) { return _mm512_set1_pd(x); }
TARGET static inline vd avx512_count_up(double x) {
    return _mm512_add_pd(_mm512_set1_pd(x), _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7));
}
TARGET static inline vd avx512_add(vd a, vd b) { return _mm512_add_pd(a, b); }
TARGET static inline vd avx512_sub(vd a, vd b) { return _mm512_sub_pd(a, b); }
TARGET static inline vd avx512_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
TARGET static inline vd avx512_div(vd a, vd b) { return _mm512_div_pd(a, b); }
TARGET static inline vd avx512_if_above(vd a, vd b, vd yes, vd no) {
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), no, yes);
}

TARGET static inline vf avx512_load_f32(const uint32_t *p) { return _mm512_loadu_ps(p); }
TARGET static inline vf avx512_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
TARGET static inline vf avx512_load_bf16(const uint16_t *p) {
    __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
TARGET static inline vbounds avx512_bounds(const float *bounds) {
    return _mm512_mask_loadu_ps(_mm512_setzero_ps(), 0x7FFF, bounds);
}
/* index + step where x is above the bound of index + step - 1 */
TARGET static inline vi avx512_advance(vbounds bounds, vf x, vi index, int step) {
    vf bound = _mm512_permutexvar_ps(_mm512_add_epi32(index, _mm512_set1_epi32(step - 1)), bounds);
    return _mm512_mask_add_epi32(index, _mm512_cmp_ps_mask(x, bound, _CMP_GT_OQ), index,
                                 _mm512_set1_epi32(step));
}
TARGET static inline vi avx512_above(vbounds bounds, vf x) {
    vi index = avx512_advance(bounds, x, _mm512_setzero_si512(), 8);
    index = avx512_advance(bounds, x, index, 4);
    index = avx512_advance(bounds, x, index, 2);
    return avx512_advance(bounds, x, index, 1);
}
TARGET static inline void avx512_store_codes(uint8_t *p, vi index) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(index));
}

#include "sources_template.h"

const caq_table_kernels caq_avx512_table_kernels = {
    .best_last = avx512_best_last,
    .best_lasts = avx512_best_lasts,
    .indices = {avx512_indices_f32, avx512_indices_f16, avx512_indices_bf16},
};
#endif
