/*
 * cortex_m.c - quantize a matrix on a bare Cortex-M, decode it, and say what that took
 *
 * For qemu's board mps2-an386 (Cortex-M4F), with no C library at all; csrc/tools/sizes.py has the
 * commands. Prints a hash of the stored bytes, ticks of the 25 MHz system timer, and bytes of
 * stack. In qemu these are no timings: with -icount shift=0 an instruction takes 1 ns, so a tick is
 * 40 instructions.
 */
#include "coreai_quant.h"

#ifndef FORMAT
#define FORMAT CAQ_INT4
#define SCHEME CAQ_SYMMETRIC
#define SCALE CAQ_SCALE_AS_WEIGHT
#endif

enum { ROWS = 32, COLUMNS = 64, BLOCK = 32, ELEMENTS = ROWS * COLUMNS };

static float weight[ELEMENTS];
static uint8_t packed[ELEMENTS], zero_points[ELEMENTS / BLOCK];
static float scales[ELEMENTS / BLOCK];
static uint32_t scratch[CAQ_SCRATCH_SIZE / 4];

/* Ask the debugger, or the emulator, for a service. */
static void semihost(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}
static void print(const char *text) { semihost(4, text); }

static void print_hex(const char *name, uint32_t number) {
    char text[] = "00000000\n";
    for (int i = 7; i >= 0; i--, number >>= 4)
        text[i] = "0123456789abcdef"[number & 15];
    print(name);
    print(text);
}

/* FNV-1a, 32 bits. */
static uint32_t add_to_hash(uint32_t hash, const void *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 16777619u;
    return hash;
}

static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010;

static uint32_t ticks(void) { return 0xFFFFFF - systick[2]; }

/* Write a pattern below the stack pointer, and count later what was not left alone. */
enum { PAINTED = 512 };
static volatile uint32_t *stack_now(void) {
    uint32_t now;
    __asm__ volatile("mov %0, sp" : "=r"(now));
    return (volatile uint32_t *)now;
}
static void paint(volatile uint32_t *from) {
    for (int i = 16; i < PAINTED; i++)
        from[-i] = 0xA5A5A5A5;
}
static uint32_t stack_used(volatile uint32_t *from) {
    int i = PAINTED - 1;
    while (i > 16 && from[-i] == 0xA5A5A5A5)
        i--;
    return 4 * (uint32_t)i;
}

static caq_status run(void) {
    const size_t shape[] = {ROWS, COLUMNS}, block_sizes[] = {1, BLOCK};
    const caq_target target = {.format = FORMAT, .scheme = SCHEME, .scale = SCALE};
    caq_job job;
    for (uint32_t i = 0; i < ELEMENTS; i++)
        weight[i] = (float)((int)(i * 7919 % 255) - 127) / 1024;
    caq_status status = caq_job_init(&job, &target, 2, shape, block_sizes);
    if (status != CAQ_OK)
        return status;
    volatile uint32_t *stack = stack_now();
    paint(stack);
    uint32_t start = ticks();
    status = caq_quantize(&job, 0, job.units, weight, packed, scales, zero_points, scratch);
    uint32_t quantized = ticks();
    print_hex("quantize stack ", stack_used(stack));
    if (status != CAQ_OK)
        return status;
    uint32_t hash = add_to_hash(2166136261u, packed, job.packed_size);
    hash = add_to_hash(hash, scales, job.scale_count * job.scale_size);
    print_hex("hash ", add_to_hash(hash, zero_points, job.scale_count));
    print_hex("quantize ticks ", quantized - start);
    paint(stack);
    start = ticks();
    status =
        caq_dequantize(&job, 0, ELEMENTS, packed, scales, zero_points, CAQ_F32, weight, scratch);
    uint32_t decoded = ticks();
    print_hex("decode stack ", stack_used(stack));
    print_hex("decode ticks ", decoded - start);
    return status;
}

static void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* turn the floating-point unit on */
    __asm__ volatile("dsb\n isb" ::: "memory");
    systick[1] = 0xFFFFFF;
    systick[2] = 0;
    systick[0] = 5; /* the processor's clock, no interrupt */
    caq_status status = run();
    if (status != CAQ_OK)
        print(caq_strerror(status));
    semihost(0x18, (const void *)(status == CAQ_OK ? 0x20026 : 0x20023));
}

static void fault(void) { semihost(0x18, (const void *)0x20023); }

/* Where execution starts: the stack's end, then the handlers of reset and of faults. */
struct vector_table {
    uint32_t *stack;
    void (*handlers[15])(void);
};
extern const struct vector_table vectors;
__attribute__((section(".vectors"))) const struct vector_table vectors = {
    (uint32_t *)0x20020000, {reset, fault, fault, fault, fault, fault, fault}};
