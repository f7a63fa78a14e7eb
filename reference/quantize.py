"""A whole weight: find each block's scale and zero point, encode, pack; and the way back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import minmax, mse
from .blocks import scale_shape, split_axes, to_elements, to_rows
from .codes import CodeRange, decode, widen
from .codes import encode as encode_nearest
from .formats import Format
from .packing import pack, unpack

Array = npt.NDArray[Any]

OBSERVERS = {"minmax": minmax, "mse": mse}
"""How scales are found, by name: modules with ``find_scales`` and ``lowest_code``."""


class NotFiniteError(ValueError):
    """A weight holds a NaN or an infinity."""


def check_finite(weight: Array) -> None:
    """Raise NotFiniteError naming the first NaN or infinity of ``weight`` in C order, if any."""
    with np.errstate(invalid="ignore"):  # ml_dtypes flags the question itself for a signaling NaN
        finite = np.isfinite(weight)
    if not finite.all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), weight.shape))
        raise NotFiniteError(
            f"weight is {float(weight[index])} at index {index}; it must be finite"
        )


def quantize(
    weight: Array,
    format: Format,
    *,
    symmetric: bool,
    block_sizes: Sequence[int],
    e8m0_scale: bool,
    observer: str = "minmax",
    importance: npt.NDArray[np.float32] | None = None,
) -> tuple[npt.NDArray[np.uint8], Array, Array]:
    """Quantize ``weight`` by the contract.

    Args:
        weight: array of rank >= 1, not empty, of dtype float32, float16 or bfloat16.
        format: the format of the codes.
        symmetric: the scheme; floating-point formats are symmetric.
        block_sizes: a block's length along each axis; 0 stands for the whole axis.
        e8m0_scale: store scales as powers of two (floating-point formats only).
        observer: how scales are found: a name in ``OBSERVERS``.
        importance: with ``"mse"``, what each element's squared error counts: finite, >= 0, of the
            weight's rank and along each axis as long as that or 1; None if all count the same.

    Returns:
        ``(packed, scale, zero_point)``: flat uint8 codes as Core AI stores them; the scales, in the
        weight's dtype or float8_e8m0fnu; the zero points, in the dtype of the codes. The last two
        have one element per block and the shape of :func:`blocks.scale_shape`.

    Raises:
        ValueError: block sizes that do not fit the shape.
        NotFiniteError: a NaN or infinity in the weight; the message has the first index.
    """
    scale, zero_point = find_scales(
        weight,
        format,
        symmetric=symmetric,
        block_sizes=block_sizes,
        e8m0_scale=e8m0_scale,
        observer=observer,
        importance=importance,
    )
    packed = encode(weight, scale, zero_point, format, symmetric=symmetric, observer=observer)
    return packed, scale, zero_point


def find_scales(
    weight: Array,
    format: Format,
    *,
    symmetric: bool,
    block_sizes: Sequence[int],
    e8m0_scale: bool,
    observer: str = "minmax",
    importance: npt.NDArray[np.float32] | None = None,
) -> tuple[Array, Array]:
    """Return ``(scale, zero_point)`` of :func:`quantize`, whose arguments and errors these are."""
    shape = scale_shape(weight.shape, block_sizes)
    check_finite(weight)
    blocks = to_rows(widen(weight), shape)
    if importance is not None:
        importance = to_rows(np.broadcast_to(importance, weight.shape), shape)
    scale, zero_point = OBSERVERS[observer].find_scales(
        blocks,
        format,
        symmetric=symmetric,
        e8m0_scale=e8m0_scale,
        dtype=weight.dtype,
        importance=importance,
    )
    stored = zero_point + code_range(format, symmetric=symmetric, observer=observer).offset
    return scale.reshape(shape), stored.astype(format.code_dtype).reshape(shape)


def encode(
    weight: Array,
    scale: Array,
    zero_point: Array,
    format: Format,
    *,
    symmetric: bool,
    observer: str = "minmax",
) -> npt.NDArray[np.uint8]:
    """Round every element of a weight to the nearest code at given scales, and pack the codes.

    Args:
        weight: array of rank >= 1, not empty, finite, of dtype float32, float16 or bfloat16.
        scale: one per block, of the weight's dtype or float8_e8m0fnu, with finite reciprocals. The
            lengths of its axes divide those of ``weight``.
        zero_point: one code per block, as :func:`find_scales` returns them for this scheme.
        format: the format of the codes.
        symmetric: the scheme.
        observer: whose codes may be used: with MSE there is one more below zero.

    Returns:
        flat uint8 codes as Core AI stores them.
    """
    codes = encode_nearest(
        weight,
        to_elements(scale, weight.shape),
        to_elements(zero_point, weight.shape),
        code_range(format, symmetric=symmetric, observer=observer),
    )
    return pack(codes, format)


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


def code_range(format: Format, *, symmetric: bool, observer: str) -> CodeRange:
    """Return the codes that a weight may have, which depend on how its scales are found."""
    lowest = OBSERVERS[observer].lowest_code(format)
    return CodeRange.of(format, symmetric=symmetric, lowest_symmetric=lowest)
