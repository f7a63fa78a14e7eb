/*
 * status.c - what callers ask about the library itself
 */
#include "target.h"

const char *caq_version(void) { return CAQ_VERSION; }

size_t caq_scratch_size(const caq_job *job) {
    return is_searched(job) ? CAQ_MSE_SCRATCH_SIZE : CAQ_SCRATCH_SIZE;
}

const char *caq_strerror(caq_status status) {
    switch (status) {
    case CAQ_OK:
        return "no error";
    case CAQ_BAD_ARGUMENT:
        return "a value is out of its range, or this build does not have it";
    case CAQ_BAD_COMBINATION:
        return "the format cannot have this scheme or this type of scales";
    case CAQ_BAD_SHAPE:
        return "the shape has no axis, an empty axis or too many elements";
    case CAQ_BAD_BLOCK_SIZE:
        return "a block size does not divide its axis";
    case CAQ_BAD_LEVEL:
        return "this build does not have the instruction set";
    case CAQ_BAD_ARITHMETIC:
        return "arithmetic flushes subnormal numbers or does not round to nearest even";
    case CAQ_NOT_FINITE:
        return "the weight has a NaN or an infinity";
    }
    return "unknown status";
}
