"""``QuantizationReport``: the records of all weights, and what they come to together."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from coreai_opt.errors import WeightError
from coreai_opt.records import Status, WeightRecord

if TYPE_CHECKING:
    from rich.table import Table


class QuantizationReport:
    """Collects the records of ``quantize_weights``: ``progress=report``.

    Attributes:
        title: what was quantized; the heading.
        records: one per weight, in the order of the program.
    """

    def __init__(self, title: str = "Quantized weights") -> None:
        self.title = title
        self.records: list[WeightRecord] = []

    def __call__(self, record: WeightRecord) -> None:
        """Take the next record."""
        self.records.append(record)

    @property
    def counts(self) -> dict[Status, int]:
        """How many weights became what."""
        found = Counter(record.status for record in self.records)
        return {status: found[status] for status in Status}

    @property
    def nbytes_before(self) -> int:
        """Bytes that all weights took."""
        return sum(record.nbytes_before for record in self.records)

    @property
    def nbytes_after(self) -> int:
        """Bytes that all weights take."""
        return sum(record.nbytes_after for record in self.records)

    @property
    def error(self) -> WeightError | None:
        """The error of all quantized weights together; None if there are none."""
        errors = [error for _, error in self.measured()]
        if not errors:
            return None
        return WeightError(
            math.fsum(error.signal for error in errors),
            math.fsum(error.noise for error in errors),
            max(error.largest for error in errors),
            tuple(np.sum([error.histogram for error in errors], axis=0).tolist()),
        )

    def measured(self) -> list[tuple[WeightRecord, WeightError]]:
        """Return the quantized weights and their errors, in the order of the program."""
        return [(record, record.error) for record in self.records if record.error is not None]

    def worst(self, count: int = 10) -> list[tuple[WeightRecord, WeightError]]:
        """Return the quantized weights with the least SQNR, the worst first."""
        return sorted(self.measured(), key=lambda pair: pair[1].sqnr_db)[:count]

    def to_json(self) -> str:
        """Return all records and the totals as JSON; SQNR is in dB, null where it is infinite."""
        error = self.error
        content = {
            "title": self.title,
            "weights": {str(status): count for status, count in self.counts.items()},
            "nbytes_before": self.nbytes_before,
            "nbytes_after": self.nbytes_after,
            "sqnr_db": None if error is None else finite(error.sqnr_db),
            "records": [_as_json(record) for record in self.records],
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """Return the totals and a table of all weights as Markdown."""
        from coreai_opt.reports.markdown import to_markdown  # noqa: PLC0415  # it imports this

        return to_markdown(self)

    def to_html(self) -> str:
        """Return a page with charts that needs no other file and no network."""
        from coreai_opt.reports.html import to_html  # noqa: PLC0415  # it imports this

        return to_html(self)

    def to_table(self) -> Table:
        """Return a table of all weights for a ``rich.console.Console``."""
        from coreai_opt.reports.table import to_table  # noqa: PLC0415  # imports rich

        return to_table(self)


def finite(number: float) -> float | None:
    """Return the number, None where JSON has none for it."""
    return number if math.isfinite(number) else None


def _as_json(record: WeightRecord) -> dict[str, Any]:
    content = asdict(record)
    if record.error is not None:
        content["error"]["sqnr_db"] = finite(record.error.sqnr_db)
    return content
