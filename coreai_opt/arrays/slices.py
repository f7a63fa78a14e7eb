"""Arrays that are cut along several axes, as slices that are cut as along one.

The C library takes arrays whose look-up tables are cut along one axis, or along some that follow
each other with one index in each block along all but the last: as along one axis. Others are given
to it slice by slice. Of ``[heads, inputs, outputs]`` with a table for each output of each head,
every head is a slice.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import memory
from coreai_opt.reference import tables
from coreai_opt.reference.blocks import to_elements

Array = npt.NDArray[Any]
Packed = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Slices:
    """The slices of an array, in the order in which they follow each other in memory.

    Slices of the same blocks have one *set* of tables.

    Attributes:
        whole: the shape of the array.
        blocks: how many blocks there are along each of its axes.
        axis: the first axis that slices have: one of the blocks along it, and all later axes.
    """

    whole: tuple[int, ...]
    blocks: tuple[int, ...]
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a slice."""
        return (self.whole[self.axis] // self.blocks[self.axis], *self.whole[self.axis + 1 :])

    @property
    def own_blocks(self) -> tuple[int, ...]:
        """How many blocks a slice has along each of its axes."""
        return (1, *self.blocks[self.axis + 1 :])

    @property
    def sets(self) -> int:
        """How many sets of tables there are."""
        return math.prod(self.blocks[: self.axis + 1])

    @property
    def set_of_each(self) -> Array:
        """The number of each slice's set."""
        numbers = np.arange(self.sets).reshape(self.blocks[: self.axis + 1])
        return to_elements(numbers, self._leading).reshape(-1)

    def each(self, array: Array) -> Iterator[Array]:
        """Return the slices of an array of shape ``whole``: views of it if it is C-contiguous."""
        split = array.reshape(*self._leading, *self.shape)
        return (np.ascontiguousarray(split[index]) for index in np.ndindex(self._leading))

    def of_sets(self, array: Array) -> Iterator[Array]:
        """Return the slices of each set as an array of one axis more."""
        split = array.reshape(*self._leading, *self.shape)
        indices = list(np.ndindex(self._leading))
        for numbers in np.argsort(self.set_of_each, kind="stable").reshape(self.sets, -1):
            yield np.stack([split[indices[number]] for number in numbers])

    def tables_of_each(self, found: Array) -> Iterator[Array]:
        """Return the tables of each slice, given those of the array."""
        sets = found.reshape(self.sets, *self.own_blocks, *found.shape[len(self.whole) :])
        return (sets[number] for number in self.set_of_each)

    def join(self, packed: Sequence[Packed], bits: int, cluster_dim: int) -> Packed:
        """Return the packed indices of the array, given those of each slice."""
        count = math.prod(self.shape) // cluster_dim
        if count * bits % 8:  # slices do not end where bytes do
            each = [tables.unpack(one, bits, (count,)) for one in packed]
            return tables.pack(np.concatenate(each), bits)
        return np.concatenate(packed, out=memory.empty(sum(map(len, packed)), np.uint8))

    def split(self, packed: Packed, bits: int, cluster_dim: int) -> Sequence[Packed]:
        """Return the packed indices of each slice, given those of the array."""
        slices, count = math.prod(self._leading), math.prod(self.shape) // cluster_dim
        if count * bits % 8:
            return [tables.pack(one, bits) for one in tables.unpack(packed, bits, (slices, count))]
        return list(packed.reshape(slices, -1))

    @property
    def _leading(self) -> tuple[int, ...]:
        return (*self.whole[: self.axis], self.blocks[self.axis])


def slices_of(shape: Sequence[int], blocks: Sequence[int]) -> Slices | None:
    """Return the slices of an array; None if it is cut as along one axis.

    Args:
        shape: of the array.
        blocks: how many blocks there are along each axis.
    """
    is_cut = is_apart = False
    for axis in reversed(range(len(shape))):
        if blocks[axis] == 1:
            is_apart |= is_cut and shape[axis] > 1
        elif is_cut and (is_apart or shape[axis] > blocks[axis]):
            return Slices(tuple(shape), tuple(blocks), axis)
        else:
            is_cut = True
    return None
