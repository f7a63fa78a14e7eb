/*
 * status.c - what callers ask about the library itself
 */
#include "coreai_quant.h"

size_t caq_scratch_size(const caq_job *job) {
    return job->observer == CAQ_MSE ? CAQ_MSE_SCRATCH_SIZE : CAQ_SCRATCH_SIZE;
}

const char *caq_strerror(caq_status status) {
    switch (status) {
    case CAQ_OK:
        return "no error";
    case CAQ_BAD_ARGUMENT:
        return "a value, a combination or a shape that is not allowed";
    case CAQ_BAD_LEVEL:
        return "this build does not have the instruction set";
    case CAQ_NOT_FINITE:
        return "the weight has a NaN or an infinity";
    }
    return "unknown status";
}
