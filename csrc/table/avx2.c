/*
 * avx2.c - the kernels of look-up tables on AVX2 (and F16C)
 */
#include "../float_bits.h"
#include "../kernels.h"
#include "../unaligned.h"
#include "table.h"

#ifdef HAVE_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,f16c")))
#define TABLE(op) CONCAT(avx2_, op)
#define DOUBLES 4
#define FLOATS 8

typedef __m256d vd;
typedef __m256 vf;
typedef __m256i vi;
typedef struct vbounds {
    __m256 low, high;
} vbounds;

TARGET static inline vd avx2_load(const double *p) { return _mm256_loadu_pd(p); }
TARGET static inline void avx2_store(double *p, vd x) { _mm256_storeu_pd(p, x); }
TARGET static inline vd avx2_set(double x) { return _mm256_set1_pd(x); }
TARGET static inline vd avx2_count_up(double x) {
    return _mm256_add_pd(_mm256_set1_pd(x), _mm256_setr_pd(0, 1, 2, 3));
}
TARGET static inline vd avx2_add(vd a, vd b) { return _mm256_add_pd(a, b); }
TARGET static inline vd avx2_sub(vd a, vd b) { return _mm256_sub_pd(a, b); }
TARGET static inline vd avx2_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
TARGET static inline vd avx2_div(vd a, vd b) { return _mm256_div_pd(a, b); }
TARGET static inline vd avx2_if_above(vd a, vd b, vd yes, vd no) {
    return _mm256_blendv_pd(no, yes, _mm256_cmp_pd(a, b, _CMP_GT_OQ));
}

TARGET static inline __m128i load_halves(const uint16_t *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
TARGET static inline vf avx2_load_f32(const uint32_t *p) {
    return _mm256_loadu_ps((const float *)(const void *)p);
}
TARGET static inline vf avx2_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(load_halves(p)); }
TARGET static inline vf avx2_load_bf16(const uint16_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_halves(p)), 16));
}
TARGET static inline vbounds avx2_bounds(const float *bounds) {
    return (vbounds){
        _mm256_loadu_ps(bounds),
        _mm256_maskload_ps(bounds + 8, _mm256_setr_epi32(-1, -1, -1, -1, -1, -1, -1, 0))};
}
/* index + step where x is above the bound of index + step - 1 */
TARGET static inline vi avx2_advance(vbounds bounds, vf x, vi index, int step) {
    vi place = _mm256_add_epi32(index, _mm256_set1_epi32(step - 1));
    vf high = _mm256_castsi256_ps(_mm256_slli_epi32(place, 28)); /* its sign says which half */
    vf bound = _mm256_blendv_ps(_mm256_permutevar8x32_ps(bounds.low, place),
                                _mm256_permutevar8x32_ps(bounds.high, place), high);
    vi is_above = _mm256_castps_si256(_mm256_cmp_ps(x, bound, _CMP_GT_OQ));
    return _mm256_add_epi32(index, _mm256_and_si256(is_above, _mm256_set1_epi32(step)));
}
TARGET static inline vi avx2_above(vbounds bounds, vf x) {
    vi index = avx2_advance(bounds, x, _mm256_setzero_si256(), 8);
    index = avx2_advance(bounds, x, index, 4);
    index = avx2_advance(bounds, x, index, 2);
    return avx2_advance(bounds, x, index, 1);
}
TARGET static inline void avx2_store_codes(uint8_t *p, vi index) {
    __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(index), _mm256_extracti128_si256(index, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(halves, halves));
}

#include "sources_template.h"

const caq_table_kernels caq_avx2_table_kernels = {
    .best_last = avx2_best_last,
    .best_lasts = avx2_best_lasts,
    .indices = {avx2_indices_f32, avx2_indices_f16, avx2_indices_bf16},
};
#endif
