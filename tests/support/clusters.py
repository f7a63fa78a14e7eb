"""What look-up tables leave of numbers."""

import numpy as np

from .corpus import Array


def error_of(weight: Array, table: Array) -> float:
    """Return the sum of squared errors that a table leaves, in float64."""
    distances = np.abs(weight.astype(np.float64)[:, np.newaxis] - table.astype(np.float64))
    return float((distances.min(axis=1) ** 2).sum())
