"""Scales, zero points, codes and decoded weights recomputed in exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from ..support.corpus import (
    ASYMMETRIC_SPECS,
    SPECS,
    SYMMETRIC_SPECS,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Spec,
)
from ..support.exact import BINARY32, CODE_FORMATS, WEIGHT_FORMATS, Binary, clip, nearest

BITS = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4, "int8": 8, "uint8": 8}


def fractions(array: Array) -> list[Fraction]:
    return [Fraction(float(x)) for x in array.ravel()]


def f32(x: Fraction) -> Fraction:
    return nearest(x, BINARY32)


def blocks_of_ordinary_numbers(dtype: DTypeLike) -> Array:
    """Rows of one block each, of all sorts of signs, offsets and spreads, none of them extreme."""
    rng = np.random.default_rng(7)
    rows = [rng.normal(mean, sigma, 24) for mean in (0, 0.4, -3) for sigma in (0.01, 1, 50)]
    rows += [np.abs(rows[0]), -np.abs(rows[1]), np.full(24, 0.3), np.round(2 * rows[2]) / 2]
    rows.append(np.array([-7.5, 7, 0, -0.0, *np.arange(20) / 2 - 5]))
    return np.array(rows).astype(dtype)


def expected_integers(
    spec: Spec, weights: list[Fraction], stored: Binary
) -> tuple[Fraction, int, list[int]]:
    """Scale, zero point and codes of one block."""
    bits, half = BITS[spec.dtype], 1 << BITS[spec.dtype] - 1
    if spec.qscheme == "symmetric":
        lowest, highest = (1 - half, half - 1)
        scale = f32(max(map(abs, weights)) / (half - 1))
        zero_point, shift = 0, (half - 1 if spec.dtype.startswith("u") else 0)
    else:
        lo, hi = min(0, *weights), max(0, *weights)
        lowest, highest = 0, (1 << bits) - 1
        scale = f32(f32(hi - lo) / highest)
        zero_point = round(clip(f32(-lo / nearest(scale, stored)), 0, highest))
        shift = 0 if spec.dtype.startswith("u") else -half
    scale = nearest(scale, stored)
    reciprocal = f32(1 / scale)
    codes = [round(f32(w * reciprocal)) + zero_point for w in weights]
    return scale, zero_point + shift, [int(clip(c, lowest, highest)) + shift for c in codes]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", SYMMETRIC_SPECS + ASYMMETRIC_SPECS, ids=str)
def test_integers(spec: Spec, dtype: DTypeLike, backend: str) -> None:
    weight = blocks_of_ordinary_numbers(dtype)
    result = spec.quantize(weight, [1, 0], backend)
    for i, row in enumerate(weight):
        scale, zero_point, codes = expected_integers(
            spec, fractions(row), WEIGHT_FORMATS[dtype.name]
        )
        assert fractions(result.scale[i]) == [scale]
        assert result.zero_point[i].tolist() == [zero_point]
        assert result.codes()[i].tolist() == codes


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.dtype in CODE_FORMATS], ids=str)
def test_floats(spec: Spec, dtype: DTypeLike, backend: str) -> None:
    weight = blocks_of_ordinary_numbers(dtype)
    result = spec.quantize(weight, [1, 0], backend)
    stored, largest = CODE_FORMATS[spec.dtype]
    for row, scale, codes in zip(weight, result.scale, result.codes(), strict=True):
        reciprocal = f32(1 / Fraction(float(scale[0])))
        scaled = [clip(f32(w * reciprocal), -largest, largest) for w in fractions(row)]
        assert fractions(codes) == [nearest(x, stored) for x in scaled]
        signs = np.signbit(codes.astype(np.float32)) == np.signbit(row.astype(np.float32))
        assert signs.all(), "zeros included"


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_dequantize(spec: Spec, dtype: DTypeLike, backend: str) -> None:
    """w' = scale · (code - zero point), the product rounded to float32 and then to the dtype."""
    result = spec.quantize(blocks_of_ordinary_numbers(dtype), [1, 0], "reference")
    stored = WEIGHT_FORMATS[dtype.name]
    weight = result.dequantize(backend=backend)
    parts = zip(result.scale, result.zero_point, result.codes(), weight, strict=True)
    for scale, zero_point, codes, decoded in parts:
        s, z = Fraction(float(scale[0])), Fraction(float(zero_point[0]))
        assert fractions(decoded) == [nearest(f32(s * (c - z)), stored) for c in fractions(codes)]
