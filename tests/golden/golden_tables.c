/*
 * golden_tables.c - find the look-up tables of the golden corpus at every level there is, encode and
 * decode with them, and compare the digests
 *
 * Says and returns what golden.c does.
 */
#include "coreai_quant.h"
#include "sha256.h"
#include "weights.h"

#include <stdio.h>

#define MAX_ELEMENTS 1024

static const struct golden_table {
    caq_source source;
    unsigned bits;
    size_t length;
    int weighed;
    size_t shape[2], block_sizes[2];
    const char *digest;
    int line;
} corpus[] = {
#define AXES(...) {__VA_ARGS__}
#define GOLDEN_TABLE(source, bits, length, weighed, shape, block_sizes, digest)                    \
    {CAQ_##source, bits, length, weighed, AXES shape, AXES block_sizes, digest, __LINE__},
#include "lookup.h"
#undef GOLDEN_TABLE
};
enum { CASES = sizeof corpus / sizeof corpus[0] };

static uint8_t weight[4 * MAX_ELEMENTS], decoded[4 * MAX_ELEMENTS], packed[MAX_ELEMENTS];
static float tables[12 * 256], importance[MAX_ELEMENTS];
static _Alignas(8) uint8_t scratch[1 << 21];

/* Numbers are stored in the machine's byte order and digested in little-endian order. */
static void add_numbers(sha256 *sha, const void *numbers, size_t count, size_t size) {
    const uint16_t one = 1;
    int little_endian = *(const uint8_t *)&one;
    const uint8_t *bytes = (const uint8_t *)numbers;
    for (size_t i = 0; i < count; i++)
        for (size_t byte = 0; byte < size; byte++)
            sha256_add_byte(sha, bytes[i * size + (little_endian ? byte : size - 1 - byte)]);
}

static int prepare(caq_table_job *job, const struct golden_table *golden, caq_level level) {
    const caq_table_target target = {golden->source, golden->bits, level};
    caq_status status = caq_table_job_init(job, &target, 2, golden->shape, golden->block_sizes);
    if (status == CAQ_OK && golden->length > 1)
        status = caq_table_set_vectors(job, golden->length, golden->shape[1]);
    /* the axis that weights.h and corpus.py call long: the first one here, always */
    if (status == CAQ_OK && golden->weighed) {
        for (size_t i = 0; i < golden->shape[0]; i++)
            importance[i] = (float)(random_bits(i) % 4096);
        status = caq_table_set_importance(job, importance, golden->shape[0], golden->shape[1]);
    }
    return status == CAQ_OK && job->elements <= MAX_ELEMENTS &&
           job->scratch_size <= sizeof scratch && job->index_scratch_size <= sizeof scratch &&
           job->tables * job->entries * job->length <= sizeof tables / sizeof tables[0];
}

/* Write the digest of a case, or of what there was until something failed. */
static void digest_case(const struct golden_table *golden, caq_level level, char digest[65]) {
    sha256 sha;
    sha256_start(&sha);
    size_t blocks;
    block_of(0, 2, golden->shape, golden->block_sizes, &blocks);
    for (size_t first = 0; first < KINDS; first += blocks) {
        caq_table_job job;
        if (!prepare(&job, golden, level))
            break;
        make_weight(golden->source, job.elements, 2, golden->shape, golden->block_sizes, first,
                    weight);
        if (caq_find_tables(&job, 0, job.tables, weight, tables, scratch) != CAQ_OK ||
            caq_table_encode(&job, 0, job.indices, weight, tables, packed, scratch) != CAQ_OK)
            break;
        add_numbers(&sha, tables, job.tables * job.entries * job.length, sizeof tables[0]);
        add_numbers(&sha, packed, job.packed_size, 1);
        for (int to = 0; to < CAQ_SOURCES; to++) {
            if (caq_table_decode(&job, 0, job.indices, packed, tables, (caq_source)to, decoded) !=
                CAQ_OK)
                break;
            add_numbers(&sha, decoded, job.elements, to == CAQ_F32 ? 4 : 2);
        }
    }
    sha256_finish(&sha, digest);
}

#define TABLE "lookup.h"
#include "levels.h"
