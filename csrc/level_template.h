/*
 * level_template.h - all that is built for an instruction set
 *
 * Included once per instruction set, with what kernels_template.h asks for; the kernels come once for
 * each type of source.
 */
#include "feedback.h"
#include "float_bits.h"
#include "kernels.h"
#include "search.h"
#include "tile.h"
#include "unaligned.h"

#include "scales_template.h"
#include "values_template.h"

#include "search_template.h"

#define SOURCE f32
#define ELEMENT uint32_t
#include "kernels_template.h"

#define SOURCE f16
#define ELEMENT uint16_t
#include "kernels_template.h"

#define SOURCE bf16
#define ELEMENT uint16_t
#include "kernels_template.h"

#include "feedback_template.h"
