"""``QuantizationReport``: a summary that collects records, and writes itself in several ways."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from coreai_opt.reports.html import to_html
from coreai_opt.reports.markdown import to_markdown
from coreai_opt.reports.outputs import finite, finite_numbers, outputs_as_json
from coreai_opt.reports.rows import totals
from coreai_opt.reports.summary import Summary

if TYPE_CHECKING:
    from coreai_opt.reports.circumstances import Planned
    from coreai_opt.reports.fitting_table import FittingTable
    from coreai_opt.reports.records import WeightRecord


SCHEMA_VERSION = 2
"""Of the JSON: raised when a key goes away or means something else. Reports without one are 1."""


_SHOWN = 12
"""How many formats are printed of a report."""


class QuantizationReport(Summary):
    """Collects the records of ``quantize_weights``: ``progress=report``.

    Attributes:
        title: what was quantized; the heading.
        records: one per weight, in the order of the program.
        census: what all float constants are, of which reports list those that are no weights:
            ``report.census = take_census(quantized)``. None leaves them out.
    """

    def __init__(self, title: str = "Quantized weights") -> None:
        super().__init__(title)

    def __call__(self, record: WeightRecord) -> None:
        """Take the next record."""
        self.records.append(record)

    def __repr__(self) -> str:
        """Return one line; ``print`` shows a few."""
        return f"QuantizationReport({self.title!r}, {len(self.records):,} weights)"

    def __str__(self) -> str:
        """Return a few lines: the title, the totals, and how many weights have which format."""
        formats = [(f"{total.weights:,}", total.format) for total in self.formats[:_SHOWN]]
        more = len(self.formats) - _SHOWN
        return "\n".join(
            [
                self.title,
                *(f"  {what}: {said}" for what, said in totals(self)),
                *(f"  {count:>4} {name}" for count, name in formats),
                *[f"  and {more} other formats"] * (more > 0),
            ]
        )

    def to_json(self) -> str:
        """Return all records and the totals as JSON; SQNR is in dB, null where it is infinite.

        ``"others"`` and ``"bits_per_weight"`` come from the census, and are null without one.
        """
        sqnr_db, census, told = self.sqnr_db, self.census, self.circumstances
        content = {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "command": told.command or None,
            "versions": dict(told.versions),
            "date": told.date or None,
            "file": {"nbytes_before": told.nbytes_before, "nbytes_after": told.nbytes_after},
            "outputs_on": told.outputs_on or None,
            "outputs": outputs_as_json(told.outputs),
            "formats": [
                total._asdict() | {"bits_per_weight": total.bits_per_weight}
                for total in self.formats
            ],
            "plan": None if told.plan is None else _plan_as_json(told.plan),
            "weights": {str(status): count for status, count in self.counts.items()},
            "nbytes_before": self.nbytes_before,
            "nbytes_after": self.nbytes_after,
            "weights_sqnr_db": None if sqnr_db is None else finite(sqnr_db),
            "bits_per_weight": None if census is None else census.bits_per_weight,
            "others": None if census is None else [asdict(other) for other in census.others],
            "records": [_as_json(record) for record in self.records],
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """Return the totals and a table of all weights as Markdown."""
        return to_markdown(self)

    def to_html(self) -> str:
        """Return a page with charts that needs no other file and no network."""
        return to_html(self)

    def to_table(self) -> FittingTable:
        """Return a table of all weights for a ``rich.console.Console``; it fits the width."""
        from coreai_opt.reports.terminal import to_table  # noqa: PLC0415  # imports rich

        return to_table(self)


def _plan_as_json(plan: Planned) -> dict[str, Any]:
    """What a plan was chosen from; an SQNR is null where all weights are kept."""

    def point(of: tuple[int, float]) -> dict[str, Any]:
        return {"nbytes": of[0], "sqnr_db": finite(of[1])}

    return {
        "sqnr_of": plan.quality,
        "chosen": point(plan.chosen),
        "frontier": [point(of) for of in plan.points],
    }


def _as_json(record: WeightRecord) -> dict[str, Any]:
    content = asdict(record)
    for key in ("error", "output_error"):
        measured = getattr(record, key)
        if measured is not None:
            content[key] = finite_numbers({**content[key], "sqnr_db": measured.sqnr_db})
    return content
