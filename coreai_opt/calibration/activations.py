"""From what a program computed to the rows that a weight was multiplied with.

A *reader* tells how. It knows nothing of Core AI, so that several weights with one reader and one
activation share their moments.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.float32]
Shape = tuple[int | None, ...]


class UnpairedError(ValueError):
    """It cannot be told which of a weight's matrices an activation is multiplied with."""


class Mask:
    """Which positions of a sample count, such as those of tokens that are no padding.

    Args:
        counted: of each position whether it counts: numbers, 0 for those that do not.

    Attributes:
        used: whether it has applied to any rows so far.
    """

    def __init__(self, counted: Array) -> None:
        self._counted = counted != 0
        self.used = False

    def of(self, rows: Array) -> Array:
        """Return which of rows ``[..., K]`` count, bool ``[rows]``.

        Rows whose positions are not those of the mask all count. Positions are those of the mask if
        their axes have its lengths in its order, leaving out axes of length 1, or if one axis has
        all of its positions.
        """
        lengths = [size for size in rows.shape[:-1] if size > 1]
        own = [size for size in self._counted.shape if size > 1]
        if lengths not in (own, [self._counted.size]):
            return np.ones(math.prod(rows.shape[:-1]), np.bool_)
        self.used = True
        return self._counted.reshape(-1)


class Reader(Protocol):
    """How to read activations."""

    def rows(
        self, activation: Array, indices: Array | None, most: int, mask: Mask | None, /
    ) -> Iterator[tuple[int, Rows]]:
        """Yield groups of the weight, and rows ``[n, K]`` that each is multiplied with.

        Args:
            activation: what the program computed.
            indices: which of the weight's matrices are multiplied, where a gather selects them.
            most: rows of each group to take at most. Of more rows so many are drawn at random, the
                same ones every time.
            mask: which positions count, for weights that each position is multiplied with alone;
                None for all.

        Raises:
            UnpairedError: the shapes do not tell which matrix meets which rows.
        """


@dataclass(frozen=True)
class MatmulReader:
    """The activations of a matmul.

    Attributes:
        columns: K.
        groups: matrices that the weight is.
        transposed: the activation is the right operand, ``[..., K, rows]``.
        batch: lengths of the weight's axes in front of its matrices, as the matmul sees them.
    """

    columns: int
    groups: int
    transposed: bool
    batch: Shape

    def rows(
        self, activation: Array, indices: Array | None, most: int, mask: Mask | None, /
    ) -> Iterator[tuple[int, Rows]]:
        """See :class:`Reader`."""
        rows = activation.swapaxes(-1, -2) if self.transposed else activation
        if self.groups == 1:
            flat = rows.reshape(-1, self.columns)
            yield 0, _some(flat if mask is None else flat[mask.of(rows)], most)
            return
        batch = self._batch_of(rows, indices)
        rank = max(len(batch), rows.ndim - 2)
        rows = rows.reshape((1,) * (rank + 2 - rows.ndim) + rows.shape)
        batch = (1,) * (rank - len(batch)) + batch
        shape = np.broadcast_shapes(rows.shape[:-2], batch)
        rows = np.broadcast_to(rows, (*shape, *rows.shape[-2:]))
        own = [axis for axis, size in enumerate(batch) if size > 1]
        rows = np.moveaxis(rows, own, range(len(own)))
        count = math.prod(batch)
        if count == 0:  # nothing was selected
            return
        rows = rows.reshape(count, -1, self.columns)
        selected = np.arange(count) if indices is None else indices.reshape(-1)
        for group in np.unique(selected):
            yield int(group), _some(rows[selected == group].reshape(-1, self.columns), most)

    def _batch_of(self, rows: Array, indices: Array | None) -> tuple[int, ...]:
        """Return the lengths of axes in front of the weight's matrices, as this run has them."""
        batch = (1,) * (rows.ndim - 2 - len(self.batch)) + self.batch
        theirs = (1,) * (len(batch) - (rows.ndim - 2)) + rows.shape[:-2]
        wanted = self.groups if indices is None else indices.size
        found = [
            (other if other > 1 else None) if size is None else size
            for size, other in zip(batch, theirs, strict=True)
        ]
        known = math.prod(size for size in found if size is not None)
        sizes = [wanted // known if size is None else size for size in found]
        if math.prod(sizes) != wanted:
            raise UnpairedError(
                f"{wanted} matrices do not pair with activations of shape {list(rows.shape)}"
            )
        return tuple(sizes)


@dataclass(frozen=True)
class ConvolutionReader:
    """The activations of a convolution, ``[B, C, ...]``; they are padded already.

    Attributes:
        groups: runs of channels, each with a matrix of its own.
        kernel: lengths of the kernel's axes.
        strides: how far the kernel moves at a time.
        dilations: how far its positions are apart.
    """

    groups: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    def rows(
        self, activation: Array, _: Array | None, most: int, __: Mask | None, /
    ) -> Iterator[tuple[int, Rows]]:
        """See :class:`Reader`."""
        rank = len(self.kernel)
        axes = tuple(range(2, 2 + rank))
        extents = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        patches = np.lib.stride_tricks.sliding_window_view(activation, extents, axes)
        steps = [slice(None, None, step) for step in (*self.strides, *self.dilations)]
        patches = np.moveaxis(patches[:, :, *steps], 1, 1 + rank)  # [B, position..., C, kernel...]
        positions = patches.shape[: 1 + rank]
        chosen = _chosen(math.prod(positions), most)
        rows = patches[np.unravel_index(chosen, positions)]  # a copy, of these alone
        columns = math.prod(rows.shape[1:]) // self.groups  # a batch of 0 says nothing of them
        rows = rows.reshape(len(chosen), self.groups, columns)
        for group in range(self.groups):
            yield group, np.ascontiguousarray(rows[:, group], np.float32)


@dataclass(frozen=True)
class TransposedConvolutionReader:
    """The activations of a transposed convolution, ``[B, C, ...]``.

    Every position's channels are multiplied with every position of the kernel.

    Attributes:
        groups: runs of channels, each with a matrix of its own.
    """

    groups: int

    def rows(
        self, activation: Array, _: Array | None, most: int, __: Mask | None, /
    ) -> Iterator[tuple[int, Rows]]:
        """See :class:`Reader`."""
        channels = activation.shape[1]
        rows = np.moveaxis(activation, 1, -1).reshape(-1, self.groups, channels // self.groups)
        for group in range(self.groups):
            yield group, _some(rows[:, group], most)


def _some(rows: Array, most: int) -> Rows:
    if len(rows) > most:
        rows = rows[_chosen(len(rows), most)]
    return np.ascontiguousarray(rows, np.float32)


def _chosen(count: int, most: int) -> npt.NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(count).choice(count, most, replace=False))
