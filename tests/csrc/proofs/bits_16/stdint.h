/* stdint.h - integers of a machine whose size_t has 16 bits, for CBMC: see the Makefile */
#ifndef BITS_16_STDINT_H
#define BITS_16_STDINT_H

typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef int int16_t;
typedef unsigned uint16_t;
typedef long int32_t;
typedef unsigned long uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned uintptr_t;

#define SIZE_MAX 65535u
#define UINTPTR_MAX 65535u
#define UINT32_MAX 4294967295ul
#define INT32_MIN (-2147483647L - 1)

#endif
