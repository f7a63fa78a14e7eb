"""A report as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from coreai_opt.reports.circumstances import RANDOM_INPUTS
from coreai_opt.reports.rows import (
    FORMAT_COLUMNS,
    OTHER_COLUMNS,
    OUTPUT_COLUMNS,
    Column,
    Row,
    columns_of,
    origins,
    totals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from coreai_opt.reports.summary import Summary


def to_markdown(summary: Summary) -> str:
    """Return the totals, a table of all weights, and one of the constants that are none."""
    lines = [
        f"# {_escape(summary.title)}",
        "",
        *(f"- {what}: {_escape(how_much)}" for what, how_much in totals(summary)),
    ]
    told = summary.circumstances
    if told.outputs:
        lines += ["", f"## Outputs on {_escape(told.outputs_on)}", ""]
        lines += _table(OUTPUT_COLUMNS, told.outputs)
        lines += ["", RANDOM_INPUTS] if told.on_random_inputs else []
    lines += ["", "## Formats", "", *_table(FORMAT_COLUMNS, summary.formats)]
    lines += ["", "## Weights", "", *_table(columns_of(summary.records), summary.records)]
    if summary.census is not None and summary.census.others:
        lines += ["", "## No weights", "", *_table(OTHER_COLUMNS, summary.census.others)]
    if origins(summary):
        lines += ["", "## Made by", ""]
        lines += [f"- {what}: {_escape(which)}" for what, which in origins(summary)]
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
