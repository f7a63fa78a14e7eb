"""Look-up tables for the weights of a program, one weight after the other."""

import logging
from dataclasses import dataclass

from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.palette_spec import PaletteSpec
from coreai_opt.arrays.palettize import palettize_parsed
from coreai_opt.exceptions import BackendMismatchError
from coreai_opt.program.channel_axes import weight_blocks
from coreai_opt.program.exclusive import alone_with
from coreai_opt.program.forms.replacing import replace_constants
from coreai_opt.program.ir import AIProgram, Buffer, Parts, read_constant
from coreai_opt.program.weights import Weight, find_weights
from coreai_opt.settings.enums import CompressionGranularity, DType

logger = logging.getLogger("coreai_opt")


@dataclass(frozen=True)
class Tables:
    """What to turn weights into.

    Attributes:
        bits: of an index.
        lut_dtype: what entries are; None for the weight's dtype.
        granularity: which elements share a table: all, those of an output channel, or those of
            ``group_size`` output channels.
        group_size: for PER_GROUPED_CHANNEL.
        channel_scales: whether each output channel has a scale.
    """

    bits: int
    lut_dtype: DType | None
    granularity: CompressionGranularity
    group_size: int
    channel_scales: bool


class _UnfitError(ValueError):
    """A weight that cannot have the tables that were asked for."""


def palettize_program(
    program: AIProgram,
    weight_num_threshold: int,
    tables: Tables,
    backend: Backend,
    num_threads: int,
) -> None:
    """Put look-up tables in the place of the weights of ``program``.

    The program is valid after every weight, so it is when this raises.

    Args:
        program: the program.
        weight_num_threshold: only constants with more elements than this are weights.
        tables: what to turn them into.
        backend: what finds tables and indices.
        num_threads: threads that it may use.

    Raises:
        RuntimeError: another thread is at work on it.
        BackendMismatchError: the backends differ; the message names the weight.
    """
    buffer, parts = Buffer(), Parts()
    with alone_with(program):
        for weight in find_weights(program, weight_num_threshold):
            try:
                sizes, scale_sizes = _blocks(weight, tables)
                spec = PaletteSpec(tables.bits, sizes, tables.lut_dtype, scale_sizes)
                constant = read_constant(weight.op, buffer)
                array = palettize_parsed(constant, spec, backend, num_threads)
            except BackendMismatchError as error:
                raise BackendMismatchError(f"{weight}: {error}") from error
            except ValueError as reason:  # channels that do not fit, a NaN or infinity
                logger.warning("%s is left as it is: %s", weight, reason)
            else:
                replace_constants(weight.ops, array, parts)


def _blocks(weight: Weight, tables: Tables) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Return the blocks that share a table, and those that share a scale if there are any.

    Raises:
        MixedAxesError, _UnfitError: there are no such blocks, and why.
    """
    whole = (0,) * len(weight.shape)
    per_tensor = tables.granularity is CompressionGranularity.PER_TENSOR
    if per_tensor and not tables.channel_scales:
        return whole, None
    channels = weight_blocks(weight, CompressionGranularity.PER_CHANNEL, 0).sizes
    scales = channels if tables.channel_scales else None
    if per_tensor:
        return whole, scales
    cut = [axis for axis, size in enumerate(channels) if size and weight.shape[axis] > size]
    if len(cut) > 1:
        raise _UnfitError(f"its output channels are on more than one axis, {cut}")
    if not cut or tables.granularity is CompressionGranularity.PER_CHANNEL:
        return channels, scales
    axis, size = cut[0], tables.group_size
    if weight.shape[axis] % size:
        raise _UnfitError(
            f"group_size {size} does not divide axis {axis}: {weight.shape[axis]} output channels"
        )
    return (*channels[:axis], size, *channels[axis + 1 :]), scales
