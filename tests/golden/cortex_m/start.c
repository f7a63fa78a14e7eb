/*
 * start.c - from the reset of an emulated Cortex-M to main() and out again
 *
 * The emulator has put the program's data where it belongs and zeros everywhere else. Output goes
 * through semihosting: newlib's rdimon.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern uint8_t stack_top[]; /* see link.ld */
void initialise_monitor_handles(void);
int main(void);

static void reset(void) {
    /* full access to the floating-point unit, which is off */
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
    initialise_monitor_handles();
    int status = main();
    fflush(stdout);
    _Exit(status);
}

static void fault(void) { _Exit(EXIT_FAILURE); }

/* Where execution starts, then the handlers of NMI, hard fault and what escalates to it. */
__attribute__((section(".vectors"), used)) static const struct {
    uint8_t *stack;
    void (*handlers[15])(void);
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault, fault}};
