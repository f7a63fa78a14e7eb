/*
 * unaligned.h - numbers at any address
 *
 * Callers' buffers have any alignment. For processors that need one, compilers make loads and stores of
 * bytes from these types; from memcpy() they might make a call of it, which a freestanding build lacks.
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
