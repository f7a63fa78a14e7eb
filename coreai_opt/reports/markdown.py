"""A report as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from coreai_opt.reports.rows import OTHER_COLUMNS, Column, Row, columns_of, totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from coreai_opt.reports.summary import Summary


def to_markdown(summary: Summary) -> str:
    """Return the totals, a table of all weights, and one of the constants that are none."""
    lines = [
        f"# {_escape(summary.title)}",
        "",
        *(f"- {what}: {_escape(how_much)}" for what, how_much in totals(summary)),
        "",
        *_table(columns_of(summary.records), summary.records),
    ]
    if summary.census is not None and summary.census.others:
        lines += ["", "## No weights", "", *_table(OTHER_COLUMNS, summary.census.others)]
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[Column[Row]], rows: Iterable[Row]) -> list[str]:
    return [
        _row(column.head for column in columns),
        _row("---:" if column.is_number else "---" for column in columns),
        *(_row(_escape(column.cell(row)) for column in columns) for row in rows),
    ]


def _row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#&~$])", r"\\\1", " ".join(text.split()))
