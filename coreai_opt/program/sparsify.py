"""Sparse weights in a program, one weight after the other."""

import logging
from dataclasses import dataclass

from coreai_opt.arrays import sparsify
from coreai_opt.program.channel_axes import input_axes, weight_blocks
from coreai_opt.program.exclusive import alone_with
from coreai_opt.program.forms.replacing import replace_constants
from coreai_opt.program.ir import AIProgram, Buffer, Parts, read_constant
from coreai_opt.program.weights import Weight, find_weights
from coreai_opt.reference.quantize import check_finite
from coreai_opt.settings.enums import CompressionGranularity, DType

logger = logging.getLogger("coreai_opt")


@dataclass(frozen=True)
class Pruning:
    """Which elements become zero, and how the others are stored.

    Attributes:
        sparsity: what part of the elements, or of the blocks, becomes zero; None with ``zeros_of``.
        block_size: neighbours along the output channels that are a block; None for elements.
        zeros_of: (n, m): the n least of every m elements along the input channels; None with
            ``sparsity``.
        dtype: format of the values, with a scale per output channel; None for the weight's dtype.
    """

    sparsity: float | None
    block_size: int | None
    zeros_of: tuple[int, int] | None
    dtype: DType | None


class _UnfitError(ValueError):
    """A weight whose channels do not fit what was asked for."""


def sparsify_program(program: AIProgram, weight_num_threshold: int, pruning: Pruning) -> None:
    """Put sparse constants in the place of the weights of ``program``.

    The program is valid after every weight, so it is when this raises.

    Args:
        program: the program.
        weight_num_threshold: only constants with more elements than this are weights.
        pruning: what to turn them into.

    Raises:
        RuntimeError: another thread is at work on it.
    """
    buffer, parts = Buffer(), Parts()
    with alone_with(program):
        for weight in find_weights(program, weight_num_threshold):
            try:
                array = read_constant(weight.op, buffer)
                check_finite(array)
                sparse = sparsify.store_kept(
                    array,
                    _kept(weight, array, pruning),
                    pruning.dtype,
                    None if pruning.dtype is None else _channels(weight),
                )
                if not sparse.values.size:
                    raise _UnfitError("no element is left")
            except ValueError as reason:  # channels that do not fit, a NaN or infinity
                logger.warning("%s is left as it is: %s", weight, reason)
            else:
                replace_constants(weight.ops, sparse, parts)


def _kept(weight: Weight, array: sparsify.Kept, pruning: Pruning) -> sparsify.Kept:
    if pruning.zeros_of is not None:
        axes = input_axes(weight)
        zeros, of = pruning.zeros_of
        if len(axes) != 1 or weight.shape[axes[0]] % of:
            raise _UnfitError(f"{of} does not divide its input channels, {_lengths(weight, axes)}")
        return sparsify.keep_of_each(array, axes[0], zeros, of)
    assert pruning.sparsity is not None
    if pruning.block_size is None:
        return sparsify.keep_largest(abs(array), pruning.sparsity)
    cut = [axis for axis, size in enumerate(_channels(weight)) if size]
    if len(cut) != 1 or weight.shape[cut[0]] % pruning.block_size:
        raise _UnfitError(
            f"block_size {pruning.block_size} does not divide its output channels, "
            f"{_lengths(weight, cut)}"
        )
    return sparsify.keep_blocks(array, cut[0], pruning.block_size, pruning.sparsity)


def _channels(weight: Weight) -> tuple[int, ...]:
    return weight_blocks(weight, CompressionGranularity.PER_CHANNEL, 0).sizes


def _lengths(weight: Weight, axes: list[int] | tuple[int, ...]) -> str:
    return " x ".join(str(weight.shape[axis]) for axis in axes) or "of which it has none"
