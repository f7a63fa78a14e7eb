"""Look-up tables: which 2**bits numbers the weights of a group are best replaced by.

The best table has the least Σ h·(w - w')², h the importance of a weight. Its entries are the means
of clusters, and clusters are runs of the sorted weights, so what is looked for are the boundaries
between runs: a shortest path. With a price for each cluster the best path of any number of clusters
takes one pass over the points (Wilber 1988), and the higher the price, the fewer clusters it has
(Aggarwal, Schieber, Tokuyama 1994), so that a price is looked for. In the order of the work:

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
               is where Σ(x - mean)² is least. A price is first found over a grid. If
               there are more points than MOST_POINTS, so is the path, which is then looked for
               around it over finer grids.
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
"""Boundaries are at first looked for among so many edges for each entry, to know a price; then
between any two points, or where there are more than MOST_POINTS among so many edges for each entry,
and at the most."""

GUESSES = 8
"""So many prices are guessed; later ones lie where two paths that are known cost the same."""

REFINEMENT = 4
CANDIDATES = 16
"""Each finer grid has steps of a 4th; so many edges around each boundary are candidates."""

MOST_ROUNDS = 64
"""At steps of 1 the path is looked for again, around the last, until it stays or so often."""

STRIDE = 8
"""Of the best last boundaries those of every 8th edge bound those of the edges between. Together at
least so many edges are looked at."""


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
    path, price = _path_over(_Edges(masses[rough], moments[rough]), clusters, None)
    if len(rough) == points + 1:
        return path
    edges = np.arange(points + 1)
    if points > MOST_POINTS:
        most = min(FINE_EDGES_PER_ENTRY * clusters, MOST_EDGES)
        edges = np.union1d(_grid(masses, moments, most), rough)
    where, _ = _path_over(_Edges(masses[edges], moments[edges]), clusters, price)
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


class _Edges(NamedTuple):
    """Where clusters may begin and end: how many weights and what sum of x lie before each."""

    masses: Array
    moments: Array

    @property
    def end(self) -> int:
        """The last edge."""
        return len(self.masses) - 1

    def possible(self, first: int, end: int) -> Any:
        """What the points between two edges could gain at most, each a cluster of its own.

        They lie between a, the first of them, and b, the last, so that Σ(x - a)(b - x) >= 0.
        """
        a, b = (
            (self.moments[i + 1] - self.moments[i]) / (self.masses[i + 1] - self.masses[i])
            for i in (first, end - 1)
        )
        moment, mass = (sums[end] - sums[first] for sums in (self.moments, self.masses))
        return (a + b) * moment - a * b * mass

    def gain_along(self, path: Array) -> Any:
        """What a path gains, given as the edges at which clusters begin and the last edge."""
        return np.cumsum(_gain(*self, path[:-1], path[1:]))[-1]  # one after the other


def _path_over(edges: _Edges, clusters: int, price: Any) -> tuple[Array, Any]:
    """Return the best boundaries, where they may be at any edge, and the price of a cluster there.

    Prices are looked for between that of a path with fewer clusters and that of a path with more.
    The gain that is lost is about as 1 / clusters², by which the next price is guessed. Where that
    does not lead on, it is the price at which both paths cost the same. If no other path is better
    there, the path that is looked for is as good, and is spliced from both.

    Args:
        edges: where clusters begin and end.
        clusters: how many, at least 2 and fewer than there are edges.
        price: the first to try; None if nothing is known.
    """
    fewer, least = np.array([0, edges.end]), np.inf
    more, most = np.arange(edges.end + 1), 0.0

    def lost() -> Any:
        return edges.gain_along(more) - edges.gain_along(fewer)

    if price is None:
        price = 2 * lost() / F64(clusters) ** 3
    tried = 0
    while True:
        by_chord = tried >= GUESSES or not most < price < least
        if by_chord:
            price = lost() / F64(len(more) - len(fewer))
        path = _priced_path(edges, price, clusters)
        if by_chord and not len(fewer) < len(path) < len(more):
            return _splice(fewer, more, clusters), price
        if len(path) == clusters + 1:
            return path[1:-1], price
        if len(path) <= clusters:
            fewer, least = path, price
        else:
            more, most = path, price
        ratio = F64(len(path) - 1) / F64(clusters)
        price = price * ratio * ratio * ratio
        tried += 1


def _splice(fewer: Array, more: Array, clusters: int) -> Array:
    """Return the boundaries of a path of so many clusters that begins as one and ends as another.

    It goes over where a cluster of the path with more lies within one of the path with fewer: the
    path, and the one of what is left over, gain no less than the two did.
    """
    shift = len(more) - 1 - clusters
    over = 1 + int(np.argmax(fewer[1:] >= more[1 + shift :][: len(fewer) - 1]))
    return np.concatenate([fewer[1:over], more[over + shift : -1]])


def _priced_path(edges: _Edges, price: Any, clusters: int) -> Array:
    """Return the path that gains most if each cluster costs something, of any number of clusters.

    The last cluster of an end begins at the first of equals, and never earlier than that of an
    earlier end. So ends are settled in blocks: first the last one of a block, as if no cluster
    began within the block. None does if what is found gains more than what is known up to the block
    and the most that is possible within it; else the block is halved. Then follow the ends between,
    half way first, down to strides of ``STRIDE``, and then all others.

    Args:
        edges: where clusters begin and end.
        price: what a cluster costs, at least 0.
        clusters: how many there will be, more or less.

    Returns:
        the edges at which clusters begin, and the last edge.
    """
    gains, lasts = np.zeros(edges.end + 1), np.zeros(edges.end + 1, np.int64)

    def settle(ends: Array, low: Array, high: Array) -> None:
        """Settle ends whose last clusters begin at low .. high."""
        if not len(ends):
            return
        sizes = high - low + 1
        offsets = np.cumsum(sizes) - sizes
        first = np.arange(sizes.sum()) + np.repeat(low - offsets, sizes)
        found = gains[first] + _gain(*edges, first, np.repeat(ends, sizes))
        best = np.maximum.reduceat(found, offsets)
        is_best = np.flatnonzero(found == np.repeat(best, sizes))
        gains[ends] = best - price
        lasts[ends] = first[is_best[np.searchsorted(is_best, offsets)]]

    most = STRIDE
    while 4 * most * clusters <= edges.end:
        most *= 2
    known, size = 0, 1
    while known < edges.end:
        end = min(known + size, edges.end)
        first = np.arange(lasts[known], known + 1)
        found = (gains[first] + _gain(*edges, first, end)).max()
        if end > known + 1 and found < gains[known] + edges.possible(known, end):
            size = (end - known) // 2
            continue
        settle(np.array([end]), lasts[[known]], np.array([known]))
        stride = STRIDE
        while 2 * stride < end - known:
            stride *= 2
        while stride >= STRIDE:
            between = np.arange(known + stride, end, 2 * stride)
            settle(between, lasts[between - stride], lasts[np.minimum(between + stride, end)])
            stride //= 2
        between = np.arange(known + 1, end)
        before = known + (between - known) // STRIDE * STRIDE
        rest = before < between
        between, before = between[rest], before[rest]
        settle(between, lasts[before], lasts[np.minimum(before + STRIDE, end)])
        known, size = end, min(2 * (end - known), most)
    path = [edges.end]
    while path[-1]:
        path.append(lasts[path[-1]])
    return np.array(path[::-1])


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
