"""A report as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from coreai_opt.reports.rows import COLUMNS

if TYPE_CHECKING:
    from coreai_opt.reports.summary import Summary


def to_table(summary: Summary) -> Table:
    """Return a table with a row for each weight, without the columns that take too much room."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    columns = [column for column in COLUMNS if not column.is_detail]
    for column in columns:
        table.add_column(
            column.head, justify="right" if column.is_number else "left", overflow="fold"
        )
    for record in summary.records:
        # In a Text no brackets are markup, whatever the console is.
        table.add_row(*(Text(column.cell(record)) for column in columns))
    return table
