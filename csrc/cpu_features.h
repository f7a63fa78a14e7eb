/*
 * cpu_features.h - ask the processor
 */
#ifndef CPU_FEATURES_H
#define CPU_FEATURES_H

#include "kernels.h"

#ifdef HAVE_AVX2
#include <cpuid.h>

/* AVX2 and F16C, and an operating system that saves the wide registers. */
static inline int caq_cpu_has_avx2_f16c(void) {
    unsigned a, b, c, d;
    const unsigned osxsave = 1u << 27, f16c = 1u << 29, avx2 = 1u << 5;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (osxsave | f16c)) != (osxsave | f16c))
        return 0;
    unsigned saved, high;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if ((saved & 6) != 6)
        return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & avx2);
}
#else
static inline int caq_cpu_has_avx2_f16c(void) { return 0; }
#endif

#endif
