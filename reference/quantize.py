"""A whole weight: find each block's scale and zero point, encode, pack."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import scales as minmax
from .blocks import scale_shape, split_axes, within_blocks
from .codes import decode, encode_float, encode_integer, reciprocal, widen
from .formats import Format
from .packing import pack, unpack

Array = npt.NDArray[Any]


def check_finite(weight: Array) -> None:
    """Raise ValueError naming the first NaN or infinity of ``weight`` in C order, if any."""
    with np.errstate(invalid="ignore"):  # ml_dtypes flags the question itself for a signaling NaN
        finite = np.isfinite(weight)
    if not finite.all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), weight.shape))
        raise ValueError(f"weight is {float(weight[index])} at index {index}; it must be finite")


def quantize(
    weight: Array,
    format: Format,
    *,
    symmetric: bool,
    block_sizes: Sequence[int],
    e8m0_scale: bool,
) -> tuple[npt.NDArray[np.uint8], Array, Array]:
    """Quantize ``weight`` by the contract.

    Args:
        weight: array of rank >= 1, not empty, of dtype float32, float16 or bfloat16.
        format: the format of the codes.
        symmetric: the scheme; floating-point formats are symmetric.
        block_sizes: a block's length along each axis; 0 stands for the whole axis.
        e8m0_scale: store scales as powers of two (floating-point formats only).

    Returns:
        ``(packed, scale, zero_point)``: flat uint8 codes as Core AI stores them; the scales, in the
        weight's dtype or float8_e8m0fnu; the zero points, in the dtype of the codes. The last two
        have one element per block and the shape of :func:`blocks.scale_shape`.

    Raises:
        ValueError: block sizes that do not fit the shape, or a NaN or infinity in the weight.
    """
    shape = scale_shape(weight.shape, block_sizes)
    check_finite(weight)
    blocks = split_axes(widen(weight), shape)
    if format.is_int and symmetric:
        codes, scale, zero_point = _symmetric(blocks, format, weight.dtype)
    elif format.is_int:
        codes, scale, zero_point = _asymmetric(blocks, format, weight.dtype)
    else:
        codes, scale, zero_point = _floating(blocks, format, weight.dtype, e8m0_scale)
    return (
        pack(codes.reshape(weight.shape).astype(format.code_dtype), format),
        scale.reshape(shape),
        zero_point.reshape(shape).astype(format.code_dtype),
    )


def dequantize(
    packed: npt.NDArray[np.uint8],
    scale: Array,
    zero_point: Array,
    format: Format,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Array:
    """Decode what :func:`quantize` returned: an array of ``shape`` and the weight's ``dtype``."""
    codes = split_axes(unpack(packed, format, shape), scale.shape)
    per_block = [length for blocks in scale.shape for length in (blocks, 1)]
    decoded = decode(codes, scale.reshape(per_block), zero_point.reshape(per_block), dtype)
    return decoded.reshape(shape)


def _absmax(blocks: Array) -> Array:
    return np.abs(blocks).max(axis=within_blocks(blocks.ndim // 2), keepdims=True)


def _symmetric(blocks: Array, format: Format, dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
    largest = format.symmetric_max
    scale = minmax.symmetric_scales(_absmax(blocks), format, dtype)
    # UINT stores INT's code + Q with the zero point Q, so it decodes to exactly what INT does.
    zero_point = 0 if format.is_signed_int else largest
    codes = encode_integer(blocks, scale, np.float32(0), -largest, largest) + zero_point
    return codes, scale, np.full(scale.shape, zero_point)


def _asymmetric(blocks: Array, format: Format, dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
    axes = within_blocks(blocks.ndim // 2)
    lo = np.minimum(blocks.min(axis=axes, keepdims=True), np.float32(0))
    hi = np.maximum(blocks.max(axis=axes, keepdims=True), np.float32(0))
    scale = minmax.asymmetric_scales(lo, hi, format, dtype)
    zero_point = minmax.zero_points(lo, scale, format)
    codes = encode_integer(blocks, scale, zero_point, 0, format.levels)
    # INT is UINT shifted down by half the range.
    shift = 1 << (format.bits - 1) if format.is_signed_int else 0
    return codes - shift, scale, zero_point - shift


def _floating(
    blocks: Array, format: Format, dtype: np.dtype[Any], e8m0_scale: bool
) -> tuple[Array, Array, Array]:
    find_scales = minmax.e8m0_scales if e8m0_scale else minmax.float_scales
    scale = find_scales(_absmax(blocks), format, dtype)
    codes = encode_float(blocks * reciprocal(scale), format)
    return codes, scale, np.zeros(scale.shape)
