/*
 * unaligned.h - load and store numbers at any address
 *
 * Callers' buffers may have any alignment. These types tell compilers so, which then load and store
 * single bytes on processors that need aligned numbers. memcpy() is no choice: compilers may call
 * it, and a freestanding build does not have it.
 */
#ifndef UNALIGNED_H
#define UNALIGNED_H

#include <stdint.h>

typedef struct __attribute__((packed, may_alias)) unaligned_uint16_t {
    uint16_t bits;
} unaligned_uint16_t;
typedef struct __attribute__((packed, may_alias)) unaligned_uint32_t {
    uint32_t bits;
} unaligned_uint32_t;

static inline uint16_t load_16(const void *p) { return ((const unaligned_uint16_t *)p)->bits; }
static inline uint32_t load_32(const void *p) { return ((const unaligned_uint32_t *)p)->bits; }
static inline void store_16(void *p, uint16_t bits) { ((unaligned_uint16_t *)p)->bits = bits; }
static inline void store_32(void *p, uint32_t bits) { ((unaligned_uint32_t *)p)->bits = bits; }

#endif
