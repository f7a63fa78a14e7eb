"""A report as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.reports.fitting_table import FittingTable
from coreai_opt.reports.rows import COLUMNS, Column, form

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coreai_opt.reports.records import WeightRecord
    from coreai_opt.reports.summary import Summary

_FORM = (
    Column["WeightRecord"]("to", lambda record: form(record).partition(" ")[0].rstrip(",:")),
    Column["WeightRecord"]("how", lambda record: form(record).partition(" ")[2]),
)
"""What a weight became in two columns: a narrow terminal has room for the first word alone."""


def to_table(summary: Summary) -> FittingTable:
    """Return a table with a row for each weight, without the columns that take too much room."""
    columns = list(_columns())
    return FittingTable(
        [f">{column.head}" if column.is_number else column.head for column in columns],
        ([column.cell(record) for column in columns] for record in summary.records),
        least=("largest error", "bytes before", "how", "after", "SQNR of weight"),
    )


def _columns() -> Iterator[Column[WeightRecord]]:
    for column in COLUMNS:
        if column.head == "to":
            yield from _FORM
        elif not column.is_detail:
            yield column
