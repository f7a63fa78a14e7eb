"""How far decoded numbers are from the weights that they stand for, in float64."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_SUMS = 16
"""Sums that run side by side, so that vectors of any number of lanes give the same."""

_HISTOGRAM_EDGES = [0, *range(1023 - 30, 1024, 2)]
"""Exponents, biased as in float64, of 0, 4**-15, 4**-14, …, 1/4, 1."""


class Differences(NamedTuple):
    """How far numbers are from weights.

    Attributes:
        noise: Σ (w' - w)².
        largest: the largest ``|w' - w|``.
        histogram: how many errors have a square that is less than 4**-15 of the mean square, from
            there to less than 4**-14, …, from 1/4 to less than 1, and 1 or more: 17 counts.
    """

    noise: float
    largest: float
    histogram: tuple[int, ...]


def sum_squares(numbers: npt.NDArray[Any]) -> float:
    """Return Σ x² of a flat array; infinite or NaN if it holds an infinity or a NaN."""
    return _sum(np.square(numbers.astype(np.float64)))


def compare(weight: npt.NDArray[Any], decoded: npt.NDArray[Any], mean_square: float) -> Differences:
    """Compare flat arrays of one dtype.

    Args:
        weight: the weights.
        decoded: what stands for them. Where one of the two holds a NaN or an infinity, ``noise`` is
            one of these and the rest means nothing.
        mean_square: what squared errors are divided by for the histogram; above 0.
    """
    error = decoded.astype(np.float64) - weight.astype(np.float64)
    squares = np.square(error)
    exponents = np.bincount((squares / mean_square).view(np.int64) >> 52, minlength=2048)
    histogram = np.add.reduceat(exponents, _HISTOGRAM_EDGES)
    return Differences(_sum(squares), float(np.max(np.abs(error))), tuple(histogram.tolist()))


def _sum(squares: npt.NDArray[np.float64]) -> float:
    """Add up: number i to sum ``i % 16``, in their order, and then the sums by halves."""
    padded = np.zeros(-(-squares.size // _SUMS) * _SUMS)
    padded[: squares.size] = squares
    sums = np.add.accumulate(padded.reshape(-1, _SUMS), axis=0)[-1]
    while sums.size > 1:
        sums = sums[: sums.size // 2] + sums[sums.size // 2 :]
    return float(sums[0])
