"""A weight seen as matrices: which of its elements are summed over together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Offsets = npt.NDArray[np.uintp]


@dataclass(frozen=True)
class MatrixLayout:
    """How a weight is matrices ``[groups, rows, columns]``.

    A row makes one output: it is multiplied by the inputs, one for each column, and summed. Groups
    are heads, experts, or the groups of a convolution.

    Attributes:
        split: the weight's shape, in which an axis may be seen as several, the slowest first.
        axes: the axes of ``split``: those of groups, then those of rows, then those of columns.
        groups, rows, columns: how many there are, products of the lengths of these axes.
    """

    split: tuple[int, ...]
    axes: tuple[int, ...]
    groups: int
    rows: int
    columns: int

    @classmethod
    def of_last_axes(cls, shape: Sequence[int]) -> "MatrixLayout":
        """Return the layout of an array of matrices ``[…, rows, columns]``, or of a single row."""
        split = (1, *shape) if len(shape) == 1 else tuple(shape)
        return cls(split, tuple(range(len(split))), math.prod(split[:-2]), *split[-2:])

    def to_matrices(self, array: Array) -> Array:
        """Return an array of the weight's shape as ``[groups, rows, columns]``."""
        turned = array.reshape(self.split).transpose(self.axes)
        return turned.reshape(self.groups, self.rows, self.columns)

    def spread(self, values: Array, shape: Sequence[int]) -> Array:
        """Return a value per column of each group as an array that broadcasts to the weight.

        Args:
            values: ``[groups, columns]``.
            shape: the weight's.

        Returns:
            an array of the weight's rank, along each axis as long as that or 1.
        """
        of_rows = self._roles()[1]
        lengths = [1 if axis in of_rows else n for axis, n in enumerate(self.split)]
        turned = values.reshape([lengths[axis] for axis in self.axes])
        small = turned.transpose(np.argsort(self.axes))
        spread = []
        for pieces in _cut(self.split, shape):
            is_one = all(lengths[axis] == 1 for axis in pieces)
            spread.append(1 if is_one else math.prod(self.split[axis] for axis in pieces))
            for axis in pieces if not is_one else ():
                lengths[axis] = self.split[axis]
        return np.broadcast_to(small, lengths).reshape(spread)

    def offsets(self) -> tuple[Offsets, Offsets, Offsets]:
        """Return what each group, row and column adds to an element's index in C order."""
        groups, rows, columns = (self._offsets_along(axes) for axes in self._roles())
        return groups, rows, columns

    def _offsets_along(self, axes: Iterable[int]) -> Offsets:
        offsets = np.zeros(1, np.uintp)
        for axis in axes:
            stride = math.prod(self.split[axis + 1 :])
            steps = np.arange(self.split[axis], dtype=np.uintp) * np.uintp(stride)
            offsets = np.add.outer(offsets, steps).reshape(-1)
        return offsets

    def _roles(self) -> list[list[int]]:
        """The axes of groups, of rows, and of columns."""
        sizes = [self.split[axis] for axis in self.axes]
        cut = _cut(sizes, (self.groups, self.rows, self.columns))
        return [[self.axes[position] for position in run] for run in cut]


def _cut(lengths: Sequence[int], products: Sequence[int]) -> list[list[int]]:
    """Cut axes into runs of which the lengths have the products; return the numbers of the axes."""
    runs, axis = [], 0
    for product in products:
        run: list[int] = []
        size = 1
        while axis < len(lengths) and size * lengths[axis] <= product:
            size *= lengths[axis]
            run.append(axis)
            axis += 1
        runs.append(run)
    return runs
