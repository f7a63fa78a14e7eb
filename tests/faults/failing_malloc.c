/*
 * Loaded before the C library (LD_PRELOAD): makes one allocation of numpy's fail.
 *
 * All memory of this project is numpy's. Only that: Core AI, and numpy's own temporary buffers in the
 * reference, end the process when they get none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

/* Below this numpy keeps memory that was freed, so that what allocates differs from call to call. */
enum { SMALLEST = 1024 };

static atomic_long left;
static atomic_long failures;

/* Fail the allocation that is the number-th from now; none with 0. */
void fail_allocation(long number) {
    left = number;
}

/* How many were made to fail so far. */
long failed_allocations(void) {
    return failures;
}

static int fails(size_t size, const void *caller) {
    Dl_info info;

    if (left <= 0 || size < SMALLEST || !dladdr(caller, &info) || !info.dli_fname ||
        !strstr(info.dli_fname, "_multiarray_umath") || --left != 0)
        return 0;
    failures++;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) {
    return fails(size, __builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails(count * size, __builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return fails(size, __builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
