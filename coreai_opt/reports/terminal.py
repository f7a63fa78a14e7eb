"""A report as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.reports.fitting_table import FittingTable
from coreai_opt.reports.rows import COLUMNS

if TYPE_CHECKING:
    from coreai_opt.reports.summary import Summary


def to_table(summary: Summary) -> FittingTable:
    """Return a table with a row for each weight, without the columns that take too much room."""
    columns = [column for column in COLUMNS if not column.is_detail]
    return FittingTable(
        [f">{column.head}" if column.is_number else column.head for column in columns],
        ([column.cell(record) for column in columns] for record in summary.records),
        least=("largest error", "bytes before", "after", "SQNR of weight"),
    )
