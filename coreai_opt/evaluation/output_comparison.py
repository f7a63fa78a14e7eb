"""How far the outputs of one program are from those of another, output by output."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.evaluation.weight_error import decibels
from coreai_opt.exceptions import InputError, QualityError

__all__ = ["OutputComparison", "check_quality", "compare_outputs", "sqnr_db"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OutputComparison:
    """How far one output y of a program is from its reference r.

    All figures are computed in float64, and NaN where either output holds a NaN or an infinity.

    Attributes:
        name: the output's name.
        shape: its shape.
        sqnr_db: 10 log10(Σ r² / Σ (r - y)²) in dB; infinity where the two are equal.
        cosine: Σ r·y / √(Σ r² · Σ y²); NaN where one of the two is zero throughout.
        max_abs_error: the largest of the absolute errors, ``|r - y|``.
        top1: share, from 0 to 1, of the rows along the last axis whose largest elements stand in
            the same place (the first of several that are equal); None where the last axis has fewer
            than two elements.
    """

    name: str
    shape: tuple[int, ...]
    sqnr_db: float
    cosine: float
    max_abs_error: float
    top1: float | None

    @property
    def top1_in_percent(self) -> str:
        """``top1`` for a table; empty where there is none, or where an output is not finite."""
        if self.top1 is None or math.isnan(self.top1):
            return ""
        return f"{100 * self.top1:.1f} %"


def compare_outputs(
    reference: Mapping[str, Array], outputs: Mapping[str, Array]
) -> list[OutputComparison]:
    """Compare the outputs of two programs.

    Args:
        reference: the outputs of the program to compare with, by name.
        outputs: those of the other, with the same names and shapes; dtypes may differ.

    Returns:
        one comparison per output, by name.

    Raises:
        InputError: names or shapes differ.
    """
    if reference.keys() != outputs.keys():
        raise InputError(f"outputs differ: {sorted(reference)} and {sorted(outputs)}")
    return [_compare(name, reference[name], outputs[name]) for name in sorted(reference)]


def check_quality(comparisons: Iterable[OutputComparison], min_sqnr_db: float) -> None:
    """Raise QualityError, naming the outputs, where any has less SQNR than this, or NaN."""
    low = [c for c in comparisons if not c.sqnr_db >= min_sqnr_db]
    if low:
        outputs = ", ".join(f"{c.name}: {decibels(c.sqnr_db)}" for c in low)
        raise QualityError(f"less SQNR than {min_sqnr_db:g} dB: {outputs}")


def sqnr_db(reference: Array, approximation: Array) -> float:
    """Return the signal-to-quantization-noise ratio, 10 log10(Σ r² / Σ (r - a)²), in dB.

    Args:
        reference: the signal r, any real dtype.
        approximation: the array a in its place, of the same shape.

    Returns:
        infinity where the two are equal; NaN where either holds a NaN or an infinity.
    """
    signal = np.asarray(reference, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.sum((signal - np.asarray(approximation, np.float64)) ** 2)
        return float(10 * np.log10(np.sum(signal**2) / noise)) if noise else math.inf


def _compare(name: str, reference: Array, output: Array) -> OutputComparison:
    if reference.shape != output.shape:
        raise InputError(f"shapes of output {name!r} differ: {reference.shape}, {output.shape}")
    r, y = np.asarray(reference, np.float64), np.asarray(output, np.float64)
    top1 = _top1(r, y)
    if not (np.isfinite(r).all() and np.isfinite(y).all()):
        nan = math.nan
        return OutputComparison(name, r.shape, nan, nan, nan, None if top1 is None else nan)
    largest = float(np.max(np.abs(r - y), initial=0))
    return OutputComparison(name, r.shape, sqnr_db(r, y), _cosine(r, y), largest, top1)


def _cosine(r: Array, y: Array) -> float:
    norms = float(np.linalg.norm(r) * np.linalg.norm(y))
    return float(np.sum(r * y)) / norms if norms else math.nan


def _top1(r: Array, y: Array) -> float | None:
    if r.size == 0 or r.ndim == 0 or r.shape[-1] < 2:
        return None
    return float(np.mean(r.argmax(-1) == y.argmax(-1)))
