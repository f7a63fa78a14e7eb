"""A better scale than MINMAX's for each block: the observer MSE.

It looks for the scale, and the zero point, at which Σ(w - w')² of the block is least, or where some
weights are of more importance than others Σ h·(w - w')². Symmetric integers of 2 and 4 bits have
one code more below zero than above, and a scale of either sign, so that it is of use on either
side. Scales are scored on weights rounded to integers, so that sums are exact and do not depend on
their order; the best is taken only where what is stored in the end is closer to the weights than
MINMAX's is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from . import minmax
from .codes import decode, encode_float, encode_integer, reciprocal, widen
from .formats import Format, NumpyDType
from .minmax import float_target, from_biased_exponents, round_scales

Array = npt.NDArray[Any]
F32 = np.float32


@dataclass(frozen=True)
class Grid:
    """The scales that are tried for an integer format, by their steps u: 2**15 · extent / (unit·u).

    Attributes:
        unit: weights become integers x of -unit..unit, asymmetric ones of up to twice that; a code
            is x · u / 2**15.
        first: the first step.
        dense: up to here steps follow one by one.
        growth: from there on each step is longer than the last by its 2**growth-th part.
        reach: no step is larger than reach · √elements of the block, the scale
            extent / (2**(bits - 1) · √elements). The best scale is not smaller: Σ w² less its error
            is scale² · Σ c², where no |c| is above 2**(bits - 1), and at least absmax², which is
            what is left if the largest weight alone gets a code.
        last: no step is larger, however long the block is.
    """

    unit: int
    first: int
    dense: int
    growth: int
    reach: int
    last: int

    def steps(self, elements: int) -> Iterator[int]:
        """Yield the steps for blocks of so many elements, ascending."""
        step = self.first
        while step <= self.last and step**2 <= self.reach**2 * elements:
            yield step
            step += 1 if step < self.dense else step >> self.growth


GRIDS = {
    2: Grid(unit=1 << 11, first=16, dense=16, growth=2, reach=32, last=2048),
    4: Grid(unit=1 << 13, first=22, dense=40, growth=3, reach=32, last=1024),
    8: Grid(unit=1 << 13, first=424, dense=516, growth=5, reach=512, last=8192),
}
"""By bits."""

FLOAT_UNIT = 1 << 12
FLOAT_STEPS = 64
"""FP8: magnitudes become integers up to FLOAT_UNIT; so many scales are tried over an octave."""

ERROR_UNIT = 1 << 14
FP8_ERROR_UNIT = 1 << 16
LARGEST_ERROR = 1 << 30
"""Errors are measured in this part of the extent, squared, limited and rounded to integers. FP8 is
finer where weights are small, and no candidate is half of the extent from any."""

IMPORTANCE_UNIT = F32(1 << 11)
"""Integers of 2 and 4 bits: importances become integers up to this."""

PRODUCT_UNITS = {True: 1 << 8, False: 1 << 6}
SQUARE_UNITS = {True: 1 << 14, False: 1 << 6}
"""Codes of 8 bits, integers and FP8: products and squares are weighed and rounded in these parts of
1, to integers under 2**30."""


@dataclass(frozen=True)
class Blocks:
    """Blocks to search, one in each row, and what their codes shall be.

    Attributes:
        weights: the elements, float32; zeros in blocks that are not searched.
        extent: absmax or, asymmetric, half of the distance from the smallest to the largest; 1 in
            blocks that are not searched.
        format: the format of the codes.
        symmetric: the scheme.
        dtype: the weight's dtype.
        importance: of each element, float32, the largest of each block 1; None if all are equal.
    """

    weights: Array
    extent: Array
    format: Format
    symmetric: bool
    dtype: NumpyDType
    importance: Array | None

    def in_units(self, unit: int) -> Array:
        """The weights in units of extent / unit."""
        gain = F32(unit) / self.extent
        return self.weights * gain[:, np.newaxis]

    def code_range(self, zero_points: Array) -> tuple[Array, Array]:
        """The lowest and the highest integer code, less the zero point."""
        if self.symmetric:
            return self.format.searched_min - zero_points, self.format.symmetric_max - zero_points
        return -zero_points, self.format.levels - zero_points


def find_scales(
    weights: Array,
    format: Format,
    *,
    symmetric: bool,
    e8m0_scale: bool,
    dtype: NumpyDType,
    importance: Array | None,
) -> tuple[Array, Array]:
    """Return scales and zero points that leave no more error than MINMAX's, block by block.

    Args:
        weights: the elements of each block in a row, float32, finite.
        format: the format of the codes.
        symmetric: the scheme.
        e8m0_scale: store scales as powers of two.
        dtype: the weight's dtype.
        importance: what each element's squared error counts, float32, finite, >= 0, in the shape of
            ``weights``; None if all count the same.

    Returns:
        scales in the dtype they are stored in; zero points in float32: 0 or, asymmetric, unsigned
        codes.
    """
    scales, zero_points = minmax.find_scales(
        weights,
        format,
        symmetric=symmetric,
        e8m0_scale=e8m0_scale,
        dtype=dtype,
        importance=importance,
    )
    blocks = _searchable(weights, format, symmetric, dtype, importance)
    if e8m0_scale:
        # Of all exponents the best is less than 0.01 dB better than MINMAX's with FP8.
        steps = (-1, 1) if format.bits == 4 else ()
        biased = scales.view(np.uint8).astype(np.int64)
        candidates = [(from_biased_exponents(biased + k, dtype), zero_points) for k in steps]
    elif format.is_int:
        candidates = [_search_integer(blocks, scales, zero_points)]
    else:
        candidates = [(_search_float(blocks, scales), zero_points)]
    least = _errors(blocks, scales, zero_points)
    for candidate in candidates:
        errors = _errors(blocks, *candidate)
        # Better by more than the rounding of errors to integers and binary32 can have caused.
        better = errors + (errors >> 20) + weights.shape[1] < least
        scales = np.where(better, candidate[0], scales)
        zero_points = np.where(better, candidate[1], zero_points)
        least = np.where(better, errors, least)
    return scales, zero_points


def lowest_code(format: Format) -> int:
    """Return the least symmetric integer code: there is one more below zero, but of 8 bits."""
    return format.searched_min


def _searchable(
    weights: Array,
    format: Format,
    symmetric: bool,
    dtype: NumpyDType,
    importance: Array | None,
) -> Blocks:
    """Leave out blocks in which something might overflow or underflow."""
    absmax = np.abs(weights).max(axis=1)
    limit = F32(2.0**15 if dtype == np.float16 else 2.0**127)
    possible = (absmax >= F32(2.0**-100)) & (absmax < limit)
    weights = np.where(possible[:, np.newaxis], weights, F32(0))
    extent = absmax
    if not symmetric:
        lo = np.minimum(weights.min(axis=1), F32(0))
        hi = np.maximum(weights.max(axis=1), F32(0))
        extent = (hi - lo) * F32(0.5)
    extent = np.where(possible, extent, F32(1))
    if importance is not None:
        importance = _relative(importance)
    return Blocks(weights, extent, format, symmetric, dtype, importance)


def _relative(importance: Array) -> Array:
    """Importances divided by the largest of their block; ones in blocks where all are zero."""
    largest = importance.max(axis=1, keepdims=True)
    return np.where(largest > 0, importance, F32(1)) / np.where(largest > 0, largest, F32(1))


def _search_integer(blocks: Blocks, scales: Array, zero_points: Array) -> tuple[Array, Array]:
    format = blocks.format
    grid = GRIDS[format.bits]
    weights = blocks.in_units(grid.unit)
    x = np.rint(weights).astype(np.int64)
    best = _Best(_sums(weights, blocks), zero_points)
    turns = 1 if format.bits == 8 else 2 if blocks.symmetric else 4
    for turn in range(turns):
        # MINMAX's zero point, its neighbours, and one further to where the best was found.
        further = best.zero_points + (best.zero_points - zero_points)
        zeros = (zero_points, zero_points - 1, zero_points + 1, further)[turn]
        if not blocks.symmetric:
            zeros = np.clip(zeros, F32(0), F32(format.levels))
        lowest, highest = blocks.code_range(zeros[:, np.newaxis].astype(np.int64))
        for step in grid.steps(x.shape[1]):
            codes = np.clip((x * step + (1 << 14)) >> 15, lowest, highest)
            best.score(codes, zeros)
    found = best.scales(blocks.extent / F32(grid.unit), scales)
    if blocks.symmetric:
        # One code more above zero than below is one more below with codes and scale negated.
        return np.where(best.zero_points < 0, -found, found), zero_points
    return found, best.zero_points


def _search_float(blocks: Blocks, scales: Array) -> Array:
    format = blocks.format
    x = np.abs(np.rint(blocks.in_units(FLOAT_UNIT)))
    dropped = 23 - int(ml_dtypes.finfo(format.code_dtype).nmant)
    half, kept = np.uint32(1 << (dropped - 1)), np.uint32(-(1 << dropped) & 0xFFFFFFFF)
    zeros = np.zeros_like(blocks.extent)
    best = _Best(_sums(x, blocks), zeros)
    for step in range(FLOAT_STEPS):
        # 7/8 of FLOAT_UNIT has the significand of the largest code, 1.75.
        scaled = x * F32(0.875 * (2 * FLOAT_STEPS - step) / (2 * FLOAT_STEPS))
        codes = np.rint(((scaled.view(np.uint32) + half) & kept).view(F32)).astype(np.int64)
        best.score(codes, zeros)
    return best.scales(blocks.extent * F32(0.875) / float_target(format, blocks.dtype), scales)


@dataclass(frozen=True)
class _Sums:
    """Factors of the sums A = Σ h·x·c and B = Σ h·c² of codes c, whose terms are integers.

    Attributes:
        hx: h·x in parts of 1 / product_unit, float32.
        h: in parts of 1 / square_unit, float32.
    """

    hx: Array
    product_unit: F32
    h: Array | F32
    square_unit: F32

    def of(self, codes: Array) -> tuple[Array, Array]:
        """A and B, float32; B is not 0."""
        a = _total(self.hx * widen(codes))
        b = np.maximum(_total(self.h * widen(codes * codes)), 1)
        return widen(a) / self.product_unit, widen(b) / self.square_unit


def _sums(weights: Array, blocks: Blocks) -> _Sums:
    """Return what sums up codes for ``weights``, which become x when they are rounded.

    Where all importances are 1 it comes to the same as without them.
    """
    x, h, one = np.rint(weights), blocks.importance, F32(1)
    if h is None:
        return _Sums(x, one, one, one)
    if blocks.format.bits == 8:
        product_unit = F32(PRODUCT_UNITS[blocks.format.is_int])
        square_unit = F32(SQUARE_UNITS[blocks.format.is_int])
        return _Sums(x * h * product_unit, product_unit, h * square_unit, square_unit)
    h = np.rint(h * IMPORTANCE_UNIT)
    return _Sums(np.rint(weights * (h / IMPORTANCE_UNIT)), one, h, IMPORTANCE_UNIT)


def _total(terms: Array) -> Array:
    """The sum of each row, whose elements are rounded to integers."""
    return np.rint(terms).astype(np.int64).sum(axis=1)


class _Best:
    """The best candidate of each block so far.

    Codes c are best decoded with the scale A / B, A = Σ x·c and B = Σ c², which leaves the error
    Σ x² - A² / B.
    """

    def __init__(self, sums: _Sums, zero_points: Array) -> None:
        self.sums = sums
        self.a, self.b, self.best = np.zeros((3, len(zero_points)), F32)
        self.zero_points = zero_points

    def score(self, codes: Array, zero_points: Array) -> None:
        """Score the codes of all blocks; the first of equals is kept."""
        a, b = self.sums.of(codes)
        score = a * a / b
        better = score > self.best
        self.a, self.b = np.where(better, a, self.a), np.where(better, b, self.b)
        self.best = np.where(better, score, self.best)
        self.zero_points = np.where(better, zero_points, self.zero_points)

    def scales(self, unit: Array, scales: Array) -> Array:
        """The scales A / B · unit as they are stored; ``scales`` where nothing was found."""
        found = self.a / np.where(self.best > 0, self.b, F32(1)) * unit
        return np.where(self.best > 0, round_scales(found, scales.dtype), scales)


def _errors(blocks: Blocks, scales: Array, zero_points: Array) -> Array:
    """Σ(w - w')² of each block, weighed by importance, every term an integer."""
    scale, zero = scales[:, np.newaxis], zero_points[:, np.newaxis]
    if blocks.format.is_int:
        codes = encode_integer(blocks.weights, scale, F32(0), *blocks.code_range(zero))
    else:
        codes = encode_float(blocks.weights * reciprocal(scale), blocks.format)
    decoded = widen(decode(codes, scale, np.zeros_like(zero), blocks.dtype))
    is_fp8 = blocks.format.bits == 8 and not blocks.format.is_int
    gain = F32(FP8_ERROR_UNIT if is_fp8 else ERROR_UNIT) / blocks.extent
    scaled = (blocks.weights - decoded) * gain[:, np.newaxis]
    squares = np.minimum(scaled * scaled, F32(LARGEST_ERROR))
    if blocks.importance is not None:
        squares = squares * blocks.importance
    return _total(squares)
