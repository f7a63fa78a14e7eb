/*
 * float_bits.c - compare float_from_int64() with the compiler's own conversion
 *
 * On 32-bit processors they are different code. Says how many numbers were compared; returns 0 if
 * all are the same.
 */
#include "float_bits.h"

#include <stdio.h>

static int compared;

static int differs(uint64_t bits) {
    int64_t x = (int64_t)bits;
    compared++;
    return float_bits(float_from_int64(x)) != float_bits((float)x);
}

int main(void) {
    int wrong = 0;
    /* neighbours of powers of two, of ties and of numbers next to ties, of either sign */
    for (int shift = 0; shift < 64; shift++)
        for (int low = 0; low <= shift; low++)
            for (uint64_t odd = 1; odd <= 7; odd += 2)
                for (uint64_t by = 0; by < 3; by++) {
                    uint64_t x = ((uint64_t)1 << shift) + (odd << low) + by - 1;
                    wrong += differs(x) + differs(0 - x);
                }
    uint64_t random = 1;
    for (int i = 0; i < 10000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        wrong += differs(random >> i % 64) + differs(0 - (random >> i % 64));
    }
    printf("%d compared, %d wrong\n", compared, wrong);
    return wrong != 0;
}
