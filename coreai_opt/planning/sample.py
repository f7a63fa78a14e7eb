"""A part of a large weight that stands for all of it, to measure the errors of formats."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.compressed_array import CompressedArray
from coreai_opt.program.forms import form_of_array

__all__ = ["Sample", "take_sample", "whole"]

ELEMENTS = 1 << 20
"""A sample has about so many: its noise / signal is then within 1 % or so of the weight's, 0.05 dB,
while formats are 1 dB apart and more."""

_LEAST_SLICES = 64
"""How many slices a sample has at least. A weight's channels differ, so that a few slices might not
stand for all."""


class Sample(NamedTuple):
    """Slices of a weight along one axis.

    Attributes:
        array: the slices; or all of the weight.
        axis: the axis.
        length: how long the weight is along it.
    """

    array: npt.NDArray[Any]
    axis: int
    length: int

    def saved_bytes(self, compressed: CompressedArray) -> int:
        """Return what all of the weight takes in a saved program, given the compressed slices."""
        slices, form = self.array.shape[self.axis], form_of_array(compressed)
        if slices == self.length:
            return form.saved_bytes(compressed)
        return form.saved_bytes(compressed, slices, self.length)


def whole(array: npt.NDArray[Any]) -> Sample:
    """Return all of a weight as its sample."""
    return Sample(array, 0, array.shape[0])


def take_sample(array: npt.NDArray[Any], blocks: Sequence[Sequence[int]]) -> Sample:
    """Return a sample of a weight; all of it, if it is small, not finite, or has no such slices.

    The weight is cut into runs of equal length, and one slice is drawn from each, always the same
    ones. So every part of the weight is in the sample, and a period of its rows does not matter.

    Args:
        array: the weight, of one axis or more.
        blocks: block sizes that it is to be quantized with. They are those of the sample, too,
            because it is taken along an axis on which no block has more than one element.
    """
    axes = [axis for axis in range(array.ndim) if all(sizes[axis] == 1 for sizes in blocks)]
    if not blocks or not axes:
        return whole(array)
    axis = max(axes, key=lambda axis: array.shape[axis])
    length = array.shape[axis]
    slices = max(ELEMENTS * length // array.size, _LEAST_SLICES)
    if length < 2 * slices or not _is_finite(array):
        return whole(array)
    drawn = np.arange(slices) + np.random.default_rng(0).random(slices)
    chosen = np.floor(drawn * (length / slices)).astype(np.intp)
    return Sample(np.take(array, np.minimum(chosen, length - 1), axis), axis, length)


_EXPONENTS = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F80_0000}
"""The bits that are all set in infinities and NaNs, and in no other number."""

_CHUNK = 1 << 16
"""Elements that are looked at together: they stay in the cache."""


def _is_finite(array: npt.NDArray[Any]) -> bool:
    bits = array.reshape(-1).view(f"u{array.itemsize}")
    mask = bits.dtype.type(_EXPONENTS[array.dtype.name])
    chunks = (bits[start : start + _CHUNK] for start in range(0, bits.size, _CHUNK))
    return all(bool(((chunk & mask) != mask).all()) for chunk in chunks)
