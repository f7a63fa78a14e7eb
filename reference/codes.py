"""From an element and its stored scale to a code, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .formats import Format, NumpyDType

Array = npt.NDArray[Any]
F32 = np.float32


@dataclass(frozen=True)
class CodeRange:
    """The codes that a weight may have, as they are stored.

    Attributes:
        format: their format.
        lowest, highest: the least and the largest code of an integer format.
        offset: what stored integers are above those that scales and zero points are found for:
            symmetric ones around 0, asymmetric ones from 0 on.
    """

    format: Format
    lowest: int = 0
    highest: int = 0
    offset: int = 0

    @classmethod
    def of(cls, format: Format, *, symmetric: bool, lowest_symmetric: int) -> "CodeRange":
        """Return the codes of a format by a scheme; an observer has the least symmetric code."""
        if not format.is_int:
            return cls(format)
        if symmetric:
            # UINT stores INT's code above the lowest, so it decodes to exactly what INT does.
            lowest, highest = lowest_symmetric, format.symmetric_max
            offset = 0 if format.is_signed_int else -lowest
        else:
            # INT is UINT shifted down by half the range.
            lowest, highest = 0, format.levels
            offset = -(1 << (format.bits - 1)) if format.is_signed_int else 0
        return cls(format, lowest + offset, highest + offset, offset)


def widen(array: Array | F32) -> Any:
    """Return ``array`` in float32, which holds every weight, scale and code exactly."""
    return array.astype(F32)


def reciprocal(scales: Array) -> Array:
    """Return r = 1 / scale in float32: elements are multiplied by it, not divided by scale."""
    return F32(1) / widen(scales)


def encode(weights: Array, scales: Array, zero_points: Array, codes: CodeRange) -> Array:
    """The codes nearest to ``weights`` at stored scales and zero points, as they are stored.

    The three arrays must broadcast together.
    """
    if not codes.format.is_int:
        return encode_float(widen(weights) * reciprocal(scales), codes.format)
    stored = encode_integer(weights, scales, widen(zero_points), codes.lowest, codes.highest)
    return stored.astype(codes.format.code_dtype)


def encode_integer(
    weight: Array,
    scales: Array,
    zero_points: Array | F32,
    lowest: int | Array,
    highest: int | Array,
) -> Array:
    """Integer codes: round half even of w * r, then the zero point, then the clip, in float32."""
    return np.clip(np.rint(widen(weight) * reciprocal(scales)) + zero_points, lowest, highest)


def encode_float(scaled: Array, format: Format) -> Array:
    """FP8 and FP4 codes of ``scaled`` = w * r: saturate at the largest number, round half even.

    The sign of zero is kept.
    """
    largest = F32(format.float_max)
    return np.clip(scaled, -largest, largest).astype(format.code_dtype)


def decode(codes: Array, scales: Array, zero_points: Array | F32, dtype: NumpyDType) -> Array:
    """Decoded weights: scale * (code - zero point), computed in float32, rounded to ``dtype``.

    The three arrays must broadcast together. For float16 and bfloat16 the product is exact in
    float32, so it is rounded once. Bytes that no quantization writes decode as well: codes and
    scales that are an infinity or a NaN give one; which NaN is not specified.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return (widen(scales) * (widen(codes) - widen(zero_points))).astype(dtype)
