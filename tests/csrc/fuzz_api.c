/*
 * fuzz_api.c - calls of the C library out of any bytes, for libFuzzer or for fuzz_rounds.c
 *
 * What must hold: a job is prepared if and only if the header allows it; nothing but the buffers is
 * touched, which have pages without access right before and behind them, and poisoned memory where
 * they do not fill their pages; every level, cut and order of the work gives the bytes that the
 * portable level gives in one call, of decoding and of rounding with feedback too; codes that are
 * packed and unpacked are what they were. Look-up tables, of numbers and of vectors, are the same at
 * every level and in any cut as well.
 *
 * Build it with a small CAQ_TILE_BLOCKS, so that small weights have several tiles.
 */
#include "coreai_quant.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MOST_ELEMENTS ((size_t)2560)
#define MOST_COLUMNS ((size_t)48)
#define MOST_AXES 24
#define PAGE ((size_t)4096)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            __builtin_trap();                                                                      \
        }                                                                                          \
    } while (0)

/*
 * The input, piece by piece; zeros follow its end.
 */

typedef struct input {
    const uint8_t *bytes;
    size_t left;
} input;

static uint64_t take(input *in, int bytes) {
    uint64_t value = 0;
    for (; bytes; bytes--, in->bytes += in->left != 0, in->left -= in->left != 0)
        value = value << 8 | (in->left ? *in->bytes : 0);
    return value;
}

static size_t take_below(input *in, size_t end) { return (size_t)take(in, 4) % end; }

static int one_in_8(input *in) { return take(in, 1) % 8 == 7; }

/* What caq_job_init() is asked for. */
typedef struct request {
    int source, format, scheme, scale, observer, level;
    size_t rank, shape[MOST_AXES], block_sizes[MOST_AXES], parts;
} request;

static int take_enum(input *in, int count, int any) {
    return any ? (int)(int32_t)take(in, 4) : (int)take(in, 1) % count;
}

/* Any length, as far from 0 or from SIZE_MAX as likely as farther. */
static size_t take_size(input *in) {
    size_t byte = (size_t)take(in, 1), size = (size_t)take(in, 8) >> byte % 64;
    return byte < 192 ? size : ~size;
}

static size_t take_divisor(input *in, size_t n) {
    size_t divisor = 1 + take_below(in, n);
    while (n % divisor)
        divisor--;
    return divisor;
}

static request take_request(input *in) {
    int any_enum = one_in_8(in), any_shape = one_in_8(in), any_block = one_in_8(in);
    request r;
    r.source = take_enum(in, CAQ_SOURCES, any_enum);
    r.format = take_enum(in, CAQ_FORMATS, any_enum);
    r.scheme = take_enum(in, 2, any_enum);
    r.scale = take_enum(in, 2, any_enum);
    r.level = take_enum(in, CAQ_LEVELS, any_enum);
    r.parts = take_size(in);
    r.rank = any_shape ? take_below(in, MOST_AXES + 1) : 1 + take_below(in, 6);
    if (!any_enum) { /* a combination that is allowed */
        if (r.format >= CAQ_FP4_E2M1FN)
            r.scheme = CAQ_SYMMETRIC;
        else
            r.scale = CAQ_SCALE_AS_WEIGHT;
        if (r.format == CAQ_FP4_E2M1FN)
            r.scale = CAQ_SCALE_E8M0;
    }
    size_t room = MOST_ELEMENTS;
    for (size_t axis = 0; axis < r.rank; axis++) {
        size_t short_axis = 1 + take_below(in, 40), long_axis = 1 + take_below(in, room);
        size_t n = one_in_8(in) ? long_axis : short_axis < room ? short_axis : room;
        room /= n;
        r.shape[axis] = any_shape ? take_size(in) : n;
        r.block_sizes[axis] = any_block ? take_size(in) : 0;
        if (!any_block && r.shape[axis] && take(in, 1) % 4)
            r.block_sizes[axis] =
                take_divisor(in, r.shape[axis] < MOST_ELEMENTS ? r.shape[axis] : 4);
    }
    r.observer = take_enum(in, 2, any_enum);
    return r;
}

/*
 * Jobs.
 */

static caq_status prepare(caq_job *job, const request *r, int level, size_t parts) {
    memset(job, 0xA5, sizeof *job);
    const caq_target target = {.source = (caq_source)r->source,
                               .format = (caq_format)r->format,
                               .scheme = (caq_scheme)r->scheme,
                               .scale = (caq_scale)r->scale,
                               .observer = (caq_observer)r->observer,
                               .level = (caq_level)level,
                               .parts = parts};
    return caq_job_init(job, &target, r->rank, r->shape, r->block_sizes);
}

/* The status that the header says there is for a target, whatever its level. */
static caq_status expected_of_target(const request *r) {
    if (r->source < 0 || r->source >= CAQ_SOURCES || r->format < 0 || r->format >= CAQ_FORMATS)
        return CAQ_BAD_ARGUMENT;
    if ((r->observer != CAQ_MINMAX && r->observer != CAQ_MSE) ||
        (r->scheme != CAQ_SYMMETRIC && r->scheme != CAQ_ASYMMETRIC) ||
        (r->scale != CAQ_SCALE_AS_WEIGHT && r->scale != CAQ_SCALE_E8M0))
        return CAQ_BAD_ARGUMENT;
    int is_float = r->format >= CAQ_FP4_E2M1FN, is_e8m0 = r->scale == CAQ_SCALE_E8M0;
    if ((is_float && r->scheme == CAQ_ASYMMETRIC) || (!is_float && is_e8m0) ||
        (r->format == CAQ_FP4_E2M1FN && !is_e8m0))
        return CAQ_BAD_COMBINATION;
    return CAQ_OK;
}

/* The status of a shape and its blocks, but for that of too many axes. The first axis that is wrong
 * counts. */
static caq_status expected_of_shape(const request *r, size_t *elements, size_t *scale_count) {
    *elements = *scale_count = 1;
    for (size_t axis = 0; axis < r->rank; axis++) {
        if (r->shape[axis] == 0 || __builtin_mul_overflow(*elements, r->shape[axis], elements) ||
            *elements > SIZE_MAX / 4)
            return CAQ_BAD_SHAPE;
        size_t length = r->block_sizes[axis] ? r->block_sizes[axis] : r->shape[axis];
        if (r->shape[axis] % length)
            return CAQ_BAD_BLOCK_SIZE;
        *scale_count *= r->shape[axis] / length;
    }
    return r->rank ? CAQ_OK : CAQ_BAD_SHAPE;
}

/* Whether the request makes a job that can be run here. */
static int check_request(const request *r) {
    caq_job job;
    size_t elements, scale_count;
    caq_status most_parts = prepare(&job, r, r->level, SIZE_MAX);
    caq_status status = prepare(&job, r, r->level, r->parts);
    CHECK(status == most_parts);
    if (expected_of_target(r) != CAQ_OK) {
        CHECK(status == expected_of_target(r));
        return 0;
    }
    if (status == CAQ_BAD_LEVEL || !caq_has_level((caq_level)r->level)) {
        CHECK(!caq_has_level((caq_level)r->level));
        return 0;
    }
    caq_status expected = expected_of_shape(r, &elements, &scale_count);
    if (status == CAQ_BAD_SHAPE && expected != CAQ_BAD_SHAPE) { /* more axes than a job holds */
        CHECK(elements >= 1ull << 32);
        return 0;
    }
    CHECK(status == expected);
    if (status != CAQ_OK)
        return 0;
    size_t bits = caq_describe_format(job.format).bits;
    CHECK(job.elements == elements);
    CHECK(job.scale_count == scale_count);
    CHECK(job.packed_size == elements / (8 / bits) + (elements % (8 / bits) != 0));
    CHECK(job.scale_size == (r->scale == CAQ_SCALE_E8M0 ? 1u : r->source == CAQ_F32 ? 4u : 2u));
    CHECK(job.units >= 1 && job.units <= scale_count && job.granule >= 1);
    return elements <= MOST_ELEMENTS;
}

/*
 * Buffers.
 */

enum {
    WEIGHT,
    PACKED,
    SCALES,
    ZERO_POINTS,
    SCRATCH,
    IMPORTANCE,
    DECODED,
    CODES,
    COEFFICIENTS,
    PANEL,
    BUFFERS
};

typedef struct buffer {
    uint8_t *pages;
    size_t room;
} buffer;

static buffer map_buffer(size_t size) {
    buffer b = {.room = (size + PAGE - 1) / PAGE * PAGE};
    uint8_t *all = mmap(NULL, b.room + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK((void *)all != MAP_FAILED);
    b.pages = all + PAGE;
    CHECK(mprotect(b.pages, b.room, PROT_READ | PROT_WRITE) == 0);
    return b;
}

static buffer buffers[BUFFERS];

static void map_buffers(void) {
    for (int i = 0; i < BUFFERS && !buffers[i].pages; i++)
        buffers[i] = map_buffer(i == SCRATCH ? CAQ_MSE_SCRATCH_SIZE
                                : i == PANEL ? CAQ_FEEDBACK_SCRATCH_SIZE(MOST_COLUMNS)
                                             : 4 * MOST_ELEMENTS + 4);
}

/* A buffer of just this size: up to the page behind it, or from a few bytes behind the page before
 * it. */
static uint8_t *place(int which, size_t size, int to_the_end, size_t shift) {
    buffer b = buffers[which];
    uint8_t *place = to_the_end ? b.pages + b.room - size : b.pages + shift;
    ASAN_POISON_MEMORY_REGION(b.pages, b.room);
    ASAN_UNPOISON_MEMORY_REGION(place, size);
    return place;
}

typedef struct places {
    uint8_t *weight, *packed, *scales, *zero_points, *scratch;
} places;

static uint8_t *place_output(int which, size_t size, input *in, size_t shift, uint8_t fill) {
    uint8_t *output = place(which, size, take(in, 1) & 1, shift);
    memset(output, fill, size);
    return output;
}

/* Lay out all but the weight, filled with what no result may depend on. */
static places place_outputs(const caq_job *job, uint8_t *weight, input *in) {
    uint8_t fill = (uint8_t)take(in, 1);
    size_t shift = take_below(in, 4);
    places at = {.weight = weight};
    at.packed = place_output(PACKED, job->packed_size, in, shift, fill);
    at.scales = place_output(SCALES, job->scale_count * job->scale_size, in, shift, fill);
    at.zero_points = place_output(ZERO_POINTS, job->scale_count, in, shift, fill);
    size_t scratch = job->observer == CAQ_MSE ? CAQ_MSE_SCRATCH_SIZE : CAQ_SCRATCH_SIZE;
    at.scratch = place_output(SCRATCH, scratch, in, 0, fill);
    return at;
}

/*
 * Weights.
 */

typedef struct float_type {
    int size, exponent_bits, mantissa_bits;
} float_type;

static const float_type types[CAQ_SOURCES] = {{4, 8, 23}, {2, 5, 10}, {2, 8, 7}};

/* One in so many elements is what the input says, the others are about as large as each other. */
static void fill_weight(uint8_t *weight, size_t elements, float_type type, input *in) {
    uint32_t random = 1 + (uint32_t)take(in, 3), exponent = (uint32_t)take(in, 1);
    uint32_t specials = 1 + (uint32_t)take(in, 1);
    uint32_t exponents = (1u << type.exponent_bits) - 1; /* that finite numbers have */
    for (size_t i = 0; i < elements; i++) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        uint32_t mantissa = random >> 5 & ((1u << type.mantissa_bits) - 1);
        uint32_t bits = (exponent + random % 4) % exponents << type.mantissa_bits | mantissa |
                        (random >> 4 & 1) << (8 * type.size - 1);
        if (random >> 8 % specials == 0)
            bits = (uint32_t)take(in, type.size);
        memcpy(weight + i * (size_t)type.size, &bits, (size_t)type.size); /* little-endian hosts */
    }
}

static int is_finite(const uint8_t *weight, size_t elements, float_type type) {
    uint32_t infinity = ((1u << type.exponent_bits) - 1) << type.mantissa_bits;
    for (size_t i = 0; i < elements; i++) {
        uint32_t bits = 0;
        memcpy(&bits, weight + i * (size_t)type.size, (size_t)type.size);
        if ((bits & infinity) == infinity)
            return 0;
    }
    return 1;
}

/*
 * Importances: of any number and any repetition, and now and then what none may be.
 */

typedef struct importances {
    float *values; /* null for none */
    size_t count, repeat;
    int are_allowed;
} importances;

static importances take_importances(const request *r, size_t elements, input *in) {
    importances h = {.values = NULL};
    if (take(in, 1) & 1)
        return h;
    int any = one_in_8(in);
    h.count = any ? 1 + take_below(in, elements) : take_divisor(in, elements);
    h.repeat = any ? take_size(in) : take_divisor(in, elements / h.count);
    h.values = (float *)(void *)place(IMPORTANCE, h.count * sizeof(float), take(in, 1) & 1, 0);
    fill_weight((uint8_t *)h.values, h.count, types[CAQ_F32], in);
    int keep_signs = one_in_8(in);
    h.are_allowed = r->observer == CAQ_MSE && h.repeat != 0 && elements % h.count == 0 &&
                    elements / h.count % h.repeat == 0 &&
                    is_finite((uint8_t *)h.values, h.count, types[CAQ_F32]);
    for (size_t i = 0; i < h.count; i++) {
        if (!keep_signs && h.values[i] < 0)
            h.values[i] = -h.values[i];
        if (h.values[i] < 0)
            h.are_allowed = 0;
    }
    return h;
}

/* A job that is used, weighed if it can be. */
static void prepare_weighed(caq_job *job, const request *r, int level, size_t parts,
                            importances h) {
    CHECK(prepare(job, r, level, parts) == CAQ_OK);
    if (h.values)
        CHECK(caq_set_importance(job, h.values, h.count, h.repeat) ==
              (h.are_allowed ? CAQ_OK : CAQ_BAD_ARGUMENT));
}

/*
 * Runs. Each does the whole weight, its own way.
 */

static caq_status quantize(const caq_job *job, places at, size_t first, size_t end) {
    return caq_quantize(job, first, end - first, at.weight, at.packed, at.scales, at.zero_points,
                        at.scratch);
}

static caq_status worse(caq_status a, caq_status b) { return a > b ? a : b; }

static caq_status run_whole(const caq_job *job, places at, input *in) {
    (void)in;
    return quantize(job, at, 0, job->units);
}

/* Any ranges, the last first. */
static caq_status run_ranges(const caq_job *job, places at, input *in) {
    caq_status status = CAQ_OK;
    for (size_t end = job->units; end;) {
        size_t first = one_in_8(in) ? 0 : take_below(in, end);
        status = worse(status, quantize(job, at, first, end));
        end = first;
    }
    return status;
}

/*
 * Two ranges that might run at the same time, each into codes of zeros and into codes of ones: a
 * byte must then be equal, or as it was.
 */
static caq_status run_granules(const caq_job *job, places at, input *in) {
    static uint8_t zeros[MOST_ELEMENTS], ones[MOST_ELEMENTS], joined[MOST_ELEMENTS];
    size_t granules = (job->units + job->granule - 1) / job->granule;
    size_t cut = take_below(in, granules) * job->granule;
    size_t bounds[] = {0, cut, job->units};
    caq_status status = CAQ_OK;
    for (int i = 0; i < 2; i++) {
        memset(at.packed, 0x00, job->packed_size);
        status = worse(status, quantize(job, at, bounds[i], bounds[i + 1]));
        memcpy(zeros, at.packed, job->packed_size);
        memset(at.packed, 0xFF, job->packed_size);
        status = worse(status, quantize(job, at, bounds[i], bounds[i + 1]));
        memcpy(ones, at.packed, job->packed_size);
        for (size_t byte = 0; status == CAQ_OK && byte < job->packed_size; byte++) {
            if (zeros[byte] == ones[byte])
                joined[byte] = zeros[byte];
            else
                CHECK(zeros[byte] == 0x00 && ones[byte] == 0xFF);
        }
    }
    memcpy(at.packed, joined, job->packed_size);
    return status;
}

static const uint8_t *weight_from(const caq_job *job, places at, size_t element) {
    return at.weight + element * (job->source == CAQ_F32 ? 4 : 2);
}

/* All passes of a search, each over parts, the last first. */
static caq_status run_search(const caq_job *job, places at, const int32_t *extents, input *in) {
    static caq_search search;
    static caq_sums all, part;
    caq_status status = caq_search_begin(job, extents, &search, at.scratch);
    while (status == CAQ_OK && search.pass < search.passes) {
        memset(&all, 0, sizeof all);
        for (size_t end = job->elements, first; end; end = first) {
            first = one_in_8(in) ? 0 : take_below(in, end);
            memset(&part, 0, sizeof part);
            caq_search_part(job, &search, first, end - first, weight_from(job, at, first), &part,
                            at.scratch);
            caq_search_join(&all, &part);
        }
        caq_search_next(job, &search, &all);
    }
    if (status == CAQ_OK)
        caq_search_end(job, &search, at.scales, at.zero_points, at.scratch);
    return status;
}

/* Measure in parts, find the scales, then encode in parts, the last first. */
static caq_status run_two_passes(const caq_job *job, places at, input *in) {
    static int32_t extents[2 * MOST_ELEMENTS];
    if (job->observer == CAQ_MSE && job->scale_count != 1)
        return run_whole(job, at, in);
    memset(extents, 0, 2 * job->scale_count * sizeof *extents);
    for (size_t end = job->elements, first; end; end = first) {
        first = one_in_8(in) ? 0 : take_below(in, end);
        CHECK(caq_measure(job, first, end - first, weight_from(job, at, first), extents) == CAQ_OK);
    }
    caq_status status = job->observer == CAQ_MSE
                            ? run_search(job, at, extents, in)
                            : caq_scale_blocks(job, extents, at.scales, at.zero_points, at.scratch);
    for (size_t end = job->elements, first; end && status == CAQ_OK; end = first) {
        first = one_in_8(in) ? 0 : take_below(in, end);
        status = caq_encode(job, first, end - first, weight_from(job, at, first), at.scales,
                            at.zero_points, at.packed, at.scratch);
    }
    return status;
}

/* Ranges that are not there are refused before any buffer is touched. */
static void check_refusals(const caq_job *job, input *in) {
    size_t first = take_size(in), count = take_size(in);
    if (first > job->units || count > job->units - first)
        CHECK(caq_quantize(job, first, count, NULL, NULL, NULL, NULL, NULL) == CAQ_BAD_ARGUMENT);
    if (first <= job->elements && count <= job->elements - first)
        return;
    CHECK(caq_measure(job, first, count, NULL, NULL) == CAQ_BAD_ARGUMENT);
    CHECK(caq_encode(job, first, count, NULL, NULL, NULL, NULL, NULL) == CAQ_BAD_ARGUMENT);
    CHECK(caq_dequantize(job, first, count, NULL, NULL, NULL, CAQ_F32, NULL, NULL) ==
          CAQ_BAD_ARGUMENT);
    CHECK(caq_pack(job, first, count, NULL, NULL) == CAQ_BAD_ARGUMENT);
    CHECK(caq_unpack(job, first, count, NULL, NULL) == CAQ_BAD_ARGUMENT);
}

typedef caq_status (*way)(const caq_job *job, places at, input *in);
static const way ways[] = {run_whole, run_ranges, run_granules, run_two_passes};

/* What the portable level gives in one call. */
static struct {
    caq_status status;
    uint8_t packed[MOST_ELEMENTS], scales[4 * MOST_ELEMENTS], zero_points[MOST_ELEMENTS];
} expected;

static void keep_expected(const caq_job *job, places at, caq_status status) {
    expected.status = status;
    memcpy(expected.packed, at.packed, job->packed_size);
    memcpy(expected.scales, at.scales, job->scale_count * job->scale_size);
    memcpy(expected.zero_points, at.zero_points, job->scale_count);
}

static void check_expected(const caq_job *job, places at, caq_status status) {
    CHECK(status == expected.status);
    if (status != CAQ_OK)
        return;
    CHECK(!memcmp(expected.packed, at.packed, job->packed_size));
    CHECK(!memcmp(expected.scales, at.scales, job->scale_count * job->scale_size));
    CHECK(!memcmp(expected.zero_points, at.zero_points, job->scale_count));
}

/*
 * Rounding with feedback, of matrices whose columns are the last axes of the weight.
 */

/* Feedback for n columns, from any of them on; or none if there are too many. */
static caq_feedback take_feedback(const request *r, input *in) {
    static size_t offsets[MOST_COLUMNS];
    caq_feedback with = {.columns = 1, .offsets = offsets};
    for (size_t axis = take_below(in, r->rank); axis < r->rank; axis++)
        with.columns *= r->shape[axis];
    if (with.columns > MOST_COLUMNS)
        return (caq_feedback){.columns = 0};
    with.stride = with.columns + take_below(in, 2);
    size_t count = with.stride * with.columns, first = take_below(in, with.columns);
    float *coefficients = (float *)(void *)place(COEFFICIENTS, 4 * count, take(in, 1) & 1, 0);
    fill_weight((uint8_t *)coefficients, count, types[CAQ_F32], in);
    uint32_t random = 1 + (uint32_t)take(in, 3), is_tame = !one_in_8(in);
    for (size_t i = 0; is_tame && i < count; i++) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        coefficients[i] = (float)((int)(random >> 8 & 0xFFFF) - 0x8000) * 0x1p-15f;
    }
    for (size_t k = 0; k < with.columns; k++)
        offsets[k] = (k + first) % with.columns;
    with.coefficients = coefficients;
    return with;
}

static caq_status round_rows(const caq_job *job, places at, const caq_feedback *with,
                             const size_t *rows, size_t count, uint8_t *codes, input *in) {
    uint8_t *panel = place_output(PANEL, CAQ_FEEDBACK_SCRATCH_SIZE(with->columns), in, 0, 0x5A);
    return caq_round_rows(job, with, rows, count, at.weight, at.scales, at.zero_points, codes,
                          panel);
}

/* Elements that the tensor does not have are refused, and so is a matrix without columns. */
static void check_feedback_refusals(const caq_job *job, caq_feedback with, const size_t *rows,
                                    size_t count) {
    size_t offsets[MOST_COLUMNS], row = rows[count - 1] + 1;
    memcpy(offsets, with.offsets, with.columns * sizeof *offsets);
    CHECK(caq_round_rows(job, &with, &row, 1, NULL, NULL, NULL, NULL, NULL) == CAQ_BAD_ARGUMENT);
    with.offsets = offsets;
    offsets[with.columns / 2] = job->elements;
    CHECK(caq_round_rows(job, &with, rows, count, NULL, NULL, NULL, NULL, NULL) ==
          CAQ_BAD_ARGUMENT);
    with.columns = 0;
    CHECK(caq_round_rows(job, &with, rows, count, NULL, NULL, NULL, NULL, NULL) ==
          CAQ_BAD_ARGUMENT);
}

/* Rows in any order, in calls of any number of them, at every level. */
static void check_feedback(const request *r, places at, input *in) {
    static size_t rows[MOST_ELEMENTS];
    static uint8_t whole[MOST_ELEMENTS];
    caq_feedback with = take_feedback(r, in);
    caq_job job;
    CHECK(prepare(&job, r, CAQ_PORTABLE, 1) == CAQ_OK);
    if (!with.columns)
        return;
    size_t count = job.elements / with.columns;
    for (size_t row = 0; row < count; row++)
        rows[row] = row * with.columns;
    CHECK(round_rows(&job, at, &with, rows, count, whole, in) == CAQ_OK);
    check_feedback_refusals(&job, with, rows, count);
    size_t shift = take_below(in, count);
    for (size_t row = 0; row < count; row++)
        rows[row] = (row + shift) % count * with.columns;
    for (int level = 0; level < CAQ_LEVELS; level++) {
        if (!caq_has_level((caq_level)level))
            continue;
        CHECK(prepare(&job, r, level, r->parts) == CAQ_OK);
        uint8_t *codes = place_output(CODES, job.elements, in, 0, 0x5A);
        for (size_t end = count, first; end; end = first) {
            first = one_in_8(in) ? 0 : take_below(in, end);
            CHECK(round_rows(&job, at, &with, rows + first, end - first, codes, in) == CAQ_OK);
        }
        CHECK(!memcmp(codes, whole, job.elements));
    }
}

static void check_all_levels(const request *r, uint8_t *weight, int is_finite, importances h,
                             input *in) {
    caq_job job;
    prepare_weighed(&job, r, CAQ_PORTABLE, 1, h);
    places at = place_outputs(&job, weight, in);
    keep_expected(&job, at, run_whole(&job, at, in));
    CHECK(expected.status == (is_finite ? CAQ_OK : CAQ_NOT_FINITE));
    for (int level = 0; level < CAQ_LEVELS; level++) {
        if (!caq_has_level((caq_level)level))
            continue;
        prepare_weighed(&job, r, level, r->parts, h);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            at = place_outputs(&job, weight, in);
            check_expected(&job, at, ways[i](&job, at, in));
        }
        check_refusals(&job, in);
    }
    if (expected.status == CAQ_OK)
        check_feedback(r, at, in);
}

/*
 * Decoding and packing, of any bytes: codes, scales and zero points that no caq_quantize() has
 * written.
 */

static void fill_with_any(uint8_t *bytes, size_t size, uint32_t random) {
    for (size_t i = 0; i < size; i++) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        bytes[i] = (uint8_t)(random >> 9);
    }
}

/* The bits of an element in memory, with the same bits for every NaN. */
static uint32_t bits_of(const uint8_t *elements, size_t i, float_type type) {
    uint32_t infinity = ((1u << type.exponent_bits) - 1) << type.mantissa_bits;
    uint32_t magnitudes = (1u << (8 * type.size - 1)) - 1, bits = 0;
    memcpy(&bits, elements + i * (size_t)type.size, (size_t)type.size);
    return (bits & magnitudes) > infinity ? UINT32_MAX : bits;
}

/* Runs of any length, the last first; each into a buffer of its own size. */
static void check_decoding(const caq_job *job, places at, caq_source target, const uint8_t *whole,
                           input *in) {
    float_type type = types[target];
    for (size_t end = job->elements, first; end; end = first) {
        first = one_in_8(in) ? 0 : take_below(in, end);
        uint8_t *run =
            place_output(DECODED, (end - first) * (size_t)type.size, in, take_below(in, 4), 0x5A);
        CHECK(caq_dequantize(job, first, end - first, at.packed, at.scales, at.zero_points, target,
                             run, at.scratch) == CAQ_OK);
        for (size_t i = first; i < end; i++)
            CHECK(bits_of(run, i - first, type) == bits_of(whole, i, type));
    }
}

/* Whether a byte holds a code of a format: signs are extended, other bits are zero. */
static int is_code(uint8_t byte, caq_format_info format) {
    int half = 1 << (format.bits - 1), code = format.is_signed ? (int8_t)byte + half : byte;
    return code >= 0 && code < 2 * half;
}

/* What is unpacked in runs is packed to the same bytes, but for unused bits, which become zeros. */
static void check_packing(const caq_job *job, places at, input *in) {
    static uint8_t packed[MOST_ELEMENTS];
    caq_format_info format = caq_describe_format(job->format);
    size_t used = job->elements * format.bits % 8;
    memset(packed, (int)take(in, 1), job->packed_size);
    for (size_t end = job->elements, first; end; end = first) {
        first = one_in_8(in) ? 0 : take_below(in, end);
        uint8_t *codes = place_output(CODES, end - first, in, 0, 0x5A);
        CHECK(caq_unpack(job, first, end - first, at.packed, codes) == CAQ_OK);
        for (size_t i = 0; i < end - first; i++)
            CHECK(is_code(codes[i], format));
        CHECK(caq_pack(job, first, end - first, codes, packed) == CAQ_OK);
    }
    if (used)
        at.packed[job->packed_size - 1] &= (uint8_t)((1u << used) - 1);
    CHECK(!memcmp(packed, at.packed, job->packed_size));
}

static void check_any_bytes(const request *r, input *in) {
    static uint8_t whole[4 * MOST_ELEMENTS];
    uint32_t random = 1 + (uint32_t)take(in, 3);
    caq_source target = (caq_source)take_enum(in, CAQ_SOURCES, 0);
    caq_job job;
    CHECK(prepare(&job, r, CAQ_PORTABLE, 1) == CAQ_OK);
    places at = place_outputs(&job, NULL, in);
    fill_with_any(at.packed, job.packed_size, random);
    fill_with_any(at.scales, job.scale_count * job.scale_size, random + 1);
    fill_with_any(at.zero_points, job.scale_count, random + 2);
    CHECK(caq_dequantize(&job, 0, job.elements, at.packed, at.scales, at.zero_points, target, whole,
                         at.scratch) == CAQ_OK);
    for (int level = 0; level < CAQ_LEVELS; level++) {
        if (!caq_has_level((caq_level)level))
            continue;
        CHECK(prepare(&job, r, level, r->parts) == CAQ_OK);
        check_decoding(&job, at, target, whole, in);
    }
    check_packing(&job, at, in);
}

#if UINTPTR_MAX > UINT32_MAX
/*
 * Look-up tables: every level and any cut of the work gives what the portable level gives in one
 * call. Buffers are of their exact size, and malloc() poisons what is around them.
 */

typedef struct table_results {
    float *tables;
    uint8_t *packed, *decoded;
} table_results;

static void *fresh(size_t size, uint8_t fill) {
    void *bytes = malloc(size);
    CHECK(bytes != NULL);
    memset(bytes, fill, size);
    return bytes;
}

/* How a request's tables are made. */
typedef struct table_request {
    unsigned bits;
    size_t length, between; /* of vectors, if they fit */
    caq_source target;
    importances h; /* if they fit */
} table_request;

static caq_status prepare_tables(caq_table_job *job, const request *r, const table_request *with,
                                 int level) {
    memset(job, 0xA5, sizeof *job);
    caq_status status = caq_table_job_init(job, (caq_source)r->source, with->bits, r->rank,
                                           r->shape, r->block_sizes, (caq_level)level);
    if (status != CAQ_OK)
        return status;
    if (caq_table_set_vectors(job, with->length, with->between) != CAQ_OK)
        CHECK(job->length == 1 && job->indices == job->elements);
    if (with->h.values)
        (void)caq_table_set_importance(job, with->h.values, with->h.count, with->h.repeat);
    return CAQ_OK;
}

/* Find, encode and decode, each in two calls, of which the first may have nothing to do. */
static caq_status run_tables(const caq_table_job *job, const uint8_t *weight,
                             const table_request *with, size_t cut, uint8_t fill,
                             table_results *to) {
    size_t size = (size_t)types[with->target].size, numbers = job->tables * job->entries;
    size_t tables = cut % (job->tables + 1), indices = cut % (job->indices + 1) / 8 * 8;
    void *scratch = fresh(job->scratch_size, fill);
    void *index_scratch = fresh(job->index_scratch_size, fill);
    to->tables = fresh(numbers * job->length * sizeof(float), fill);
    to->packed = fresh(job->packed_size, fill);
    to->decoded = fresh(job->elements * size, fill);
    caq_status status = caq_find_tables(job, 0, tables, weight, to->tables, scratch);
    if (status == CAQ_OK)
        status = caq_find_tables(job, tables, job->tables - tables, weight, to->tables, scratch);
    if (status == CAQ_OK) {
        CHECK(caq_table_encode(job, 0, indices, weight, to->tables, to->packed, index_scratch) ==
              CAQ_OK);
        CHECK(caq_table_encode(job, indices, job->indices - indices, weight, to->tables, to->packed,
                               index_scratch) == CAQ_OK);
        uint8_t *rest = to->decoded + (job->length == 1 ? indices * size : 0);
        CHECK(caq_table_decode(job, 0, indices, to->packed, to->tables, with->target,
                               to->decoded) == CAQ_OK);
        CHECK(caq_table_decode(job, indices, job->indices - indices, to->packed, to->tables,
                               with->target, rest) == CAQ_OK);
    }
    free(scratch);
    free(index_scratch);
    return status;
}

static void check_tables(const request *r, const uint8_t *weight, int finite, importances h,
                         input *in) {
    static const unsigned all_bits[] = {1, 2, 3, 4, 6, 8};
    size_t axis = take_below(in, r->rank);
    table_request with = {.bits = all_bits[take_below(in, 6)], .between = 1, .h = h};
    with.length = take_divisor(in, r->block_sizes[axis] ? r->block_sizes[axis] : r->shape[axis]);
    with.target = (caq_source)(take(in, 1) % CAQ_SOURCES);
    for (size_t later = axis + 1; later < r->rank; later++)
        with.between *= r->shape[later];
    caq_table_job job;
    if (prepare_tables(&job, r, &with, CAQ_PORTABLE) != CAQ_OK)
        return; /* blocks are short along more than one axis */
    uint8_t fill = (uint8_t)take(in, 1);
    table_results expected, found;
    caq_status status = run_tables(&job, weight, &with, 0, fill, &expected);
    CHECK(status == (finite ? CAQ_OK : CAQ_NOT_FINITE));
    for (int level = 0; level < CAQ_LEVELS; level++) {
        if (!caq_has_level((caq_level)level))
            continue;
        CHECK(prepare_tables(&job, r, &with, level) == CAQ_OK);
        size_t cut = take_below(in, MOST_ELEMENTS);
        CHECK(run_tables(&job, weight, &with, cut, (uint8_t)~fill, &found) == status);
        if (status == CAQ_OK) {
            CHECK(memcmp(found.tables, expected.tables,
                         job.tables * job.entries * job.length * sizeof(float)) == 0);
            CHECK(memcmp(found.packed, expected.packed, job.packed_size) == 0);
            CHECK(memcmp(found.decoded, expected.decoded,
                         job.elements * (size_t)types[with.target].size) == 0);
        }
        free(found.tables);
        free(found.packed);
        free(found.decoded);
    }
    free(expected.tables);
    free(expected.packed);
    free(expected.decoded);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    input in = {bytes, size};
    request r = take_request(&in);
    if (!check_request(&r))
        return 0;
    map_buffers();
    float_type type = types[r.source];
    size_t elements = 1;
    for (size_t axis = 0; axis < r.rank; axis++)
        elements *= r.shape[axis];
    int to_the_end = take(&in, 1) & 1;
    buffer pages = buffers[WEIGHT];
    CHECK(mprotect(pages.pages, pages.room, PROT_READ | PROT_WRITE) == 0);
    uint8_t *weight = place(WEIGHT, elements * (size_t)type.size, to_the_end, take_below(&in, 4));
    fill_weight(weight, elements, type, &in);
    CHECK(mprotect(pages.pages, pages.room, PROT_READ) == 0);
    importances h = take_importances(&r, elements, &in);
    check_all_levels(&r, weight, is_finite(weight, elements, type), h, &in);
    check_any_bytes(&r, &in);
#if UINTPTR_MAX > UINT32_MAX
    if (take(&in, 1) % 16 == 15) /* they take longer than all else */
        check_tables(&r, weight, is_finite(weight, elements, type), h, &in);
#endif
    return 0;
}
