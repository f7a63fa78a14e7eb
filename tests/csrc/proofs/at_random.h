/*
 * at_random.h - run a program that was written for CBMC some thousand times, with random numbers
 *
 * What the program assumes away ends a round. ROUNDS is how many there are.
 */
#ifndef AT_RANDOM_H
#define AT_RANDOM_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf end_of_round;
static unsigned long asserted;

#define __CPROVER_assume(condition)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            longjmp(end_of_round, 1);                                                              \
    } while (0)
#define __CPROVER_assert(condition, what)                                                          \
    do {                                                                                           \
        asserted++;                                                                                \
        if (!(condition)) {                                                                        \
            puts(what);                                                                            \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Small numbers come often, so that jobs are prepared; one in sixteen is anywhere. */
size_t nondet_size(void) {
    size_t any = (size_t)rand() << 33 ^ (size_t)rand() << 15 ^ (size_t)rand();
    return rand() % 16 ? (size_t)(rand() % (1 + rand() % 12)) : any >> rand() % 64;
}
int nondet_int(void) { return rand() % 2 ? 0 : rand() % 2 ? 1 : rand() % 12 - 1; }
unsigned char nondet_byte(void) { return (unsigned char)rand(); }

int prove(void);

int main(void) {
    for (volatile int round = 0; round < ROUNDS; round++)
        if (!setjmp(end_of_round))
            prove();
    printf("%lu\n", asserted);
    return 0;
}
#define main prove /* of the program that includes this */

#endif
