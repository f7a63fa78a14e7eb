"""``TableSettings``: what look-up tables a weight is to have."""

from dataclasses import dataclass

from coreai_opt.exceptions import Argument, ArgumentError, ArgumentTypeError, Value
from coreai_opt.settings.arguments import parse_choice, parse_int, parse_member
from coreai_opt.settings.enums import EIGHT_BIT_DTYPES, CompressionGranularity, DType, Observer
from coreai_opt.settings.settings import Settings

__all__ = [
    "GRANULARITIES",
    "INDEX_BITS",
    "MOST_CLUSTER_DIM",
    "TableSettings",
    "check_tables",
    "parse_index_bits",
    "parse_lut_dtype",
]

INDEX_BITS = (1, 2, 3, 4, 6, 8)
"""Bits that an index can have."""

MOST_CLUSTER_DIM = 256
"""How many elements can share an index."""

GRANULARITIES = (
    CompressionGranularity.PER_TENSOR,
    CompressionGranularity.PER_CHANNEL,
    CompressionGranularity.PER_GROUPED_CHANNEL,
)
"""Which elements can share a table."""


@dataclass(frozen=True)
class TableSettings:
    """How to replace a weight by indices into look-up tables.

    Attributes:
        bits: of an index.
        lut_dtype: what entries are; None for the weight's dtype.
        granularity: which elements share a table: all, those of an output channel, or those of
            ``group_size`` output channels.
        group_size: for PER_GROUPED_CHANNEL, else 0.
        cluster_dim: neighbours along the output channels that share an index.
        channel_scales: whether each output channel has a scale.
        scale_block_size: input channels of an output channel that share a scale; 0 for none.
        observer: how these scales are found; MINMAX where there are none.
    """

    bits: int
    lut_dtype: DType | None
    granularity: CompressionGranularity
    group_size: int
    cluster_dim: int
    channel_scales: bool
    scale_block_size: int
    observer: Observer

    @property
    def has_scales(self) -> bool:
        """Whether there are scales beside those of tables of 8-bit entries."""
        return self.channel_scales or self.scale_block_size > 0

    @property
    def needs_channels(self) -> bool:
        """Whether it matters which axes of a weight are its channels."""
        per_tensor = self.granularity is CompressionGranularity.PER_TENSOR
        return not per_tensor or self.has_scales or self.cluster_dim > 1

    @property
    def uses_importance(self) -> bool:
        """Whether it matters how much each element's error counts."""
        return True


def check_tables(settings: Settings) -> TableSettings:
    """Check settings after defaults were filled in, and return the tables that they ask for.

    The messages open as coreai-opt's do, because programs written for it match them.

    Raises:
        ArgumentError, ArgumentTypeError: one is not supported, alone or in this combination.
    """
    channel_scales = settings.enable_per_channel_scale
    if not isinstance(channel_scales, bool):
        raise ArgumentTypeError(
            "enable_per_channel_scale",
            Argument("enable_per_channel_scale"),
            f" must be true or false; got {channel_scales!r}",
        )
    granularity = _parse_granularity(settings.granularity)
    block_size = settings.scale_block_size
    if block_size is not None and channel_scales:
        raise ArgumentError(
            "scale_block_size",
            Argument("scale_block_size"),
            " cannot be set beside ",
            Argument("enable_per_channel_scale", Value(True)),
        )
    grouped = granularity is CompressionGranularity.PER_GROUPED_CHANNEL
    group_size = parse_int("group_size", settings.group_size, least=1)
    observer = Observer.MINMAX
    if settings.observer is not None:
        observer = parse_member(Observer, "observer", settings.observer)
    checked = TableSettings(
        bits=parse_index_bits(settings.n_bits),
        lut_dtype=parse_lut_dtype(settings.lut_dtype),
        granularity=granularity,
        group_size=group_size if grouped else 0,
        cluster_dim=parse_int("cluster_dim", settings.cluster_dim, least=1),
        channel_scales=channel_scales,
        scale_block_size=(
            0 if block_size is None else parse_int("scale_block_size", block_size, least=1)
        ),
        observer=observer,
    )
    _check_together(checked)
    return checked


def _check_together(settings: TableSettings) -> None:
    """Raise ArgumentError for settings that do not go together."""
    if settings.cluster_dim > MOST_CLUSTER_DIM:
        raise ArgumentError(
            "cluster_dim",
            Argument("cluster_dim", quoted=True),
            f" must be at most {MOST_CLUSTER_DIM}; got {settings.cluster_dim}",
        )
    if settings.cluster_dim > 1 and settings.has_scales:
        scales = (
            Argument("scale_block_size", quoted=True)
            if settings.scale_block_size
            else Argument("enable_per_channel_scale", Value(True), quoted=True)
        )
        raise ArgumentError(
            scales.name,
            scales,
            " is not supported with ",
            Argument("cluster_dim", quoted=True),
            " above 1",
        )
    searched = settings.observer is Observer.MSE
    if searched and (not settings.has_scales or settings.lut_dtype is not None):
        raise ArgumentError(
            "observer",
            Argument("observer", Value(Observer.MSE)),
            " needs ",
            Argument("scale_block_size"),
            " or ",
            Argument("enable_per_channel_scale"),
            ", the scales that it searches for, and no ",
            Argument("lut_dtype"),
        )


def parse_index_bits(n_bits: object) -> int:
    """Return the bits of an index.

    Raises:
        ArgumentTypeError, ArgumentError: not one of ``INDEX_BITS``.
    """
    bits = parse_int("n_bits", n_bits, least=1)
    if bits not in INDEX_BITS:
        allowed = ", ".join(map(str, INDEX_BITS))
        raise ArgumentError(
            "n_bits",
            Argument("n_bits", quoted=True),
            f" must be one of {allowed}; got {n_bits!r}",
        )
    return bits


def parse_lut_dtype(lut_dtype: object) -> DType | None:
    """Return what entries of a table are, None for the weight's dtype.

    Raises:
        ArgumentTypeError, ArgumentError: neither None nor one of ``EIGHT_BIT_DTYPES``.
    """
    if lut_dtype is None:
        return None
    complaint = "`lut_dtype` must be one of None,"
    return parse_choice("lut_dtype", lut_dtype, EIGHT_BIT_DTYPES, complaint)


def _parse_granularity(granularity: object) -> CompressionGranularity:
    complaint = "`granularity` must be one of"
    return parse_choice("granularity", granularity, GRANULARITIES, complaint)
