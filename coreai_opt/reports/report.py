"""``QuantizationReport``: a summary that collects records, and writes itself in several ways."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from coreai_opt.reports.html import to_html
from coreai_opt.reports.markdown import to_markdown
from coreai_opt.reports.summary import Summary

if TYPE_CHECKING:
    from coreai_opt.reports.fitting_table import FittingTable
    from coreai_opt.reports.records import WeightRecord


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

    def to_json(self) -> str:
        """Return all records and the totals as JSON; SQNR is in dB, null where it is infinite.

        What is known of a census alone is null without one: ``"others"``, ``"bits_per_weight"``.
        """
        error, census = self.error, self.census
        content = {
            "title": self.title,
            "weights": {str(status): count for status, count in self.counts.items()},
            "nbytes_before": self.nbytes_before,
            "nbytes_after": self.nbytes_after,
            "sqnr_db": None if error is None else _finite(error.sqnr_db),
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


def _finite(number: float) -> float | None:
    """Return the number, None where JSON has none for it."""
    return number if math.isfinite(number) else None


def _as_json(record: WeightRecord) -> dict[str, Any]:
    content = asdict(record)
    if record.error is not None:
        content["error"]["sqnr_db"] = _finite(record.error.sqnr_db)
    if record.output_error is not None:
        content["output_error"]["sqnr_db"] = _finite(record.output_error.sqnr_db)
    return content
