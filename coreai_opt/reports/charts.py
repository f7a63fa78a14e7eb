"""Bar charts as lists in a page of HTML, for wide and narrow screens. Colors are the page's."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

STYLE = """
.chart { list-style: none; margin: 0; padding: 0; font-size: 13px; line-height: 1.35; }
.chart li { display: grid; grid-template-columns: minmax(8rem, 2fr) 3fr 9rem; gap: 0 .8rem;
  align-items: center; padding: .15rem 0; }
.chart .name { overflow-wrap: anywhere; }
.chart .value { white-space: nowrap; font-variant-numeric: tabular-nums; }
.track { position: relative; height: 14px; }
.track span { position: absolute; inset: 0 auto 0 0; min-width: 1px; border-radius: 2px; }
.bar { background: var(--bar); } .back { background: var(--back); }
@media (max-width: 640px) {
  .chart li { grid-template-columns: 1fr 9rem; padding: .3rem 0; }
  .chart .name { grid-column: 1 / -1; }
}
"""
"""The style sheet of charts. It needs the colors ``--bar`` and ``--back``."""


class Bar(NamedTuple):
    """A bar: what it is of, how long it is, and what is written beside it.

    Attributes:
        name: on its left, or above it.
        length: >= 0; infinite for as long as there is room.
        value: on its right.
        background: length of a paler bar behind it; 0 for none.
    """

    name: str
    length: float
    value: str
    background: float = 0.0


def bars(bars: Sequence[Bar], label: str) -> str:
    """Return bars, one below the other, to the scale of the longest that is finite.

    Args:
        bars: the bars.
        label: what the chart shows, for those who do not see it.
    """
    lengths = (length for bar in bars for length in (bar.length, bar.background))
    longest = max((length for length in lengths if length < float("inf")), default=0) or 1
    rows = "".join(_row(bar, longest) for bar in bars)
    return f'<ul class="chart" aria-label="{escape(label)}">{rows}</ul>'


def _row(bar: Bar, longest: float) -> str:
    background = _part("back", bar.background / longest) if bar.background else ""
    return (
        f'<li><span class="name">{escape(bar.name)}</span>'
        f'<span class="track">{background}{_part("bar", bar.length / longest)}</span>'
        f'<span class="value">{escape(bar.value)}</span></li>'
    )


def _part(kind: str, share: float) -> str:
    return f'<span class="{kind}" style="width:{min(100 * share, 100):.2f}%"></span>'
