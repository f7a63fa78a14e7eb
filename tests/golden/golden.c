/*
 * golden.c - quantize and decode the golden corpus at every level there is, and compare the digests
 *
 * Says for each level how many digests are right, and which ones are not; returns 0 if all are. It
 * needs no input, and of the C library little more than printf, so that it runs on a board as well:
 * compile it with all sources below csrc.
 */
#include "coreai_quant.h"
#include "sha256.h"
#include "weights.h"

#include <stdio.h>

#define MAX_AXES 4
#define MAX_ELEMENTS 2240
#define MAX_FED 64

static const struct golden_case {
    caq_target target;
    enum { EQUAL, WEIGHED, FED } method;
    size_t rank, shape[MAX_AXES], block_sizes[MAX_AXES];
    const char *digest;
    int line;
} corpus[] = {
#define AXES(...) {__VA_ARGS__}
#define KIND(...)
#define GOLDEN(source, format, scheme, scale, observer, method, rank, shape, block_sizes, digest)  \
    {{CAQ_##source, CAQ_##format, CAQ_##scheme, CAQ_##scale, CAQ_##observer, CAQ_PORTABLE, 1},     \
     method,                                                                                       \
     rank,                                                                                         \
     AXES shape,                                                                                   \
     AXES block_sizes,                                                                             \
     digest,                                                                                       \
     __LINE__},
#include "table.h"
#undef KIND
#undef GOLDEN
};
enum { CASES = sizeof corpus / sizeof corpus[0] };

/* No code takes more room than its element, and no weight has more scales than elements. */
static uint8_t weight[4 * MAX_ELEMENTS], packed[MAX_ELEMENTS], scales[4 * MAX_ELEMENTS];
static uint8_t zero_points[MAX_ELEMENTS];
static _Alignas(8) uint8_t scratch[CAQ_MSE_SCRATCH_SIZE];
static float importance[MAX_ELEMENTS], coefficients[MAX_FED * MAX_FED];
static size_t rows[MAX_ELEMENTS], columns[MAX_FED];
static uint8_t codes[MAX_ELEMENTS];
static _Alignas(8) uint8_t panel[CAQ_FEEDBACK_SCRATCH_SIZE(MAX_FED)];

static void add_bytes(sha256 *sha, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        sha256_add_byte(sha, bytes[i]);
}

/* Numbers are stored in the machine's byte order and digested in little-endian order. */
static void add_numbers(sha256 *sha, const uint8_t *numbers, size_t count, size_t size) {
    const uint16_t one = 1;
    int little_endian = *(const uint8_t *)&one;
    for (size_t i = 0; i < count; i++)
        for (size_t byte = 0; byte < size; byte++)
            sha256_add_byte(sha, numbers[i * size + (little_endian ? byte : size - 1 - byte)]);
}

/* What the codes decode to, in each type. */
static caq_status add_decoded(sha256 *sha, const caq_job *job) {
    for (int to = 0; to < CAQ_SOURCES; to++) {
        caq_status status = caq_dequantize(job, 0, job->elements, packed, scales, zero_points,
                                           (caq_source)to, weight, scratch);
        if (status != CAQ_OK)
            return status;
        add_numbers(sha, weight, job->elements, to == CAQ_F32 ? 4 : 2);
    }
    return CAQ_OK;
}

/* The length of the first axis along which blocks are long, or of the last one, and how far apart its indices
 * are. */
static size_t long_axis(const struct golden_case *golden, size_t *stride) {
    size_t axis = 0;
    while (golden->block_sizes[axis] == 1 && axis + 1 < golden->rank)
        axis++;
    *stride = 1;
    for (size_t later = axis + 1; later < golden->rank; later++)
        *stride *= golden->shape[later];
    return golden->shape[axis];
}

/* Importances of the indices of the long axis. */
static caq_status weigh(caq_job *job, const struct golden_case *golden) {
    size_t stride, count = long_axis(golden, &stride);
    for (size_t i = 0; i < count; i++)
        importance[i] = (float)(random_bits(i) % 4096);
    return caq_set_importance(job, importance, count, stride);
}

/* Round with feedback from the last to the first index of the long axis. */
static caq_status round_with_feedback(const caq_job *job, const struct golden_case *golden) {
    size_t stride, count = long_axis(golden, &stride), row_count = 0;
    if (count > MAX_FED)
        return CAQ_BAD_ARGUMENT;
    for (size_t element = 0; element < job->elements; element++)
        if (element / stride % count == 0)
            rows[row_count++] = element;
    for (size_t k = 0; k < count; k++)
        columns[k] = (count - 1 - k) * stride;
    for (size_t i = 0; i < count * count; i++)
        coefficients[i] = (float)((int)(random_bits(i) % 4096) - 2048) / 4096.0f;
    const caq_feedback feedback = {count, columns, coefficients, count};
    caq_status status =
        caq_round_rows(job, &feedback, rows, row_count, weight, scales, zero_points, codes, panel);
    return status == CAQ_OK ? caq_pack(job, 0, job->elements, codes, packed) : status;
}

/* Write the digest of a case, or of what there was until something failed. */
static void digest_case(const struct golden_case *golden, caq_level level, char digest[65]) {
    sha256 sha;
    sha256_start(&sha);
    size_t blocks;
    block_of(0, golden->rank, golden->shape, golden->block_sizes, &blocks);
    for (size_t first = 0; first < KINDS; first += blocks) {
        caq_target target = golden->target;
        caq_job job;
        target.level = level;
        if (caq_job_init(&job, &target, golden->rank, golden->shape, golden->block_sizes) !=
                CAQ_OK ||
            job.elements > MAX_ELEMENTS)
            break;
        if (golden->method == WEIGHED && weigh(&job, golden) != CAQ_OK)
            break;
        make_weight(target.source, job.elements, golden->rank, golden->shape, golden->block_sizes,
                    first, weight);
        if (caq_quantize(&job, 0, job.units, weight, packed, scales, zero_points, scratch) !=
            CAQ_OK)
            break;
        if (golden->method == FED && round_with_feedback(&job, golden) != CAQ_OK)
            break;
        add_bytes(&sha, packed, job.packed_size);
        add_numbers(&sha, scales, job.scale_count, job.scale_size);
        add_bytes(&sha, zero_points, job.scale_count);
        if (add_decoded(&sha, &job) != CAQ_OK)
            break;
    }
    sha256_finish(&sha, digest);
}

#define TABLE "table.h"
#include "levels.h"
