/*
 * portable.c - the kernels of look-up tables in plain C
 */
#include "../float_bits.h"
#include "../kernels.h"
#include "../unaligned.h"
#include "table.h"

#define TARGET
#define TABLE(op) CONCAT(portable_, op)
#define DOUBLES 1
#define FLOATS 1

typedef double vd;
typedef float vf;
typedef const float *vbounds;

static inline vd portable_load(const double *p) { return *p; }
static inline void portable_store(double *p, vd x) { *p = x; }
static inline vd portable_set(double x) { return x; }
static inline vd portable_add(vd a, vd b) { return a + b; }
static inline vd portable_sub(vd a, vd b) { return a - b; }
static inline vd portable_mul(vd a, vd b) { return a * b; }
static inline vd portable_div(vd a, vd b) { return a / b; }
static inline vd portable_if_above(vd a, vd b, vd yes, vd no) { return a > b ? yes : no; }

static inline vf portable_load_f32(const uint32_t *p) { return float_from_bits(load_32(p)); }
static inline vf portable_load_f16(const uint16_t *p) { return float_from_f16(load_16(p)); }
static inline vf portable_load_bf16(const uint16_t *p) { return float_from_bf16(load_16(p)); }
static inline vbounds portable_bounds(const float *bounds) { return bounds; }
static inline int portable_above(vbounds bounds, vf x) {
    int index = x > bounds[7] ? 8 : 0;
    index += x > bounds[index + 3] ? 4 : 0;
    index += x > bounds[index + 1] ? 2 : 0;
    return index + (x > bounds[index]);
}
static inline void portable_store_codes(uint8_t *p, int index) { *p = (uint8_t)index; }

#include "sources_template.h"

const caq_table_kernels caq_portable_table_kernels = {
    .best_last = portable_best_last,
    .best_lasts = portable_best_lasts,
    .indices = {portable_indices_f32, portable_indices_f16, portable_indices_bf16},
};
