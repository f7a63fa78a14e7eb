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
    return 10 * math.log10(signal / noise) if signal else -math.inf


Moments = Sequence[npt.NDArray[np.float32]]
"""H of each chunk of columns, ``[groups, k, k]``: what inputs of different chunks have in common is
not known."""


def output_energy(array: npt.NDArray[Any], layout: MatrixLayout, moments: Moments) -> float:
    """Return tr(W·H·Wᵀ) of a weight, the mean square of its outputs, all together.

    Nothing is cast or reordered within an operation: numpy's buffers for that end the process when
    they get no memory.
    """
    total, start = 0.0, 0
    matrices = layout.to_matrices(array)
    for chunk in moments:
        end = start + chunk.shape[-1]
        for matrix, square in zip(matrices, chunk, strict=True):
            for row in range(0, len(matrix), _ROWS):
                rows = matrix[row : row + _ROWS, start:end].astype(np.float32, order="C")
                total += float((rows @ square * rows).astype(np.float64).sum())
        start = end
    return max(total, 0.0)


def output_noise(
    weight: npt.NDArray[Any], quantized: QuantizedArray, layout: MatrixLayout, moments: Moments
) -> float:
    """Return tr(E·H·Eᵀ), where E is the error of the quantized weight."""
    error = quantized.dequantize().astype(np.float32)
    error -= weight.astype(np.float32, copy=False)
    return output_energy(error, layout, moments)
