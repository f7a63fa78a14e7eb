/*
 * dispatch.c - the kernels of this build, and the levels that this processor can run
 */
#include "cpu_features.h"
#include "kernels.h"

/* In the order of caq_level. */
const caq_kernels *const caq_kernels_of[CAQ_LEVELS] = {
    caq_portable_kernels,
#ifdef HAVE_NEON
    caq_neon_kernels,
#else
    NULL,
#endif
#ifdef HAVE_X86
    caq_avx2_kernels,
    caq_avx512_kernels,
#else
    NULL,
    NULL,
#endif
};

int caq_has_level(caq_level level) {
    if ((unsigned)level >= CAQ_LEVELS || !caq_kernels_of[level])
        return 0;
    if (level == CAQ_AVX2)
        return caq_cpu_has_avx2_f16c();
    return level != CAQ_AVX512 || caq_cpu_has_avx512_bw();
}

caq_level caq_best_level(void) {
    for (int level = CAQ_LEVELS - 1; level > CAQ_PORTABLE; level--)
        if (caq_has_level((caq_level)level))
            return (caq_level)level;
    return CAQ_PORTABLE;
}
