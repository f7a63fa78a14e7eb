"""Second moments of the rows of activations that a weight is multiplied with.

A weight seen as matrices ``[groups, N, K]`` computes ``y = W·x`` for every row x of its group. An
error E of W leaves the squared error ``‖E·x‖²`` in a row, and in the mean ``tr(E·H·Eᵀ)``, H being
the mean of ``x·xᵀ``. That is all that rounding with feedback needs to know of the activations.

Here H is the mean of ``x·xᵀ / ‖x‖``, so a row counts by its length, not by the square of that. In
language models the rows of the first tokens are hundreds of times as long as all others. By their
squares they would decide H alone, though little depends on them. docs/calibration.md has
measurements.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.feedback import LONGEST_CHUNK

Matrices = npt.NDArray[np.float32]


def chunk_sizes(columns: int) -> list[int]:
    """Return the lengths of the chunks of consecutive columns: as few as can be, as even as can be.

    Args:
        columns: K.
    """
    count = math.ceil(columns / LONGEST_CHUNK)
    return [columns * (i + 1) // count - columns * i // count for i in range(count)]


def moments_nbytes(groups: int, columns: int) -> int:
    """Return the bytes that the moments of a weight take in memory."""
    return groups * sum(size * size for size in chunk_sizes(columns)) * 4


@dataclass(frozen=True, eq=False)
class Moments:
    """The second moments ``mean(x·xᵀ / ‖x‖)`` of the rows x that a weight is multiplied with.

    Attributes:
        matrices: H of each chunk of consecutive columns, float32 ``[groups, k, k]``, symmetric; one
            chunk up to 4096 columns. A group that no row reached has zeros.
        rows: int64 ``[groups]``, how many rows each group is the mean of.
    """

    matrices: tuple[Matrices, ...]
    rows: npt.NDArray[np.int64]

    @property
    def groups(self) -> int:
        """How many matrices the weight is."""
        return len(self.rows)

    @property
    def columns(self) -> int:
        """K: input channels × positions of a convolution's kernel."""
        return sum(chunk.shape[-1] for chunk in self.matrices)

    def diagonal(self) -> npt.NDArray[np.float32]:
        """Return the mean square of each column of the rows, float32 ``[groups, K]``."""
        diagonals = [chunk.diagonal(axis1=1, axis2=2) for chunk in self.matrices]
        return np.concatenate(diagonals, axis=1)

    def merge(self, other: Self) -> "Moments":
        """Return the moments of the rows of both.

        Raises:
            ValueError: they are not of the same groups and columns.
        """
        if (self.groups, self.columns) != (other.groups, other.columns):
            raise ValueError(
                f"moments of {self.groups} groups and {self.columns} columns do not go with those "
                f"of {other.groups} groups and {other.columns} columns"
            )
        rows = self.rows + other.rows
        share = (self.rows / np.maximum(rows, 1)).astype(np.float32)[:, np.newaxis, np.newaxis]
        pairs = zip(self.matrices, other.matrices, strict=True)
        return Moments(tuple(a * share + b * (1 - share) for a, b in pairs), rows)


class MomentSums:
    """Sums that become moments, a few rows at a time.

    Args:
        groups: how many matrices the weight is.
        columns: K of each.
    """

    def __init__(self, groups: int, columns: int) -> None:
        self._sizes = chunk_sizes(columns)
        self._sums = [np.zeros((groups, k, k), np.float32) for k in self._sizes]
        self._rows = np.zeros(groups, np.int64)

    def add(self, group: int, rows: npt.NDArray[np.float32]) -> None:
        """Add rows ``[n, K]`` of a group; rows of zeros say nothing and do not count.

        Raises:
            ValueError: a row holds a NaN or an infinity, or its sum of squares overflows float32.
        """
        norms = np.sqrt(np.einsum("nk,nk->n", rows, rows))
        if not np.isfinite(norms).all():
            raise ValueError("what it is multiplied with holds a NaN, an infinity or huge numbers")
        norms, rows = norms[norms > 0], rows[norms > 0]
        rows = rows / np.sqrt(norms)[:, np.newaxis]
        self._rows[group] += len(rows)
        for sums, columns in zip(self._sums, self._chunks(rows), strict=True):
            sums[group] += columns.T @ columns

    def _chunks(self, rows: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
        start = 0
        for size in self._sizes:
            yield rows[:, start : start + size]
            start += size

    def moments(self) -> Moments:
        """Return the means. Rows cannot be added after that."""
        rows = np.maximum(self._rows, 1)[:, np.newaxis, np.newaxis].astype(np.float32)
        for sums in self._sums:
            np.divide(sums, rows, out=sums)
        return Moments(tuple(self._sums), self._rows)
