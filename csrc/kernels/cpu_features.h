/*
 * cpu_features.h - ask the processor which instruction sets it has
 */
#ifndef CPU_FEATURES_H
#define CPU_FEATURES_H

#include "kernels.h"

#ifdef HAVE_X86
#include <cpuid.h>

/* The register states that the operating system saves (XCR0), or 0 if it does not say. */
static inline unsigned caq_saved_states(void) {
    unsigned a, b, c, d;
    const unsigned osxsave = 1u << 27;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave))
        return 0;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

/* Whether a leaf of CPUID has all of these bits. */
static inline int caq_cpu_has(unsigned leaf, unsigned ecx_bits, unsigned ebx_bits) {
    unsigned a, b, c, d;
    return __get_cpuid_count(leaf, 0, &a, &b, &c, &d) && (c & ecx_bits) == ecx_bits &&
           (b & ebx_bits) == ebx_bits;
}

static inline int caq_cpu_has_avx2_f16c(void) {
    const unsigned sse_avx = 0x6, f16c = 1u << 29, avx2 = 1u << 5;
    return (caq_saved_states() & sse_avx) == sse_avx && caq_cpu_has(1, f16c, 0) &&
           caq_cpu_has(7, 0, avx2);
}

static inline int caq_cpu_has_avx512_bw(void) {
    const unsigned sse_avx_avx512 = 0xE6, avx512f = 1u << 16, avx512bw = 1u << 30;
    return (caq_saved_states() & sse_avx_avx512) == sse_avx_avx512 &&
           caq_cpu_has(7, 0, avx512f | avx512bw);
}
#else
static inline int caq_cpu_has_avx2_f16c(void) { return 0; }
static inline int caq_cpu_has_avx512_bw(void) { return 0; }
#endif

#endif
