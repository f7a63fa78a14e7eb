"""Mutants of settings, rules and plans."""

from .mutant import mutants

MUTANTS = (
    *mutants(
        "_Runs.__init__",
        (
            "plan-first-sample",
            "self._samples, self._states = split_samples(program, inputs, function=function)",
            "self._samples, self._states = split_samples(program, inputs, function=function)\n"
            "        self._samples = self._samples[:1]",
            "all samples count",
        ),
    ),
    *mutants(
        "select.left",
        (
            "budget-rounding",
            "left = Fraction(budget) - sum(Fraction(option.size) for option in chosen)",
            "left = Fraction(budget - sum(option.size for option in chosen))",
            "sizes are added without rounding",
        ),
        (
            "budget-rounded",
            "left = Fraction(budget) - sum(Fraction(option.size) for option in chosen)",
            "left = Fraction(budget - sum(option.size for option in chosen))",
            "sizes are added without rounding",
        ),
    ),
    *mutants(
        "_relax",
        (
            "budget-order",
            "key=lambda step: step.saving / step.size, reverse=True",
            "key=lambda step: step.saving, reverse=True",
            "steps that save the most for their size come first",
        ),
        (
            "budget-worst-first",
            "saving / step.size, reverse=True)",
            "saving / step.size)",
            "the steps that save the most per size are taken first",
        ),
    ),
    *mutants(
        "_hull",
        (
            "budget-hull",
            "_rate(options, *hull[-2:]) <= _rate(options, hull[-1], number)",
            "_rate(options, *hull[-2:]) > _rate(options, hull[-1], number)",
            "only options on the lower convex hull are steps",
        ),
        (
            "budget-above-the-hull",
            "<= _rate(options, hull[-1], number)",
            "< 0 * _rate(options, hull[-1], number)",
            "an option above the hull is no corner",
        ),
    ),
    *mutants(
        "select",
        (
            "budget-fill",
            "    _fill(items, picks, left)\n",
            "",
            "what is left of the budget is used",
        ),
        (
            "budget-not-filled",
            "    _fill(items, picks, left)\n",
            "",
            "what still fits is not left out",
        ),
    ),
    *mutants(
        "_fill",
        (
            "budget-limit",
            "if saving > 0 and size <= left",
            "if saving > 0",
            "a selection keeps to the budget",
        ),
        (
            "budget-to-the-byte",
            "if saving > 0 and size <= left",
            "if saving > 0 and size < left",
            "what is left of a budget is used to the last byte",
        ),
    ),
    *mutants(
        "measure_candidates",
        (
            "plan-alone",
            "with alone_with(program):",
            "if True:",
            "no plan is made for a program that another thread changes",
        ),
    ),
    *mutants(
        "parse_settings.fit",
        (
            "fit-mxfp4",
            "indivisible is Indivisible.FIT and spec.format.name != DType.FP4_E2M1FN",
            "indivisible is Indivisible.FIT",
            "MXFP4 has blocks of 32 and no others",
        ),
    ),
    *mutants(
        "matches",
        (
            "whole-name",
            "re.fullmatch(pattern.removeprefix(_REGEX), text)",
            "re.match(pattern.removeprefix(_REGEX), text)",
            "a regular expression matches from end to end",
        ),
        (
            "case",
            "fnmatch.fnmatchcase(text, pattern)",
            "fnmatch.fnmatchcase(text.lower(), pattern.lower())",
            "a glob tells upper from lower case",
        ),
    ),
    *mutants(
        "ParsedRule.matches",
        (
            "any-consumer",
            "or any(_matches_op(rule.consumer, op) for op in consumers)",
            "or all(_matches_op(rule.consumer, op) for op in consumers)",
            "one consumer that matches is enough",
        ),
    ),
    *mutants(
        "_matches_op",
        (
            "dialect",
            'matches(pattern, op) or matches(pattern, op.rsplit(".", 1)[-1])',
            "matches(pattern, op)",
            "consumers match with or without their dialect",
        ),
    ),
    *mutants(
        "_matches_shape",
        (
            "rank",
            "len(pattern) == len(shape) and all(",
            "all(",
            "a shape has an entry for each axis",
        ),
    ),
    *mutants(
        "_COMPARISONS",
        (
            "comparison",
            '"<": operator.lt',
            '"<": operator.le',
            "< excludes its bound",
        ),
    ),
    *mutants(
        "_settings.settings",
        (
            "rest-of-the-call",
            "parse_settings({**arguments, **of_dtype, **given})",
            "parse_settings({**arguments, **given})",
            "a dtype brings its own scheme and scale dtype",
        ),
    ),
    *mutants(
        "_settings",
        (
            "block-size-without-blocks",
            "settings.granularity is not CompressionGranularity.PER_BLOCK",
            "False",
            "a block size without blocks is refused",
        ),
    ),
    *mutants(
        "_parse_rule",
        (
            "keep-and-settings",
            "if rule.keep == bool(settings):",
            "if not rule.keep and not settings:",
            "a rule either keeps or has settings",
        ),
    ),
    *mutants(
        "make_plan",
        (
            "plan-amplitudes",
            "select(by_cost, 10 ** (-min_sqnr / 10))",
            "select(by_cost, 10 ** (-min_sqnr / 20))",
            "an SQNR is of powers",
        ),
        (
            "plan-first-name",
            "for name in w.names\n        )",
            "for name in w.names[:1]\n        )",
            "weights that are identical all get their rule",
        ),
    ),
    *mutants(
        "check_goal",
        (
            "plan-nan",
            "elif not (math.isfinite(min_sqnr) and min_sqnr >= 0)",
            "elif not min_sqnr >= 0",
            "a floor of NaN or infinity is refused",
        ),
    ),
    *mutants(
        "_measure",
        (
            "plan-all-alike",
            "weight.shape, weight.dtype, digest, tuple(blocks)",
            "weight.shape, weight.dtype, tuple(blocks)",
            "only weights of the same bytes are identical",
        ),
        (
            "plan-any-blocks",
            "weight.shape, weight.dtype, digest, tuple(blocks)",
            "weight.shape, weight.dtype, digest",
            "weights with other blocks are not identical",
        ),
    ),
    *mutants(
        "_describe.kept",
        (
            "plan-splats",
            "stored_bytes(weight.op), math.inf",
            "weight.nbytes, math.inf",
            "a weight of one value takes no room",
        ),
    ),
    *mutants(
        "_shares.roots",
        (
            "plan-by-elements",
            "sum(math.sqrt(weight.tensor.size)",
            "sum(float(weight.tensor.size)",
            "a weight counts by the square root of its elements",
        ),
    ),
    *mutants(
        "_sensitivity",
        (
            "plan-one-probe",
            "for settings in probes:",
            "for settings in probes[:1]:",
            "a weight that is exact in INT4 is probed in INT2",
        ),
    ),
)
