/*
 * sources_template.h - the kernels of a level, once for each type of weight where it matters
 *
 * Included once per instruction set with what best_last_template.h and indices_template.h ask for.
 */
#include "best_last_template.h"

#define SOURCE f32
#define ELEMENT uint32_t
#define load_element load_32
#include "indices_template.h"
#undef load_element

#define load_element load_16
#define SOURCE f16
#define ELEMENT uint16_t
#include "indices_template.h"

#define SOURCE bf16
#define ELEMENT uint16_t
#include "indices_template.h"
#undef load_element
