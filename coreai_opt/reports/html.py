"""A report as one page of HTML. Whatever comes from the model is escaped."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from coreai_opt.evaluation.weight_error import decibels
from coreai_opt.reports import charts, frontier_chart, interactive
from coreai_opt.reports.charts import Bar, bars
from coreai_opt.reports.circumstances import RANDOM_INPUTS
from coreai_opt.reports.records import Status
from coreai_opt.reports.rows import (
    FORMAT_COLUMNS,
    OTHER_COLUMNS,
    OUTPUT_COLUMNS,
    Column,
    Row,
    columns_of,
    form,
    origins,
    totals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from coreai_opt.evaluation.weight_error import WeightError
    from coreai_opt.reports.circumstances import Circumstances, Planned
    from coreai_opt.reports.records import WeightRecord
    from coreai_opt.reports.summary import Summary

_STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --pale: #5b6573; --page: #ffffff;
  --line: #d9dee5; --bar: #2f6fde; --back: #cddcf6; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ee; --pale: #98a2b0; --page: #14181e;
  --line: #2c333d; --bar: #6ea0ff; --back: #2b3d5e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 1200px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
p, dd { overflow-wrap: anywhere; } p { color: var(--pale); margin: 0 0 .8rem; }
dt { color: var(--pale); overflow-wrap: anywhere; } dd { margin: 0 0 .5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } td:first-child { min-width: min(16rem, 30vw); overflow-wrap: anywhere; }
.weights td:nth-child(4) { min-width: 11rem; }
th.number, td.number { text-align: right; white-space: nowrap; }
"""

_PART_OF_NAME = re.compile(r"[/_:](?=\w)|\w(?=@)")
"""Ends where a name that has no room on one line is broken."""

_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{interactive.DIGEST}'"
"""The browser fetches nothing, and runs nothing but the one script, whatever is in the page."""


def to_html(summary: Summary) -> str:
    """Return the page: totals, charts, and tables of the worst, the left and all weights."""
    title = escape(summary.title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}{charts.STYLE}{frontier_chart.STYLE}"
        f"{interactive.STYLE}</style></head>"
        f"<body><h1>{title}</h1>{''.join(_parts(summary))}"
        f"<script>{interactive.SCRIPT}</script></body></html>\n"
    )


def _parts(summary: Summary) -> list[str]:
    """Return the parts of the page in their order, those without content empty."""
    others = () if summary.census is None else summary.census.others
    left = [record for record in summary.records if record.status is not Status.QUANTIZED]
    told = summary.circumstances
    return [
        _files(summary),
        _section(
            "Outputs",
            _about_outputs(told),
            _table(OUTPUT_COLUMNS, told.outputs),
        ),
        _section(
            "Formats",
            "Bytes are those of codes, scales and zero points.",
            _table(FORMAT_COLUMNS, summary.formats),
        ),
        _section("All together", "", _definitions(totals(summary)) if summary.records else ""),
        _section(
            "The worst",
            "Least SQNR of the weight first.",
            _weights([record for record, _ in summary.worst()]),
        ),
        _section("Plan", _about(told.plan), _frontier(told.plan)),
        _section(
            "Errors",
            "How many elements are how far from what they were, in parts of their weight's "
            "root mean square.",
            _histogram(summary.error),
        ),
        _section("Not quantized", "", _reasons(left)),
        _section(
            "No weights",
            "Float constants that nothing is multiplied by, or that are too small; the largest "
            "first.",
            _table(OTHER_COLUMNS, others),
        ),
        _section(
            "SQNR of weights",
            "Of each quantized weight, in dB, the least first; longer is better. It is no SQNR of "
            "outputs.",
            _sqnr(summary),
        ),
        _section(
            "Size",
            "Of each weight in bytes, the largest first; pale before and full after.",
            _sizes(summary),
        ),
        _section("All weights", "", _weights(summary.records)),
        _section("Made by", "", _definitions(made) if (made := origins(summary)) else ""),
    ]


def _section(head: str, text: str, content: str) -> str:
    """Return a part of the page; empty if it has no content."""
    explained = f"<p>{text}</p>" if text else ""
    return f"<section><h2>{head}</h2>{explained}{content}</section>" if content else ""


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    rows = (f"<dt>{escape(what)}</dt><dd>{escape(said)}</dd>" for what, said in pairs)
    return f"<dl>{''.join(rows)}</dl>"


def _files(summary: Summary) -> str:
    """Return the sizes of the files as bars; empty where they are not known."""
    told = summary.circumstances
    if told.nbytes_before is None or told.nbytes_after is None:
        return ""
    left = 100 * told.nbytes_after / told.nbytes_before
    sizes = [
        Bar("file before, bytes", told.nbytes_before, f"{told.nbytes_before:,}"),
        Bar("file after, bytes", told.nbytes_after, f"{told.nbytes_after:,} ({left:.1f} %)"),
    ]
    return bars(sizes, "bytes of the files")


def _about_outputs(told: Circumstances) -> str:
    """Return what the outputs were compared on, and whether that says how good the model is."""
    warned = f" {RANDOM_INPUTS}" if told.on_random_inputs else ""
    return f"How far they are from those of the original, on {escape(told.outputs_on)}.{warned}"


def _about(plan: Planned | None) -> str:
    of = "" if plan is None else plan.quality
    return f"The SQNR of the {escape(of)} that a file of a size can have; the large dot was chosen."


def _frontier(plan: Planned | None) -> str:
    return "" if plan is None else frontier_chart.frontier_chart(plan)


def _sqnr(summary: Summary) -> str:
    measured = [
        Bar(record.name, max(error.sqnr_db, 0), decibels(error.sqnr_db))
        for record, error in summary.worst(len(summary.records))
    ]
    return bars(measured, "SQNR of each weight") if measured else ""


def _sizes(summary: Summary) -> str:
    sizes = [
        Bar(r.name, r.nbytes_after, f"{r.nbytes_after:,}", background=r.nbytes_before)
        for r in sorted(summary.records, key=lambda record: -record.nbytes_before)
    ]
    return bars(sizes, "bytes of each weight") if sizes else ""


def _histogram(error: WeightError | None) -> str:
    if error is None:
        return ""
    edges = ["under 1/32,768"]
    edges += [f"1/{2**k:,} to 1/{2 ** (k - 1):,}" for k in range(15, 1, -1)]
    edges += ["1/2 to 1", "1 and more"]
    total = sum(error.histogram)
    shares = [
        Bar(edge, count, f"{count:,} ({100 * count / total:.1f} %)")
        for edge, count in zip(edges, error.histogram, strict=True)
    ]
    return bars(shares, "elements by size of error")


def _reasons(left: Sequence[WeightRecord]) -> str:
    return _definitions((r.name, form(r)) for r in left) if left else ""


def _weights(records: Sequence[WeightRecord]) -> str:
    return _table(columns_of(records), records, "weights")


def _table(columns: Sequence[Column[Row]], rows: Sequence[Row], kind: str = "") -> str:
    """Return a table, with a name of its kind for the style sheet; empty if it has no rows."""
    if not rows:
        return ""
    heads = _row("th", columns, [column.head for column in columns])
    body = (_row("td", columns, [column.cell(row) for column in columns]) for row in rows)
    parts = f"<thead>{heads}</thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="wide"><table class="{kind}">{parts}</table></div>'


def _row(tag: str, columns: Sequence[Column[Row]], texts: Sequence[str]) -> str:
    kinds = (' class="number"' if column.is_number else "" for column in columns)
    first, *others = map(escape, texts)
    shown = [_PART_OF_NAME.sub(r"\g<0><wbr>", first), *others]
    made = (f"<{tag}{k}>{t}</{tag}>" for k, t in zip(kinds, shown, strict=True))
    return f"<tr>{''.join(made)}</tr>"
