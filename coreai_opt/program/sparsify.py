"""Sparse weights of a program: which of their elements to keep."""

from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import sparsify as arrays
from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.sparse_array import SparseArray
from coreai_opt.program.channel_axes import (
    Blocks,
    UnfitError,
    input_axes,
    output_axes,
    weight_blocks,
)
from coreai_opt.program.weights import Weight
from coreai_opt.reference.quantize import check_finite
from coreai_opt.settings.enums import CompressionGranularity
from coreai_opt.settings.pruning import PruningSettings

__all__ = ["sparse_blocks", "sparsify"]


def sparse_blocks(weight: Weight, settings: PruningSettings) -> Blocks:
    """Return which elements of a weight share a scale, if there are scales.

    Raises:
        MixedAxesError, UnfitError: its channels do not fit what is asked for, and why.
    """
    if settings.zeros_of is not None:
        axes, (_, of) = input_axes(weight), settings.zeros_of
        if len(axes) != 1 or weight.shape[axes[0]] < of:
            raise UnfitError(f"{of} is more than its input channels, {_lengths(weight, axes)}")
    if settings.block_size is not None and settings.zeros_of is None:
        cut = output_axes(weight)
        if len(cut) != 1 or weight.shape[cut[0]] < settings.block_size:
            raise UnfitError(
                f"block_size {settings.block_size} is more than its output channels, "
                f"{_lengths(weight, cut)}"
            )
    if not settings.has_channel_scales:
        return Blocks((0,) * len(weight.shape), None, 0, "")
    return weight_blocks(weight, CompressionGranularity.PER_CHANNEL, 0)


def sparsify(  # noqa: PLR0917  # what a weight is, and what to do
    array: npt.NDArray[Any],
    weight: Weight,
    settings: PruningSettings,
    blocks: Blocks,
    backend: Backend,
    num_threads: int,
) -> SparseArray:
    """Return the elements of a weight that are kept.

    Args:
        array: the elements of the weight.
        weight: what its axes mean.
        settings: what to keep, and as what.
        blocks: those that share a scale, if there are scales.
        backend: what finds codes and tables.
        num_threads: threads that it may use.

    Raises:
        UnfitError: no element is kept.
        ValueError: a NaN or infinity in ``array``; the message has the first index.
    """
    check_finite(array)
    kept = _kept(array, weight, settings)
    if not kept.any():
        raise UnfitError("no element is left")
    return arrays.store_kept(
        array,
        kept,
        backend,
        num_threads,
        dtype=settings.dtype,
        block_sizes=blocks.sizes,
        bits=settings.bits,
    )


def _kept(
    array: npt.NDArray[Any], weight: Weight, settings: PruningSettings
) -> npt.NDArray[np.bool_]:
    if settings.zeros_of is not None:
        return arrays.keep_of_each(array, input_axes(weight)[0], *settings.zeros_of)
    assert settings.sparsity is not None
    if settings.block_size is None:
        return arrays.keep_largest(abs(array), settings.sparsity)
    return arrays.keep_blocks(array, output_axes(weight)[0], settings.block_size, settings.sparsity)


def _lengths(weight: Weight, axes: tuple[int, ...]) -> str:
    return " x ".join(str(weight.shape[axis]) for axis in axes) or "of which it has none"
