"""Charts as SVG that stands in a page: bars, and nothing else. Colors are the page's."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_ROW, _NAME, _BAR, _VALUE = 22, 380, 420, 130
_LONGEST_NAME = 56


class Bar(NamedTuple):
    """A bar: what it is of, how long it is, and what is written behind it.

    Attributes:
        name: on its left; the middle of a long one is left out there, and all is in the tooltip.
        length: >= 0.
        value: on its right.
        background: length of a paler bar behind it.
    """

    name: str
    length: float
    value: str
    background: float = 0.0


def bars(bars: Sequence[Bar], label: str) -> str:
    """Return horizontal bars, one below the other, to the scale of the longest.

    Args:
        bars: the bars.
        label: what the chart shows, for those who do not see it.
    """
    longest = max((max(bar.length, bar.background) for bar in bars), default=0) or 1
    width, height = _NAME + _BAR + _VALUE, _ROW * len(bars)
    rows = "".join(_bar(bar, _ROW * row, _BAR / longest) for row, bar in enumerate(bars))
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{rows}</svg>'
    )


def _bar(bar: Bar, top: int, scale: float) -> str:
    background = _rectangle("back", top, bar.background * scale) if bar.background else ""
    return (
        f"<g><title>{escape(bar.name)}: {escape(bar.value)}</title>"
        f'<text x="{_NAME - 8}" y="{top + 15}" class="name">{escape(_shorten(bar.name))}</text>'
        f"{background}{_rectangle('bar', top, bar.length * scale)}"
        f'<text x="{_NAME + max(bar.length, bar.background) * scale + 8:.1f}" y="{top + 15}">'
        f"{escape(bar.value)}</text></g>"
    )


def _rectangle(kind: str, top: int, width: float) -> str:
    return (
        f'<rect class="{kind}" x="{_NAME}" y="{top + 3}" width="{max(width, 0.5):.1f}" '
        f'height="{_ROW - 6}"/>'
    )


def _shorten(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    half = (_LONGEST_NAME - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
