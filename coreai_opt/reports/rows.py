"""Texts about a weight, and about all weights together, for every kind of report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from coreai_opt.evaluation.output_comparison import OutputComparison
from coreai_opt.evaluation.weight_error import decibels
from coreai_opt.reports.records import OtherConstant, Status, WeightRecord, in_functions
from coreai_opt.reports.summary import FormatTotal, label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from coreai_opt.reports.summary import Summary


Row = TypeVar("Row")
"""What a table has a row for: a weight, or a constant that is none."""


class Column(NamedTuple, Generic[Row]):
    """A column of a table.

    Attributes:
        head: what stands above it.
        cell: what a row has there.
        is_number: whether it is aligned right.
        is_detail: whether a terminal has no room for it.
        is_optional: whether it is left out where no row has anything there.
    """

    head: str
    cell: Callable[[Row], str]
    is_number: bool = False
    is_detail: bool = False
    is_optional: bool = False


def shape(constant: WeightRecord | OtherConstant) -> str:
    """Return a constant's shape as ``64x32``."""
    return "x".join(map(str, constant.shape))


def form(record: WeightRecord) -> str:
    """Return what a weight became, in words: ``int4 symmetric, blocks of 32, mse``."""
    if record.status is not Status.QUANTIZED:
        return f"{record.status}: {record.reason}"
    return label(record) + (f" ({record.reason})" if record.reason else "")


def _sqnr(record: WeightRecord) -> str:
    return "" if record.error is None else decibels(record.error.sqnr_db)


def _largest_error(record: WeightRecord) -> str:
    return "" if record.error is None else f"{record.error.largest:.3g}"


def _output_sqnr(record: WeightRecord) -> str:
    """The SQNR of a weight's outputs on a calibration, and in brackets that of nearest rounding."""
    error = record.output_error
    if error is None:
        return ""
    return f"{decibels(error.sqnr_db)} ({decibels(error.nearest_sqnr_db)})"


COLUMNS: tuple[Column[WeightRecord], ...] = (
    Column("weight", lambda record: in_functions(record.name, record.functions)),
    Column("shape", shape, is_detail=True),
    Column("from", lambda record: record.format_before, is_detail=True),
    Column("to", form),
    Column("rules", lambda record: ", ".join(map(str, record.rules)), is_detail=True),
    Column("bytes before", lambda record: f"{record.nbytes_before:,}", is_number=True),
    Column("after", lambda record: f"{record.nbytes_after:,}", is_number=True),
    Column("SQNR of weight", _sqnr, is_number=True),
    Column(
        "of outputs (to nearest)", _output_sqnr, is_number=True, is_detail=True, is_optional=True
    ),
    Column("largest error", _largest_error, is_number=True),
    Column("seconds", lambda record: f"{record.seconds:.3f}", is_number=True, is_detail=True),
)

"""What tables say of each weight."""

OTHER_COLUMNS: tuple[Column[OtherConstant], ...] = (
    Column("constant", lambda other: other.name),
    Column("shape", shape),
    Column("dtype", lambda other: other.format),
    Column("used by", lambda other: other.consumers),
    Column("why", lambda other: other.reason),
    Column("bytes", lambda other: f"{other.nbytes:,}", is_number=True),
)
"""What tables say of each constant that is no weight."""


FORMAT_COLUMNS = (
    Column[FormatTotal]("format", lambda total: total.format),
    Column[FormatTotal]("weights", lambda total: f"{total.weights:,}", is_number=True),
    Column[FormatTotal]("bytes", lambda total: f"{total.nbytes:,}", is_number=True),
    Column[FormatTotal](
        "bits per weight", lambda total: f"{total.bits_per_weight:.2f}", is_number=True
    ),
)
"""What tables say of all weights of one format."""

OUTPUT_COLUMNS = (
    Column[OutputComparison]("output", lambda output: output.name),
    Column[OutputComparison]("shape", lambda output: "x".join(map(str, output.shape))),
    Column[OutputComparison](
        "SQNR of output", lambda output: decibels(output.sqnr_db), is_number=True
    ),
    Column[OutputComparison]("cosine", lambda output: f"{output.cosine:.6f}", is_number=True),
    Column[OutputComparison](
        "largest error", lambda output: f"{output.max_abs_error:.3g}", is_number=True
    ),
    Column[OutputComparison]("top-1", lambda output: output.top1_in_percent, is_number=True),
)
"""What tables say of each output."""


def columns_of(records: Sequence[WeightRecord]) -> list[Column[WeightRecord]]:
    """Return the columns of a table of these weights."""
    return [c for c in COLUMNS if not c.is_optional or any(map(c.cell, records))]


def origins(summary: Summary) -> list[tuple[str, str]]:
    """Return how a report came about: pairs of a heading and a text."""
    told = summary.circumstances
    pairs = [("command", told.command), ("date", told.date)]
    pairs.append(("versions", ", ".join(f"{name} {version}" for name, version in told.versions)))
    return [(what, which) for what, which in pairs if which]


def totals(summary: Summary) -> list[tuple[str, str]]:
    """Return the totals of all weights: pairs of a heading and a text."""
    before, after, error = summary.nbytes_before, summary.nbytes_after, summary.error
    left = f", {100 * after / before:.1f} % are left" if before else ""
    pairs = [
        ("weights", ", ".join(f"{count} {status}" for status, count in summary.counts.items())),
        ("bytes", f"{before:,} before, {after:,} after{left}"),
    ]
    if error is not None:
        assert summary.sqnr_db is not None
        pairs.append(("SQNR of the weights", decibels(summary.sqnr_db)))
        pairs.append(("largest error", f"{error.largest:.3g}"))
    told = summary.circumstances
    if told.nbytes_before is not None and told.nbytes_after is not None:
        files = f"{told.nbytes_before:,} before, {told.nbytes_after:,} after"
        pairs.insert(0, ("bytes of the file", files))
    census = summary.census
    if census is not None:
        others = f"{len(census.others)} of {census.other_nbytes:,} bytes"
        pairs.append(("float constants that are no weights", others))
        pairs.append(("bits per weight of all float constants", f"{census.bits_per_weight:.2f}"))
    return pairs
