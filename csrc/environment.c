/*
 * environment.c - find out by a few sums how the calling thread computes
 */
#include "environment.h"

#include "config.h"
#include "float_bits.h"

/* Two numbers and their sum. The first sum is another where arithmetic rounds up, the second where
 * it rounds down or to zero, the third where subnormals are taken for zero. */
static const float sums[][3] = {
    {1.0f, 0x1p-24f, 1.0f},
    {1.0f, 0x1.8p-24f, 0x1.000002p+0f},
    {0x1p-149f, 0x1p-149f, 0x1p-148f},
};

int caq_has_usable_arithmetic(void) {
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        /* Volatile, because compilers add constants up themselves. */
        volatile float a = sums[i][0], b = sums[i][1];
        /* By their bits: a comparison of numbers would take subnormals for zero as well. */
        if (float_bits(a + b) != float_bits(sums[i][2]))
            return 0;
    }
    return 1;
}
