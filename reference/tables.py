"""Look-up tables: which 2**bits numbers the weights of a group are best replaced by.

The best table has the least Σ h·(w - w')², h the importance of a weight. Its entries are the means
of clusters, and clusters are runs of the sorted weights, so what is looked for are the boundaries
between runs: a shortest path, found by dynamic programming (Wu 1991; Grønlund et al. 2017). In the
order of the work:

    integers   A weight w becomes x, the integer nearest to w · 2**shift. The largest |x| has DIGITS
               binary digits, or fewer, so that every sum of x fits into 63 and does not depend on
               its order. Only the means are made from x; indices are found from w itself.
    points     Equal weights are one point: how many there are, and the sum of their x. So are all
               weights whose x is 0. Of float32 in groups of more than FEW weights those are one
               point that agree in sign, exponent and 15 digits of the significand.
    masses     A weight counts 1, so that the mass of a point is how many weights it has. With
               importances a weight counts the integer nearest to h · 2**n: the largest has
               MASS_DIGITS digits, or fewer, so that a sum of them is exact in binary64. Weights
               that count 0 do not take part; if all importances are 0, all weights count 1. The
               sum of a point's x is then its mass times x, in binary64. In larger groups of
               float32, where a point has several x, it is the sum of each mass times x, in C order.
    path       The boundaries at which Σ (sum of x)² / mass, over the clusters, is largest, which
               is where Σ(x - mean)² is least. If there are many points, a path is
               first found over a grid, which is then made finer around it.
    entries    The means, rounded to float32 and then to the type of the table, to nearest even,
               ascending. Fewer points than entries have an entry each; the last is repeated.
               0 has no entry of its own unless it is a cluster of its own.
    indices    The nearest entry; the lower one of two that are equally near, the first of equals.

Sums of integers are integers. With importances, and in all else, arithmetic is that of binary64 in
the order written here, with no fused operations, which is what the C library does.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .blocks import scale_shape, split_axes, to_rows
from .formats import NumpyDType
from .quantize import check_finite

Array = npt.NDArray[Any]
F32, F64 = np.float32, np.float64

FEW = 1 << 20
"""Float32 weights of larger groups are told apart by their first 16 digits only."""

DIGITS, DIGITS_OF_MANY = 40, 30
"""Digits of the largest x; the second in such larger groups of float32."""

SUM_DIGITS = 61
"""Of integers such that a sum of two for each weight has no more than 63."""

MASS_DIGITS, MASS_SUM_DIGITS = 30, 53
"""Digits of what a weight of the largest importance counts, and of the sum of all."""

EDGES_PER_ENTRY = 8
MOST_POINTS = (1 << 16) - 1
FINE_EDGES_PER_ENTRY = 512
MOST_EDGES = 1 << 15
"""Boundaries are at first looked for among so many edges for each entry, to know what a good path
gains; then between any two points, or where there are more than MOST_POINTS among so many edges for
each entry, and at the most."""

MARGIN = F64(2.0**-36)
"""An end is left out only if it is worse by this part of Σ x²: more than rounding adds up to."""

REFINEMENT = 4
CANDIDATES = 16
"""Each finer grid has steps of a 4th; so many edges around each boundary are candidates."""

MOST_ROUNDS = 64
"""At steps of 1 the path is looked for again, around the last, until it stays or so often."""

STRIDE = 8
"""Of the best last boundaries those of every 8th edge bound those of the edges between."""


def find_tables(
    weight: Array, bits: int, block_sizes: Sequence[int], importance: Array | None = None
) -> Array:
    """Find the best table for each block of a weight.

    Args:
        weight: array of rank >= 1, not empty, of dtype float32, float16 or bfloat16.
        bits: of an index: 1, 2, 3, 4, 6 or 8.
        block_sizes: a block's length along each axis; 0 stands for the whole axis.
        importance: what the squared error of each element counts, finite and >= 0, float32, along
            each axis as long as the weight or 1. None: all count alike.

    Returns:
        the tables in the weight's dtype, in the shape of :func:`blocks.scale_shape` with one more
        axis, 2**bits long.

    Raises:
        ValueError: block sizes that do not fit the shape, or a NaN or infinity in the weight.
    """
    blocks = scale_shape(weight.shape, block_sizes)
    check_finite(weight)
    groups = to_rows(weight, blocks)
    if importance is None:
        tables = [find_table(group, bits=bits) for group in groups]
    else:
        counted = to_rows(np.broadcast_to(importance, weight.shape), blocks)
        tables = [find_table(*both, bits=bits) for both in zip(groups, counted, strict=True)]
    return np.array(tables).reshape(*blocks, -1)


def encode(weight: Array, tables: Array) -> npt.NDArray[np.uint8]:
    """Return the packed indices of the entries that are nearest to a weight's elements.

    Args:
        weight: finite, float32, float16 or bfloat16.
        tables: one for each block, as :func:`find_tables` returns them, or any that ascend.
    """
    *blocks, entries = tables.shape
    rows = zip(to_rows(weight, blocks), tables.reshape(-1, entries), strict=True)
    indices = np.array([nearest(group, table) for group, table in rows])
    return pack(from_rows(indices, weight.shape, blocks), entries.bit_length() - 1)


def decode(
    packed: npt.NDArray[np.uint8], tables: Array, shape: tuple[int, ...], dtype: NumpyDType
) -> Array:
    """Decode what :func:`encode` returned: an array of ``shape`` and ``dtype``.

    Entries are rounded to ``dtype``, to nearest even; what does not fit becomes an infinity.
    """
    *blocks, entries = tables.shape
    rows = to_rows(unpack(packed, entries.bit_length() - 1, shape), blocks)
    found = np.take_along_axis(tables.reshape(-1, entries), rows, axis=1)
    with np.errstate(over="ignore"):
        return from_rows(found, shape, blocks).astype(dtype)


def pack(indices: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    """Pack indices flat, in C order, the first in the lowest bits; they may cross bytes.

    Only the last byte is padded, with zeros.
    """
    each = np.unpackbits(indices.reshape(-1, 1), axis=1, bitorder="little", count=bits)
    return np.packbits(each, bitorder="little")


def unpack(
    packed: npt.NDArray[np.uint8], bits: int, shape: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Unpack indices: the inverse of :func:`pack`, an array of ``shape``."""
    count = math.prod(shape)
    each = np.unpackbits(packed, bitorder="little", count=count * bits).reshape(count, bits)
    return np.packbits(each, axis=1, bitorder="little").reshape(shape)


def from_rows(rows: Array, shape: Sequence[int], blocks: Sequence[int]) -> Array:
    """Return the array of ``shape`` that :func:`blocks.to_rows` took apart."""
    array = np.empty(shape, rows.dtype)
    split = split_axes(array, blocks)
    axes = (*range(0, split.ndim, 2), *range(1, split.ndim, 2))
    in_order = split.transpose(axes)
    in_order[...] = rows.reshape(in_order.shape)
    return array


def find_table(weights: Array, importance: Array | None = None, *, bits: int) -> Array:
    """Return the best table for a group of weights.

    Args:
        weights: the group, 1-D, not empty, float32, float16 or bfloat16, finite.
        importance: of each weight, see :func:`find_tables`.
        bits: of an index.

    Returns:
        2**bits numbers of the weights' dtype, ascending.
    """
    size = weights.size
    by_digits = weights.dtype == F32 and size > FEW
    if importance is None or not importance.any():
        shift = _shift(weights, size, by_digits=by_digits)
        masses, sums = _points(weights, shift, by_digits=by_digits)
        center = int(np.rint(F64(sums.sum()) / F64(masses.sum())))
    else:
        counted = counts(importance)
        weights, counted = weights[counted > 0], counted[counted > 0]
        shift = _shift(weights, size, by_digits=by_digits)
        masses, sums = _weighed_points(weights, counted, shift, by_digits=by_digits)
        center = np.rint(np.cumsum(sums)[-1] / masses.sum())
    entries = min(1 << bits, len(masses))
    moments = _prefix(sums - center * masses)
    masses = _prefix(masses)
    bounds = np.array([0, *_best_path(masses, moments, entries), len(masses) - 1])
    means = np.diff(moments[bounds]) / np.diff(masses[bounds]) + F64(center)
    table = np.ldexp(means, -shift).astype(F32).astype(weights.dtype)
    return np.concatenate([table, np.repeat(table[-1:], (1 << bits) - entries)])


def _shift(weights: Array, size: int, *, by_digits: bool) -> int:
    """The exponent of the 2**shift that weights are multiplied by.

    Args:
        weights: those that take part.
        size: how many the group has.
        by_digits: whether weights are told apart by their first digits only.
    """
    most = DIGITS_OF_MANY if by_digits else DIGITS
    digits = min(most, SUM_DIGITS - size.bit_length())
    return digits - int(np.frexp(np.abs(weights.astype(F32)).max())[1])


def counts(importance: Array) -> Array:
    """Return what each weight counts, for importances of which one is not 0, as binary64."""
    digits = min(MASS_DIGITS, MASS_SUM_DIGITS - importance.size.bit_length())
    exponent = int(np.frexp(importance.max())[1])
    return np.rint(np.ldexp(importance.astype(F64), digits - exponent))


def _points(weights: Array, shift: int, *, by_digits: bool) -> tuple[Array, Array]:
    """How many weights each point has, and the sum of their x, the least weights first."""
    x = _integers(weights, shift)
    order, starts = _same(weights, x, by_digits=by_digits)
    return np.diff(starts, append=weights.size), np.add.reduceat(x[order], starts)


def _weighed_points(
    weights: Array, counts: Array, shift: int, *, by_digits: bool
) -> tuple[Array, Array]:
    """The mass of each point, and the sum of its masses times x, the least weights first."""
    x = _integers(weights, shift)
    order, starts = _same(weights, x, by_digits=by_digits)
    x, counts = x[order].astype(F64), counts[order]
    masses = np.add.reduceat(counts, starts)
    if not by_digits:
        return masses, masses * x[starts]
    which = np.repeat(np.arange(len(starts)), np.diff(starts, append=weights.size))
    return masses, np.bincount(which, counts * x)  # which adds one after the other


def _integers(weights: Array, shift: int) -> Array:
    """Return the x of each weight."""
    return np.rint(np.ldexp(weights.astype(F64), shift)).astype(np.int64)


def _same(weights: Array, x: Array, *, by_digits: bool) -> tuple[Array, Array]:
    """Return an order of weights in which points ascend, and where each begins; it is stable."""
    keys = weights.astype(F32)
    if by_digits:
        keys = (keys.view(np.uint32) & np.uint32(0xFFFFFF00)).view(F32)
    keys = np.where(x == 0, F32(0), keys)
    order = np.argsort(keys, kind="stable")
    return order, np.flatnonzero(np.diff(keys[order], prepend=np.nan) != 0)


def _prefix(numbers: Array) -> Array:
    """The sum before each point and that of all, as binary64; of integers they are rounded last."""
    return np.concatenate([[0], np.cumsum(numbers)]).astype(F64)


def _gain(masses: Array, moments: Array, first: Array | int, end: Array | int) -> Any:
    """What the clusters of the points first .. end - 1 take off Σ x²: (Σ x)² / (number of x)."""
    moment = moments[end] - moments[first]
    return moment * moment / (masses[end] - masses[first])


def _best_path(masses: Array, moments: Array, clusters: int) -> Array:
    """Return the best boundaries between so many clusters: where all but the first begin."""
    points = len(masses) - 1
    if clusters in {1, points}:
        return np.arange(1, clusters)
    rough = _grid(masses, moments, EDGES_PER_ENTRY * clusters)
    path, known = _path_over(masses[rough], moments[rough], clusters, F64(-np.inf))
    if len(rough) == points + 1:
        return path
    edges = np.arange(points + 1)
    if points > MOST_POINTS:
        most = min(FINE_EDGES_PER_ENTRY * clusters, MOST_EDGES)
        edges = np.union1d(_grid(masses, moments, most), rough)
    where, _ = _path_over(masses[edges], moments[edges], clusters, known)
    path = edges[where]
    if len(edges) == points + 1:
        return path
    steps = np.maximum(path - edges[where - 1], edges[where + 1] - path)
    for _ in range(MOST_ROUNDS):
        steps = -(-steps // REFINEMENT)
        finer = _path_near(masses, moments, path, steps)
        if np.array_equal(finer, path) and (steps == 1).all():
            break
        path = finer
    return path


def _grid(masses: Array, moments: Array, most: int) -> Array:
    """Return at most ``most`` + 1 edges, with the first and the last; all if there are no more.

    They are where one of three ways has got on by a step: in points, in weights or in x. Each way
    takes a third of the steps.
    """
    points = len(masses) - 1
    if points <= most:
        return np.arange(points + 1)
    means = np.diff(moments) / np.diff(masses)
    third = F64(most) / F64(3)
    ways = (
        np.arange(points) * (third / F64(points)),
        masses[:-1] * (third / masses[-1]),
        (means - means[0]) * (third / (means[-1] - means[0])),
    )
    steps = np.sum([way.astype(np.int64) for way in ways], axis=0)
    begins = np.flatnonzero(steps[1:] != steps[:-1]) + 1
    return np.concatenate([[0], begins, [points]])


def _path_over(
    masses: Array, moments: Array, clusters: int, known: np.float64
) -> tuple[Array, np.float64]:
    """Return the best boundaries, where they may be at any edge, and what they gain.

    The first half of the clusters is looked for from the first edge on, the other half from the
    last edge back, and the boundary between them where both halves gain most, the first of equals.
    What all points could gain, each a cluster of its own, is what is left to gain behind an end. An
    end from where no path can gain what is known is left out, and so are all edges behind it.

    Args:
        masses, moments: sums before each edge.
        clusters: how many, at least 2 and fewer than there are edges.
        known: what a path is known to gain.
    """
    end = len(masses) - 1
    ends = np.arange(1, end + 1)
    possible = np.concatenate([[0], np.cumsum(_gain(masses, moments, ends - 1, ends))])
    known = known - possible[-1] * MARGIN
    needed = known - (possible[-1] - possible), known - possible[::-1]
    half, other_half = clusters // 2, clusters - clusters // 2
    forth = _half_path(_Edges(masses, moments), half, needed[0])
    back = _half_path(_Edges(-masses[::-1], -moments[::-1]), other_half, needed[1])
    low = max(half, end - back.steps[-1].furthest)
    middle = np.arange(low, min(forth.steps[-1].furthest, end - other_half) + 1)
    gains = forth.steps[-1].gains[middle] + back.steps[-1].gains[end - middle]
    which = np.argmax(gains)
    first, rest = forth.trace(middle[which]), end - back.trace(end - middle[which])
    return np.array([*first, middle[which], *rest[::-1]]), gains[which]


class _Edges(NamedTuple):
    """Where clusters may begin and end: how many weights and what sum of x lie before each."""

    masses: Array
    moments: Array


class _Step(NamedTuple):
    """The best paths from the first edge to others, with so many clusters.

    Attributes:
        gains: what they gain, by the edge that they end at.
        lasts: where the last cluster begins, by the edge that it ends at.
        furthest: the last edge that is not left out.
    """

    gains: Array
    lasts: Array
    furthest: int


class _HalfPath(NamedTuple):
    """The best paths with 1, 2, 3, … clusters."""

    steps: list[_Step]

    def trace(self, end: int) -> Array:
        """Return the boundaries of the longest path to an edge, ascending."""
        path = [end]
        for step in reversed(self.steps[1:]):
            path.append(step.lasts[path[-1]])
        return np.array(path[:0:-1], int)


def _half_path(edges: _Edges, clusters: int, needed: Array) -> _HalfPath:
    """Return the best paths of so many clusters.

    Args:
        edges: where clusters begin and end.
        clusters: how many, at least 1.
        needed: what a path must gain to each end. Ends behind the first that gains less are left
            out.
    """
    ends = np.arange(1, len(edges.masses))
    gains = np.concatenate([[0], _gain(*edges, np.zeros_like(ends), ends)])
    out = gains[2:] < needed[2:]
    furthest = 1 + (int(np.argmax(out)) if out.any() else len(out))
    steps = [_Step(gains, np.zeros(len(gains), np.int64), furthest)]
    for count in range(2, clusters + 1):
        steps.append(_one_more(edges, steps[-1], needed, count))
    return _HalfPath(steps)


def _one_more(edges: _Edges, before: _Step, needed: Array, count: int) -> _Step:
    """Return the best paths of ``count`` clusters.

    The last cluster begins at the first of equals. It never begins earlier than that of a cluster
    less with the same end, nor than that of an earlier end, so that ends for which it is known
    bound it for those between: first every 2**n-th is looked for, from the first end on, then those
    half way, down to strides of ``STRIDE``, and then all others.

    Args:
        edges: where clusters begin and end.
        before: the best paths of a cluster less.
        needed: as for :func:`_half_path`.
        count: of clusters.
    """
    ends = np.arange(count, len(edges.masses))
    last = np.full(len(ends), count - 1)
    settled = np.zeros(len(ends), bool)
    gains = np.zeros(len(ends))
    gains[0] = before.gains[count - 1] + _gain(*edges, count - 1, count)
    furthest = len(ends) - 1

    def settle(which: Array, low: Array, stride: int) -> int:
        """Settle these ends, and return the furthest of all that are not left out.

        Args:
            which: places in ``ends``.
            low: where their last clusters begin at the earliest.
            stride: what the places of ends are multiples of between which they lie.
        """
        above = which // stride * stride + stride
        high = np.minimum(ends[which] - 1, before.furthest)
        known = above < len(ends)
        known[known] = settled[above[known]]
        high[known] = np.minimum(high[known], last[above[known]])
        sizes = high - low + 1
        offsets = np.cumsum(sizes) - sizes
        first = np.arange(sizes.sum()) + np.repeat(low - offsets, sizes)
        found = before.gains[first] + _gain(*edges, first, np.repeat(ends[which], sizes))
        gains[which] = np.maximum.reduceat(found, offsets)
        is_best = np.flatnonzero(found == np.repeat(gains[which], sizes))
        last[which] = first[is_best[np.searchsorted(is_best, offsets)]]
        out = gains[which] < needed[ends[which]]
        if not out.any():
            settled[which] = True
            return furthest
        first_out = int(np.argmax(out))
        settled[which[: first_out + 1]] = True
        return int(which[first_out]) - 1

    stride = STRIDE
    while 2 * stride < len(ends):
        stride *= 2
    while stride >= STRIDE:
        which = np.arange(stride, furthest + 1, 2 * stride)
        low = last[which - stride]
        known = ends[which] <= before.furthest
        low[known] = np.maximum(low[known], before.lasts[ends[which[known]]])
        if len(which):
            furthest = settle(which, low, 2 * stride)
        stride //= 2
    which = np.arange(furthest + 1)
    which = which[which % STRIDE > 0]
    if len(which):
        furthest = settle(which, last[which // STRIDE * STRIDE], STRIDE)
    unused = np.zeros(count, np.int64)
    return _Step(np.concatenate([unused, gains]), np.concatenate([unused, last]), furthest + count)


def _path_near(masses: Array, moments: Array, path: Array, steps: Array) -> Array:
    """Return the best boundaries of those that are so many steps away from a path."""
    points, boundaries = len(masses) - 1, np.arange(len(path))[:, np.newaxis]
    offsets = np.arange(CANDIDATES) - CANDIDATES // 2
    places = np.clip(
        path[:, np.newaxis] + steps[:, np.newaxis] * offsets,
        boundaries + 1,
        points - len(path) + boundaries,
    )
    best = _gain(masses, moments, np.zeros(CANDIDATES, int), places[0])
    lasts = []
    for before, here in pairwise(places):
        first, end = np.broadcast_arrays(before[:, np.newaxis], here)
        possible = first < end
        gains = np.full(first.shape, -np.inf)
        gains[possible] = _gain(masses, moments, first[possible], end[possible])
        gains += best[:, np.newaxis]
        lasts.append(np.argmax(gains, axis=0))
        best = gains.max(axis=0)
    which = [int(np.argmax(best + _gain(masses, moments, places[-1], np.array([points]))))]
    for last in reversed(lasts):
        which.append(last[which[-1]])
    return places[np.arange(len(path)), which[::-1]]


def nearest(weights: Array, table: Array) -> npt.NDArray[np.uint8]:
    """Return the index of the entry that is nearest to each weight.

    Args:
        weights: any shape, float32, float16 or bfloat16, finite.
        table: the entries, ascending, of any of these dtypes.
    """
    bounds = _thresholds(table.astype(F64))
    return np.searchsorted(bounds, weights.astype(F32), side="left").astype(np.uint8)


def _thresholds(entries: Array) -> Array:
    """Return the numbers that a weight must be above to have the next entry or a later one.

    They are half way between entries, rounded down to float32: a weight, which is one, is above
    both or neither. An entry that equals the one before it is never reached.
    """
    half_way = (entries[:-1] + entries[1:]) * F64(0.5)
    bounds = half_way.astype(F32)
    above = bounds.astype(F64) > half_way
    bounds[above] = np.nextafter(bounds[above], F32(-np.inf))
    bounds[entries[:-1] == entries[1:]] = np.inf
    return np.minimum.accumulate(bounds[::-1])[::-1]
