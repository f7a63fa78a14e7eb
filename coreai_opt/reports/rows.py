"""What reports say in words of a weight and of all of them: the same in every kind of report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.errors import decibels
from coreai_opt.records import Status, WeightRecord

if TYPE_CHECKING:
    from coreai_opt.reports.report import QuantizationReport

HEADS = (
    "weight",
    "shape",
    "from",
    "to",
    ">before",
    ">after",
    ">SQNR",
    ">largest error",
)
"""Of a table with a row for each weight; a head that starts with ``>`` is of a column of
numbers."""


def cells(record: WeightRecord) -> tuple[str, ...]:
    """Return a weight's row under ``HEADS``."""
    error = record.error
    return (
        record.name,
        shape(record),
        record.format_before,
        form(record),
        f"{record.nbytes_before:,}",
        f"{record.nbytes_after:,}",
        "" if error is None else decibels(error.sqnr_db),
        "" if error is None else f"{error.largest:.3g}",
    )


def shape(record: WeightRecord) -> str:
    """Return a weight's shape as ``64x32``."""
    return "x".join(map(str, record.shape))


def form(record: WeightRecord) -> str:
    """Return what a weight became, in words: ``int4 symmetric, blocks of 32, mse``."""
    if record.status is not Status.QUANTIZED:
        return f"{record.status}: {record.reason}"
    blocks = {"per_block": f"blocks of {record.block_size}"}
    parts = [
        f"{record.format_after} {record.qscheme}",
        blocks.get(record.granularity, record.granularity.replace("_", " ")),
        *(["power-of-two scales"] if record.scale_dtype == "float8_e8m0fnu" else []),
        record.observer,
    ]
    return ", ".join(parts) + (f" ({record.reason})" if record.reason else "")


def totals(report: QuantizationReport) -> list[tuple[str, str]]:
    """Return what all weights come to: pairs of what and how much."""
    before, after, error = report.nbytes_before, report.nbytes_after, report.error
    left = f", {100 * after / before:.1f} % are left" if before else ""
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items())
    return [
        ("weights", counts),
        ("bytes", f"{before:,} before, {after:,} after{left}"),
        ("SQNR of all quantized weights", "" if error is None else decibels(error.sqnr_db)),
    ]
