"""Weights, layouts and errors for tests of the observer MSE."""

from typing import Any

import numpy as np

from coreai_opt import QuantizedArray

from .corpus import Array, DTypeLike, Layout

# Longer than what the kernels hold at a time, on either side of it, along both axes.
LONG = (
    Layout((3, 5000), (1, 0)),
    Layout((70, 300), (0, 0)),
    Layout((2, 2050), (1, 1025)),
    *(Layout((3, 2 * n), (1, n)) for n in (126, 127, 128, 129)),
    *(Layout((n, 21), (0, 1)) for n in (127, 128, 129, 257, 1000)),
    Layout((64, 100), (32, 5)),
    Layout((64, 60), (2, 20)),
)


def spread(shape: Any, dtype: DTypeLike, seed: int = 0) -> Array:
    """Weights with outliers, which are worth clipping."""
    return np.random.default_rng(seed).standard_t(3, size=shape).astype(dtype)


def block_errors(
    weight: Array, result: QuantizedArray, numbers: Array, importance: Array | float = 1.0
) -> Array:
    """Σ h·(w - w')² of each block in float64."""
    difference = weight.astype(np.float64) - result.dequantize().astype(np.float64)
    return np.bincount(numbers.ravel(), (importance * difference**2).ravel())
