"""Which elements of a weight share a scale: block sizes, and arrays seen block by block."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def scale_shape(shape: Sequence[int], block_sizes: Sequence[int]) -> tuple[int, ...]:
    """Return how many blocks there are along each axis, which is the shape of the scales.

    Args:
        shape: the weight's shape, rank >= 1, no axis empty.
        block_sizes: a block's length along each axis; 0 stands for the whole axis.

    Raises:
        ValueError: the list does not fit the shape.
    """
    if len(block_sizes) != len(shape):
        raise ValueError(
            f"block_sizes must have one entry per axis of the weight: got {list(block_sizes)} "
            f"for shape {tuple(shape)}"
        )
    for axis, (length, size) in enumerate(zip(shape, block_sizes, strict=True)):
        if size and length % size:
            raise ValueError(
                f"block size {size} does not divide axis {axis} of length {length} "
                f"(shape {tuple(shape)}, block_sizes {list(block_sizes)})"
            )
    return tuple(
        length // (size or length) for length, size in zip(shape, block_sizes, strict=True)
    )


def split_axes(array: npt.NDArray[Any], blocks: Sequence[int]) -> npt.NDArray[Any]:
    """View each axis of ``array`` as two, (block, element of the block).

    Args:
        array: any array of rank r.
        blocks: how many blocks there are along each axis.

    Returns:
        an array of rank 2r and shape ``(blocks[0], length of a block, blocks[1], …)``.
    """
    pairs = zip(blocks, array.shape, strict=True)
    return array.reshape([n for count, length in pairs for n in (count, length // count)])


def to_rows(array: npt.NDArray[Any], blocks: Sequence[int]) -> npt.NDArray[Any]:
    """Return the elements of each block, in C order, as a row of its own, blocks in C order."""
    split = split_axes(array, blocks)
    axes = (*range(0, split.ndim, 2), *range(1, split.ndim, 2))
    return split.transpose(axes).reshape(math.prod(blocks), -1)


def to_elements(of_blocks: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Return what each element's block has, such as its scale, as an array of ``shape``."""
    blocks = of_blocks.shape
    lengths = [length // count for length, count in zip(shape, blocks, strict=True)]
    per_block = of_blocks.reshape([n for count in blocks for n in (count, 1)])
    pairs = [n for pair in zip(blocks, lengths, strict=True) for n in pair]
    return np.broadcast_to(per_block, pairs).reshape(shape)
