"""Rounding in exact arithmetic: a third opinion that shares nothing with the two backends."""

from fractions import Fraction
from typing import NamedTuple


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
