"""Writing a copy of an asset with its weights compressed, as several subcommands do.

It has the options of these subcommands, and all that happens after weights are compressed.
"""

import argparse
import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from coreai_opt._version import __version__
from coreai_opt.arrays.backends import BACKENDS
from coreai_opt.arrays.npz import load_arrays
from coreai_opt.cli.console import (
    change,
    doing,
    print_fact,
    print_fitting,
    spelled,
    stdout,
    told_of,
    weight_bar,
)
from coreai_opt.cli.each_asset import add_folder, each_asset
from coreai_opt.cli.parser import (
    PROGRAM,
    UsageError,
    add_force,
    add_loudness,
    add_threshold,
    choice_of,
    int_at_least,
)
from coreai_opt.cli.running import (
    Compared,
    RunOn,
    add_function,
    compare_on,
    print_compared,
    sizes_of,
)
from coreai_opt.cli.warnings import flush_warnings
from coreai_opt.exceptions import InputError, QualityError
from coreai_opt.program.assets import (
    SUFFIX,
    asset_bytes,
    check_space,
    load_asset,
    replacing,
    save_asset,
    write_text,
)
from coreai_opt.reports import QuantizationReport
from coreai_opt.reports.circumstances import Circumstances, Planned
from coreai_opt.reports.records import Status, WeightRecord, WithoutErrors
from coreai_opt.settings.presets import presets_of
from coreai_opt.settings.rules_file import load_rules
from coreai_opt.settings.settings import SETTINGS
from coreai_opt.settings.targets import Target

if TYPE_CHECKING:
    from rich.console import Console

    from coreai_opt.program.inventory import Counts
    from coreai_opt.program.ir import AIModelAsset, AIProgram
    from coreai_opt.program.weights import QuantizedWeight

logger = logging.getLogger("coreai_opt")


_REPORT_WRITERS: dict[str, Callable[[QuantizationReport], str]] = {
    ".html": QuantizationReport.to_html,
    ".json": QuantizationReport.to_json,
    ".md": QuantizationReport.to_markdown,
}
"""What writes a report, by the suffix of its file."""


def add_writing(parser: argparse.ArgumentParser) -> None:
    """Add all that ``compress_assets`` reads besides IN and OUT."""
    rules = parser.add_argument_group("rules", "Other settings for some weights, or none.")
    add_rules(rules)
    add_target(rules)
    output = parser.add_argument_group("output")
    add_outputs(output)
    _add_inputs(output)
    add_running(parser.add_argument_group("running"))
    add_loudness(parser)


def add_outputs(group: argparse._ArgumentGroup) -> None:
    """Add the options of what is written, and of how the result is checked."""
    add_folder(group)
    add_force(group)
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would become of each weight, its size and SQNR, and write no asset",
    )
    group.add_argument(
        "--fail-on-skip",
        action="store_true",
        help="exit with code 1 if any weight could not be quantized as it should be; OUT is "
        "written all the same",
    )
    group.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a report of every weight: a page with charts (.html), .md or .json",
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="run IN and the result on Core AI's runtime and print how far their outputs are "
        "apart, on --inputs or on random ones",
    )
    add_function(group)


def add_running(group: argparse._ArgumentGroup) -> None:
    """Add ``--backend`` and ``--threads``."""
    group.add_argument(
        "--backend",
        type=choice_of(BACKENDS),
        choices=BACKENDS,
        default="auto",
        metavar="WHICH",
        help="%(choices)s; validate runs native and reference and compares every byte (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--threads",
        dest="num_threads",
        type=int_at_least(1),
        metavar="N",
        help="threads of the native backend (default: one per processor)",
    )


def add_rules(group: argparse._ArgumentGroup) -> None:
    """Add ``--rules`` and ``--threshold``, which say which weights are treated in another way."""
    group.add_argument(
        "--rules",
        type=Path,
        metavar="FILE.toml",
        help="settings for some weights: [[rule]] tables with name, consumer or shape to match, "
        f"and keep or any of {', '.join(SETTINGS)}; the last that matches counts",
    )
    add_threshold(group)


def add_preset(group: argparse._ArgumentGroup, *, of_tables: bool) -> None:
    """Add ``--preset``, with the presets of look-up tables or those of codes and scales."""
    names = [preset.name for preset in presets_of(tables=of_tables)]
    group.add_argument(
        "--preset",
        type=choice_of(names),
        choices=names,
        metavar="NAME",
        help="%(choices)s: settings that go by a name, which coreai-opt presets lists; other "
        "options change single ones",
    )


def add_target(group: argparse._ArgumentGroup) -> None:
    """Add ``--target``."""
    group.add_argument(
        "--target",
        type=choice_of([target.value for target in Target]),
        choices=[target.value for target in Target],
        metavar="WHERE",
        help="%(choices)s: what is reported not to work there is an error, and never planned",
    )


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    """Add ``--inputs``, which has both programs run as ``--verify`` does."""
    group.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input of IN, by name, or of several samples; both are run on it, "
        "as by --verify",
    )


@dataclass(frozen=True)
class Writing:
    """What is written, and how the result is checked.

    Attributes:
        source: the asset that was read.
        destination: the asset to write; None for none.
        report: where to write a report: .html, .json or .md; or None.
        run_on: what programs are run on.
        verify: whether to run both programs, and print how far their outputs are apart.
        dry_run: whether to print what became of each weight.
        fail_on_skip: whether to end with an error, after all is written, if a weight was left.
        threshold: ``weight_num_threshold``.
        force: whether ``destination`` may exist.
        target_size: bytes that the asset may take; or None.
        plan: what formats were chosen from; None where they were not chosen.
    """

    source: Path
    destination: Path | None
    report: Path | None
    run_on: RunOn
    verify: bool
    dry_run: bool
    fail_on_skip: bool
    threshold: int
    force: bool
    target_size: int | None = None
    plan: Planned | None = None


def writing_of(source: Path, output: Path | None, options: argparse.Namespace) -> Writing:
    """Return what was typed about writing, after checking it and reading the file of inputs.

    Args:
        source: the asset to read.
        output: the asset to write; None for none.
        options: what was typed.

    Raises:
        InputError: an option or a path that cannot be used.
    """
    if options.report is not None:
        check_file("--report", options.report, tuple(_REPORT_WRITERS))
    arrays = None if options.inputs is None else load_arrays(options.inputs)
    return Writing(
        source,
        output,
        report=options.report,
        run_on=RunOn(options.inputs, arrays, options.function, sizes_of(options.sizes)),
        verify=options.verify or options.inputs is not None,
        dry_run=options.dry_run,
        fail_on_skip=options.fail_on_skip,
        threshold=options.threshold,
        force=options.force,
    )


@dataclass(frozen=True)
class Collected:
    """How many records of weights there will be, and whether they are kept.

    Attributes:
        total: how many weights there are.
        wants_records: whether records of them are needed.
        wants_errors: whether these need errors, which every weight is decoded for.
    """

    total: int
    wants_records: bool
    wants_errors: bool

    @contextmanager
    def into(self, records: QuantizationReport) -> Iterator[Callable[[WeightRecord], None] | None]:
        """Show a progress bar, and collect records if they are wanted."""
        wanted = records if self.wants_records else None
        with weight_bar(self.total) as bar:
            callbacks = [callback for callback in (bar, wanted) if callback is not None]

            def call(record: WeightRecord) -> None:
                for callback in callbacks:
                    callback(record)

            if not callbacks:
                yield None
            else:
                yield call if self.wants_errors else WithoutErrors(call)


class Compressed(NamedTuple):
    """A compressed program.

    Attributes:
        program: the program that is to be written; not always the one that was given.
        records: of its weights, if they are wanted.
        compared: how far its outputs are from the original's; None where they were not looked at.
    """

    program: "AIProgram"
    records: QuantizationReport
    compared: Compared | None = None


Compress: TypeAlias = Callable[["AIProgram", Collected], Compressed]
"""Compresses the weights of a program in place."""


def write_compressed(
    writing: Writing,
    asset: "AIModelAsset",
    program: "AIProgram",
    compress: Compress,
    started: float,
) -> None:
    """Compress a program, write it, and sum up what came of it.

    Args:
        writing: what is written.
        asset: the asset that was read.
        program: its program, which is changed.
        compress: compresses its weights.
        started: when the work began, by ``time.perf_counter``.

    Raises:
        InputError: a file that cannot be written; the asset to write is untouched.
        QualityError: weights were left, and ``fail_on_skip`` is asked for.
    """
    from coreai_opt.program.inventory import Inventory  # noqa: PLC0415  # imports Core AI

    threshold, destination = writing.threshold, writing.destination
    size, before = asset_bytes(writing.source), Inventory(program, threshold).counts
    _tell_of_quantized(writing.source, before)
    wants_errors = writing.dry_run or writing.report is not None
    collected = Collected(before.weights, wants_errors or writing.fail_on_skip, wants_errors)
    program, records, compared = compress(program, collected)
    flush_warnings()
    if writing.verify:
        compared = compare_on(load_asset(writing.source), program, writing.run_on)
        print_compared(compared)
    inventory = Inventory(program, threshold)
    after, records.census = inventory.counts, inventory.census
    needed = size - before.nbytes + after.nbytes
    written = _write(asset, program, writing, records, compared, needed)
    _tell_of_none(before, after)
    with told_of(destination):
        _print_summary(before, after, records, with_table=writing.dry_run)
        _print_end(inventory.quantized, size, written, destination, time.perf_counter() - started)
        if compared is None and writing.plan is not None and writing.plan.quality == "weights":
            print_fact(stdout(), "verify", _NOT_VERIFIED)
    if writing.fail_on_skip:
        _check_none_left(records)


_NOT_VERIFIED = (
    "The SQNR above is of the weights; that of the outputs can be much less. --verify runs both "
    "and tells; --inputs plans by the outputs."
)


def _write(  # noqa: PLR0917  # called once, with a name for each
    asset: "AIModelAsset",
    program: "AIProgram",
    writing: Writing,
    records: QuantizationReport,
    compared: Compared | None,
    needed: int,
) -> int | None:
    """Write a program and a report of it: both, or neither.

    Args:
        asset: the asset that the program is from.
        program: the program.
        writing: where to write them to.
        records: the report.
        compared: how far the outputs of both programs are apart; None where they were not run.
        needed: bytes that the disk must have room for.

    Returns:
        the bytes of the new asset; None where there is none.
    """
    destination, written = writing.destination, None
    with ExitStack() as outputs:
        if destination is not None:
            check_space(destination, needed)
            path = outputs.enter_context(replacing(destination, force=writing.force))
            with doing(f"writing {destination}"):
                save_asset(program, path, asset)
            _check_size(path, writing.target_size)
            written = asset_bytes(path)
        if writing.report is not None:
            # The report comes before the asset is moved: where it cannot be written, no asset is.
            before = asset_bytes(asset.path)
            records.circumstances = _circumstances(before, written, compared, writing.plan)
            write_text(writing.report, _REPORT_WRITERS[writing.report.suffix](records))
    return written


def _circumstances(
    before: int, after: int | None, compared: Compared | None, plan: Planned | None
) -> Circumstances:
    """Return the facts of a report beside the weights, for a file of so many bytes."""
    return Circumstances(
        nbytes_before=before,
        nbytes_after=after,
        outputs=() if compared is None else tuple(compared.outputs),
        outputs_on="" if compared is None else compared.on,
        plan=plan,
        command=spelled(shlex.join([PROGRAM, *sys.argv[1:]])),
        versions=(
            ("coreai-opt-native", __version__),
            ("coreai-core", version("coreai-core")),
            ("numpy", version("numpy")),
        ),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def compress_assets(options: argparse.Namespace, compress_weights: Callable[..., object]) -> None:
    """Write copies of assets with their weights compressed, and sum each up.

    Args:
        options: what was typed: what ``add_assets`` and ``add_writing`` add.
        compress_weights: a function of ``coreai_utils`` that changes a program, with the arguments
            that no other of them has.

    Raises:
        InputError, ArgumentTypeError: an option or a path that cannot be used.
        QualityError: weights were left, and ``--fail-on-skip`` is asked for.
    """

    def write(source: Path, output: Path | None) -> None:
        _compress_asset(source, output, options, compress_weights)

    each_asset(options, write)


def _compress_asset(
    source: Path,
    output: Path | None,
    options: argparse.Namespace,
    compress_weights: Callable[..., object],
) -> None:
    """Write a copy of an asset with its weights compressed, and sum it up.

    Args:
        source: the asset to read.
        output: the asset to write; None for none.
        options: what was typed.
        compress_weights: compresses the weights of a program, as for :func:`compress_assets`.

    Raises:
        InputError, ArgumentTypeError: an option or a path that cannot be used; OUT is untouched.
        QualityError: weights were left, and ``--fail-on-skip`` is asked for.
    """
    writing = writing_of(source, output, options)
    if (options.function is not None or options.sizes) and not writing.verify:
        raise UsageError("--function and --size need --verify or --inputs, which run the program")
    overrides = None if options.rules is None else load_rules(options.rules)
    started = time.perf_counter()
    with doing(f"reading {source}"):
        asset = load_asset(source)

    def compress(program: "AIProgram", collected: Collected) -> Compressed:
        records = QuantizationReport(asset.path.name)
        with collected.into(records) as progress:
            compress_weights(
                program,
                in_place=True,
                overrides=overrides,
                target=options.target,
                weight_num_threshold=options.threshold,
                backend=options.backend,
                num_threads=options.num_threads,
                progress=progress,
            )
        return Compressed(program, records)

    write_compressed(writing, asset, asset.program, compress, started)


def check_file(option: str, path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise UsageError unless a file can be written where an option says."""
    if path.suffix not in suffixes:
        raise UsageError(f"{option} must end in {' or '.join(suffixes)}; got {path}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} to")
    if path.is_dir():
        raise UsageError(f"{option} must be a file; {path} is a folder")
    if any(folder.suffix == SUFFIX for folder in path.absolute().parents):
        raise UsageError(f"{option} must not be in a model asset, as {path} is")


def _check_none_left(records: QuantizationReport) -> None:
    """Raise QualityError if there are weights that were left though no rule keeps them."""
    left = sum(record.status is Status.SKIPPED for record in records.records)
    if left:
        raise QualityError(
            f"{left} weights could not be quantized as they should be (--fail-on-skip)"
        )


def _check_size(path: Path, target: int | None) -> None:
    size = asset_bytes(path)
    if target is not None and size > target:
        raise InputError(
            f"the asset takes {size:,} bytes, more than --target-size {target:,}: ask for "
            f"{size - target:,} less"
        )


def _tell_of_quantized(source: Path, before: "Counts") -> None:
    """Warn where weights are quantized already: those stay as they are."""
    if before.quantized:
        logger.warning(
            "%d of the %d weights of %s are quantized already and stay as they are: start from the "
            "asset that it was made from, or from a copy that coreai-opt dequantize writes",
            before.quantized,
            before.quantized + before.weights,
            source,
        )


def _tell_of_none(before: "Counts", after: "Counts") -> None:
    if after.quantized == before.quantized:
        logger.warning("no weight was quantized")


def _print_end(
    quantized: Iterable["QuantizedWeight"],
    before: int,
    after: int | None,
    destination: Path | None,
    seconds: float,
) -> None:
    """Print how large the file is and was, the formats in it, and where it is."""
    console = stdout()
    if after is not None:
        print_fact(console, "file", change(before, after))
    print_fact(console, "time", f"{seconds:.2f} s")
    _print_formats(console, quantized)
    if destination is not None:
        print_fact(console, "wrote", f"{destination}")


def _print_formats(console: "Console", quantized: Iterable["QuantizedWeight"]) -> None:
    """Print which formats weights have, how many, and their bytes."""
    sizes: dict[str, list[int]] = {}
    for weight in quantized:
        # Tables and what is left of sparse weights have no zero points, so no scheme.
        scheme = None if weight.format.startswith(("lut", "sparse")) else weight.qscheme
        name = " ".join(filter(None, [weight.format, scheme, weight.granularity]))
        sizes.setdefault(name, []).append(weight.nbytes)
    for head, (name, nbytes) in zip(["formats", *[""] * len(sizes)], sizes.items(), strict=False):
        count = f"{len(nbytes)} weight{'s' * (len(nbytes) > 1)}"
        print_fact(console, head, f"{name}: {count}, {sum(nbytes):,} bytes")


def _print_summary(
    before: "Counts", after: "Counts", records: QuantizationReport, *, with_table: bool
) -> None:
    console, census = stdout(), records.census
    assert census is not None
    if with_table:
        print_fitting(console, records.to_table())
    quantized = after.quantized - before.quantized
    print_fact(console, "weights", f"{quantized} quantized, {after.weights} left as they are")
    print_fact(console, "", change(before.nbytes, after.nbytes))
    if census.others:
        largest = census.others[0]
        print_fact(
            console,
            "others",
            f"{len(census.others)} float constants of {census.other_nbytes:,} bytes are no "
            f"weights, the largest {largest.name}: {largest.reason}",
        )
    bits = f"{census.bits_per_weight:.2f} per weight, of all float constants together"
    print_fact(console, "bits", bits)
