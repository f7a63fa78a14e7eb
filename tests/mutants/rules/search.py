"""Mutants of the observer MSE in C."""

from .mutant import mutants

MUTANTS = (
    *mutants(
        "twice",
        (
            "search-zero-point",
            "best - first + best",
            "best",
            "MSE: the zero point moves on to where the best was found",
        ),
    ),
    *mutants(
        "count_turns",
        (
            "search-zero-points",
            "job->scheme == CAQ_SYMMETRIC ? 2 : 4",
            "job->scheme == CAQ_SYMMETRIC ? 2 : 1",
            "MSE: the zero point's neighbours are tried",
        ),
    ),
    *mutants(
        "find_best",
        (
            "search-float-unit",
            "is_float ? 0.875f : 1.0f",
            "1.0f",
            "MSE: the significand of the largest FP8 code is 7/8",
        ),
    ),
    *mutants(
        "choose",
        (
            "search-margin",
            "error + (error >> 20) + (int64_t)elements < least",
            "error < least",
            "MSE: a scale must be better than MINMAX's by more than errors are rounded",
        ),
    ),
    *mutants(
        "begin_lane",
        (
            "search-too-small",
            "absmax < 0x1p-100f || absmax",
            "absmax",
            "MSE: tiny blocks are left to MINMAX",
        ),
        (
            "search-extent",
            "(uint32_t)tile->below[block])) *\n                 0.5f",
            "(uint32_t)tile->below[block])) *\n                 1.0f",
            "MSE: asymmetric weights are measured by half their range",
        ),
    ),
    *mutants(
        "largest_absmax",
        (
            "search-too-large",
            "? 0x1p15f : 0x1p127f",
            "? 0x1p127f : 0x1p127f",
            "MSE: blocks at the top of float16 are left to MINMAX",
        ),
    ),
    *mutants(
        "begin_comparison",
        (
            "search-exponents",
            "minmax * 2.0f",
            "minmax",
            "MSE: both neighbours of an exponent are tried",
        ),
    ),
    *mutants(
        "score_sums",
        (
            "search-equals",
            "score > search->score[lane]",
            "score >= search->score[lane]",
            "MSE: the first of equal scores is kept",
        ),
    ),
    *mutants(
        "elements_of_block",
        (
            "search-reach",
            "(uint64_t)(grid.reach * grid.reach) * elements_of_block(job)",
            "(uint64_t)(grid.reach * grid.reach) * 4",
            "MSE: the longer a block is, the smaller scales are tried",
        ),
    ),
    *mutants(
        "join_lanes",
        (
            "search-lanes",
            "space->b[i][0] += space->b[i][lane];",
            "",
            "MSE: a long block's sums are over all lanes",
        ),
    ),
    *mutants(
        "feed_rows",
        (
            "search-rows",
            "row % rows ? element + job->row",
            "row % rows ? element + run.length",
            "MSE: a block's rows lie a whole row apart",
        ),
    ),
    *mutants(
        "search_blocks",
        (
            "search-held",
            "(side_by_side ? PANEL_DEPTH : PANEL_DEPTH * lanes)",
            "PANEL_DEPTH * lanes",
            "MSE: blocks that do not fit into the panel are read in each pass",
        ),
    ),
    *mutants(
        "set_most",
        (
            "importance-zeros",
            "search->least[lane] = most > 0.0f ? 0.0f : 1.0f;",
            "search->least[lane] = 0.0f;",
            "importances that are all zero count as equal ones",
        ),
        (
            "importance-largest",
            "search->most[lane] = most > 0.0f ? most : 1.0f;",
            "search->most[lane] = most > 1.0f ? most : 1.0f;",
            "importances are divided by the largest of their block",
        ),
    ),
    *mutants(
        "load_importance",
        (
            "importance-repeat",
            "job->repeat - element % job->repeat",
            "job->repeat",
            "element e has importance[e / repeat % count]",
        ),
    ),
    *mutants(
        "search.h:IMPORTANCE_UNIT",
        (
            "importance-unit",
            "#define IMPORTANCE_UNIT 2048.0f",
            "#define IMPORTANCE_UNIT 1024.0f",
            "what importances are rounded to",
        ),
    ),
    *mutants(
        "integer_grid",
        (
            "search-grid-first",
            "22, 40, 3, 32",
            "24, 40, 3, 32",
            "MSE: which scales are tried",
        ),
        (
            "search-grid-last",
            "3, 32, 1024",
            "3, 32, 512",
            "MSE: long blocks are tried with smaller scales",
        ),
    ),
    *mutants(
        "next_step",
        (
            "search-grid-growth",
            "step < grid.dense",
            "step <= grid.dense",
            "MSE: where the steps between scales grow",
        ),
    ),
    *mutants(
        "score_floats",
        (
            "search-float-steps",
            "0.875f * (float)(2 * FLOAT_STEPS - candidate)",
            "(float)(2 * FLOAT_STEPS - candidate)",
            "MSE: which FP8 scales are tried",
        ),
    ),
    *mutants(
        "round_decoded",
        (
            "search-decode-bf16",
            "v_add_i(v_add_i(bits, v_set_i(0x7FFF)), odd)",
            "v_add_i(bits, v_add_i(odd, v_set_i(0)))",
            "MSE: errors are those of decoded bfloat16 weights",
        ),
        (
            "search-decode-f16",
            "(127 - 14) * (1 << 23), 13",
            "(127 - 14) * (1 << 23), 12",
            "MSE: errors are those of decoded float16 weights",
        ),
    ),
    *mutants(
        "add_errors",
        (
            "search-error-limit",
            "v_set_f(0x1p30f)",
            "v_set_f(0x1p20f)",
            "MSE: how large an error counts",
        ),
        (
            "importance-errors",
            "square = v_mul(square, v_load_floats(space->importance + i));",
            "square = v_mul(square, v_set_f(1.0f));",
            "MINMAX stays where its weighed error is the least",
        ),
    ),
    *mutants(
        "sum_large_pairs",
        (
            "importance-halves",
            "k ? 0x10000 : 1",
            "1",
            "products of 8-bit integers are weighed one by one",
        ),
    ),
)
