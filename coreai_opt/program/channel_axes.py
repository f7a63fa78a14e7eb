"""Which axes of a weight are its channels, and the block sizes that follow from them.

The ops that contract a weight say what its axes mean; see ``axis_roles.py``. Where they disagree,
the first one that is run has its way.

A block is a run of input channels of one output channel. All positions of a kernel are in it. Heads
and experts, which have matrices of their own, have blocks of their own.
"""

import logging
import math
from functools import lru_cache
from typing import NamedTuple

from coreai_opt.program.axis_roles import (
    APART,
    Axis,
    Factor,
    Layout,
    Role,
    block_meaning,
    input_factors,
)
from coreai_opt.program.weights import Weight
from coreai_opt.settings.enums import CompressionGranularity

logger = logging.getLogger("coreai_opt")


class MixedAxesError(ValueError):
    """An axis of a weight holds channels in such an order that no block is one channel's."""


class IndivisibleError(ValueError):
    """A block size does not divide the input channels of a weight.

    Attributes:
        channels: how many there are.
        fitting: the largest smaller block size that divides them, or PER_CHANNEL where that is 1.
    """

    def __init__(self, reason: str, channels: int, fitting: int | CompressionGranularity) -> None:
        super().__init__(reason)
        self.channels, self.fitting = channels, fitting


class UnfitError(ValueError):
    """The channels of a weight do not fit what was asked for."""


class Blocks(NamedTuple):
    """The blocks of a weight.

    Attributes:
        sizes: a block's length along each axis; 0 stands for the whole axis.
        granularity: which elements share a scale or a look-up table; None where there is neither.
        block_size: input channels that share one with PER_BLOCK, output channels with
            PER_GROUPED_CHANNEL, else 0.
        reason: why they are not the blocks that were asked for; empty if they are.
    """

    sizes: tuple[int, ...]
    granularity: CompressionGranularity | None
    block_size: int
    reason: str


def channel_layout(weight: Weight) -> Layout:
    """Return what the axes of ``weight`` mean to the first op that contracts it."""
    return weight.contractions[0].layout


def warn_of_disagreement(weight: Weight) -> None:
    """Log a warning if the ops that contract ``weight`` disagree on what its axes mean."""
    if len({block_meaning(contraction.layout) for contraction in weight.contractions}) > 1:
        logger.warning(
            "the users of %s disagree on its channel axes: those of the first are taken", weight
        )


def input_axes(weight: Weight) -> tuple[int, ...]:
    """Return the axes of the input channels, the outermost first."""
    inputs = input_factors(weight.contractions[0].layout) if weight.contractions else ()
    return tuple(dict.fromkeys(axis for axis, _ in inputs))


def output_axes(weight: Weight) -> tuple[int, ...]:
    """Return the axes of the output channels; those of heads are others."""
    layout = weight.contractions[0].layout if weight.contractions else ()
    return tuple(
        number
        for number, axis in enumerate(layout)
        if any(factor.role is Role.OUTPUT for factor in axis)
    )


def run_of_outputs(weight: Weight, axis: int) -> int:
    """Return how many neighbours along an axis of ``output_axes`` are output channels of one group.

    Channels of a convolution's other groups stand beside them.
    """
    innermost = weight.contractions[0].layout[axis][-1]
    return _size(innermost) if innermost.role is Role.OUTPUT else 1


def weight_blocks(
    weight: Weight,
    granularity: CompressionGranularity,
    block_size: int,
    *,
    fit: bool = False,
) -> Blocks:
    """Return the blocks of ``weight``.

    Args:
        weight: the weight.
        granularity: which elements share a scale: all, an output channel's, or those of a run of
            ``block_size`` input channels of an output channel.
        block_size: for PER_BLOCK.
        fit: where ``block_size`` does not divide the input channels take the largest size below
            that does; where that is 1, PER_CHANNEL.

    Raises:
        MixedAxesError: no block would be one channel's.
        IndivisibleError: ``block_size`` does not divide the input channels, and ``fit`` is not
            asked for.
    """
    if granularity is CompressionGranularity.PER_TENSOR:
        return Blocks((0,) * len(weight.shape), granularity, 0, "")
    if weight.mixed:
        raise MixedAxesError(weight.mixed)
    return _blocks(channel_layout(weight), granularity, block_size, fit)


@lru_cache(1024)  # a program has fewer layouts
def _blocks(
    layout: Layout, granularity: CompressionGranularity, block_size: int, fit: bool
) -> Blocks:
    """Return the blocks of a weight of this layout; see :func:`weight_blocks`."""
    per_channel, per_block = CompressionGranularity.PER_CHANNEL, CompressionGranularity.PER_BLOCK
    inputs, reason = input_factors(layout), ""
    channels = math.prod(_size(factor) for _, factor in inputs)
    if granularity is per_block and _runs(inputs, block_size) is None:
        reason = _why_not(block_size, layout)
        longest = range(min(block_size, channels), 0, -1)
        fitting = next(size for size in longest if _runs(inputs, size) is not None)
        granularity, block_size = (per_block, fitting) if fitting > 1 else (per_channel, 0)
        if not fit:
            raise IndivisibleError(reason, channels, block_size or granularity)
        reason += f"; {block_size or granularity} is taken"
    runs = _runs(inputs, block_size if granularity is per_block else channels)
    assert runs is not None
    lengths = dict(zip((factor for _, factor in inputs), runs, strict=True))
    sizes = tuple(
        _block_length(number, axis, lengths, explicit=granularity is per_block)
        for number, axis in enumerate(layout)
    )
    return Blocks(sizes, granularity, block_size if granularity is per_block else 0, reason)


def _runs(inputs: list[tuple[int, Factor]], channels: int) -> list[int] | None:
    """Return how far a run of input channels reaches in each factor, None if it fits in none.

    The channels are counted by all factors together, the last one counting the fastest.
    """
    lengths: list[int] = []
    for _, factor in reversed(inputs):
        length = math.gcd(channels, _size(factor))
        if length not in (channels, factor.size):
            return None
        lengths.insert(0, length)
        channels //= length
    return lengths if channels == 1 else None


def _block_length(number: int, axis: Axis, lengths: dict[Factor, int], *, explicit: bool) -> int:
    """Return how far a block reaches along an axis, 0 for all of it.

    Args:
        number: of the axis.
        axis: its factors.
        lengths: how far it reaches along those that are input channels.
        explicit: give the length of an axis that has input channels even if it is all of it.
    """
    block, is_whole = 1, True
    for factor in reversed(axis):
        length = lengths.get(factor, 1 if factor.role in APART else _size(factor))
        if is_whole:
            block *= length
        elif length > 1 and factor.role is Role.INPUT:
            raise MixedAxesError(f"axis {number} holds channels between those of others")
        is_whole = is_whole and length == factor.size
    has_inputs = any(factor in lengths for factor in axis)
    return 0 if is_whole and not (explicit and has_inputs) else block


def _why_not(block_size: int, layout: Layout) -> str:
    inputs = input_factors(layout)
    channels = math.prod(_size(factor) for _, factor in inputs)
    axes = sorted({axis for axis, _ in inputs})
    where = f"axis {axes[0]}: " if len(axes) == 1 else f"axes {axes}: " if axes else ""
    grouped = any(factor.role is Role.BATCH for axis in axes for factor in layout[axis])
    which = "channels of each group" if grouped else "input channels"
    return f"block size {block_size} does not divide {where}{channels} {which}"


def _size(factor: Factor) -> int:
    assert factor.size is not None  # constants have static shapes
    return factor.size
