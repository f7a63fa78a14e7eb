"""A chart of what a plan could be chosen from, as SVG in a page. Colors are the page's."""

import math
from html import escape

from coreai_opt.reports.circumstances import Planned

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 260, 60, 36

STYLE = """
.frontier { width: 100%; max-width: 640px; height: auto; font-size: 12px; }
.frontier polyline { fill: none; stroke: var(--bar); stroke-width: 2; }
.frontier line { stroke: var(--line); } .frontier text { fill: var(--pale); }
.frontier circle { fill: var(--bar); } .frontier .chosen { fill: var(--text); }
"""
"""The style sheet of the chart. It needs ``--bar``, ``--line``, ``--pale`` and ``--text``."""


def frontier_chart(plan: Planned) -> str:
    """Return the chart: bytes from left to right, dB from bottom to top; empty without a point.

    A plan that leaves every weight as it is has an infinite SQNR, and is not shown.
    """
    points = [point for point in plan.points if math.isfinite(point[1])]
    if not points:
        return ""
    shown = [*points, plan.chosen] if math.isfinite(plan.chosen[1]) else points
    sizes, qualities = [size for size, _ in shown], [quality for _, quality in shown]
    most, best = max(sizes), max([*qualities, 1.0])

    def place(point: tuple[int, float]) -> tuple[float, float]:
        across = (_WIDTH - _LEFT - 12) * point[0] / most
        up = (_HEIGHT - _BOTTOM - 16) * max(point[1], 0) / best
        return round(_LEFT + across, 1), round(_HEIGHT - _BOTTOM - up, 1)

    line = " ".join(f"{x},{y}" for x, y in map(place, points))
    circles = "".join(_circle(*place(point), point, "point") for point in points)
    if shown is not points:
        circles += _circle(*place(plan.chosen), plan.chosen, "chosen")
    floor = _HEIGHT - _BOTTOM
    return (
        f'<svg class="frontier" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="SQNR of the {escape(plan.quality)} by bytes of the file">'
        f'<line x1="{_LEFT}" y1="{floor}" x2="{_WIDTH}" y2="{floor}"/>'
        f'<line x1="{_LEFT}" y1="8" x2="{_LEFT}" y2="{floor}"/>'
        f'<text x="{_LEFT - 6}" y="{floor}" text-anchor="end">0 dB</text>'
        f'<text x="{_LEFT - 6}" y="20" text-anchor="end">{best:.1f} dB</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 14}">0</text>'
        f'<text x="{_WIDTH - 4}" y="{_HEIGHT - 14}" text-anchor="end">{most:,} bytes</text>'
        f'<polyline points="{line}"/>{circles}</svg>'
    )


def _circle(x: float, y: float, point: tuple[int, float], kind: str) -> str:
    radius = 6 if kind == "chosen" else 3
    title = f"{point[0]:,} bytes, {point[1]:.1f} dB{', chosen' if kind == 'chosen' else ''}"
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"><title>{title}</title></circle>'
