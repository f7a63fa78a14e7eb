/* stddef.h - a size_t of 16 bits, for CBMC */
#ifndef BITS_16_STDDEF_H
#define BITS_16_STDDEF_H

typedef unsigned size_t;

#define NULL ((void *)0)

#endif
