"""Draw the array results of a page: ``python benchmarks/plot.py docs/benchmarks.md``.

The picture has the figures of the page's first run, and lies beside it.
"""

import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MARKS = {
    "floor": '<path d="M0-5V5" stroke="black" stroke-width="1.5"/>',
    "ours": '<circle r="4" fill="#d62728"/>',
    "coreai-opt": '<path d="M-3.5-3H3.5L0 4Z" fill="#1f77b4"/>',
    "torchao": '<path d="M-3-3H3V3H-3Z" fill="#ff7f0e"/>',
    "onnxruntime": '<path d="M-3.5 3H3.5L0-4Z" fill="#2ca02c"/>',
    "mlx": '<path d="M-4 0L0-4L4 0L0 4Z" fill="#17becf"/>',
    "ggml": '<path d="M-4 0H4M0-4V4" stroke="#9467bd" stroke-width="2.5"/>',
}
"""How each contender is drawn."""

LABELS, PANEL, GAP, ROW = 190, 290, 20, 18
"""Widths of the rows' names, of a panel and between panels, and the height of a row, in pixels."""
TOP, BOTTOM = 30, 65
"""Heights of what is above and below the rows."""


class Table(NamedTuple):
    """The speeds from one source: for each case its name, and M weights/s by contender."""

    source: str
    cases: list[tuple[str, dict[str, float]]]


def tables(page: str) -> Iterator[Table]:
    """Yield the tables of array results of a page in Markdown."""
    for source, table in re.findall(r"^\*\*(\w+), M weights/s\*\*\n\n((?:\|.*\n)+)", page, re.M):
        head, _, *rows = ([c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines())
        cells = [dict(zip(head, row, strict=True)) for row in rows]
        yield Table(
            source,
            [
                (
                    f"{row['format']}, {row['axis']}",
                    {name: float(row[name]) for name in MARKS if row.get(name)},
                )
                for row in cells
            ],
        )


def draw(page: str) -> str:
    """Return an SVG of the speed of every contender in every case, a panel for each source."""
    found = _first_of_each_source(page)
    speeds = [speed for table in found for _, case in table.cases for speed in case.values()]
    low, high = math.floor(math.log10(min(speeds))), math.log10(max(speeds) * 1.1)
    names = [name for name, _ in found[0].cases]
    width = LABELS + len(found) * (PANEL + GAP)
    bottom = TOP + ROW * len(names)

    def place(speed: float) -> int:
        return round((math.log10(speed) - low) / (high - low) * PANEL)

    def panel(table: Table) -> Iterator[str]:
        yield _text(PANEL // 2, 20, table.source, anchor="middle")
        for power in range(low, math.floor(high) + 1):
            x = place(10**power)
            yield f'<path d="M{x} {TOP}V{bottom}" stroke="#ddd"/>'
            yield _text(x, bottom + 15, f"{10**power}", anchor="middle")
        for row, (_, case) in enumerate(table.cases):
            y = TOP + ROW * row + 9
            line = f'<path d="M{place(case["ours"])} {y}H{place(case["floor"])}" stroke="#bbb"/>'
            yield line + "".join(_mark(n, place(case[n]), y) for n in reversed(case))

    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + BOTTOM}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{width}" height="{bottom + BOTTOM}" fill="white"/>',
            *(f'<defs><g id="{name}">{mark}</g></defs>' for name, mark in MARKS.items()),
            *(_text(5, TOP + ROW * row + 13, name) for row, name in enumerate(names)),
            *(
                f'<g transform="translate({LABELS + (PANEL + GAP) * number})">\n'
                + "\n".join(panel(table))
                + "\n</g>"
                for number, table in enumerate(found)
            ),
            _text(width // 2, bottom + 33, "M weights/s, one thread", anchor="middle"),
            *(
                _mark(name, LABELS + 110 * number, bottom + 51)
                + _text(LABELS + 110 * number + 10, bottom + 55, name)
                for number, name in enumerate(MARKS)
            ),
            "</svg>\n",
        ]
    )


def _first_of_each_source(page: str) -> list[Table]:
    """Return the tables of the run that the page begins with."""
    found: dict[str, Table] = {}
    for table in tables(page):
        found.setdefault(table.source, table)
    return list(found.values())


def _mark(name: str, x: int, y: int) -> str:
    return f'<use href="#{name}" x="{x}" y="{y}"/>'


def _text(x: int, y: int, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.with_suffix(".svg").write_text(draw(file.read_text()))
