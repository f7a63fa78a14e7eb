"""What ``coreai-opt quantize`` does, for options that ``cli.py`` has parsed."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from coreai_opt.assets import (
    asset_bytes,
    check_destination,
    check_space,
    load_asset,
    replacing,
    write_text,
)
from coreai_opt.coreai_utils import (
    CompressionGranularity,
    compare_programs,
    plan_quantization,
    quantize_weights,
)
from coreai_opt.program.candidates import Counts, count_weights, find_weights
from coreai_opt.program.inputs import load_arrays, split_samples
from coreai_opt.records import WeightRecord
from coreai_opt.report import change, print_comparisons, print_frontier, progress_bar, stdout
from coreai_opt.reports import QuantizationReport
from coreai_opt.rules import Rule, load_rules

if TYPE_CHECKING:
    from coreai_opt.program.coreai_ir import AIProgram

logger = logging.getLogger("coreai_opt")

DEFAULT_BLOCK_SIZE = 32

IR_BYTES = 256
"""More than the ops and types of a quantized weight take in a file: 65 to 120 in three networks."""

_REPORTS: dict[str, Callable[[QuantizationReport], str]] = {
    ".html": QuantizationReport.to_html,
    ".json": QuantizationReport.to_json,
    ".md": QuantizationReport.to_markdown,
}


class Goal(NamedTuple):
    """What formats are chosen for, instead of one that is named.

    Attributes:
        target_size: bytes that the asset may take; or None.
        min_sqnr: SQNR in dB that the plan must have; or None.
        inputs: a .npz file to measure sensitivities on; or None.
        plan_out: a TOML file for the rules that were chosen; or None.
    """

    target_size: int | None
    min_sqnr: float | None
    inputs: Path | None
    plan_out: Path | None


def quantize(
    source: Path,
    output: Path | None,
    *,
    dtype: str | None,
    granularity: str,
    block_size: int | None,
    rules: Path | None,
    target_size: int | None,
    min_sqnr: float | None,
    inputs: Path | None,
    plan_out: Path | None,
    importance: Path | None,
    report: Path | None,
    dry_run: bool,
    verify: bool,
    threshold: int,
    force: bool,
    **options: Any,
) -> None:
    """Write a copy of the asset ``source``, its weights quantized, to ``output``, and sum it up.

    Args:
        source: the asset to read; may be ``output``, with ``force``.
        output: the asset to write. It appears, or changes, only when it is complete. None with
            ``dry_run``.
        dtype, granularity: as in ``quantize_weights``.
        block_size: as in ``quantize_weights``; only with per_block, where None means 32.
        rules: a TOML file of what ``quantize_weights`` takes as ``overrides``; with it, ``dtype``
            may be None.
        target_size, min_sqnr, inputs, plan_out: see :class:`Goal`; ``inputs`` are also what
            ``verify`` runs.
        importance: a .npz file of what ``quantize_weights`` takes under this name.
        report: where to write a report: .html, .json or .md.
        dry_run: print what would become of each weight, and write no asset.
        verify: run both programs and print how far their outputs are apart, before it is written.
        threshold: ``weight_num_threshold`` of ``quantize_weights``.
        force: whether ``output`` may exist.
        options: further arguments of ``quantize_weights``.

    Raises:
        ValueError, TypeError: an option or a path that cannot be used; ``output`` is untouched.
    """
    goal = Goal(target_size, min_sqnr, inputs, plan_out)
    _check_goal(goal, dtype, rules, verify=verify)
    if block_size is not None and granularity != CompressionGranularity.PER_BLOCK:
        raise ValueError(f"--block-size needs --granularity per_block; it is {granularity}")
    if report is not None:
        _check_file("--report", report, tuple(_REPORTS))
    destination = _check_output(output, dry_run=dry_run, force=force)
    overrides = None if rules is None else load_rules(rules)
    numbers = None if importance is None else load_arrays(importance)
    started = time.perf_counter()
    asset = load_asset(source)
    program, size = asset.program, asset_bytes(source)
    if goal.target_size is not None or goal.min_sqnr is not None:
        overrides = _choose(program, size, goal, threshold, options)
    before = count_weights(program, threshold)
    records = QuantizationReport(source.name)
    with _progress(before.weights, records if dry_run or report else None) as progress:
        quantize_weights(
            program,
            dtype,
            granularity=granularity,
            block_size=block_size or DEFAULT_BLOCK_SIZE,
            overrides=overrides,
            importance=numbers,
            weight_num_threshold=threshold,
            in_place=True,
            progress=progress,
            **options,
        )
    if verify:
        _verify(source, program, inputs)
    after = count_weights(program, threshold)
    with ExitStack() as outputs:
        if destination is not None:
            check_space(destination, size - before.nbytes + after.nbytes)
            path = outputs.enter_context(replacing(destination, force=force))
            program.save_asset(path, metadata=asset.metadata)
            _check_size(path, goal.target_size)
        if report is not None:  # before the asset is moved: where it cannot be written, neither is
            write_text(report, _REPORTS[report.suffix](records))
    if after.quantized == before.quantized:
        logger.warning("no weight was quantized; %s decodes to what it did", source)
    _print_summary(before, after, records if dry_run else None)
    if destination is not None:
        stdout().print(f"file     {change(size, asset_bytes(destination))}")
    stdout().print(f"time     {time.perf_counter() - started:.2f} s")


def _check_goal(goal: Goal, dtype: str | None, rules: Path | None, *, verify: bool) -> None:
    has_goal = goal.target_size is not None or goal.min_sqnr is not None
    ways = [dtype is not None or rules is not None, goal.target_size is not None]
    ways.append(goal.min_sqnr is not None)
    if sum(ways) != 1:
        raise ValueError(
            "one of --dtype (or --rules, or both), --target-size and --min-sqnr is needed, and "
            "not two of them"
        )
    if goal.inputs is not None and not has_goal and not verify:
        raise ValueError("--inputs needs --target-size, --min-sqnr or --verify")
    if goal.plan_out is not None:
        if not has_goal:
            raise ValueError("--plan-out needs --target-size or --min-sqnr")
        _check_file("--plan-out", goal.plan_out, (".toml",))


def _check_file(option: str, path: Path, suffixes: tuple[str, ...]) -> None:
    if path.suffix not in suffixes:
        raise ValueError(f"{option} must end in {' or '.join(suffixes)}; got {path}")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent} to write {path.name} to")
    if path.is_dir():
        raise ValueError(f"{option} must be a file; {path} is a folder")


def _check_output(output: Path | None, *, dry_run: bool, force: bool) -> Path | None:
    """Return where to write the asset; None for nowhere."""
    if dry_run:
        return None
    if output is None:
        raise ValueError("OUT.aimodel is needed, or --dry-run")
    check_destination(output, force=force)
    return output


def _choose(
    program: "AIProgram", size: int, goal: Goal, threshold: int, options: dict[str, Any]
) -> list[Rule]:
    """Return rules that reach the goal, and print what else there is to choose from."""
    weights = find_weights(program, threshold)
    # What the file holds beside the weights, and will hold with those that are quantized.
    rest = size - sum(weight.nbytes for weight in weights) + IR_BYTES * len(weights)
    if goal.target_size is not None and goal.target_size < rest:
        raise ValueError(
            f"--target-size {goal.target_size:,} is less than what is no weight takes: {rest:,}"
        )
    plan = plan_quantization(
        program,
        target_bytes=None if goal.target_size is None else goal.target_size - rest,
        min_sqnr=goal.min_sqnr,
        inputs=None if goal.inputs is None else load_arrays(goal.inputs),
        weight_num_threshold=threshold,
        backend=options["backend"],
        num_threads=options["num_threads"],
    )
    if goal.plan_out is not None:
        write_text(goal.plan_out, plan.to_toml())
    print_frontier(stdout(), plan, rest)
    return plan.rules


@contextmanager
def _progress(
    total: int, records: QuantizationReport | None
) -> Iterator[Callable[[WeightRecord], None] | None]:
    """Show a progress bar, and collect records if they are wanted."""
    with progress_bar(total) as bar:
        callbacks = [callback for callback in (bar, records) if callback is not None]

        def call(record: WeightRecord) -> None:
            for callback in callbacks:
                callback(record)

        yield call if callbacks else None


def _verify(source: Path, program: "AIProgram", inputs: Path | None) -> None:
    """Run the original and the quantized program, and print how far their outputs are apart."""
    original = load_asset(source)
    sample = None
    if inputs is not None:
        sample = split_samples(original.program, load_arrays(inputs))[0]
    what = "random inputs" if inputs is None else f"inputs {inputs}, the first sample"
    print_comparisons(stdout(), what, compare_programs(original, program, sample))


def _check_size(path: Path, target: int | None) -> None:
    size = asset_bytes(path)
    if target is not None and size > target:
        raise ValueError(f"the asset takes {size:,} bytes, more than --target-size {target:,}")


def _print_summary(before: Counts, after: Counts, records: QuantizationReport | None) -> None:
    console = stdout()
    if records is not None:
        console.print(records.to_table())
    console.print(
        f"weights  {after.quantized - before.quantized} quantized, {after.weights} left as they are"
    )
    console.print(f"         {change(before.nbytes, after.nbytes)}")
