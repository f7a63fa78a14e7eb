"""A report as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from coreai_opt.reports.rows import HEADS, cells

if TYPE_CHECKING:
    from coreai_opt.reports.report import QuantizationReport


def to_table(report: QuantizationReport) -> Table:
    """Return a table with a row for each weight."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for head in HEADS:
        table.add_column(head.lstrip(">"), justify="right" if head[0] == ">" else "left")
    for record in report.records:
        table.add_row(*map(escape, cells(record)))
    return table
