"""Scales for a look-up table: which number to multiply its entries by in each block of a weight.

The least Σ h·(w - s·t)² over a block is looked for, t the entry of each weight, h its importance.
Entries follow from the scale and the scale from the entries, so one is found from the other, in
turns, from some starts:

    starts     The block's largest weight (in magnitude, the positive one of equals), times each of
               STARTS, divided by the largest entry. It keeps its sign: scales can be negative, so
               that the largest weight always lies on the positive side of the table.
    turns      TURNS times: the entries nearest to w / s, then s = Σ h·w·t / Σ h·t·t.
    scale      s, rounded to the weight's dtype. Of the starts the one with the least error is
               taken, the first of equals.

A scale that is 0 or infinite is not taken: the one before it stays, or where it is so only after
rounding the largest weight itself. All-zero blocks have the scale 1.

Quotients w / s are of binary32. Sums are of binary64 in C order, and so is all else.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import to_elements, to_rows
from .formats import NumpyDType
from .tables import nearest

Array = npt.NDArray[Any]
F32, F64 = np.float32, np.float64

STARTS = (0.85, 0.95, 1.05)
TURNS = 2


def fit_scales(
    weight: Array, tables: Array, blocks: Sequence[int], importance: Array | None = None
) -> Array:
    """Return a scale for each block of a weight.

    Args:
        weight: finite, float32, float16 or bfloat16.
        tables: float32 entries, ascending, along the last axis; the axes before it divide the
            weight's. A block that shares a scale lies in one that shares a table.
        blocks: how many blocks share a scale along each axis.
        importance: see :func:`tables.find_tables`.

    Returns:
        scales of the weight's dtype, in the shape of ``blocks``.
    """
    rows = to_rows(weight, blocks).astype(F32)
    counts = np.ones_like(rows)
    if importance is not None:
        counts = to_rows(np.broadcast_to(importance, weight.shape), blocks)
    each = tables.reshape(-1, tables.shape[-1])
    numbers = np.arange(len(each)).reshape(tables.shape[:-1])
    table_of = to_rows(to_elements(numbers, weight.shape), blocks)[:, 0]
    scales = np.empty(len(rows), weight.dtype)
    for number, table in enumerate(each):
        which = table_of == number
        with np.errstate(all="ignore"):  # scales that overflow are not taken
            scales[which] = _fit(rows[which], table, counts[which], weight.dtype)
    return scales.reshape(*blocks)


def largest(rows: Array) -> Array:
    """Return the number of the largest magnitude in each row, the positive one of equals."""
    low, high = rows.min(axis=1), rows.max(axis=1)
    return np.where(high >= -low, high, low)


def _fit(rows: Array, table: Array, counts: Array, dtype: NumpyDType) -> Array:
    """Return a scale for each row, all of which have one table."""
    biggest = largest(rows)
    is_zero = biggest == 0
    biggest = np.where(is_zero, F32(1), biggest)
    top = np.abs(table).max() or F32(1)
    least = np.full(len(rows), np.inf)
    scales = biggest.astype(dtype)
    weighed = counts.astype(F64) * rows
    for start in STARTS:
        scale = _usable(biggest * F32(start) / top, biggest)
        for _ in range(TURNS):
            entries = _entries(rows, scale, table)
            products = _sum(weighed * entries)
            squares = _sum(counts * entries * entries)
            scale = _usable((products / squares).astype(F32), scale)
        rounded = _usable(scale.astype(dtype), biggest.astype(dtype))
        scale = rounded.astype(F32)
        misses = rows - scale.astype(F64)[:, np.newaxis] * _entries(rows, scale, table)
        errors = _sum(counts * (misses * misses))
        is_better = errors < least
        least[is_better], scales[is_better] = errors[is_better], rounded[is_better]
    return np.where(is_zero, dtype.type(1), scales)


def _usable(scale: Array, otherwise: Array) -> Array:
    """Return scales, others in the place of those that are 0 or not finite."""
    return np.where((scale != 0) & np.isfinite(scale), scale, otherwise)


def _entries(rows: Array, scale: Array, table: Array) -> Array:
    """Return the entries nearest to rows divided by their scales, as binary64."""
    return table.astype(F64)[nearest(rows / scale[:, np.newaxis], table)]


def _sum(rows: Array) -> Array:
    """Return the sum of each row, added up from the first number on."""
    return np.cumsum(rows, axis=1)[:, -1]
