"""What rounding does to the outputs of a weight, as far as a calibration has seen its inputs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.arrays.quantized_array import QuantizedArray

__all__ = ["CalibratedError"]

_ROWS = 512
"""Rows that are multiplied together: with what they become they take few bytes."""

_MOST = 126
"""2^-126 is the smallest normal float32, and 2^126 is a float32."""


@dataclass(frozen=True)
class CalibratedError:
    """The error of a weight's outputs, by the second moments H of its inputs.

    Attributes:
        signal: tr(W·H·Wᵀ), the mean square of the outputs of all rows together.
        noise: tr(E·H·Eᵀ), where E is the error of the quantized weight.
        nearest_noise: the noise with every element rounded to nearest at these scales.
    """

    signal: float
    noise: float
    nearest_noise: float

    @property
    def sqnr_db(self) -> float:
        """Signal-to-quantization-noise ratio of the outputs in dB; infinity without any noise."""
        return _sqnr(self.signal, self.noise)

    @property
    def nearest_sqnr_db(self) -> float:
        """SQNR of the outputs in dB with every element rounded to nearest."""
        return _sqnr(self.signal, self.nearest_noise)


def _sqnr(signal: float, noise: float) -> float:
    if not noise:
        return math.inf
    ratio = signal / noise  # 0 also where the noise is infinite
    return 10 * math.log10(ratio) if ratio else -math.inf


Moments = Sequence[npt.NDArray[np.float32]]
"""H of each chunk of columns, ``[groups, k, k]``: what inputs of different chunks have in common is
not known."""


def output_energy(array: npt.NDArray[Any], layout: MatrixLayout, moments: Moments) -> float:
    """Return tr(W·H·Wᵀ) of a weight, the mean square of its outputs, all together.

    Products are of float32, which has no room for the squares of 1e20 and 1e-25: elements are
    divided by a power of two near the largest of them, and the sum, in float64, multiplied back.

    Nothing is cast or reordered within an operation: numpy's buffers for that end the process when
    they get no memory.
    """
    total, start, exponent = 0.0, 0, _exponent(array)
    scale = np.float32(math.ldexp(1, -exponent))
    matrices = layout.to_matrices(array)
    for chunk in moments:
        end = start + chunk.shape[-1]
        for matrix, square in zip(matrices, chunk, strict=True):
            for row in range(0, len(matrix), _ROWS):
                rows = matrix[row : row + _ROWS, start:end].astype(np.float32, order="C")
                rows *= scale
                total += float((rows @ square * rows).astype(np.float64).sum())
        start = end
    return math.ldexp(max(total, 0.0), 2 * exponent)


def _exponent(array: npt.NDArray[Any]) -> int:
    """Return e such that 2^e is near an array's largest magnitude, and 2^-e a normal float32."""
    _, exponent = math.frexp(max(float(array.max()), -float(array.min())))
    return min(max(exponent, -_MOST), _MOST)


def output_noise(
    weight: npt.NDArray[Any], quantized: QuantizedArray, layout: MatrixLayout, moments: Moments
) -> float:
    """Return tr(E·H·Eᵀ), where E is the error of the quantized weight."""
    error = quantized.dequantize().astype(np.float32)
    error -= weight.astype(np.float32, copy=False)
    return output_energy(error, layout, moments)
