"""Quantized arrays of any bytes, also of those that no quantize() writes."""

import math
import zlib
from typing import Any

import numpy as np

from coreai_opt import QuantizedArray
from coreai_opt.reference import E8M0, FORMATS
from coreai_opt.reference.blocks import scale_shape
from coreai_opt.reference.formats import Format
from coreai_opt.settings.enums import DType

from .corpus import DTypeLike, Layout


def scale_dtypes(format: Format, dtype: DTypeLike) -> list[DTypeLike]:
    """What scales of a format can be stored in, for weights of a dtype."""
    floats = [] if format.is_int else [E8M0]
    return floats if format.bits == 4 and floats else [dtype, *floats]


def any_bytes(
    layout: Layout, name: str, scale_dtype: DTypeLike, weight_dtype: DTypeLike
) -> QuantizedArray:
    """Every bit of codes, scales and zero points is random; NaN and infinities are among them."""
    format = FORMATS[name]
    rng = np.random.default_rng(zlib.crc32(f"{layout} {name} {scale_dtype}".encode()))
    blocks = scale_shape(layout.shape, layout.block_sizes)

    def draw(count: int) -> Any:
        return rng.integers(0, 256, count).astype(np.uint8)

    zero_point = draw(math.prod(blocks)) & np.uint8(format.levels)
    if format.is_signed_int:
        sign = np.uint8(1 << format.bits - 1)
        zero_point = (zero_point ^ sign) - sign
    return QuantizedArray(
        packed=draw(format.packed_size(math.prod(layout.shape))),
        shape=layout.shape,
        dtype=DType(name),
        weight_dtype=weight_dtype,
        scale=draw(math.prod(blocks) * scale_dtype.itemsize).view(scale_dtype).reshape(blocks),
        zero_point=zero_point.view(format.code_dtype).reshape(blocks),
    )
