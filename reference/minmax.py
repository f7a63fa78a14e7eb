"""From the elements of a block to its scale and zero point: the observer MINMAX.

All arithmetic is IEEE binary32, rounded to nearest, ties to even, without flushing subnormals.
Scales leave this module rounded to the dtype they are stored in, because codes are computed from
what is stored.
"""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from .codes import encode_float, reciprocal, widen
from .formats import E8M0, Format, NumpyDType

Array = npt.NDArray[Any]
F32 = np.float32


def find_scales(
    blocks: Array,
    format: Format,
    *,
    symmetric: bool,
    e8m0_scale: bool,
    dtype: NumpyDType,
    importance: Array | None,
) -> tuple[Array, Array]:
    """Return the scale and the zero point of each block.

    Args:
        blocks: the elements of each block in a row, float32, finite.
        format: the format of the codes.
        symmetric: the scheme.
        e8m0_scale: store scales as powers of two.
        dtype: the weight's dtype.
        importance: of no use here.

    Returns:
        scales in the dtype they are stored in; zero points in float32: 0 or, asymmetric, unsigned
        codes.
    """
    del importance
    if not symmetric:
        lo = np.minimum(blocks.min(axis=1), F32(0))
        hi = np.maximum(blocks.max(axis=1), F32(0))
        scale = asymmetric_scales(lo, hi, format, dtype)
        return scale, zero_points(lo, scale, format)
    absmax = np.abs(blocks).max(axis=1)
    scales_of = e8m0_scales if e8m0_scale else float_scales
    if format.is_int:
        scales_of = symmetric_scales
    return scales_of(absmax, format, dtype), np.zeros_like(absmax)


def lowest_code(format: Format) -> int:
    """Return the least symmetric integer code: the largest with the sign changed."""
    return -format.symmetric_max


def symmetric_scales(absmax: Array, format: Format, dtype: NumpyDType) -> Array:
    """Scales of symmetric integer blocks: absmax / Q, rounded to ``dtype``.

    Args:
        absmax: largest magnitude of each block, float32, finite.
        format: an integer format.
        dtype: the weight's dtype, in which scales are stored.
    """
    largest = np.full_like(absmax, format.symmetric_max)
    scales = _usable(absmax / largest, absmax, dtype)
    return _decodable(scales, lambda _: largest, dtype)


def asymmetric_scales(lo: Array, hi: Array, format: Format, dtype: NumpyDType) -> Array:
    """Scales of asymmetric integer blocks: (hi - lo) / L, rounded to ``dtype``.

    Args:
        lo: min(0, smallest element) of each block, float32, finite.
        hi: max(0, largest element) of each block, float32, finite.
        format: an integer format.
        dtype: the weight's dtype, in which scales are stored.
    """
    levels = F32(format.levels)
    with np.errstate(over="ignore"):
        spread = hi - lo
        halved = (hi * F32(0.5) - lo * F32(0.5)) / levels * F32(2)
    # Halving is exact where the difference overflows; the quotient by L >= 3 fits again.
    quotient = np.where(np.isinf(spread), halved, spread / levels)
    scales = _usable(quotient, spread, dtype)
    absmax = np.maximum(-lo, hi)
    return _decodable(
        scales, lambda now: np.minimum(np.rint(absmax * reciprocal(now)), levels), dtype
    )


def zero_points(lo: Array, scales: Array, format: Format) -> Array:
    """Zero points of asymmetric integer blocks, as unsigned codes 0..L, in float32."""
    return np.clip(np.rint(-lo / widen(scales)), F32(0), F32(format.levels))


def float_scales(absmax: Array, format: Format, dtype: NumpyDType) -> Array:
    """Scales of FP8 blocks in the weight's dtype: absmax / target, rounded to ``dtype``."""
    scales = _usable(absmax / float_target(format, dtype), absmax, dtype)
    return _decodable(scales, _float_code_of(absmax, format), dtype)


def float_target(format: Format, dtype: NumpyDType) -> np.float32:
    """The code that a block's largest weight gets with scales of ``dtype``: the largest there is.

    With float16 scales E5M2 aims at 57344 / 16: otherwise every block with an absmax under 3.5 had
    a subnormal scale. The codes lie four binades lower, where E5M2 is as dense as at its top.
    """
    target = F32(format.float_max)
    if format.code_dtype == ml_dtypes.float8_e5m2 and dtype == np.float16:
        target = target / F32(16)
    return target


def e8m0_scales(absmax: Array, format: Format, dtype: NumpyDType) -> Array:
    """Power-of-two scales of FP8 and FP4 blocks, dtype float8_e8m0fnu.

    The exponent is floor(log2 absmax) - emax, plus 1 where absmax's significand is above 29/16, so
    that at most a little saturates: adding 3/16 less one ulp to the significand carries into the
    exponent just there. Subnormal absmax has an exponent far below the clamp and is clamped.
    """
    assert format.emax is not None
    rounded_up = (absmax.view(np.uint32) + np.uint32(0x17FFFF)) >> np.uint32(23)
    biased = rounded_up.astype(np.int32) - format.emax
    scales = np.where(absmax == 0, E8M0.type(1), from_biased_exponents(biased, dtype))
    return _decodable(scales, _float_code_of(absmax, format), dtype)


def from_biased_exponents(biased: Array, dtype: NumpyDType) -> Array:
    """E8M0 scales 2**(biased - 127), the smallest that works where ``biased`` is too small."""
    return np.maximum(biased, 127 + _smallest_e8m0_exponent(dtype)).astype(np.uint8).view(E8M0)


def _float_code_of(absmax: Array, format: Format) -> Callable[[Array], Array]:
    return lambda scales: widen(encode_float(absmax * reciprocal(scales), format))


def _smallest_e8m0_exponent(dtype: NumpyDType) -> int:
    # The Core AI runtime converts an E8M0 scale to the weight's dtype before it multiplies, so with
    # float16 weights anything under the smallest float16 subnormal decodes to zeros (measured).
    return -24 if dtype == np.float16 else -127


def _smallest_scale(dtype: NumpyDType) -> Array:
    """The smallest positive number of ``dtype`` whose float32 reciprocal is finite."""
    if dtype == np.float16:
        return np.array(2.0**-24, dtype)
    # 2**-128 has the reciprocal 2**128, which overflows; its successor in dtype has not.
    exponent_only = np.array(2.0**-128, dtype)
    return _next_bits(exponent_only, +1)


def _next_bits(positive: Array, step: int) -> Array:
    """The neighbours of positive numbers of any binary floating-point dtype."""
    bits = positive.view(f"u{positive.dtype.itemsize}")
    return (bits.astype(np.int64) + step).astype(bits.dtype).view(positive.dtype)


def round_scales(scales: Array, dtype: NumpyDType) -> Array:
    """``scales`` rounded to ``dtype``; the smallest that works where they are too small."""
    rounded, smallest = scales.astype(dtype), _smallest_scale(dtype)
    return np.where(widen(rounded) < widen(smallest), smallest, rounded)


def _usable(scales: Array, extent: Array, dtype: NumpyDType) -> Array:
    """Scales as they are stored; all-zero blocks get scale 1."""
    return np.where(extent == 0, dtype.type(1), round_scales(scales, dtype))


def _decodable(
    scales: Array, code_of_largest: Callable[[Array], Array], dtype: NumpyDType
) -> Array:
    """Smaller scales where the block's largest weight would decode to an infinity of ``dtype``.

    Only weights at the very top of their dtype's range meet this: 65504 in float16 as INT4 has the
    scale 9357.7, stored as 9360, and 7 * 9360 is infinite in float16; 65504 / 7 rounded down is
    not. With a smaller scale the largest weight's code may be another, so it is looked at again.

    Args:
        scales: the scales so far.
        code_of_largest: gives the code, in float32, that each block's largest weight has with
            given scales, in magnitude.
        dtype: the weight's dtype.
    """
    largest = F32(ml_dtypes.finfo(dtype).max)
    while True:
        code = code_of_largest(scales)
        with np.errstate(over="ignore"):
            infinite = np.isinf((widen(scales) * code).astype(dtype))
        if not infinite.any():
            return scales
        bound = _toward_zero(largest / np.where(infinite, code, F32(1)), scales.dtype)
        below = _next_bits(scales, -1)
        smaller = np.where(widen(bound) < widen(below), bound, below)
        scales = np.where(infinite, smaller, scales)


def _toward_zero(positive: Array, dtype: NumpyDType) -> Array:
    """The largest numbers of ``dtype`` that are not above ``positive``."""
    rounded = positive.astype(dtype)
    return np.where(widen(rounded) > positive, _next_bits(rounded, -1), rounded)
