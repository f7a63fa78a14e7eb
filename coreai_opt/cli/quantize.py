"""``coreai-opt quantize``: a copy of an asset with its weights quantized."""

import argparse
import logging
import re
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.cli.calibrate import add_mask
from coreai_opt.cli.calibrated import Calibrated, calibrate_here, judge
from coreai_opt.cli.console import (
    doing,
    print_frontier,
    stdout,
    steps_bar,
)
from coreai_opt.cli.each_asset import add_assets, each_asset
from coreai_opt.cli.parser import (
    Subcommands,
    UsageError,
    add_loudness,
    add_threshold,
    choice_of,
    decibels,
    int_at_least,
    option_of,
)
from coreai_opt.cli.running import RunOn, sizes_of
from coreai_opt.cli.writing import (
    REPORTS,
    Collected,
    Compressed,
    Writing,
    add_outputs,
    add_running,
    add_target,
    check_file,
    write_compressed,
)
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.coreai_utils.format_planning import measure_weights
from coreai_opt.exceptions import InputError
from coreai_opt.planning.plan import check_goal
from coreai_opt.program.assets import (
    asset_bytes,
    load_asset,
    write_text,
)
from coreai_opt.reports import QuantizationReport
from coreai_opt.reports.circumstances import Planned
from coreai_opt.settings.enums import CandidateForm, CompressionGranularity, Observer, Rounding
from coreai_opt.settings.presets import PRESETS, find_preset
from coreai_opt.settings.rules import Rule
from coreai_opt.settings.rules_file import load_rules
from coreai_opt.settings.settings import DEFAULTS, OF_CODES, SETTINGS, Settings, describe

if TYPE_CHECKING:
    from coreai_opt.program.functions import Sizes
    from coreai_opt.program.ir import AIModelAsset, AIProgram

_QUANTIZE_USAGE = """\
%(prog)s IN.aimodel OUT.aimodel --dtype FORMAT [options]
       %(prog)s IN.aimodel OUT.aimodel --rules FILE.toml [options]
       %(prog)s IN.aimodel OUT.aimodel --target-size SIZE [options]
       %(prog)s IN.aimodel OUT.aimodel --min-sqnr DB [options]
       %(prog)s IN.aimodel --dry-run (any of these)
       %(prog)s IN.aimodel IN.aimodel -o FOLDER (any of these)"""

_QUANTIZE_EXAMPLES = """\
examples:
  8 bits, a scale for each output channel; half of float16, few models notice:
    coreai-opt quantize model.aimodel int8.aimodel --dtype int8

  4 bits in blocks of 32, or fewer where 32 does not fit, with searched scales:
    coreai-opt quantize model.aimodel int4.aimodel --dtype int4 \\
        --granularity per_block --indivisible fit --observer mse

  MXFP4:
    coreai-opt quantize model.aimodel mxfp4.aimodel --dtype fp4_e2m1fn \\
        --granularity per_block

  a format for each weight, so that the file fits; the choice can be edited:
    coreai-opt quantize model.aimodel fits.aimodel --target-size 300KB \\
        --plan-out plan.toml
    coreai-opt quantize model.aimodel edited.aimodel --rules plan.toml

  what would become of each weight, without writing anything:
    coreai-opt quantize model.aimodel --dtype int4 --dry-run"""


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "quantize",
        usage=_QUANTIZE_USAGE,
        help="write a copy of an asset with its weights quantized",
        description="Write OUT, a copy of IN with its weights quantized. OUT appears only when it "
        "is complete. Its formats are named (--dtype, --rules or both) or chosen (--target-size or "
        "--min-sqnr). A weight that cannot be quantized as it should is left as it is, with a "
        "warning.",
        epilog=_QUANTIZE_EXAMPLES,
    )
    parser.set_defaults(run=_run)
    add_assets(parser)
    _add_format(parser.add_argument_group("format", "What weights become."))
    _add_rules(parser.add_argument_group("rules", "Other formats for some weights, or none."))
    _add_calibration(
        parser.add_argument_group(
            "calibration", "Round weights so that the outputs of their layers change least."
        )
    )
    _add_budget(
        parser.add_argument_group("budget", "Instead of a format: a format for each weight.")
    )
    add_outputs(parser.add_argument_group("output"))
    add_running(parser.add_argument_group("running"))
    add_loudness(parser)


def _add_format(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--preset",
        choices=[preset.name for preset in PRESETS],
        metavar="NAME",
        help="%(choices)s: settings that go by a name, which coreai-opt presets lists; other "
        "options change single ones",
    )
    add_target(group)
    for name, description in describe(OF_CODES):
        group.add_argument(
            option_of(name),
            type=choice_of(description.choices) if description.choices else int_at_least(1),
            choices=description.choices or None,
            metavar=description.metavar,
            help=description.help,
        )
    group.add_argument(
        "--importance",
        type=Path,
        metavar="FILE.npz",
        help="with mse, what squared errors count: an array of one number per input channel for "
        "each weight that it names as inspect does",
    )


def _add_calibration(group: argparse._ArgumentGroup) -> None:
    given = group.add_mutually_exclusive_group()
    given.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="what coreai-opt calibrate wrote of IN",
    )
    given.add_argument(
        "--calibrate",
        type=Path,
        metavar="FILE.npz",
        help="calibrate IN on these samples on the way; one of eight is kept back, and weights are "
        "rounded to nearest where the outputs on those are no better with the calibration",
    )
    add_mask(group)


def _add_rules(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--rules",
        type=Path,
        metavar="FILE.toml",
        help="settings for some weights: [[rule]] tables with name, consumer or shape to match, "
        f"and keep or any of {', '.join(SETTINGS)}; the last that matches counts",
    )
    add_threshold(group)


def _add_budget(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--target-size",
        type=_size,
        metavar="SIZE",
        help="OUT takes at most SIZE, such as 25MB, 24MiB, 25000000 bytes or 50%% of IN, and the "
        "weights' error is as small as may be; prints what else there is to choose from",
    )
    group.add_argument(
        "--min-sqnr",
        type=decibels,
        metavar="DB",
        help="the weights together have at least this SQNR, or with --inputs the outputs, about, "
        "and OUT is as small as may be",
    )
    group.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input of IN, by name, or of several samples: a weight's error "
        "counts by what it does to the outputs then, unless a plan by the weights' own errors "
        "leaves these outputs nearer; the result is run on it, as by --verify",
    )
    group.add_argument(
        "--forms",
        type=_forms,
        metavar="LIST",
        help=f"which forms are chosen among: {', '.join(CandidateForm)} or both with a comma "
        f"(default: {CandidateForm.INTEGER})",
    )
    group.add_argument(
        "--plan-out",
        type=Path,
        metavar="FILE.toml",
        help="where to write what was chosen; --rules reads it",
    )


_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}


@dataclass(frozen=True)
class Share:
    """A part of the bytes of the asset to read."""

    part: Fraction

    def of(self, size: int) -> int:
        """Return the bytes that it is of ``size``."""
        return int(self.part * size)


def _size(text: str) -> int | Share:
    """Return the bytes that ``25MB`` and the like stand for, or the share that ``50%`` does."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*|%)", text)
    units = {unit.lower(): size for unit, size in _UNITS.items()}
    units |= {unit.removesuffix("b"): size for unit, size in units.items()}
    if match and match[2] == "%":
        return Share(Fraction(match[1]) / 100)
    size = units.get(match[2].lower()) if match else None
    if match is None or size is None:
        raise argparse.ArgumentTypeError(
            f"must be a size such as 25MB, in {', '.join(_UNITS)}, or a share of IN such as 50%; "
            f"got {text!r}"
        )
    return int(Fraction(match[1]) * size)


def _forms(text: str) -> tuple[CandidateForm, ...]:
    """Return the forms that ``integer,table`` and the like name."""
    parse = choice_of(list(CandidateForm))
    return tuple(CandidateForm(parse(word.strip())) for word in text.split(","))


def _settings(options: argparse.Namespace) -> Settings:
    """Return what was said: by single options, and of the rest what a preset says."""
    said = Settings.among(options)
    if options.preset is None:
        return said
    if options.target_size is not None or options.min_sqnr is not None:
        raise UsageError("--preset has no place beside --target-size and --min-sqnr: leave one out")
    return find_preset(options.preset).settings.merge(said)


def _run(options: argparse.Namespace) -> None:
    write = partial(
        quantize,
        settings=_settings(options),
        target=options.target,
        rules=options.rules,
        importance=options.importance,
        calibration=options.calibration,
        calibrate=options.calibrate,
        mask=options.mask,
        target_size=options.target_size,
        min_sqnr=options.min_sqnr,
        inputs=options.inputs,
        function=options.function,
        sizes=sizes_of(options.sizes),
        forms=options.forms,
        plan_out=options.plan_out,
        report=options.report,
        dry_run=options.dry_run,
        verify=options.verify,
        fail_on_skip=options.fail_on_skip,
        threshold=options.threshold,
        force=options.force,
        backend=options.backend,
        num_threads=options.num_threads,
    )
    each_asset(options, write)


logger = logging.getLogger("coreai_opt")

IR_BYTES = 256
"""More than the ops and types of a quantized weight take in a file: 35 to 165 in programs of 1 to
200 weights. One weight's are reserved for what Core AI adds to an asset's metadata."""


class Goal(NamedTuple):
    """A size or a quality to choose formats for, where none is named.

    Attributes:
        target_size: bytes that the asset may take; or None.
        min_sqnr: SQNR in dB that the plan must have; or None.
        plan_out: a TOML file for the rules that were chosen; or None.
        forms: forms that are chosen among; None for integers.
    """

    target_size: int | None
    min_sqnr: float | None
    plan_out: Path | None
    forms: tuple[CandidateForm, ...] | None = None

    @property
    def option(self) -> str:
        """The option that sets it; empty if none does."""
        options = {"--target-size": self.target_size, "--min-sqnr": self.min_sqnr}
        return " and ".join(option for option, value in options.items() if value is not None)


def quantize(
    source: Path,
    output: Path | None,
    *,
    settings: Settings,
    target: str | None,
    rules: Path | None,
    importance: Path | None,
    calibration: Path | None,
    calibrate: Path | None,
    mask: str | None,
    target_size: int | Share | None,
    min_sqnr: float | None,
    inputs: Path | None,
    function: str | None,
    sizes: "Sizes",
    forms: tuple[CandidateForm, ...] | None,
    plan_out: Path | None,
    report: Path | None,
    dry_run: bool,
    verify: bool,
    fail_on_skip: bool,
    threshold: int,
    force: bool,
    backend: str,
    num_threads: int | None,
) -> None:
    """Write a copy of the asset ``source``, its weights quantized, to ``output``, and sum it up.

    Args:
        source: the asset to read; may be ``output``, with ``force``.
        output: the asset to write. It appears, or changes, only when it is complete. None with
            ``dry_run``.
        settings: what was said about how to quantize weights; with ``rules`` or a goal it need not
            have a ``dtype``.
        target: as in ``quantize_weights``.
        rules: a TOML file of what ``quantize_weights`` takes as ``overrides``; or None.
        importance: a .npz file of what ``quantize_weights`` takes under this name.
        calibration: a file that ``coreai-opt calibrate`` wrote of ``source``; or None.
        calibrate: a .npz file of samples to calibrate on, and to judge what came of that; or None.
        mask: ``mask`` of ``calibrate``.
        target_size, min_sqnr, forms, plan_out: see :class:`Goal`.
        inputs: a .npz file: what to measure sensitivities on with a goal, and to run with
            ``verify``.
        report: where to write a report: .html, .json or .md.
        dry_run: print what would become of each weight, and write no asset.
        function: the name of the function to run for that; None for the only one.
        sizes: lengths of dimensions that are not fixed.
        verify: run both programs and print how far their outputs are apart, before it is written.
        fail_on_skip: end with an error, after all is written, if a weight could not be quantized.
        threshold: ``weight_num_threshold`` of ``quantize_weights``.
        force: whether ``output`` may exist.
        backend, num_threads: as in ``quantize_weights``.

    Raises:
        InputError, ArgumentTypeError: an option or a path that cannot be used; ``output`` is
            untouched.
        QualityError: weights were left, and ``fail_on_skip`` is asked for.
    """
    settings = settings.with_implied()
    goal = Goal(_bytes_of(target_size, source), min_sqnr, plan_out, forms)
    _check_goal(goal, settings, rules, importance)
    _check_running(
        runs=inputs is not None or calibrate is not None or verify,
        of_function=function is not None or bool(sizes),
    )
    if mask is not None and calibrate is None:
        raise UsageError("--mask needs --calibrate")
    _check_blocks(settings)
    if report is not None:
        check_file("--report", report, tuple(REPORTS))
    overrides = None if rules is None else load_rules(rules)
    numbers = None if importance is None else load_arrays(importance)
    arrays = None if inputs is None else load_arrays(inputs)
    calibrated = None if calibration is None else Calibrated.load(calibration)
    started = time.perf_counter()
    with doing(f"reading {source}"):
        asset = load_asset(source)
    program, size = asset.program, asset_bytes(source)
    work: dict[str, Any] = {
        "weight_num_threshold": threshold,
        "target": target,
        "backend": backend,
        "num_threads": num_threads,
    }
    plan = None
    if goal.option:
        running = {"inputs": arrays, "function": function}
        overrides, plan = _choose(program, size, goal, {**running, **work})
    if calibrate is not None:
        calibrated = calibrate_here(
            program,
            calibrate,
            function=function,
            sizes=sizes,
            mask=mask,
            threshold=threshold,
        )
    how = {
        **{name: getattr(DEFAULTS.merge(settings), name) for name in OF_CODES},
        "overrides": overrides,
        "importance": numbers,
        "in_place": True,
        **work,
    }
    writing = Writing(
        source,
        output,
        report=report,
        run_on=RunOn(inputs, arrays, function, sizes) if verify or inputs is not None else None,
        dry_run=dry_run,
        fail_on_skip=fail_on_skip,
        threshold=threshold,
        force=force,
        target_size=goal.target_size,
        plan=plan,
    )
    write_compressed(writing, asset, program, partial(_quantize, asset, calibrated, how), started)


def _quantize(
    asset: "AIModelAsset",
    calibrated: Calibrated | None,
    how: dict[str, Any],
    program: "AIProgram",
    collected: Collected,
) -> Compressed:
    """Quantize a program; of several ways to round it, take the one that does its outputs best.

    Args:
        asset: the asset that it is from.
        calibrated: a calibration, or None; to nearest is another way where it has samples.
        how: arguments of ``quantize_weights``.
        program: its program, which is changed.
        collected: what to make of the records of its weights.
    """
    records = QuantizationReport(asset.path.name)
    with collected.into(records) as progress:
        seen = None if calibrated is None else calibrated.calibration
        quantize_weights(program, calibration=seen, progress=progress, **how)
    if calibrated is None or not calibrated.kept:
        return Compressed(program, records)
    nearest, other = load_asset(asset.path).program, QuantizationReport(asset.path.name)
    with collected.into(other) as progress:
        quantize_weights(nearest, progress=progress, **_to_nearest(how))
    judged = judge(asset, calibrated, program, nearest)
    if judged.calibrated_is_better:
        return Compressed(program, records, judged.compared)
    logger.warning(
        "the calibration made outputs worse on the samples that were kept back: weights are "
        "rounded to nearest"
    )
    return Compressed(nearest, other, judged.compared)


def _to_nearest(how: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that have every weight rounded to nearest, without a calibration."""
    overrides = how["overrides"] and [replace(rule, rounding=None) for rule in how["overrides"]]
    observer = how["observer"] or Observer.MSE
    return how | {"observer": observer, "rounding": Rounding.NEAREST, "overrides": overrides}


def _bytes_of(size: int | Share | None, source: Path) -> int | None:
    """Return a size in bytes, given it or a share of ``source``."""
    if not isinstance(size, Share):
        return size
    return size.of(asset_bytes(source))  # of 0 bytes if there is none, which loading it will say


def _check_goal(
    goal: Goal, settings: Settings, rules: Path | None, importance: Path | None
) -> None:
    """Check that there is one way to find formats, and that no option is without effect."""
    if not goal.option:
        if settings.dtype is None and rules is None:
            raise UsageError(
                "give --dtype, --preset or --rules, or else --target-size or --min-sqnr, which "
                "choose a format for each weight"
            )
        if goal.plan_out is not None:
            raise UsageError("--plan-out needs --target-size or --min-sqnr")
        if goal.forms is not None:
            raise UsageError("--forms needs --target-size or --min-sqnr")
        return
    if None not in {goal.target_size, goal.min_sqnr}:
        raise UsageError(f"{goal.option} cannot be given together: leave one out")
    files = {"--rules": rules, "--importance": importance}
    useless = [option for option, file in files.items() if file is not None]
    useless += map(option_of, settings.said())
    if useless:
        raise UsageError(
            f"{useless[0]} has no place beside {goal.option}, which chooses formats itself: leave "
            "one out, or edit what --plan-out writes and give it as --rules"
        )
    check_goal(goal.target_size, goal.min_sqnr)
    if goal.plan_out is not None:
        check_file("--plan-out", goal.plan_out, (".toml",))


def _check_blocks(settings: Settings) -> None:
    """Check that a block size is not without effect."""
    per_block = CompressionGranularity.PER_BLOCK
    if settings.block_size is not None and settings.granularity != per_block:
        raise UsageError("--block-size needs --granularity per_block")


def _check_running(*, runs: bool, of_function: bool) -> None:
    """Check that what says how to run a program is not without effect."""
    if of_function and not runs:
        raise UsageError(
            "--function and --size need --verify, --inputs or --calibrate, which run the program"
        )


_ABOUT = {"weights": "", "outputs": ", about"}


def _choose(
    program: "AIProgram",
    size: int,
    goal: Goal,
    work: dict[str, Any],
) -> tuple[list[Rule], Planned]:
    """Return rules that reach the goal, and what they were chosen from, which is printed."""
    from coreai_opt.planning.choose import choose_plan  # noqa: PLC0415  # imports Core AI

    with steps_bar() as progress:
        measured = measure_weights(
            program,
            forms=goal.forms,
            sampled=goal.min_sqnr is None,
            progress=progress,
            **work,
        )
    weights = measured.weights
    if not weights:
        raise InputError(
            f"there are no weights of more than {work['weight_num_threshold']:,} elements "
            "(--threshold) to choose formats for; coreai-opt inspect lists what there is"
        )
    # The file has more than weights, and some more for each that is quantized.
    rest = size - sum(weight.nbytes for weight in weights) + IR_BYTES * (len(weights) + 1)
    least = rest + sum(weight.least_nbytes for weight in weights)
    if goal.target_size is not None and goal.target_size < least:
        raise InputError(
            f"--target-size {goal.target_size:,} cannot be reached: with the smallest formats the "
            f"file takes about {least:,} bytes"
        )
    plan = choose_plan(
        measured,
        target_bytes=None if goal.target_size is None else goal.target_size - rest,
        min_sqnr=goal.min_sqnr,
    )
    if goal.plan_out is not None:
        write_text(goal.plan_out, plan.to_toml())
    quality = "weights" if work["inputs"] is None else "outputs"
    print_frontier(stdout(), plan, rest, f"SQNR of the {quality}{_ABOUT[quality]}")
    points = tuple((rest + point.nbytes, point.sqnr_db) for point in plan.frontier)
    return plan.rules, Planned(points, (rest + plan.nbytes, plan.sqnr_db), quality)
