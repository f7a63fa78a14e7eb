/*
 * environment.c - switch the processor to other arithmetic, and ask for a job in each
 */
#include "coreai_quant.h"

#include <stdio.h>

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
static const struct mode {
    const char *name;
    unsigned bits;
} modes[] = {{"denormals are zero", 0x0040},
             {"down", 0x2000},
             {"up", 0x4000},
             {"to zero", 0x6000},
             {"flush to zero", 0x8000}};
static unsigned read_mode(void) { return _mm_getcsr(); }
static void write_mode(unsigned mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
static const struct mode {
    const char *name;
    unsigned bits;
} modes[] = {
    {"up", 1u << 22}, {"down", 2u << 22}, {"to zero", 3u << 22}, {"flush to zero", 1u << 24}};
static unsigned read_mode(void) {
    unsigned long mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return (unsigned)mode;
}
static void write_mode(unsigned mode) {
    __asm__ volatile("msr fpcr, %0" ::"r"((unsigned long)mode));
}
#else /* 32-bit Arm */
static const struct mode {
    const char *name;
    unsigned bits;
} modes[] = {
    {"up", 1u << 22}, {"down", 2u << 22}, {"to zero", 3u << 22}, {"flush to zero", 1u << 24}};
static unsigned read_mode(void) {
    unsigned mode;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
    return mode;
}
static void write_mode(unsigned mode) { __asm__ volatile("vmsr fpscr, %0" ::"r"(mode)); }
#endif

static const size_t shape[] = {4, 64}, block_sizes[] = {1, 32};

static caq_status ask_for_job(void) {
    const caq_target target = {.format = CAQ_INT4};
    caq_job job;
    return caq_job_init(&job, &target, 2, shape, block_sizes);
}

#if UINTPTR_MAX > UINT32_MAX /* what needs binary64 is not in smaller builds */
static caq_status ask_for_tables(void) {
    const caq_table_target target = {.bits = 4};
    caq_table_job job;
    return caq_table_job_init(&job, &target, 2, shape, shape);
}

static caq_status ask_for_sum(void) {
    const float numbers[] = {1, 2};
    double sum;
    return caq_sum_squares(CAQ_F32, CAQ_PORTABLE, 2, numbers, &sum);
}

static caq_status ask_for_differences(void) {
    const float numbers[] = {1, 2};
    caq_differences differences;
    return caq_compare(CAQ_F32, CAQ_PORTABLE, 2, numbers, numbers, 1, &differences);
}

static caq_status (*const questions[])(void) = {ask_for_job, ask_for_tables, ask_for_sum,
                                                ask_for_differences};
#else
static caq_status (*const questions[])(void) = {ask_for_job};
#endif
#define QUESTIONS (sizeof questions / sizeof *questions)

int main(void) {
    int wrong = 0;
    const unsigned usual = read_mode();
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        for (size_t q = 0; q < QUESTIONS; q++) {
            write_mode(usual | modes[i].bits);
            caq_status got = questions[q]();
            write_mode(usual);
            if (got != CAQ_BAD_ARITHMETIC || questions[q]() != CAQ_OK) {
                printf("%s, question %d: %s\n", modes[i].name, (int)q, caq_strerror(got));
                wrong = 1;
            }
        }
    if (!wrong)
        printf("refused in %d modes\n", (int)(sizeof modes / sizeof *modes));
    return wrong;
}
