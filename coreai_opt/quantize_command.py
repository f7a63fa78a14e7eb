"""What ``coreai-opt quantize`` does, for options that ``cli.py`` has parsed."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
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
from coreai_opt.coreai_utils import CompressionGranularity, compare_programs, quantize_weights
from coreai_opt.coreai_utils.planning import measure_weights
from coreai_opt.plan import check_goal, make_plan
from coreai_opt.program.candidates import Counts, count_weights
from coreai_opt.program.inputs import load_arrays
from coreai_opt.records import WeightRecord
from coreai_opt.report import change, print_comparisons, print_frontier, progress_bar, stdout
from coreai_opt.reports import QuantizationReport
from coreai_opt.rules import Rule, load_rules

if TYPE_CHECKING:
    from coreai_opt.compare import Array
    from coreai_opt.program.coreai_ir import AIProgram

logger = logging.getLogger("coreai_opt")

IR_BYTES = 256
"""More than the ops and types of a quantized weight take in a file: 35 to 165 in programs of 1 to
200 weights. One weight's are reserved for what Core AI adds to an asset's metadata."""

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
        plan_out: a TOML file for the rules that were chosen; or None.
    """

    target_size: int | None
    min_sqnr: float | None
    plan_out: Path | None

    @property
    def option(self) -> str:
        """The option that sets it; empty if none does."""
        options = {"--target-size": self.target_size, "--min-sqnr": self.min_sqnr}
        return " and ".join(option for option, value in options.items() if value is not None)


def quantize(
    source: Path,
    output: Path | None,
    *,
    dtype: str | None,
    rules: Path | None,
    importance: Path | None,
    target_size: int | None,
    min_sqnr: float | None,
    inputs: Path | None,
    plan_out: Path | None,
    report: Path | None,
    dry_run: bool,
    verify: bool,
    threshold: int,
    force: bool,
    backend: str,
    num_threads: int | None,
    **settings: Any,
) -> None:
    """Write a copy of the asset ``source``, its weights quantized, to ``output``, and sum it up.

    Args:
        source: the asset to read; may be ``output``, with ``force``.
        output: the asset to write. It appears, or changes, only when it is complete. None with
            ``dry_run``.
        dtype: as in ``quantize_weights``.
        rules: a TOML file of what ``quantize_weights`` takes as ``overrides``; with it, ``dtype``
            may be None.
        importance: a .npz file of what ``quantize_weights`` takes under this name.
        target_size, min_sqnr, plan_out: see :class:`Goal`.
        inputs: a .npz file: what to measure sensitivities on with a goal, and to run with
            ``verify``.
        report: where to write a report: .html, .json or .md.
        dry_run: print what would become of each weight, and write no asset.
        verify: run both programs and print how far their outputs are apart, before it is written.
        threshold: ``weight_num_threshold`` of ``quantize_weights``.
        force: whether ``output`` may exist.
        backend, num_threads: as in ``quantize_weights``.
        settings: further arguments of ``quantize_weights``; None for its defaults.

    Raises:
        ValueError, TypeError: an option or a path that cannot be used; ``output`` is untouched.
    """
    given: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    goal = Goal(target_size, min_sqnr, plan_out)
    _check_goal(goal, dtype, {"rules": rules, "importance": importance, **given})
    if inputs is not None and not goal.option and not verify:
        raise ValueError("--inputs needs --target-size, --min-sqnr or --verify")
    if "block_size" in given and given.get("granularity") != CompressionGranularity.PER_BLOCK:
        raise ValueError("--block-size needs --granularity per_block")
    if report is not None:
        _check_file("--report", report, tuple(_REPORTS))
    destination = _check_output(output, dry_run=dry_run, force=force)
    overrides = None if rules is None else load_rules(rules)
    numbers = None if importance is None else load_arrays(importance)
    arrays = None if inputs is None else load_arrays(inputs)
    started = time.perf_counter()
    asset = load_asset(source)
    program, size = asset.program, asset_bytes(source)
    work: dict[str, Any] = {
        "weight_num_threshold": threshold,
        "backend": backend,
        "num_threads": num_threads,
    }
    if goal.option:
        overrides = _choose(program, size, goal, arrays, work)
    before = count_weights(program, threshold)
    records = QuantizationReport(source.name)
    with _progress(before.weights, records if dry_run or report else None) as progress:
        quantize_weights(
            program,
            dtype,
            overrides=overrides,
            importance=numbers,
            in_place=True,
            progress=progress,
            **given,
            **work,
        )
    if verify:
        _verify(source, program, arrays)
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
        logger.warning("no weight was quantized")
    _print_summary(before, after, records if dry_run else None)
    if destination is not None:
        stdout().print(f"file     {change(size, asset_bytes(destination))}")
    stdout().print(f"time     {time.perf_counter() - started:.2f} s")


def _check_goal(goal: Goal, dtype: str | None, others: dict[str, object]) -> None:
    """Check that there is one way to find formats, and that no option is without effect.

    Args:
        goal: the goal.
        dtype: the option.
        others: other options that say what weights become, by name; None if not given.
    """
    if not goal.option:
        if dtype is None and others["rules"] is None:
            raise ValueError(
                "give --dtype, --rules or both, or else --target-size or --min-sqnr, which choose "
                "a format for each weight"
            )
        if goal.plan_out is not None:
            raise ValueError("--plan-out needs --target-size or --min-sqnr")
        return
    if None not in {goal.target_size, goal.min_sqnr}:
        raise ValueError(f"{goal.option} cannot be given together: leave one out")
    for name, value in {"dtype": dtype, **others}.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{option} has no place beside {goal.option}, which chooses formats itself: leave "
                "one out, or edit what --plan-out writes and give it as --rules"
            )
    check_goal(goal.target_size, goal.min_sqnr)
    if goal.plan_out is not None:
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
        raise ValueError("OUT.aimodel is needed, or --dry-run to write nothing")
    check_destination(output, force=force)
    return output


def _choose(
    program: "AIProgram",
    size: int,
    goal: Goal,
    inputs: Mapping[str, "Array"] | None,
    work: dict[str, Any],
) -> list[Rule]:
    """Return rules that reach the goal, and print what else there is to choose from."""
    weights = measure_weights(program, inputs=inputs, **work)
    if not weights:
        raise ValueError(
            f"there are no weights of more than {work['weight_num_threshold']:,} elements "
            "(--threshold) to choose formats for; coreai-opt inspect lists what there is"
        )
    # What the file holds beside the weights, and will hold with those that are quantized.
    names = sum(len(weight.names) for weight in weights)
    rest = size - sum(weight.nbytes for weight in weights) + IR_BYTES * (names + 1)
    least = rest + sum(weight.least_nbytes for weight in weights)
    if goal.target_size is not None and goal.target_size < least:
        raise ValueError(
            f"--target-size {goal.target_size:,} cannot be reached: with the smallest formats the "
            f"file takes about {least:,} bytes"
        )
    plan = make_plan(
        weights,
        target_bytes=None if goal.target_size is None else goal.target_size - rest,
        min_sqnr=goal.min_sqnr,
    )
    if goal.plan_out is not None:
        write_text(goal.plan_out, plan.to_toml())
    of = "the weights" if inputs is None else "the outputs, about"
    print_frontier(stdout(), plan, rest, f"SQNR of {of}")
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


def _verify(source: Path, program: "AIProgram", inputs: Mapping[str, "Array"] | None) -> None:
    """Run the original and the quantized program, and print how far their outputs are apart."""
    what = "Outputs on random inputs" if inputs is None else "Outputs on --inputs"
    print_comparisons(stdout(), what, compare_programs(load_asset(source), program, inputs))


def _check_size(path: Path, target: int | None) -> None:
    size = asset_bytes(path)
    if target is not None and size > target:
        raise ValueError(
            f"the asset takes {size:,} bytes, more than --target-size {target:,}: ask for "
            f"{size - target:,} less"
        )


def _print_summary(before: Counts, after: Counts, records: QuantizationReport | None) -> None:
    console = stdout()
    if records is not None:
        console.print(records.to_table())
    console.print(
        f"weights  {after.quantized - before.quantized} quantized, {after.weights} left as they are"
    )
    console.print(f"         {change(before.nbytes, after.nbytes)}")
