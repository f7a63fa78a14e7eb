/*
 * table.c - look-up tables: jobs, entries, indices
 */
#include "../environment.h"
#include "../float_bits.h"
#include "../geometry.h"
#include "../kernels/kernels.h"
#include "../target.h"
#include "../unaligned.h"
#include "nearest.h"
#include "path.h"
#include "points.h"
#include "vectors.h"

#if CAQ_WITH_TABLES

#define CHUNK 4096    /* codes that are found before they are packed, a multiple of 8 */
#define NUMBERS 65536 /* of 16 bits */
#define LONG_RUN 2048 /* weights of 16 bits for which a code is noted down for each number */
#define SHORT_RUN 32  /* weights for which it takes less time to do without */

static int has_bits(unsigned bits) { return bits >= 1 && bits <= 8 && bits != 5 && bits != 7; }

/* Count elements, tables, and the elements in a row that share one. */
static caq_status count_tables(caq_table_job *job, size_t rank, const size_t *shape,
                               const size_t *block_sizes) {
    job->elements = job->tables = job->run = 1;
    for (size_t axis = 0; axis < rank; axis++) {
        size_t length = shape[axis], size = block_sizes[axis] ? block_sizes[axis] : length;
        if (length == 0 || job->elements > SIZE_MAX / 8 / length)
            return CAQ_BAD_SHAPE;
        if (length % size || (size < length && job->tables > 1))
            return CAQ_BAD_BLOCK_SIZE;
        job->elements *= length;
        job->tables *= length / size;
        job->run = size < length ? size : job->run * length;
    }
    return rank && job->elements / job->tables >> 16 <= 0xFFFF ? CAQ_OK : CAQ_BAD_SHAPE;
}

caq_status caq_table_job_init(caq_table_job *job, const caq_table_target *target, size_t rank,
                              const size_t *shape, const size_t *block_sizes) {
    if (!has_source(target->source) || !has_bits(target->bits))
        return CAQ_BAD_ARGUMENT;
    if (!caq_has_level(target->level))
        return CAQ_BAD_LEVEL;
    if (!caq_has_usable_arithmetic())
        return CAQ_BAD_ARITHMETIC;
    caq_table_job it;
    caq_status status = count_tables(&it, rank, shape, block_sizes);
    if (status != CAQ_OK)
        return status;
    size_t weights = it.elements / it.tables, points = caq_most_points(target->source, weights);
    it.source = target->source;
    it.bits = target->bits;
    it.entries = (size_t)1 << it.bits;
    it.indices = it.elements;
    it.length = it.between = 1;
    it.kernels = caq_kernels_of[target->level] + it.source;
    it.packed_size = (it.indices * it.bits + 7) / 8;
    it.scratch_size =
        caq_points_scratch_size(it.source, weights, 0) + caq_path_scratch_size(points, it.entries);
    it.importance = NULL;
    it.importances = it.repeat = 1;
    it.index_scratch_size = it.tables * bounds_of(it.entries) * sizeof(float) + NUMBERS + CHUNK;
    *job = it;
    return CAQ_OK;
}

caq_status caq_table_set_vectors(caq_table_job *job, size_t length, size_t between) {
    size_t period = job->run * job->tables;
    if (job->length > 1 || length < 2 || length > MOST_LENGTH || between == 0 ||
        job->elements / length / between * between * length != job->elements)
        return CAQ_BAD_ARGUMENT;
    if (job->tables == 1 || job->run % (length * between) == 0)
        job->run /= length;
    else if (between % period)
        return CAQ_BAD_ARGUMENT;
    job->length = length;
    job->between = between;
    job->indices = job->elements / length;
    job->packed_size = (job->indices * job->bits + 7) / 8;
    job->scratch_size = caq_vectors_scratch_size(job);
    job->index_scratch_size = caq_vectors_index_scratch_size(job) + CHUNK + CAQ_VECTORS;
    return CAQ_OK;
}

caq_status caq_table_set_importance(caq_table_job *job, const float *importance, size_t count,
                                    size_t repeat) {
    if (count == 0 || repeat == 0 || job->elements % count || job->elements / count % repeat)
        return CAQ_BAD_ARGUMENT;
    for (size_t i = 0; i < count; i++)
        if (!(importance[i] >= 0 && importance[i] < float_from_bits(0x7F800000)))
            return CAQ_BAD_ARGUMENT;
    size_t weights = job->elements / job->tables;
    if (!job->importance && job->length == 1)
        job->scratch_size += caq_points_scratch_size(job->source, weights, 1) -
                             caq_points_scratch_size(job->source, weights, 0);
    job->importance = importance;
    job->importances = count;
    job->repeat = repeat;
    return CAQ_OK;
}

static caq_status find_table(const caq_table_job *job, size_t which, const uint8_t *weight,
                             float *table, void *scratch) {
    if (job->length > 1)
        return caq_find_vectors(job, which, weight, table, scratch);
    size_t weights = job->elements / job->tables, first = which * job->run;
    caq_members members = {weight + first * source_size(job->source), weights / job->run, job->run,
                           job->run * job->tables, first};
    caq_group all;
    caq_status status = job->importance ? caq_weigh_points(job, &members, &all, scratch)
                                        : caq_find_points(job->source, &members, &all, scratch);
    if (status != CAQ_OK)
        return status;
    size_t clusters = smaller(job->entries, all.count);
    uint32_t path[MOST_ENTRIES + 1];
    if (clusters == all.count)
        for (size_t k = 1; k < clusters; k++)
            path[k] = (uint32_t)k;
    else if (clusters > 1) {
        uint8_t *rest = (uint8_t *)scratch +
                        caq_points_scratch_size(job->source, weights, job->importance != NULL);
        caq_best_path(job->kernels, all.points, all.count, clusters, path + 1, rest);
    }
    path[0] = 0;
    path[clusters] = (uint32_t)all.count;
    for (size_t k = 0; k < job->entries; k++) {
        if (k >= clusters) {
            table[k] = table[k - 1];
            continue;
        }
        const caq_point *first = all.points + path[k], *end = all.points + path[k + 1];
        double mean =
            (end->before.moment - first->before.moment) / (end->before.mass - first->before.mass) +
            all.center;
        table[k] = round_to(job->source, (float)(mean * power_of_two(-all.shift)));
    }
    return CAQ_OK;
}

caq_status caq_find_tables(const caq_table_job *job, size_t first, size_t count, const void *weight,
                           float *tables, void *scratch) {
    if (first > job->tables || count > job->tables - first)
        return CAQ_BAD_ARGUMENT;
    for (size_t t = first; t < first + count; t++) {
        caq_status status = find_table(job, t, (const uint8_t *)weight,
                                       tables + t * job->entries * job->length, scratch);
        if (status != CAQ_OK)
            return status;
    }
    return CAQ_OK;
}

/* Count the numbers of 16 bits from the lowest finite one up to a bound. */
static size_t numbers_up_to(caq_source source, float bound) {
    size_t low = 0, high = NUMBERS;
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint8_t bits[2];
        store_16(bits, (uint16_t)(middle < 0x8000 ? 0xFFFF - middle : middle - 0x8000));
        float number = number_at(source, bits, 0);
        /* NaNs are at both ends */
        int is_up_to = number == number ? number <= bound : middle < 0x8000;
        low = is_up_to ? middle + 1 : low;
        high = is_up_to ? high : middle;
    }
    return low;
}

/* The index of every number of 16 bits. */
static void note_indices(caq_source source, const float *bounds, size_t entries, uint8_t *notes) {
    size_t number = 0;
    for (size_t k = 0; k < entries; k++) {
        size_t end = k == entries - 1 ? NUMBERS : numbers_up_to(source, bounds[k]);
        for (; number < end; number++)
            notes[number < 0x8000 ? 0xFFFF - number : number - 0x8000] = (uint8_t)k;
    }
}

/* The low bits of eight codes, which are the bytes of a number, one after the other. */
static uint64_t squeeze_indices(uint64_t codes, unsigned bits) {
    const uint64_t pairs = 0x0000FFFF0000FFFF, fours = 0x00000000FFFFFFFF;
    codes &= (uint64_t)0x0101010101010101 * ((1u << bits) - 1);
    codes = (codes & 0x00FF00FF00FF00FF) | (codes >> 8 & 0x00FF00FF00FF00FF) << bits;
    codes = (codes & pairs) | (codes >> 16 & pairs) << 2 * bits;
    return (codes & fours) | (codes >> 32) << 4 * bits;
}

/* Put eight codes of so many bits, one after the other, into the bytes of a number. */
static uint64_t spread_indices(uint64_t packed, unsigned bits) {
    const uint64_t four = ((uint64_t)1 << 4 * bits) - 1, two = (1u << 2 * bits) - 1;
    packed = (packed & four) | (packed >> 4 * bits & four) << 32;
    packed = (packed & two * 0x100000001) | (packed >> 2 * bits & two * 0x100000001) << 16;
    uint64_t one = (uint64_t)0x0001000100010001 * ((1u << bits) - 1);
    return (packed & one) | (packed >> bits & one) << 8;
}

static uint64_t load_bytes(const uint8_t *from, size_t count) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes |= (uint64_t)from[i] << 8 * i;
    return bytes;
}
static void store_bytes(uint8_t *to, size_t count, uint64_t bytes) {
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)(bytes >> 8 * i);
}

/* Pack `count` codes, which are followed by zeros up to a multiple of 8. */
static void pack_indices(const caq_table_job *job, const uint8_t *codes, size_t count,
                         uint8_t *packed) {
    unsigned bits = job->bits;
    size_t i = 0;
    if (bits == 2 || bits == 4) {
        job->kernels->pack(codes, count / 8 * bits, bits, packed);
        i = count / 8 * 8;
        packed += i / 8 * bits;
    }
    for (; i < count; i += 8, packed += bits) {
        size_t bytes = (smaller(count - i, 8) * bits + 7) / 8;
        store_bytes(packed, bytes, squeeze_indices(load_bytes(codes + i, 8), bits));
    }
}

/* Find the indices of vectors. */
static void encode_vectors(const caq_table_job *job, size_t first, size_t count,
                           const uint8_t *weight, const float *tables, uint8_t *packed,
                           void *scratch) {
    caq_vector_encoder with = caq_begin_vectors(job, tables, scratch);
    uint8_t *codes = (uint8_t *)scratch + caq_vectors_index_scratch_size(job);
    for (size_t done = 0, chunk; done < count; done += chunk) {
        chunk = smaller(count - done, CHUNK);
        caq_encode_vectors(&with, first + done, chunk, weight, codes);
        for (size_t i = chunk; i % 8; i++)
            codes[i] = 0;
        pack_indices(job, codes, chunk, packed + (first + done) / 8 * job->bits);
    }
}

caq_status caq_table_encode(const caq_table_job *job, size_t first, size_t count,
                            const void *weight, const float *tables, uint8_t *packed,
                            void *scratch) {
    if (first > job->indices || count > job->indices - first || first % 8 ||
        (count % 8 && first + count < job->indices))
        return CAQ_BAD_ARGUMENT;
    const uint8_t *weights = (const uint8_t *)weight;
    if (job->length > 1) {
        encode_vectors(job, first, count, weights, tables, packed, scratch);
        return CAQ_OK;
    }
    float *bounds = (float *)scratch;
    uint8_t *notes = (uint8_t *)(bounds + job->tables * bounds_of(job->entries)),
            *codes = notes + NUMBERS;
    for (size_t t = 0; t < job->tables; t++)
        find_bounds(tables + t * job->entries, job->entries, bounds + t * bounds_of(job->entries));
    size_t noted = job->tables; /* which table notes are of */
    for (size_t done = 0; done < count;) {
        size_t chunk = smaller(count - done, CHUNK);
        for (size_t i = 0, part; i < chunk; i += part) {
            size_t element = first + done + i, table = element / job->run % job->tables;
            const float *own = bounds + table * bounds_of(job->entries);
            const uint8_t *from = weights + element * source_size(job->source);
            part = smaller(chunk - i, job->run - element % job->run);
            if (part >= SHORT_RUN && job->entries <= FEW_ENTRIES) {
                job->kernels->count_below(from, part, own, codes + i);
            } else if (job->source != CAQ_F32 && job->run >= LONG_RUN) {
                if (noted != table)
                    note_indices(job->source, own, job->entries, notes);
                noted = table;
                for (size_t k = 0; k < part; k++)
                    codes[i + k] = notes[load_16(from + 2 * k)];
            } else
                for (size_t k = 0; k < part; k++)
                    codes[i + k] = index_of(own, job->entries, number_at(job->source, from, k));
        }
        for (size_t i = chunk; i % 8; i++)
            codes[i] = 0;
        pack_indices(job, codes, chunk, packed + (first + done) / 8 * job->bits);
        done += chunk;
    }
    return CAQ_OK;
}

caq_status caq_table_decode(const caq_table_job *job, size_t first, size_t count,
                            const uint8_t *packed, const float *tables, caq_source target,
                            void *weight) {
    if (first > job->indices || count > job->indices - first || (unsigned)target >= CAQ_SOURCES)
        return CAQ_BAD_ARGUMENT;
    uint8_t *to = (uint8_t *)weight, numbers[MOST_ENTRIES * 4], codes[CHUNK];
    size_t size = source_size(target), end = first + count, current = job->tables;
    for (size_t start = first / 8 * 8; start < end; start += CHUNK) {
        size_t chunk = smaller(end - start, CHUNK), skipped = start < first ? first - start : 0;
        for (size_t i = 0; i < chunk; i += 8) {
            const uint8_t *from = packed + (start + i) / 8 * job->bits;
            size_t left = job->packed_size - (size_t)(from - packed);
            uint64_t bytes = load_bytes(from, smaller(left, job->bits));
            store_bytes(codes + i, 8, spread_indices(bytes, job->bits));
        }
        if (job->length > 1) {
            caq_decode_vectors(job, start + skipped, chunk - skipped, codes + skipped, tables,
                               target, to);
            continue;
        }
        for (size_t i = skipped, part; i < chunk; i += part) {
            size_t element = start + i, table = element / job->run % job->tables;
            const float *own = tables + table * job->entries;
            part = smaller(chunk - i, job->run - element % job->run);
            if (job->run < job->entries) {
                for (size_t k = 0; k < part; k++, to += size)
                    store_number(target, to, own[codes[i + k]]);
                continue;
            }
            if (table != current)
                for (size_t k = 0; k < job->entries; k++)
                    store_number(target, numbers + k * size, own[k]);
            current = table;
            for (size_t k = 0; k < part; k++, to += size) {
                const uint8_t *number = numbers + codes[i + k] * size;
                if (size == 4)
                    store_32(to, load_32(number));
                else
                    store_16(to, load_16(number));
            }
        }
    }
    return CAQ_OK;
}

#endif
