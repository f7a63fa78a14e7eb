"""A report as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from coreai_opt.reports.rows import columns_of, totals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coreai_opt.reports.summary import Summary


def to_markdown(summary: Summary) -> str:
    """Return the totals and a table with a row for each weight."""
    columns = columns_of(summary.records)
    lines = [
        f"# {_escape(summary.title)}",
        "",
        *(f"- {what}: {_escape(how_much)}" for what, how_much in totals(summary)),
        "",
        _row(column.head for column in columns),
        _row("---:" if column.is_number else "---" for column in columns),
        *(_row(_escape(column.cell(r)) for column in columns) for r in summary.records),
    ]
    return "\n".join(lines) + "\n"


def _row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#&~$])", r"\\\1", " ".join(text.split()))
