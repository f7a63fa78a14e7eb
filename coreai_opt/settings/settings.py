"""How to quantize a weight: arguments of ``quantize_weights``, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreai_opt.settings.arguments import parse_int, parse_member
from coreai_opt.settings.enums import CompressionGranularity, DType, Indivisible
from coreai_opt.settings.spec import QuantizationSpec, parse_spec

SETTINGS = (
    "dtype",
    "qscheme",
    "granularity",
    "block_size",
    "scale_dtype",
    "observer",
    "indivisible",
)
"""The arguments of ``quantize_weights`` that may differ from weight to weight."""

_MXFP4_BLOCK_SIZE = 32
"""OCP MX v1.0 §5.2: elements that share a scale."""


@dataclass(frozen=True)
class Settings:
    """How to quantize a weight.

    Attributes:
        spec: what to turn it into.
        granularity: which elements share a scale.
        block_size: input channels that share a scale with PER_BLOCK, else 0.
        fit: whether to take a smaller block size where this one does not divide the channels.
    """

    spec: QuantizationSpec
    granularity: CompressionGranularity
    block_size: int
    fit: bool


def parse_settings(arguments: Mapping[str, Any]) -> Settings:
    """Check arguments of ``quantize_weights`` and return what they ask for.

    Args:
        arguments: all of ``SETTINGS``.

    Raises:
        ValueError, TypeError: one that is not supported, alone or in this combination.
    """
    spec = parse_spec(
        *(arguments[name] for name in ("dtype", "qscheme", "scale_dtype", "observer"))
    )
    granularity, block_size = _parse_granularity(
        spec, arguments["granularity"], arguments["block_size"]
    )
    indivisible = parse_member(Indivisible, "indivisible", arguments["indivisible"])
    fit = indivisible is Indivisible.FIT and spec.format.name != DType.FP4_E2M1FN
    return Settings(spec, granularity, block_size, fit)


def _parse_granularity(
    spec: QuantizationSpec, granularity: object, block_size: object
) -> tuple[CompressionGranularity, int]:
    """Check ``granularity``, and ``block_size`` where it matters, and return what they ask for."""
    member = parse_member(CompressionGranularity, "granularity", granularity)
    if spec.format.name == DType.FP4_E2M1FN:
        _check_mxfp4(member, block_size)
    if member is CompressionGranularity.PER_GROUPED_CHANNEL:
        raise ValueError(
            f"Invalid granularity {member!r}: quantization supports 'per_tensor', 'per_channel' "
            "and 'per_block'."
        )
    if member is not CompressionGranularity.PER_BLOCK:
        return member, 0
    return member, parse_int("block_size", block_size, least=1)


def _check_mxfp4(granularity: CompressionGranularity, block_size: object) -> None:
    is_32 = isinstance(block_size, (int, np.integer)) and block_size == _MXFP4_BLOCK_SIZE
    if granularity is not CompressionGranularity.PER_BLOCK or not is_32:
        raise ValueError(
            "DType.FP4_E2M1FN requires granularity=CompressionGranularity.PER_BLOCK and "
            f"block_size={_MXFP4_BLOCK_SIZE}, which is what MXFP4 is, "
            f"got granularity={granularity!r} and block_size={block_size!r}."
        )
