"""Which elements of a weight to keep, and those as a :class:`SparseArray`."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.methods import nearest
from coreai_opt.arrays.palette_spec import PaletteSpec
from coreai_opt.arrays.palettize import palettize_parsed
from coreai_opt.arrays.sparse_array import SparseArray
from coreai_opt.reference.quantize import check_finite
from coreai_opt.settings.enums import DType
from coreai_opt.settings.settings import DEFAULTS
from coreai_opt.settings.spec import parse_spec

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
        axis: along which ``size`` neighbours are a block; the last block may have fewer.
        size: of a block.
        sparsity: what part of the blocks goes, from 0 to 1.
    """
    moved = np.moveaxis(weight, axis, 0).astype(np.float64)
    norms = np.add.reduceat(moved**2, range(0, len(moved), size), axis=0)
    kept = np.repeat(keep_largest(norms, sparsity), size, axis=0)[: len(moved)]
    return np.moveaxis(kept, 0, axis)


def keep_of_each(weight: npt.NDArray[Any], axis: int, zeros: int, of: int) -> Kept:
    """Return which elements to keep: all but the ``zeros`` least of every ``of`` along an axis.

    Of equal magnitudes the first are dropped first. Elements that the last ``of`` lack count among
    its least.

    Args:
        weight: finite.
        axis: along which ``of`` neighbours are looked at together.
        zeros: 0 to ``of``.
        of: at least 1.
    """
    moved = np.moveaxis(np.abs(weight.astype(np.float32)), axis, -1)
    length = moved.shape[-1]
    # Below all magnitudes, so that they go first.
    lacking = [(0, 0)] * (moved.ndim - 1) + [(0, -length % of)]
    padded = np.pad(moved, lacking, constant_values=-1)
    runs = padded.reshape(-1, of)
    kept = np.ones(runs.shape, np.bool_)
    order = np.argsort(runs, axis=1, kind="stable")
    np.put_along_axis(kept, order[:, :zeros], values=False, axis=1)
    return np.moveaxis(kept.reshape(padded.shape)[..., :length], -1, axis)


def store_kept(
    weight: npt.NDArray[Any],
    kept: Kept,
    backend: Backend,
    num_threads: int,
    *,
    dtype: DType | None = None,
    block_sizes: tuple[int, ...] | None = None,
    bits: int | None = None,
) -> SparseArray:
    """Return the elements that are kept: as they are, as codes with scales, or as a look-up table.

    Args:
        weight: the weight.
        kept: in its shape.
        backend: what finds codes and tables.
        num_threads: threads that it may use.
        dtype: format of the codes, symmetric; None for values of the weight's dtype. UINT8 has one
            scale for all: it has no code for zero that is 0, as elements are that are not stored,
            so values are decoded before zeros come between them.
        block_sizes: with another ``dtype``, of the blocks that share a scale.
        bits: of an index into a table of the values; None for no table.

    Raises:
        ValueError: a NaN or infinity in ``weight``.
    """
    check_finite(weight)
    store = partial(
        SparseArray,
        mask=np.packbits(kept.reshape(-1), bitorder="little"),
        shape=weight.shape,
        weight_dtype=weight.dtype,
    )
    if bits is not None:
        return store(palettize_parsed(weight[kept], PaletteSpec(bits, (0,)), backend, num_threads))
    if dtype is None:
        return store(weight[kept])
    quantize = partial(
        nearest.quantize,
        spec=parse_spec(replace(DEFAULTS, dtype=dtype)),
        backend=backend,
        num_threads=num_threads,
        importance=None,
    )
    if dtype is DType.UINT8:
        return store(quantize(weight[kept], block_sizes=(0,)))
    assert block_sizes is not None
    zeroed = np.where(kept, weight, weight.dtype.type(0))
    quantized = quantize(zeroed, block_sizes=block_sizes)
    return store(np.ascontiguousarray(quantized.codes()[kept]), scale=quantized.scale)
