"""Which elements of a weight to keep, and those as a :class:`SparseArray`."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.quantize import quantize_array
from coreai_opt.arrays.sparse_array import SparseArray
from coreai_opt.reference.quantize import check_finite
from coreai_opt.settings.enums import DType

Kept = npt.NDArray[np.bool_]


def keep_largest(magnitudes: npt.NDArray[Any], sparsity: float) -> Kept:
    """Return which elements to keep: all but the ``floor(size * sparsity)`` least.

    Of equal magnitudes the first in C order are dropped first.

    Args:
        magnitudes: not negative, finite.
        sparsity: from 0 to 1.
    """
    flat = magnitudes.reshape(-1)
    count = math.floor(flat.size * sparsity)
    kept = np.ones(flat.size, np.bool_)
    if count:
        bound = np.partition(flat, count - 1)[count - 1]
        kept[flat < bound] = False
        equal = np.flatnonzero(flat == bound)
        kept[equal[: count - np.count_nonzero(flat < bound)]] = False
    return kept.reshape(magnitudes.shape)


def keep_blocks(weight: npt.NDArray[Any], axis: int, size: int, sparsity: float) -> Kept:
    """Return which elements to keep: whole blocks, those of the largest Euclidean norm.

    Args:
        weight: finite.
        axis: along which ``size`` neighbours are a block.
        size: divides the axis.
        sparsity: what part of the blocks goes, from 0 to 1.
    """
    moved = np.moveaxis(weight, axis, 0).astype(np.float64)
    norms = np.sum(moved.reshape(-1, size, *moved.shape[1:]) ** 2, axis=1)
    return np.moveaxis(np.repeat(keep_largest(norms, sparsity), size, axis=0), 0, axis)


def keep_of_each(weight: npt.NDArray[Any], axis: int, zeros: int, of: int) -> Kept:
    """Return which elements to keep: all but the ``zeros`` least of every ``of`` along an axis.

    Of equal magnitudes the first are dropped first.

    Args:
        weight: finite.
        axis: whose length ``of`` divides.
        zeros: 0 to ``of``.
        of: at least 1.
    """
    moved = np.moveaxis(np.abs(weight.astype(np.float32)), axis, -1)
    runs = moved.reshape(-1, of)
    kept = np.ones(runs.shape, np.bool_)
    order = np.argsort(runs, axis=1, kind="stable")
    np.put_along_axis(kept, order[:, :zeros], values=False, axis=1)
    return np.moveaxis(kept.reshape(moved.shape), -1, axis)


def store_kept(
    weight: npt.NDArray[Any],
    kept: Kept,
    dtype: DType | None = None,
    block_sizes: tuple[int, ...] | None = None,
) -> SparseArray:
    """Return the elements that are kept, as values or as codes with scales.

    Args:
        weight: the weight.
        kept: in its shape.
        dtype: format of the codes, symmetric; None for values of the weight's dtype.
        block_sizes: with ``dtype``, of the blocks that share a scale.

    Raises:
        ValueError: a NaN or infinity in ``weight``.
    """
    check_finite(weight)
    scale, values = None, weight
    if dtype is not None:
        assert block_sizes is not None
        zeroed = np.where(kept, weight, weight.dtype.type(0))
        quantized = quantize_array(zeroed, dtype, block_sizes=block_sizes)
        scale, values = quantized.scale, quantized.codes()
    return SparseArray(
        values=np.ascontiguousarray(values[kept]),
        mask=np.packbits(kept.reshape(-1), bitorder="little"),
        shape=weight.shape,
        weight_dtype=weight.dtype,
        scale=scale,
    )
