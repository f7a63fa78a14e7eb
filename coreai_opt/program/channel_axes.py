"""Which axes of a weight are its channels, and the block sizes that follow from them.

Who uses a weight says what its axes mean:

    matmul, right operand [..., K, N]     output N, input K
    matmul, left operand [..., M, K]      output M, input K
    conv [O, I / groups, ...]             output 0, input 1
    transposed conv [I, O / groups, ...]  output 1, input 0
    gather table [rows, columns]          output 0, input 1

A transpose means nothing by itself: the matmul behind it does, seen through the permutation.
"""

import logging
from typing import NamedTuple

from coreai_opt.program import ir
from coreai_opt.program.ir import TRANSPOSE, Op, Use
from coreai_opt.program.weights import MATMULS, TRANSPOSED_CONVOLUTIONS, Weight
from coreai_opt.settings.enums import CompressionGranularity

logger = logging.getLogger("coreai_opt")

_GROUPS_OPERAND = 6
"""Operand of a transposed convolution that says in how many groups its channels are."""


class ChannelAxes(NamedTuple):
    """What the axes of a weight mean.

    Attributes:
        output: the axis of the output channels.
        input: the axis of the input channels. The weight may have too few axes for it.
        batch: axes along which there is a matrix of its own at every index, e.g. attention heads.
        groups: the input axis is so many runs of equal length, with output channels of their own.
    """

    output: int = 0
    input: int = 1
    batch: tuple[int, ...] = ()
    groups: int = 1


Meanings = frozenset[ChannelAxes]
"""What the axes of a weight mean to its users, who disagree if that is several things."""


def axis_meanings(weight: Weight) -> Meanings:
    """Return what the axes of ``weight`` mean to its users."""
    rank = len(weight.shape)
    return frozenset(axes for use in weight.uses for axes in _meanings(use, rank))


def channel_axes(weight: Weight, meanings: Meanings | None = None) -> ChannelAxes:
    """Return what the axes of ``weight`` mean to its users.

    Where they disagree that is logged as a warning, and the answer is output 0, input 1.

    Args:
        weight: the weight.
        meanings: its :func:`axis_meanings`, where they are known already.
    """
    axes = _agreed(meanings or axis_meanings(weight))
    if axes is None:
        logger.warning(
            "the users of %s disagree on its channel axes: output 0, input 1 are taken", weight
        )
    return axes or ChannelAxes()


def input_axis(weight: Weight) -> int:
    """Return the axis of the input channels, without a warning."""
    return (_agreed(axis_meanings(weight)) or ChannelAxes()).input


class IndivisibleError(ValueError):
    """A block size does not divide the input channels of a weight.

    Attributes:
        fitting: the largest that does, or PER_CHANNEL where that is 1.
    """

    def __init__(self, reason: str, fitting: int | CompressionGranularity) -> None:
        super().__init__(reason)
        self.fitting = fitting


class Blocks(NamedTuple):
    """The blocks of a weight.

    Attributes:
        sizes: a block's length along each axis; 0 stands for the whole axis.
        granularity: which elements share a scale.
        block_size: input channels that share one with PER_BLOCK, else 0.
        reason: why they are not the blocks that were asked for; empty if they are.
    """

    sizes: tuple[int, ...]
    granularity: CompressionGranularity
    block_size: int
    reason: str


def weight_blocks(
    weight: Weight,
    granularity: CompressionGranularity,
    block_size: int,
    *,
    fit: bool = False,
    meanings: Meanings | None = None,
) -> Blocks:
    """Return the blocks of ``weight``.

    Args:
        weight: the weight.
        granularity: which elements share a scale: all, an output channel's, or those of a run of
            ``block_size`` input channels of an output channel.
        block_size: for PER_BLOCK.
        fit: where ``block_size`` does not divide the input channels take the largest size below
            that does; where that is 1, PER_CHANNEL.
        meanings: its :func:`axis_meanings`, where they are known already.

    Raises:
        IndivisibleError: ``block_size`` does not divide the input channels, and ``fit`` is not
            asked for.
    """
    sizes, reason = [0] * len(weight.shape), ""
    per_block = CompressionGranularity.PER_BLOCK
    if granularity is CompressionGranularity.PER_TENSOR:
        return Blocks(tuple(sizes), granularity, 0, reason)
    axes = channel_axes(weight, meanings)
    if axes.input < len(sizes):
        group = weight.shape[axes.input] // axes.groups
        whole = group if axes.groups > 1 else 0
        if granularity is per_block and group % block_size:
            reason = _why_not(block_size, group, axes)
            granularity, block_size = _fit(block_size, group)
            if not fit:
                raise IndivisibleError(reason, block_size or granularity)
            reason += f"; {block_size or granularity} is taken"
        sizes[axes.input] = block_size if granularity is per_block else whole
    for axis in (axes.output, *axes.batch):
        sizes[axis] = 1
    return Blocks(tuple(sizes), granularity, block_size, reason)


def _why_not(block_size: int, group: int, axes: ChannelAxes) -> str:
    which = "channels of each group" if axes.groups > 1 else "input channels"
    return f"block size {block_size} does not divide axis {axes.input}: {group} {which}"


def _fit(block_size: int, channels: int) -> tuple[CompressionGranularity, int]:
    """Return blocks that divide ``channels``, shorter than ``block_size``."""
    longest = min(block_size, channels)
    divisor = next(size for size in range(longest, 0, -1) if channels % size == 0)
    if divisor == 1:
        return CompressionGranularity.PER_CHANNEL, 0
    return CompressionGranularity.PER_BLOCK, divisor


def _agreed(meanings: Meanings) -> ChannelAxes | None:
    """What the axes mean; None if users disagree."""
    return None if len(meanings) > 1 else next(iter(meanings))


def _meanings(use: Use, rank: int) -> set[ChannelAxes]:
    name = use.op.name
    if name in MATMULS:
        return {_matmul_axes(use.operand, rank)}
    if name in TRANSPOSED_CONVOLUTIONS:
        return {ChannelAxes(output=1, input=0, groups=_groups(use.op))}
    if name == TRANSPOSE:
        return _behind_transpose(use.op, rank) or {ChannelAxes()}
    return {ChannelAxes()}


def _matmul_axes(operand: int, rank: int) -> ChannelAxes:
    rows, columns = rank - 2, rank - 1
    batch = tuple(range(rows))
    if operand == 1:
        return ChannelAxes(output=columns, input=rows, batch=batch)
    return ChannelAxes(output=rows, input=columns, batch=batch)


def _behind_transpose(transpose: Op, rank: int) -> set[ChannelAxes]:
    """What matmuls behind ``transpose`` say of the axes in front of it; empty if there are none."""
    behind: set[ChannelAxes] = set()
    for use in ir.uses(transpose.result):
        if use.op.name in MATMULS:
            behind.add(_matmul_axes(use.operand, rank))
        elif use.op.name == TRANSPOSE:
            behind |= _behind_transpose(use.op, rank)
    permutation = ir.operand_constant(transpose, 1)
    if permutation is None:
        return set()
    # Axis i behind the transpose is axis source[i] in front of it.
    source = ir.read_integers(permutation)
    return {
        ChannelAxes(
            output=source[axes.output],
            input=source[axes.input],
            batch=tuple(sorted(source[axis] for axis in axes.batch)),
            groups=axes.groups,
        )
        for axes in behind
    }


def _groups(convolution: Op) -> int:
    groups = ir.operand_constant(convolution, _GROUPS_OPERAND)
    return 1 if groups is None else int(ir.read_integers(groups))
