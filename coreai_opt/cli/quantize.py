"""``coreai-opt quantize``: a copy of an asset with its weights quantized."""

import argparse
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.calibration.calibration import Calibration
from coreai_opt.cli.budget import Goal, add_budget
from coreai_opt.cli.calibrate import add_mask
from coreai_opt.cli.calibrated import Calibrated, calibrate_here, judge
from coreai_opt.cli.console import doing, steps_bar
from coreai_opt.cli.each_asset import add_assets, each_asset
from coreai_opt.cli.parser import (
    Subcommands,
    UsageError,
    add_loudness,
    choice_of,
    int_at_least,
    option_of,
)
from coreai_opt.cli.running import RunOn
from coreai_opt.cli.writing import (
    Collected,
    Compressed,
    add_outputs,
    add_preset,
    add_rules,
    add_running,
    add_target,
    write_compressed,
    writing_of,
)
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.coreai_utils.format_planning import measure_weights
from coreai_opt.exceptions import InputError
from coreai_opt.program.assets import asset_bytes, load_asset
from coreai_opt.reports import QuantizationReport
from coreai_opt.reports.circumstances import Planned
from coreai_opt.reports.records import WeightRecord
from coreai_opt.settings.enums import CompressionGranularity, Observer, Rounding
from coreai_opt.settings.presets import find_preset
from coreai_opt.settings.rules import Rule
from coreai_opt.settings.rules_file import load_rules
from coreai_opt.settings.settings import DEFAULTS, OF_CODES, Settings, describe
from coreai_opt.settings.targets import TargetName

if TYPE_CHECKING:
    from coreai_opt.program.ir import AIModelAsset, AIProgram

logger = logging.getLogger("coreai_opt")

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
    add_rules(parser.add_argument_group("rules", "Other formats for some weights, or none."))
    _add_calibration(
        parser.add_argument_group(
            "calibration", "Round weights so that the outputs of their layers change least."
        )
    )
    add_budget(
        parser.add_argument_group("budget", "Instead of a format: a format for each weight.")
    )
    add_outputs(parser.add_argument_group("output"))
    add_running(parser.add_argument_group("running"))
    add_loudness(parser)


def _add_format(group: argparse._ArgumentGroup) -> None:
    add_preset(group, of_tables=False)
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


@dataclass(frozen=True)
class _How:
    """How to quantize a program.

    Attributes:
        settings: of weights that no rule matches.
        rules: settings for some weights; None for no rules.
        importance: what squared errors count, by name of the weight; or None.
        target, threshold, backend, num_threads: as in ``quantize_weights``.
    """

    settings: Settings
    rules: Sequence[Rule] | None
    importance: Mapping[str, npt.NDArray[Any]] | None
    target: TargetName | None
    threshold: int
    backend: str
    num_threads: int | None

    def quantize(
        self,
        program: "AIProgram",
        calibration: Calibration | None,
        progress: Callable[[WeightRecord], None] | None,
    ) -> None:
        """Quantize a program in place."""
        quantize_weights(
            program,
            **self.settings.arguments(OF_CODES),
            weight_num_threshold=self.threshold,
            in_place=True,
            calibration=calibration,
            importance=self.importance,
            overrides=self.rules,
            target=self.target,
            backend=self.backend,
            num_threads=self.num_threads,
            progress=progress,
        )

    def to_nearest(self) -> "_How":
        """Return how to round every weight to nearest, with scales as with a calibration."""
        observer = self.settings.observer or Observer.MSE
        settings = replace(self.settings, observer=observer, rounding=Rounding.NEAREST)
        rules = self.rules and [_to_nearest(rule) for rule in self.rules]
        return replace(self, settings=settings, rules=rules)


def _to_nearest(rule: Rule) -> Rule:
    """Return a rule that rounds to nearest; one that does not say how leaves that to the call.

    Saying less than it did, a rule of nothing but ``rounding`` would be none.
    """
    return rule if rule.rounding is None else replace(rule, rounding=Rounding.NEAREST)


def _run(options: argparse.Namespace) -> None:
    def write(source: Path, output: Path | None) -> None:
        quantize(source, output, options)

    each_asset(options, write)


def quantize(source: Path, output: Path | None, options: argparse.Namespace) -> None:
    """Write a copy of an asset with its weights quantized, and sum it up.

    Args:
        source: the asset to read.
        output: the asset to write; None for none.
        options: what was typed.

    Raises:
        InputError, ArgumentTypeError: an option or a path that cannot be used; OUT is untouched.
        QualityError: weights were left, and ``--fail-on-skip`` is asked for.
    """
    settings, goal = _settings(options).with_implied(), Goal.of(options, source)
    goal.check(settings, options.rules, options.importance)
    _check_running(options)
    _check_blocks(settings)
    writing = writing_of(source, output, options)
    how = _How(
        DEFAULTS.merge(settings),
        None if options.rules is None else load_rules(options.rules),
        None if options.importance is None else load_arrays(options.importance),
        options.target,
        options.threshold,
        options.backend,
        options.num_threads,
    )
    calibrated = None if options.calibration is None else Calibrated.load(options.calibration)
    started = time.perf_counter()
    with doing(f"reading {source}"):
        asset = load_asset(source)
    program = asset.program
    if options.calibrate is not None:
        calibrated = calibrate_here(
            program,
            options.calibrate,
            function=options.function,
            sizes=writing.run_on.sizes,
            mask=options.mask,
            threshold=options.threshold,
        )
    if goal.option:
        size, run_on = asset_bytes(source), writing.run_on
        rules, plan = _plan(program, size, goal, how, run_on, calibrated=calibrated)
        how = replace(how, rules=rules)
        writing = replace(writing, target_size=goal.target_size, plan=plan)
    write_compressed(writing, asset, program, partial(_quantize, asset, calibrated, how), started)


def _plan(
    program: "AIProgram",
    size: int,
    goal: Goal,
    how: _How,
    on: RunOn,
    *,
    calibrated: Calibrated | None,
) -> tuple[list[Rule], Planned]:
    """Return rules that reach the goal, and what they were chosen from, which is printed."""
    with steps_bar("measuring" if on.arrays is None else "running") as progress:
        measured = measure_weights(
            program,
            forms=goal.forms,
            inputs=on.arrays,
            function=on.function,
            calibration=None if calibrated is None else calibrated.calibration,
            target=how.target,
            weight_num_threshold=how.threshold,
            backend=how.backend,
            num_threads=how.num_threads,
            sampled=goal.min_sqnr is None,
            progress=progress,
        )
    if not measured.weights:
        raise InputError(
            f"there are no weights of more than {how.threshold:,} elements (--threshold) to choose "
            "formats for; coreai-opt inspect lists what there is"
        )
    return goal.choose(measured, size)


def _quantize(
    asset: "AIModelAsset",
    calibrated: Calibrated | None,
    how: _How,
    program: "AIProgram",
    collected: Collected,
) -> Compressed:
    """Quantize a program; of several ways to round it, take the one that does its outputs best.

    Args:
        asset: the asset that it is from.
        calibrated: a calibration, or None; to nearest is another way where it has samples.
        how: how to quantize it.
        program: its program, which is changed.
        collected: what to make of the records of its weights.
    """
    records = QuantizationReport(asset.path.name)
    with collected.into(records) as progress:
        how.quantize(program, None if calibrated is None else calibrated.calibration, progress)
    if calibrated is None or not calibrated.kept:
        return Compressed(program, records)
    nearest, other = load_asset(asset.path).program, QuantizationReport(asset.path.name)
    with collected.into(other) as progress:
        how.to_nearest().quantize(nearest, None, progress)
    judged = judge(asset, calibrated, program, nearest)
    if judged.calibrated_is_better:
        return Compressed(program, records, judged.compared)
    logger.warning(
        "the calibration made outputs worse on the samples that were kept back: weights are "
        "rounded to nearest"
    )
    return Compressed(nearest, other, judged.compared)


def _settings(options: argparse.Namespace) -> Settings:
    """Return the settings that were typed, and for all others those of a preset."""
    said = Settings.among(options)
    if options.preset is None:
        return said
    if options.target_size is not None or options.min_sqnr is not None:
        raise UsageError("--preset has no place beside --target-size and --min-sqnr: leave one out")
    return find_preset(options.preset).settings.merge(said)


def _check_blocks(settings: Settings) -> None:
    """Check that a block size is not without effect."""
    per_block = CompressionGranularity.PER_BLOCK
    if settings.block_size is not None and settings.granularity != per_block:
        raise UsageError("--block-size needs --granularity per_block")


def _check_running(options: argparse.Namespace) -> None:
    """Check that what says how to run a program is not without effect."""
    runs = options.verify or options.inputs is not None or options.calibrate is not None
    if (options.function is not None or options.sizes) and not runs:
        raise UsageError(
            "--function and --size need --verify, --inputs or --calibrate, which run the program"
        )
    if options.mask is not None and options.calibrate is None:
        raise UsageError("--mask needs --calibrate")
