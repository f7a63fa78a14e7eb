"""Look-up tables for a weight of a program: which of its elements share a table and a scale."""

import math
import operator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.palette_spec import PaletteSpec
from coreai_opt.arrays.palettize import palettize_parsed
from coreai_opt.arrays.palettized_array import PalettizedArray
from coreai_opt.program.channel_axes import (
    Blocks,
    UnfitError,
    output_axes,
    run_of_outputs,
    weight_blocks,
)
from coreai_opt.program.weights import Weight
from coreai_opt.reference import Cluster
from coreai_opt.reference.blocks import scale_shape
from coreai_opt.settings.enums import CompressionGranularity
from coreai_opt.settings.tables import TableSettings

__all__ = ["TableBlocks", "palettize", "table_blocks"]


class TableBlocks(NamedTuple):
    """The blocks of a weight that has look-up tables.

    Attributes:
        tables: of those that share a table; ``block_size`` is that of a group of output channels.
        scales: sizes of those that share a scale; None where there are no scales.
        cluster: which elements share an index; None if each has its own.
    """

    tables: Blocks
    scales: tuple[int, ...] | None
    cluster: Cluster | None


def table_blocks(weight: Weight, settings: TableSettings) -> TableBlocks:
    """Return which elements of a weight share a table, and which a scale.

    Raises:
        MixedAxesError, IndivisibleError, UnfitError: there are no such blocks, and why.
    """
    tables = _tables(weight, settings)
    return TableBlocks(tables, _scales(weight, settings), _cluster(weight, settings, tables.sizes))


def palettize(
    array: npt.NDArray[Any],
    settings: TableSettings,
    blocks: TableBlocks,
    backend: Backend,
    num_threads: int,
    *,
    importance: npt.NDArray[np.float32] | None,
) -> PalettizedArray:
    """Return a weight as indices into look-up tables.

    Args:
        array: its elements.
        settings: what tables it is to have.
        blocks: its blocks.
        backend: what finds tables and indices.
        num_threads: threads that it may use.
        importance: what squared errors count, in the rank of the weight; None for all alike.

    Raises:
        ValueError: a NaN or infinity in ``array``; the message has the first index.
        BackendMismatchError: two backends differ.
    """
    spec = PaletteSpec(
        settings.bits,
        blocks.tables.sizes,
        settings.lut_dtype,
        blocks.scales,
        settings.observer,
        blocks.cluster,
    )
    return palettize_parsed(array, spec, backend, num_threads, importance=importance)


def _tables(weight: Weight, settings: TableSettings) -> Blocks:
    granularity = settings.granularity
    if granularity is CompressionGranularity.PER_TENSOR:
        return Blocks((0,) * len(weight.shape), granularity, 0, "")
    sizes = weight_blocks(weight, CompressionGranularity.PER_CHANNEL, 0).sizes
    channels = scale_shape(weight.shape, sizes)
    if granularity is CompressionGranularity.PER_CHANNEL or math.prod(channels) == 1:
        return Blocks(sizes, granularity, 0, "")
    group = _group(channels, settings.group_size)
    grouped = tuple(map(operator.mul, sizes, group))
    return Blocks(grouped, granularity, settings.group_size, "")


def _group(channels: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Return how far a group of output channels reaches along each axis.

    Args:
        channels: how many there are along each axis, the last axis counting the fastest.
        size: how many are a group.

    Raises:
        UnfitError: no such groups.
    """
    group, left = [1] * len(channels), size
    for axis in reversed(range(len(channels))):
        group[axis] = math.gcd(channels[axis], left)
        if group[axis] not in (channels[axis], left):
            break
        left //= group[axis]
    if math.prod(group) == size:
        return tuple(group)
    axes = [axis for axis, count in enumerate(channels) if count > 1]
    where = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"
    counts = " x ".join(str(channels[axis]) for axis in axes)
    raise UnfitError(f"group_size {size} does not divide {where}: {counts} output channels")


def _cluster(
    weight: Weight, settings: TableSettings, table_sizes: tuple[int, ...]
) -> Cluster | None:
    length = settings.cluster_dim
    if length == 1:
        return None
    axes = output_axes(weight)
    if not axes:
        raise UnfitError("it has no output channels beside each other, as vectors could have")
    axis = axes[-1]
    # Vectors reach neither over the groups of a convolution nor over those that share a table.
    channels = run_of_outputs(weight, axis)
    together = math.gcd(channels, table_sizes[axis] or weight.shape[axis])
    if together % length:
        raise UnfitError(
            f"cluster_dim {length} does not divide axis {axis}: {together} output channels"
        )
    return Cluster(length, axis)


def _scales(weight: Weight, settings: TableSettings) -> tuple[int, ...] | None:
    if settings.channel_scales:
        return weight_blocks(weight, CompressionGranularity.PER_CHANNEL, 0).sizes
    if not settings.scale_block_size:
        return None
    size = settings.scale_block_size
    return weight_blocks(weight, CompressionGranularity.PER_BLOCK, size).sizes
