"""``Summary``: the records of all weights, and their totals."""

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from coreai_opt.evaluation.weight_error import WeightError, weights_sqnr_db
from coreai_opt.reports.circumstances import Circumstances
from coreai_opt.reports.records import Census, Status, WeightRecord


class FormatTotal(NamedTuple):
    """All weights of one format: how many, the bytes they take, and how many elements they have."""

    format: str
    weights: int
    nbytes: int
    elements: int

    @property
    def bits_per_weight(self) -> float:
        """Bits that an element takes, with scales and zero points."""
        return 8 * self.nbytes / self.elements if self.elements else 0.0


def label(record: WeightRecord) -> str:
    """Return the format of a quantized weight in words: ``int4 symmetric, blocks of 32, mse``."""
    blocks = {
        "per_block": f"blocks of {record.block_size}",
        "per_grouped_channel": f"groups of {record.block_size} channels",
    }
    parts = [
        f"{record.format_after} {record.qscheme}".rstrip(),
        blocks.get(record.granularity, record.granularity.replace("_", " ")),
        "power-of-two scales" if record.scale_dtype == "float8_e8m0fnu" else "",
        f"scales {record.scales.replace('_', ' ')}" if record.scales else "",
        record.observer,
        "gptq" if record.rounding == "gptq" else "",
    ]
    return ", ".join(filter(None, parts))


class Summary:
    """The records of the weights of a program.

    Attributes:
        title: what was quantized; the heading of a report.
        records: one per weight, in the order of the program.
        census: all float constants of the program; None where it was not taken.
        circumstances: what is told beside the weights, such as the sizes of files.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.records: list[WeightRecord] = []
        self.census: Census | None = None
        self.circumstances = Circumstances()

    @property
    def counts(self) -> dict[Status, int]:
        """How many weights have which status."""
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

    @property
    def sqnr_db(self) -> float | None:
        """SQNR of the weights in dB, as plans have it; None if none was quantized."""
        if self.error is None:
            return None
        return weights_sqnr_db([(math.prod(r.shape), r.error) for r in self.records])

    @property
    def formats(self) -> list[FormatTotal]:
        """The formats that weights have, the one with the most bytes first."""
        found: dict[str, list[WeightRecord]] = {}
        for record in self.records:
            done = record.status is Status.QUANTIZED
            name = label(record) if done else f"{record.format_before}, not quantized"
            found.setdefault(name, []).append(record)
        totals = [
            FormatTotal(
                name,
                len(records),
                sum(record.nbytes_after for record in records),
                sum(math.prod(record.shape) for record in records),
            )
            for name, records in found.items()
        ]
        return sorted(totals, key=lambda total: -total.nbytes)

    def measured(self) -> list[tuple[WeightRecord, WeightError]]:
        """Return the quantized weights and their errors, in the order of the program."""
        return [(record, record.error) for record in self.records if record.error is not None]

    def worst(self, count: int = 10) -> list[tuple[WeightRecord, WeightError]]:
        """Return the quantized weights with the least SQNR, the worst first."""
        return sorted(self.measured(), key=lambda pair: pair[1].sqnr_db)[:count]
