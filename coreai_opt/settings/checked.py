"""Settings that were checked, in the types that the work needs."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from coreai_opt.exceptions import Argument, ArgumentError, Value
from coreai_opt.settings.arguments import parse_int, parse_member
from coreai_opt.settings.enums import CompressionGranularity, DType, Indivisible, Rounding
from coreai_opt.settings.pruning import PruningSettings
from coreai_opt.settings.settings import MXFP4_BLOCK_SIZE, OF_CODES, OF_TABLES, Settings
from coreai_opt.settings.spec import QuantizationSpec, parse_spec
from coreai_opt.settings.tables import TableSettings, check_tables


@dataclass(frozen=True)
class CheckedSettings:
    """How to quantize a weight.

    Attributes:
        spec: what to turn it into.
        granularity: which elements share a scale.
        block_size: input channels that share a scale with PER_BLOCK, else 0.
        fit: whether to take a smaller block size where this one does not divide the channels.
        rounding: how codes are chosen; None takes GPTQ where there is a calibration.
    """

    spec: QuantizationSpec
    granularity: CompressionGranularity
    block_size: int
    fit: bool
    rounding: Rounding | None = None

    @property
    def needs_channels(self) -> bool:
        """Whether it matters which axes of a weight are its channels."""
        return self.granularity is not CompressionGranularity.PER_TENSOR

    @property
    def uses_importance(self) -> bool:
        """Whether it matters how much each element's error counts."""
        return self.spec.observer.uses_importance


AnySettings: TypeAlias = CheckedSettings | TableSettings | PruningSettings
"""What a weight is turned into: codes and scales, look-up tables, or some of its elements."""


def check_any(settings: Settings) -> CheckedSettings | TableSettings:
    """Check settings after defaults were filled in: with ``n_bits`` those of look-up tables.

    Raises:
        ArgumentError, ArgumentTypeError: one is not supported, alone or in this combination.
    """
    return check_settings(settings) if settings.n_bits is None else check_tables(settings)


def check_kind(settings: Settings, *, of_tables: bool) -> None:
    """Check that settings of look-up tables and those of codes are not mixed.

    Raises:
        ArgumentError: one is of the other kind.
    """
    names, lead = (OF_TABLES, "n_bits") if of_tables else (OF_CODES, "dtype")
    for name in settings.said():
        if name not in names:
            what = "look-up tables" if of_tables else "codes and scales"
            raise ArgumentError(
                name, f"{name} has no place beside {lead}: {what} have {', '.join(names)}"
            )


def check_settings(settings: Settings) -> CheckedSettings:
    """Check settings after defaults were filled in, and return what they ask for.

    Raises:
        ArgumentError, ArgumentTypeError: one is not supported, alone or in this combination.
    """
    spec = parse_spec(settings)
    granularity, block_size = _parse_granularity(spec, settings)
    indivisible = parse_member(Indivisible, "indivisible", settings.indivisible)
    fit = indivisible is Indivisible.FIT and not _is_mxfp4(spec)
    rounding = settings.rounding
    if rounding is not None:
        rounding = parse_member(Rounding, "rounding", rounding)
    return CheckedSettings(spec, granularity, block_size, fit, rounding)


def _is_mxfp4(spec: QuantizationSpec) -> bool:
    return spec.format.name == DType.FP4_E2M1FN


def _parse_granularity(
    spec: QuantizationSpec, settings: Settings
) -> tuple[CompressionGranularity, int]:
    """Return the granularity, and the block size where that matters."""
    member = parse_member(CompressionGranularity, "granularity", settings.granularity)
    if _is_mxfp4(spec):
        _check_mxfp4(member, settings.block_size)
    if member is CompressionGranularity.PER_GROUPED_CHANNEL:
        raise ArgumentError(
            "granularity",
            "Invalid granularity ",
            Value(member),
            ": quantization supports 'per_tensor', 'per_channel' and 'per_block'.",
        )
    if member is not CompressionGranularity.PER_BLOCK:
        return member, 0
    return member, parse_int("block_size", settings.block_size, least=1)


def _check_mxfp4(granularity: CompressionGranularity, block_size: object) -> None:
    is_32 = isinstance(block_size, (int, np.integer)) and block_size == MXFP4_BLOCK_SIZE
    per_block = CompressionGranularity.PER_BLOCK
    if granularity is not per_block or not is_32:
        raise ArgumentError(
            "granularity" if granularity is not per_block else "block_size",
            Value(DType.FP4_E2M1FN, "DType.FP4_E2M1FN"),
            " requires ",
            Argument("granularity", Value(per_block, "CompressionGranularity.PER_BLOCK")),
            " and ",
            Argument("block_size", Value(MXFP4_BLOCK_SIZE)),
            ", which is what MXFP4 is, got ",
            Argument("granularity", Value(granularity)),
            " and ",
            Argument("block_size", Value(block_size)),
            ".",
        )
