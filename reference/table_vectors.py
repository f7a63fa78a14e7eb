"""Look-up tables of vectors: neighbours along an axis share an index, and an entry is as long.

A good table is looked for, not the best, which no fast way finds. All is deterministic. In the
order of the work:

    vectors    `length` weights that follow each other along an axis, for each place along the
               others. They are in C order of their indices. A vector of weights becomes x, each
               number the binary32 nearest to w · 2**shift, the largest |x| in [1/2, 1).
    masses     A vector counts 1. With importances it counts the sum of what its weights count, see
               ``tables``. Vectors that count 0 do not take part.
    few        If there are no more distinct vectors than entries, each has an entry.
    sample     Else centers of clusters are looked for among every n-th vector only, n as small as
               leaves SAMPLE weights.
    nearest    The center with the least Σ (x - c)², the first of equals: in binary32, the terms
               added in the order of the vector.
    settle     Centers move to the means of the vectors that are nearest to them (Lloyd's
               iteration), until the error falls by less than FALL of itself, or so many times.
               One that no vector is nearest to stays.
    grow       The first center is the mean of all. Then those with the largest errors, GROWTH of
               all, are split, and all settle, until there are enough. A center is split along the
               axis where its vectors are furthest from it, into two on either side of it, at
               their mean distance along this axis.
    jump       Centers settle. Then some that make least difference are joined, in pairs, and as
               many of the largest errors are split with what this frees. All settle again. If
               this leaves less error, so it stays; else half as many jump the next time. At first
               a JUMPING-th of all centers jump, and there are JUMPS tries at the most.
    whole      If the sample was not all, centers settle among all vectors.
    entries    The centers, rounded to the weight's type, to nearest even, ascending by their first
               number, then by the second, and so on. Those of ``few`` are repeated: the last.
    indices    The nearest entry, found as above for w · 2**shift, this shift such that the largest
               number of the table comes to lie in [1/2, 1).

Sums over vectors are of binary64, in the order of the vectors for each center; sums over centers
are in the order of these. There are no fused operations.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import tables
from .blocks import scale_shape, to_rows
from .formats import NumpyDType
from .quantize import check_finite

Array = npt.NDArray[Any]
F32, F64 = np.float32, np.float64

SAMPLE = 1 << 20
FALL = F64(2.0**-16)
GROWTH = 4
GROWING_ROUNDS, ROUNDS, WHOLE_ROUNDS = 4, 100, 20
JUMPING = 4
JUMPS = 12


class Cluster(NamedTuple):
    """Which elements share an index: so many that follow each other along an axis."""

    length: int
    axis: int


def find_tables(
    weight: Array,
    bits: int,
    block_sizes: Sequence[int],
    cluster: Cluster,
    importance: Array | None = None,
) -> Array:
    """Find a table of vectors for each block of a weight.

    Args:
        weight: as for :func:`tables.find_tables`.
        bits, block_sizes, importance: as there. Along the axis of ``cluster`` blocks are multiples
            of its length.
        cluster: which elements share an index.

    Returns:
        the tables in the weight's dtype, in the shape of :func:`blocks.scale_shape` with two more
        axes, 2**bits and ``cluster.length`` long.
    """
    blocks = scale_shape(weight.shape, block_sizes)
    check_finite(weight)
    groups = _to_vectors(weight, blocks, cluster)
    if importance is None:
        found = [_find_table(group, np.ones(len(group)), bits) for group in groups]
    else:
        counted = _to_vectors(np.broadcast_to(importance, weight.shape), blocks, cluster)
        masses = [_masses(each) for each in counted]
        found = [_find_table(*both, bits) for both in zip(groups, masses, strict=True)]
    return np.array(found).reshape(*blocks, -1, cluster.length)


def encode(weight: Array, found: Array, axis: int) -> npt.NDArray[np.uint8]:
    """Return the packed indices of the entries that are nearest to a weight's vectors.

    Args:
        weight: finite, float32, float16 or bfloat16.
        found: tables as :func:`find_tables` returns them, or any that are finite.
        axis: along which vectors lie.
    """
    *blocks, entries, length = found.shape
    cluster = Cluster(length, axis)
    each = found.reshape(-1, entries, length)
    groups = _to_vectors(weight, blocks, cluster)
    rows = [_index(group, table) for group, table in zip(groups, each, strict=True)]
    indices = tables.from_rows(np.array(rows), _indices_shape(weight.shape, cluster), blocks)
    return tables.pack(indices, entries.bit_length() - 1)


def decode(
    packed: npt.NDArray[np.uint8],
    found: Array,
    axis: int,
    shape: tuple[int, ...],
    dtype: NumpyDType,
) -> Array:
    """Decode what :func:`encode` returned: an array of ``shape`` and ``dtype``.

    Entries are rounded to ``dtype``, to nearest even; what does not fit becomes an infinity.
    """
    *blocks, entries, length = found.shape
    short = _indices_shape(shape, Cluster(length, axis))
    rows = to_rows(tables.unpack(packed, entries.bit_length() - 1, short), blocks)
    with np.errstate(over="ignore"):
        each = found.reshape(-1, entries, length).astype(dtype)
    members = [
        tables.from_rows(np.take_along_axis(each[:, :, v], rows, axis=1), short, blocks)
        for v in range(length)
    ]
    return np.stack(members, axis=axis + 1).reshape(shape)


def _indices_shape(shape: Sequence[int], cluster: Cluster) -> tuple[int, ...]:
    return tuple(n // cluster.length if a == cluster.axis else n for a, n in enumerate(shape))


def _to_vectors(array: Array, blocks: Sequence[int], cluster: Cluster) -> Array:
    """Return the vectors of each block in order, an array of three axes; the last is theirs."""
    short = list(_indices_shape(array.shape, cluster))
    split = array.reshape(*short[: cluster.axis + 1], cluster.length, *short[cluster.axis + 1 :])
    members = [split.take(v, axis=cluster.axis + 1) for v in range(cluster.length)]
    return np.stack([to_rows(member, blocks) for member in members], axis=2)


def _masses(importance: Array) -> Array:
    """Return what each vector counts, of which one is not 0."""
    if not importance.any():
        return np.ones(len(importance))
    return tables.counts(importance).sum(axis=1)


def _scaled(weights: Array, shift: int) -> Array:
    """Return weights times 2**shift in binary32, with no negative zeros."""
    with np.errstate(over="ignore"):
        return np.ldexp(weights.astype(F64), shift).astype(F32) + F32(0)


def _shift_of(numbers: Array) -> int:
    """Return the shift that takes the largest magnitude into [1/2, 1)."""
    return -int(np.frexp(np.abs(numbers.astype(F32)).max())[1])


class _Vectors(NamedTuple):
    """Vectors x, one in a row, and the mass of each."""

    x: Array
    masses: Array


class _Fit(NamedTuple):
    """How vectors are clustered around centers.

    Attributes:
        centers: float32, one in a row.
        nearest: the index of each vector's center.
        masses: of the vectors of each center.
        sums: of these vectors times their masses.
        errors: of each center: the sum of masses times squared distances.
    """

    centers: Array
    nearest: Array
    masses: Array
    sums: Array
    errors: Array

    @property
    def error(self) -> Any:
        """Of all."""
        return np.cumsum(self.errors)[-1]


def _find_table(weights: Array, masses: Array, bits: int) -> Array:
    """Return a good table for a group of vectors, which are rows."""
    entries = 1 << bits
    weights, masses = weights[masses > 0], masses[masses > 0]
    shift = _shift_of(weights)
    every = _Vectors(_scaled(weights, shift), masses)
    centers = _distinct(every.x, entries + 1)
    if len(centers) > entries:
        step = -(-every.x.size // SAMPLE)
        sample = _Vectors(every.x[::step], every.masses[::step])
        fit = _jump(sample, _grow(sample, entries))
        if step > 1:
            fit = _settle(every, fit.centers, WHOLE_ROUNDS)
        centers = fit.centers
    table = np.ldexp(centers.astype(F64), -shift).astype(F32).astype(weights.dtype)
    table = table[np.lexsort(table.astype(F32).T[::-1])]
    return np.concatenate([table, np.repeat(table[-1:], entries - len(table), axis=0)])


def _distinct(x: Array, most: int) -> Array:
    """Return the distinct vectors, or ``most`` of them if there are more."""
    found = x[:0]
    for first in range(0, len(x), 1 << 12):
        found = np.unique(np.concatenate([found, x[first : first + (1 << 12)]]), axis=0)
        if len(found) >= most:
            break
    return found[:most]


def _nearest(x: Array, centers: Array) -> tuple[npt.NDArray[np.uint8], Array]:
    """Return the index of each vector's center and its squared distance from it."""
    nearest = np.zeros(len(x), np.uint8)
    distances = np.full(len(x), np.inf, F32)
    with np.errstate(over="ignore", under="ignore"):
        for k, center in enumerate(centers):
            here = np.square(x[:, 0] - center[0])
            for v in range(1, len(center)):
                here = here + np.square(x[:, v] - center[v])
            nearest[here < distances] = k
            distances = np.minimum(here, distances)
    return nearest, distances


def _fit(among: _Vectors, centers: Array) -> _Fit:
    nearest, distances = _nearest(among.x, centers)
    count = len(centers)
    sums = [
        np.bincount(nearest, among.masses * member.astype(F64), count) for member in among.x.T
    ]  # which adds one after the other
    errors = np.bincount(nearest, among.masses * distances.astype(F64), count)
    masses = np.bincount(nearest, among.masses, count)
    return _Fit(centers, nearest, masses, np.stack(sums, axis=1), errors)


def _settle(among: _Vectors, centers: Array, rounds: int) -> _Fit:
    """Move centers to means, so many times at the most."""
    fit = _fit(among, centers)
    for _ in range(rounds):
        means = fit.centers.copy()
        own = fit.masses > 0
        means[own] = (fit.sums[own] / fit.masses[own, np.newaxis]).astype(F32)
        before, fit = fit, _fit(among, means)
        if not fit.error < before.error * (1 - FALL):
            break
    return fit


def _grow(among: _Vectors, entries: int) -> Array:
    """Return so many centers."""
    fit = _settle(among, np.zeros((1, among.x.shape[1]), F32), 1)
    while len(fit.centers) < entries:
        count = len(fit.centers)
        splitting = min(-(-count // GROWTH), entries - count)
        grown = np.concatenate([fit.centers, np.zeros_like(fit.centers[:splitting])])
        _split(among, fit, _worst(fit)[:splitting], grown, range(count, count + splitting))
        fit = _settle(among, grown, GROWING_ROUNDS)
    return fit.centers


def _worst(fit: _Fit) -> Array:
    """Return the numbers of centers, those with the largest errors first."""
    return np.argsort(-fit.errors, kind="stable")


def _split(among: _Vectors, fit: _Fit, which: Array, centers: Array, free: Sequence[int]) -> None:
    """Replace each of these centers by two, the second in the place of a free one."""
    differences = np.abs(among.x.astype(F64) - fit.centers[fit.nearest].astype(F64))
    weighed = among.masses[:, np.newaxis] * differences
    spread = [np.bincount(fit.nearest, member, len(fit.centers)) for member in weighed.T]
    for center, other in zip(which, free, strict=True):
        along = [member[center] for member in spread]
        axis = int(np.argmax(along))
        distance = along[axis] / fit.masses[center] if fit.masses[center] > 0 else F64(0)
        middle = fit.centers[center].astype(F64)
        for place, moved in ((center, middle[axis] - distance), (other, middle[axis] + distance)):
            centers[place] = fit.centers[center]
            centers[place, axis] = F32(moved)


def _jump(among: _Vectors, centers: Array) -> _Fit:
    """Settle, and have centers jump to where they make more difference."""
    fit = _settle(among, centers, ROUNDS)
    jumping = len(centers) // JUMPING
    for _ in range(JUMPS):
        if not jumping:
            break
        splitting = _worst(fit)[:jumping]
        moved = fit.centers.copy()
        free = _join(fit, splitting, moved)
        _split(among, fit, splitting[: len(free)], moved, free)
        other = _settle(among, moved, ROUNDS)
        if other.error < fit.error:
            fit = other
        else:
            jumping //= 2
    return fit


def _join(fit: _Fit, keep: Array, centers: Array) -> list[int]:
    """Join pairs of centers, of which none is to be kept; return those that are free then.

    Joining two adds M1 · M2 / (M1 + M2) · |c1 - c2|² to the error, M the masses. Each center's
    partner is the one with which this is least; pairs are taken from the least on, the first of
    equals, where neither has been taken. There are as many as there are centers to be kept.
    """
    taken = np.zeros(len(centers), bool)
    taken[keep] = True
    wide, masses = fit.centers.astype(F64), fit.masses
    distances = np.zeros((len(wide), len(wide)))
    for member in wide.T:
        distances += np.square(member[:, np.newaxis] - member)
    both = masses[:, np.newaxis] + masses
    costs = masses[:, np.newaxis] * masses / np.where(both > 0, both, 1) * distances
    costs[taken, :] = costs[:, taken] = np.inf
    np.fill_diagonal(costs, np.inf)
    partner, least = np.argmin(costs, axis=1), np.min(costs, axis=1)
    free: list[int] = []
    for center in np.argsort(least, kind="stable"):
        other = partner[center]
        if len(free) == len(keep) or least[center] == np.inf:
            break
        if taken[center] or taken[other]:
            continue
        taken[center] = taken[other] = True
        if both[center, other] > 0:
            parts = masses[center] * wide[center] + masses[other] * wide[other]
            centers[center] = (parts / both[center, other]).astype(F32)
        free.append(int(other))
    return free


def _index(weights: Array, table: Array) -> npt.NDArray[np.uint8]:
    """Return the index of the entry that is nearest to each vector."""
    shift = _shift_of(table)
    return _nearest(_scaled(weights, shift), _scaled(table, shift))[0]
