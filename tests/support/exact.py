"""Rounding in exact arithmetic: a third opinion that shares nothing with the two backends."""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Binary(NamedTuple):
    """A binary floating-point format.

    Attributes:
        precision: bits of the significand, the leading one included.
        least: exponent of the smallest subnormal number.
    """

    precision: int
    least: int


BINARY32 = Binary(24, -149)

WEIGHT_FORMATS = {"float32": BINARY32, "float16": Binary(11, -24), "bfloat16": Binary(8, -133)}

CODE_FORMATS = {
    "fp4_e2m1fn": (Binary(2, -1), 6),
    "fp8_e4m3fn": (Binary(4, -9), 448),
    "fp8_e5m2": (Binary(3, -16), 57344),
}
"""The floating-point formats of codes, and their largest numbers."""


def floor_log2(x: Fraction) -> int:
    """The exponent of x > 0."""
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    return guess if Fraction(2) ** guess <= x else guess - 1


def nearest(x: Fraction, to: Binary) -> Fraction:
    """``x`` rounded to the nearest number of a format, ties to even, without overflow."""
    if x == 0:
        return x
    ulp = Fraction(2) ** max(floor_log2(abs(x)) - to.precision + 1, to.least)
    return round(x / ulp) * ulp  # round() of a Fraction is half even


def clip(x: Fraction, lowest: int, highest: int) -> Fraction:
    """``x`` limited to a range."""
    return max(Fraction(lowest), min(x, Fraction(highest)))


def _float_values(exponent_bits: int, mantissa_bits: int, bias: int) -> npt.NDArray[Any]:
    """The numbers of a format by code, sign bit 0, as if none were infinity or NaN."""
    codes = np.arange(1 << exponent_bits + mantissa_bits)
    exponent, mantissa = np.divmod(codes, 1 << mantissa_bits)
    fraction = mantissa / (1 << mantissa_bits)
    subnormal = fraction * 2.0 ** (1 - bias)
    return np.where(exponent == 0, subnormal, (1 + fraction) * 2.0 ** (exponent - bias))


POSITIVE_CODES = {
    "fp4_e2m1fn": _float_values(2, 1, bias=1),
    "fp8_e4m3fn": _float_values(4, 3, bias=7)[:-1],
    "fp8_e5m2": _float_values(5, 2, bias=15)[:-4],
}
"""Positive finite numbers by code, in float64: E4M3FN spends one code on NaN, E5M2 four on infinity
and NaN (OCP MX v1.0 §5.3)."""


def nearest_codes(numbers: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    """Codes of the numbers of a format nearest to float64 ``numbers``, by its table alone.

    Halfway between two goes to the even code; beyond the largest number, to that; the sign of zero
    is kept.
    """
    table = POSITIVE_CODES[name]
    middles = (table[1:] + table[:-1]) / 2  # exact, as these have few bits
    magnitudes = np.abs(numbers)
    below = np.searchsorted(middles, magnitudes, side="left")
    above = np.searchsorted(middles, magnitudes, side="right")  # differs from below at a middle
    even = np.where(below % 2 == 0, below, above).astype(np.uint8)
    sign = np.uint8(8 if name == "fp4_e2m1fn" else 128)
    return np.where(np.signbit(numbers), even | sign, even)
