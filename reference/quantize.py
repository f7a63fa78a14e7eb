"""A whole weight: find each block's scale and zero point, encode, pack."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import scales
from .blocks import from_rows, scale_shape, split_axes, to_rows
from .codes import CodeRange, decode, encode, widen
from .formats import Format
from .packing import pack, unpack
from .search import best_scales

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
    mse: bool = False,
    importance: npt.NDArray[np.float32] | None = None,
) -> tuple[npt.NDArray[np.uint8], Array, Array]:
    """Quantize ``weight`` by the contract.

    Args:
        weight: array of rank >= 1, not empty, of dtype float32, float16 or bfloat16.
        format: the format of the codes.
        symmetric: the scheme; floating-point formats are symmetric.
        block_sizes: a block's length along each axis; 0 stands for the whole axis.
        e8m0_scale: store scales as powers of two (floating-point formats only).
        mse: search for better scales than MINMAX's.
        importance: with ``mse``, what each element's squared error counts: finite, >= 0, of the
            weight's rank and along each axis as long as that or 1; None if all count the same.

    Returns:
        ``(packed, scale, zero_point)``: flat uint8 codes as Core AI stores them; the scales, in the
        weight's dtype or float8_e8m0fnu; the zero points, in the dtype of the codes. The last two
        have one element per block and the shape of :func:`blocks.scale_shape`.

    Raises:
        ValueError: block sizes that do not fit the shape, or a NaN or infinity in the weight.
    """
    shape = scale_shape(weight.shape, block_sizes)
    check_finite(weight)
    blocks = to_rows(widen(weight), shape)
    scale, zero_point = _minmax(blocks, format, symmetric, e8m0_scale, weight.dtype)
    if mse:
        if importance is not None:
            importance = to_rows(np.broadcast_to(importance, weight.shape), shape)
        scale, zero_point = best_scales(
            blocks,
            scale,
            zero_point,
            format,
            symmetric=symmetric,
            dtype=weight.dtype,
            importance=importance,
        )
    code_range = CodeRange.of(format, symmetric=symmetric, mse=mse)
    zero_point = (zero_point + code_range.offset).astype(format.code_dtype)
    codes = encode(blocks, scale[:, np.newaxis], zero_point[:, np.newaxis], code_range)
    return (
        pack(from_rows(codes, weight.shape, shape), format),
        scale.reshape(shape),
        zero_point.reshape(shape),
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


def _minmax(
    blocks: Array, format: Format, symmetric: bool, e8m0_scale: bool, dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    """MINMAX's scales and zero points: 0 or, asymmetric, unsigned codes in float32."""
    if not symmetric:
        lo = np.minimum(blocks.min(axis=1), np.float32(0))
        hi = np.maximum(blocks.max(axis=1), np.float32(0))
        scale = scales.asymmetric_scales(lo, hi, format, dtype)
        return scale, scales.zero_points(lo, scale, format)
    absmax = np.abs(blocks).max(axis=1)
    find_scales = scales.e8m0_scales if e8m0_scale else scales.float_scales
    if format.is_int:
        find_scales = scales.symmetric_scales
    return find_scales(absmax, format, dtype), np.zeros_like(absmax)
