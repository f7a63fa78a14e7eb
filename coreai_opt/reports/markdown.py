"""A report as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from coreai_opt.reports.rows import HEADS, cells, totals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coreai_opt.reports.report import QuantizationReport


def to_markdown(report: QuantizationReport) -> str:
    """Return the totals and a table with a row for each weight."""
    aligned = ["---:" if head[0] == ">" else "---" for head in HEADS]
    lines = [
        f"# {_escape(report.title)}",
        "",
        *(f"- {what}: {_escape(how_much)}" for what, how_much in totals(report) if how_much),
        "",
        _row(head.lstrip(">") for head in HEADS),
        _row(aligned),
        *(_row(map(_escape, cells(record))) for record in report.records),
    ]
    return "\n".join(lines) + "\n"


def _row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#&~])", r"\\\1", " ".join(text.split()))
