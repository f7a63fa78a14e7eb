"""Records of a program's float constants: what became of its weights, and what is no weight."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from coreai_opt.evaluation.calibrated_error import CalibratedError
from coreai_opt.evaluation.weight_error import WeightError

__all__ = ["Census", "OtherConstant", "Status", "WeightRecord", "WithoutErrors", "in_functions"]


class Status(StrEnum):
    """Outcomes for a weight."""

    QUANTIZED = "quantized"
    KEPT = "kept"
    """A rule says so."""
    SKIPPED = "skipped"
    """It cannot be quantized as it should be."""


@dataclass(frozen=True)
class WeightRecord:
    """The record of one weight.

    Attributes:
        name: the weight's name, as in warnings, rules and ``coreai-opt inspect``.
        location: where it comes from, by Core AI's debug information.
        consumers: what uses it, in words.
        functions: in how many of the program's functions it is; clones share their weights.
        shape: its shape.
        status: what became of it.
        reason: why, where it was not quantized; or what was done differently, e.g. another block
            size because the one that was asked for does not divide the axis. Else empty.
        rules: numbers of the rules that match it, the first of all rules being 1, in their order;
            the last one wins.
        format_before: its dtype, e.g. ``"float16"``.
        format_after: the format of its codes, e.g. ``"int4"``; ``format_before`` if not quantized.
        qscheme: ``"symmetric"`` or ``"asymmetric"``; empty if it has no codes.
        granularity: which elements share a scale, or a look-up table, e.g. ``"per_block"``; empty
            if there is neither.
        block_size: input channels that share a scale, with ``"per_block"``; output channels that
            share a table, with ``"per_grouped_channel"``; else 0.
        scale_dtype: dtype of its scales, e.g. ``"float16"``; empty if not quantized.
        observer: ``"minmax"`` or ``"mse"``; empty if it has no codes.
        nbytes_before: bytes of its elements.
        nbytes_after: bytes it takes in a saved program: codes, scales and zero points.
        error: how far the quantized weight is from the weight; None if not quantized, or not
            measured.
        seconds: how long reading and quantizing it took, without measuring the error; weights
            overlap, so that all together may take less. 0 if not quantized.
        rounding: ``"nearest"`` or ``"gptq"``; empty if not quantized.
        output_error: how far its outputs are from the weight's on the inputs of a calibration, and
            how far they would be with rounding to nearest; None if no calibration has seen it.
        scales: which elements share a scale beside the look-up tables, ``"per_channel"`` or
            ``"blocks of 32"``; empty if there are no such scales.
    """

    name: str
    location: str
    consumers: str
    functions: int
    shape: tuple[int, ...]
    status: Status
    reason: str
    rules: tuple[int, ...]
    format_before: str
    format_after: str
    qscheme: str
    granularity: str
    block_size: int
    scale_dtype: str
    observer: str
    nbytes_before: int
    nbytes_after: int
    error: WeightError | None
    seconds: float
    rounding: str = ""
    output_error: CalibratedError | None = None
    scales: str = ""


@dataclass(frozen=True)
class WithoutErrors:
    """A function for ``progress=`` that reads no errors of records, so that none is measured.

    Attributes:
        function: is called with each record, whose ``error`` is None.
    """

    function: Callable[[WeightRecord], object]

    def __call__(self, record: WeightRecord) -> None:
        """Take the next record."""
        self.function(record)


@dataclass(frozen=True)
class OtherConstant:
    """A float constant that is no weight to quantize.

    Attributes:
        name: a name to tell it by.
        shape: its shape.
        format: its dtype, e.g. ``"float16"``.
        nbytes: bytes that it takes in a saved program.
        consumers: what uses it, in words.
        reason: why it is no weight.
    """

    name: str
    shape: tuple[int, ...]
    format: str
    nbytes: int
    consumers: str
    reason: str


@dataclass(frozen=True)
class Census:
    """What the float constants of a program are, each value once.

    Attributes:
        others: those that are neither weights to quantize nor quantized, the largest first.
        elements: elements of all float constants together, decoded. A constant that is stored as
            one repeated element counts none.
        nbytes: bytes that they take in a saved program.
    """

    others: tuple[OtherConstant, ...]
    elements: int
    nbytes: int

    @property
    def other_nbytes(self) -> int:
        """Bytes of the constants that are no weights."""
        return sum(other.nbytes for other in self.others)

    @property
    def bits_per_weight(self) -> float:
        """Bits that an element takes, of all float constants together; 0 where there are none."""
        return 8 * self.nbytes / self.elements if self.elements else 0.0


def in_functions(name: str, functions: int) -> str:
    """Return a weight's name, and in how many functions it is if there are several."""
    return name if functions == 1 else f"{name} (in {functions} functions)"
