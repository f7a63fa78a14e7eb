"""``Summary``: the records of all weights, and what they come to together."""

import math
from collections import Counter

import numpy as np

from coreai_opt.evaluation.weight_error import WeightError
from coreai_opt.reports.records import Census, Status, WeightRecord


class Summary:
    """The records of the weights of a program.

    Attributes:
        title: what was quantized; the heading of a report.
        records: one per weight, in the order of the program.
        census: what all float constants of the program are; None if nobody has looked.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.records: list[WeightRecord] = []
        self.census: Census | None = None

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
