/*
 * search.c - the observer MSE: walk over weights pass by pass, and turn sums into scales
 *
 * The C twin of reference/mse.py.
 */
#include "search.h"
#include "../float_bits.h"

#if CAQ_WITH_MSE

/*
 * From one pass to the next. `count` lanes are in use.
 */

/* How many passes score scales. */
static int32_t count_turns(const caq_job *job) {
    if (job->scale == CAQ_SCALE_E8M0)
        return 0;
    if (caq_describe_format(job->format).bits == 8)
        return 1;
    return job->scheme == CAQ_SYMMETRIC ? 2 : 4;
}

static size_t elements_of_block(const caq_job *job) { return job->elements / job->scale_count; }

/* How many scales each of these passes tries. For integers that grows with the length of blocks. */
static int32_t count_tries(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    if (format.mantissa)
        return FLOAT_STEPS;
    caq_grid grid = integer_grid(format.bits);
    uint64_t most = (uint64_t)(grid.reach * grid.reach) * elements_of_block(job);
    int32_t step = grid.first, tries = 0;
    for (; step <= grid.last && (uint64_t)(step * step) <= most; tries++)
        step = next_step(grid, step);
    return tries;
}

/* Whether the next pass scores scales, as all passes but the last one do. */
static int is_scoring(const caq_search *search) { return search->pass + 1 < search->passes; }

/* The integer that the extent of a block becomes. */
static float unit_of(const caq_job *job) {
    caq_format_info format = caq_describe_format(job->format);
    return format.mantissa ? (float)FLOAT_UNIT : (float)integer_grid(format.bits).unit;
}

/* The absmax from which on decoded weights might become infinite: blocks left to MINMAX. */
static float largest_absmax(const caq_job *job) {
    return job->source == CAQ_F16 ? 0x1p15f : 0x1p127f;
}

/* Set a lane that has no block, or one that is left to MINMAX. Its gains make all weights zero. */
static void clear_lane(caq_search *search, size_t lane) {
    search->extent[lane] = search->scales[0][lane] = search->most[lane] = 1.0f;
    search->least[lane] = search->gain[lane] = search->error_gain[lane] = search->zeros[0][lane] =
        0.0f;
    search->score[lane] = search->a[lane] = search->b[lane] = search->zero[lane] = 0.0f;
}

/* Set what the importances of a block are divided by. If all are zero they become one. */
static void set_most(caq_search *search, size_t lane, float most) {
    search->least[lane] = most > 0.0f ? 0.0f : 1.0f;
    search->most[lane] = most > 0.0f ? most : 1.0f;
}

/* Begin with what MINMAX has found for a block of the tile. */
static void begin_lane(const caq_job *job, caq_search *search, size_t lane, const caq_tile *tile,
                       size_t block, float unit) {
    clear_lane(search, lane);
    search->scales[0][lane] = tile->scale[block];
    float absmax = tile->absmax[block], extent = absmax;
    search->zeros[0][lane] = search->zero[lane] = (float)tile->zero[block];
    if (job->scheme == CAQ_ASYMMETRIC)
        extent = (float_from_bits((uint32_t)tile->above[block]) +
                  float_from_bits((uint32_t)tile->below[block])) *
                 0.5f;
    if (absmax < 0x1p-100f || absmax >= largest_absmax(job))
        return;
    search->extent[lane] = extent;
    search->gain[lane] = unit / extent;
    search->error_gain[lane] = error_unit(job) / extent;
}

/* A small integer in both halves of a pair. */
static int32_t twice(float x) { return (int32_t)(((uint32_t)(int32_t)x & 0xFFFF) * 0x10001); }

/* The zero point of a pass: that of MINMAX, then its neighbours, then the one behind the better
 * neighbour. */
static float zero_of_turn(float first, float best, float largest, int32_t turn) {
    float zero = turn == 3 ? best - first + best : first;
    zero += turn == 1 ? -1.0f : turn == 2 ? 1.0f : 0.0f;
    return zero < 0.0f ? 0.0f : zero > largest ? largest : zero;
}

/* Begin a pass that scores scales. */
static void begin_turn(const caq_job *job, caq_search *search, size_t count) {
    float largest = (float)caq_describe_encoding(job).largest;
    for (size_t lane = 0; lane < count; lane++) {
        float zero =
            zero_of_turn(search->zeros[0][lane], search->zero[lane], largest, search->pass);
        search->turn_zero[lane] = zero;
        search->lowest[lane] = twice(-zero);
        search->highest[lane] = twice(largest - zero);
    }
    search->candidates = search->tries;
}

/* Find the scale with which the best codes have the least error, or keep that of MINMAX if no code
 * is good. */
static void find_best(const caq_job *job, caq_search *search, size_t count) {
    int is_float = caq_describe_format(job->format).mantissa != 0;
    float times = is_float ? 0.875f : 1.0f, units = is_float ? float_target(job) : unit_of(job);
    for (size_t lane = 0; lane < count; lane++) {
        float found = search->a[lane] / search->b[lane] * (search->extent[lane] * times / units);
        search->scales[1][lane] = search->score[lane] > 0.0f ? found : search->scales[0][lane];
    }
}

/* Negate scales where one code more above zero was better than one more below. Symmetric integers
 * have the latter, which is the former with codes and scale negated. */
static void mirror_found(caq_search *search, size_t count) {
    for (size_t lane = 0; lane < count; lane++) {
        if (search->zeros[1][lane] < search->zeros[0][lane])
            search->scales[1][lane] = -search->scales[1][lane];
        search->zeros[1][lane] = search->zeros[0][lane];
    }
}

/* Begin the pass that compares errors. The first of the scales is that of MINMAX. */
static void begin_comparison(const caq_job *job, caq_search *search, size_t count) {
    int e8m0 = job->scale == CAQ_SCALE_E8M0;
    search->candidates = e8m0 ? 3 : 2;
    find_best(job, search, count);
    for (size_t lane = 0; lane < count; lane++) {
        float minmax = search->scales[0][lane];
        search->scales[2][lane] = minmax;
        if (e8m0 && search->gain[lane] > 0.0f) {
            search->scales[1][lane] = minmax * 0.5f;
            search->scales[2][lane] = minmax * 2.0f;
        }
        search->zeros[1][lane] = search->zero[lane];
        search->zeros[2][lane] = search->zeros[0][lane];
    }
    job->kernels->round_found(job, search->scales[1], count);
    job->kernels->round_found(job, search->scales[2], count);
    if (job->scheme == CAQ_SYMMETRIC)
        mirror_found(search, count);
}

static void begin_pass(const caq_job *job, caq_search *search, size_t count) {
    if (is_scoring(search))
        begin_turn(job, search, count);
    else
        begin_comparison(job, search, count);
}

/* Score the candidates of a lane by their sums, which lie stride apart. */
static void score_sums(const caq_job *job, caq_search *search, size_t lane, const int64_t *a,
                       const int64_t *b, size_t stride) {
    float product_part = 1.0f / product_unit(job), square_part = 1.0f / square_unit(job);
    for (size_t i = 0; i < (size_t)search->candidates; i++) {
        int64_t least_1 = b[i * stride] < 1 ? 1 : b[i * stride];
        float fa = float_from_int64(a[i * stride]) * product_part;
        float fb = float_from_int64(least_1) * square_part;
        float score = fa * fa / fb;
        if (score > search->score[lane]) {
            search->score[lane] = score;
            search->a[lane] = fa;
            search->b[lane] = fb;
            search->zero[lane] = search->turn_zero[lane];
        }
    }
}

/* Make the scale with the least error the first one. It has to be better by more than what rounding
 * adds to errors.
 * */
static void choose(caq_search *search, size_t lane, const int64_t *errors, size_t stride,
                   size_t elements) {
    int64_t least = errors[0];
    for (size_t i = 1; search->gain[lane] > 0.0f && i < (size_t)search->candidates; i++) {
        int64_t error = errors[i * stride];
        if (error + (error >> 20) + (int64_t)elements < least) {
            least = error;
            search->scales[0][lane] = search->scales[i][lane];
            search->zeros[0][lane] = search->zeros[i][lane];
        }
    }
}

/*
 * Fill the panel, and pass over it.
 */

/* A pass over some weights. */

typedef struct search_walk {
    const caq_job *job;
    const caq_encoding *encoding;
    const void *weight; /* where element `first` lies */
    size_t first;
    caq_search_space *space;
    size_t filled; /* elements in the panel */
} search_walk;

static void pass_over_panel(search_walk *walk) {
    caq_search_space *space = walk->space;
    if (is_scoring(&space->search))
        walk->job->kernels->score(walk->job, space);
    else
        walk->job->kernels->errors(walk->job, walk->encoding, space);
}

static void flush(search_walk *walk) {
    size_t lanes = walk->job->kernels->lanes;
    if (!walk->filled)
        return;
    for (; walk->filled % (2 * lanes); walk->filled++)
        walk->space->weights[walk->filled] = walk->space->importance[walk->filled] = 0.0f;
    walk->space->depth = walk->filled / lanes;
    walk->space->is_fresh = 1;
    pass_over_panel(walk);
    walk->filled = 0;
}

/* Load elements as binary32. */
static void load_weights(const search_walk *walk, size_t element, size_t count, float *to) {
    const void *from = element_at(walk->job, walk->weight, element - walk->first);
    walk->job->kernels->widen(from, count, to);
}

/* Load the importances of elements. They come in runs of equal ones, or follow one another as they
 * are stored. */
static void load_importance(const search_walk *walk, size_t element, size_t count, float *to) {
    const caq_job *job = walk->job;
    size_t which = element / job->repeat % job->importances, next = job->repeat == 1;
    size_t left = next ? job->importances - which : job->repeat - element % job->repeat;
    while (count) {
        size_t some = left < count ? left : count;
        const float *from = job->importance + which;
        for (size_t i = 0; i < some; i++)
            to[i] = next ? from[i] : from[0];
        which = next || which + 1 == job->importances ? 0 : which + 1;
        left = next ? job->importances : job->repeat;
        to += some;
        count -= some;
    }
}

/* Put elements of one block into the panel, in any lanes. */
static void feed(search_walk *walk, size_t element, size_t count) {
    size_t capacity = PANEL_DEPTH * walk->job->kernels->lanes;
    while (count) {
        size_t some = count < capacity - walk->filled ? count : capacity - walk->filled;
        load_weights(walk, element, some, walk->space->weights + walk->filled);
        if (walk->job->importance)
            load_importance(walk, element, some, walk->space->importance + walk->filled);
        walk->filled += some;
        element += some;
        count -= some;
        if (walk->filled == capacity)
            flush(walk);
    }
}

typedef void (*loader)(const search_walk *walk, size_t element, size_t count, float *to);

/* Load neighbouring blocks, each into a lane of its own. */
static void load_lanes(const search_walk *walk, loader load, size_t element, size_t blocks,
                       size_t length, float *to) {
    float *run = length == 1 ? to : walk->space->run; /* single elements lie in lanes already */
    load(walk, element, blocks * length, run);
    for (size_t i = blocks * length; i < walk->job->kernels->lanes * length; i++)
        run[i] = 0.0f;
    if (length > 1)
        walk->job->kernels->take_lanes(run, length, to);
}

/* Put elements of neighbouring blocks into the panel, each block in a lane of its own. */
static void feed_blocks(search_walk *walk, size_t element, size_t blocks, size_t length) {
    caq_search_space *space = walk->space;
    size_t lanes = walk->job->kernels->lanes;
    if (walk->filled + length * lanes > PANEL_DEPTH * lanes)
        flush(walk);
    load_lanes(walk, load_weights, element, blocks, length, space->weights + walk->filled);
    if (walk->job->importance)
        load_lanes(walk, load_importance, element, blocks, length,
                   space->importance + walk->filled);
    walk->filled += length * lanes;
}

static void clear_sums(caq_search_space *space) {
    for (size_t i = 0; i < (size_t)space->search.candidates; i++)
        for (size_t lane = 0; lane < CAQ_LANES; lane++)
            space->a[i][lane] = space->b[i][lane] = 0;
}

/* Add up the sums of a block that is spread over all lanes. Lanes that the level does not have are
 * zero. */
static void join_lanes(caq_search_space *space) {
    for (size_t i = 0; i < (size_t)space->search.candidates; i++)
        for (size_t lane = 1; lane < CAQ_LANES; lane++) {
            space->a[i][0] += space->a[i][lane];
            space->b[i][0] += space->b[i][lane];
        }
}

static void spread(float lanes[CAQ_LANES]) {
    for (size_t lane = 1; lane < CAQ_LANES; lane++)
        lanes[lane] = lanes[0];
}

/* Copy what kernels read of the first lane to all lanes. */
static void spread_lane(caq_search *search) {
    spread(search->gain);
    spread(search->error_gain);
    spread(search->most);
    spread(search->least);
    for (size_t i = 0; i < 3; i++) {
        spread(search->scales[i]);
        spread(search->zeros[i]);
    }
    for (size_t lane = 1; lane < CAQ_LANES; lane++) {
        search->lowest[lane] = search->lowest[0];
        search->highest[lane] = search->highest[0];
    }
}

/* End a pass: use its sums, and begin the next one. */
static void end_pass(const caq_job *job, caq_search *search, size_t count, const int64_t *a,
                     const int64_t *b, size_t stride, int has_scores, size_t elements) {
    int scoring = is_scoring(search);
    for (size_t lane = 0; lane < count; lane++) {
        if (!scoring)
            choose(search, lane, a + lane, stride, elements);
        else if (!has_scores)
            score_sums(job, search, lane, a + lane, b + lane, stride);
    }
    search->pass++;
    if (search->pass < search->passes)
        begin_pass(job, search, count);
}

/*
 * Search the blocks of a run.
 */

/* Put all rows of some blocks into the panel: neighbours in lanes of their own, or one block. */
static void feed_rows(search_walk *walk, const caq_run *run, size_t first, size_t blocks,
                      int side_by_side) {
    const caq_job *job = walk->job;
    size_t rows = caq_rows_in_order(job), element = 0;
    for (size_t row = 0; row < job->rows; row++) {
        element =
            row % rows ? element + job->row : caq_run_start(job, run, row) + first * run->length;
        if (side_by_side)
            feed_blocks(walk, element, blocks, run->length);
        else
            feed(walk, element, run->length);
    }
    flush(walk);
}

/* Raise `most` to the largest importances of neighbouring blocks in a row, or of one long block. */
static void measure_importance(search_walk *walk, size_t element, size_t blocks, size_t length,
                               float *most) {
    float *run = walk->space->run;
    size_t capacity = PANEL_DEPTH * walk->job->kernels->lanes, count = blocks * length;
    for (size_t done = 0, some; done < count; done += some) {
        some = count - done < capacity ? count - done : capacity;
        load_importance(walk, element + done, some, run);
        for (size_t i = 0; i < some; i += length) {
            float largest = largest_of(run + i, length < some ? length : some);
            float *found = &most[(done + i) / length];
            *found = *found < largest ? largest : *found;
        }
    }
}

/* Find the largest importance of each of some blocks. */
static void find_importance(search_walk *walk, const caq_run *run, size_t first, size_t blocks) {
    float most[CAQ_LANES];
    for (size_t lane = 0; lane < CAQ_LANES; lane++)
        most[lane] = 0.0f;
    for (size_t row = 0; row < walk->job->rows; row++) {
        size_t element = caq_run_start(walk->job, run, row) + first * run->length;
        measure_importance(walk, element, blocks, run->length, most);
    }
    for (size_t lane = 0; lane < blocks; lane++)
        set_most(&walk->space->search, lane, most[lane]);
}

/* Search some blocks: neighbours in lanes of their own, or one block. */
static void search_blocks(search_walk *walk, const caq_run *run, size_t first, size_t blocks,
                          int side_by_side, caq_tile *tile) {
    const caq_job *job = walk->job;
    caq_search_space *space = walk->space;
    caq_search *search = &space->search;
    size_t elements = elements_of_block(job), lanes = job->kernels->lanes;
    int is_held = elements <= (side_by_side ? PANEL_DEPTH : PANEL_DEPTH * lanes);
    float unit = unit_of(job);
    space->is_shallow = is_held && side_by_side;
    for (size_t lane = 0; lane < lanes; lane++)
        clear_lane(search, lane);
    for (size_t lane = 0; lane < blocks; lane++)
        begin_lane(job, search, lane, tile, first + lane, unit);
    if (job->importance)
        find_importance(walk, run, first, blocks);
    search->pass = 0;
    size_t used = side_by_side ? lanes : 1;
    for (begin_pass(job, search, used); search->pass < search->passes;) {
        if (!side_by_side)
            spread_lane(search);
        if (!space->is_shallow || !is_scoring(search))
            clear_sums(space);
        if (is_held && search->pass) {
            space->is_fresh = 0;
            pass_over_panel(walk);
        } else {
            feed_rows(walk, run, first, blocks, side_by_side);
        }
        if (!side_by_side)
            join_lanes(space);
        end_pass(job, search, used, space->a[0], space->b[0], CAQ_LANES, space->is_shallow,
                 elements);
    }
    for (size_t lane = 0; lane < blocks; lane++) {
        tile->scale[first + lane] = search->scales[0][lane];
        tile->reciprocal[first + lane] = 1.0f / search->scales[0][lane];
        tile->zero[first + lane] = (int32_t)search->zeros[0][lane];
    }
}

/* How many passes a search has. */
static int32_t count_passes(const caq_job *job) {
    /* None for FP8 with powers of two: the best scales are less than 0.01 dB better than those of
     * MINMAX. */
    if (job->scale == CAQ_SCALE_E8M0 && caq_describe_format(job->format).bits == 8)
        return 0;
    return count_turns(job) + 1;
}

/* Store the scales and zero points of the first blocks of the tile. */
static void store_found(const caq_job *job, const caq_tile *tile, size_t blocks, uint8_t *scales,
                        uint8_t *zero_points) {
    job->kernels->store_scales(job, tile->scale, blocks, scales);
    int32_t offset = integer_offset(job);
    for (size_t i = 0; i < blocks; i++)
        zero_points[i] = (uint8_t)(tile->zero[i] + offset);
}

void caq_search_run(const caq_job *job, const caq_run *run, const caq_encoding *encoding,
                    const void *weight, void *scratch, uint8_t *scales, uint8_t *zero_points) {
    caq_tile *tile = &((caq_mse_scratch *)scratch)->tile;
    caq_search_space *space = &((caq_mse_scratch *)scratch)->space;
    space->search.passes = count_passes(job);
    if (!space->search.passes)
        return;
    space->search.tries = count_tries(job);
    search_walk walk = {job, encoding, weight, 0, space, 0};
    int side_by_side = run->length <= PANEL_DEPTH && run->blocks > 1;
    size_t most = side_by_side ? job->kernels->lanes : 1;
    for (size_t first = 0; first < run->blocks; first += most) {
        size_t blocks = run->blocks - first < most ? run->blocks - first : most;
        search_blocks(&walk, run, first, blocks, side_by_side, tile);
    }
    store_found(job, tile, run->blocks, scales, zero_points);
}

/*
 * Search the only scale of a tensor, which comes in parts.
 */

caq_status caq_search_begin(const caq_job *job, const int32_t extents[2], caq_search *search,
                            void *scratch) {
    caq_tile *tile = &((caq_mse_scratch *)scratch)->tile;
    tile->above[0] = extents[0];
    tile->below[0] = extents[1];
    uint8_t scale[sizeof(float)], zero_point;
    caq_status status = job->kernels->find_scales(job, tile, 1, scale, &zero_point);
    search->pass = 0;
    search->passes = status == CAQ_OK ? count_passes(job) : 0;
    search->tries = count_tries(job);
    begin_lane(job, search, 0, tile, 0, unit_of(job));
    if (job->importance)
        set_most(search, 0, largest_of(job->importance, job->importances));
    if (search->passes)
        begin_pass(job, search, 1);
    return status;
}

/* Copy a search. Of an assignment compilers make a call of memcpy(), which a freestanding build
 * does not have. */
static void copy_search(caq_search *to, const caq_search *from) {
    for (size_t i = 0; i < sizeof *to; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

void caq_search_part(const caq_job *job, const caq_search *search, size_t first, size_t count,
                     const void *weight, caq_sums *sums, void *scratch) {
    caq_search_space *space = &((caq_mse_scratch *)scratch)->space;
    caq_encoding encoding = caq_describe_encoding(job);
    copy_search(&space->search, search);
    space->is_shallow = 0;
    spread_lane(&space->search);
    clear_sums(space);
    search_walk walk = {job, &encoding, weight, first, space, 0};
    feed(&walk, first, count);
    flush(&walk);
    join_lanes(space);
    for (size_t i = 0; i < CAQ_CANDIDATES; i++) {
        sums->a[i] = i < (size_t)space->search.candidates ? space->a[i][0] : 0;
        sums->b[i] = i < (size_t)space->search.candidates ? space->b[i][0] : 0;
    }
}

void caq_search_join(caq_sums *sums, const caq_sums *more) {
    for (size_t i = 0; i < CAQ_CANDIDATES; i++) {
        sums->a[i] += more->a[i];
        sums->b[i] += more->b[i];
    }
}

void caq_search_next(const caq_job *job, caq_search *search, const caq_sums *sums) {
    end_pass(job, search, 1, sums->a, sums->b, 1, 0, job->elements);
}

void caq_search_end(const caq_job *job, const caq_search *search, void *scales,
                    uint8_t *zero_points, void *scratch) {
    caq_tile *tile = &((caq_mse_scratch *)scratch)->tile;
    tile->scale[0] = search->scales[0][0];
    tile->zero[0] = (int32_t)search->zeros[0][0];
    store_found(job, tile, 1, (uint8_t *)scales, zero_points);
}

#endif
