"""What the axes of a weight are to the op that contracts it, through ops that only move elements.

An axis is a run of *factors*, outermost first, because a reshape can put several roles into one:
axis 0 of a grouped convolution's weight is groups, and in each its output channels. Ops that move
elements are followed backwards, from the layout of their result to that of what they moved.
"""

import math
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

Shape = tuple[int | None, ...]
"""Lengths of axes; None stands for one that only the run of the program tells."""


class Role(Enum):
    """What an index along an axis selects."""

    BATCH = auto()
    """A matrix of its own: an attention head, an expert, a convolution's group."""
    OUTPUT = auto()
    """An output channel, or a row of a table."""
    INPUT = auto()
    """An input channel: the op sums over these."""
    TAP = auto()
    """A position of a convolution's kernel: summed over as well, with every input channel."""
    OUTPUT_TAP = auto()
    """A position of a transposed convolution's kernel: each is added to another output position."""


class Factor(NamedTuple):
    """One role's part of an axis.

    Attributes:
        role: the role.
        size: how many indices it has; None where only the run of the program tells.
        axis: the axis of the contracted operand that it comes from.
        stride: how many indices of that axis it moves by.
    """

    role: Role
    size: int | None
    axis: int
    stride: int = 1


Axis = tuple[Factor, ...]
Layout = tuple[Axis, ...]
"""The factors of each axis, outermost first. A factor of one index says nothing and is left out."""


class MixedError(ValueError):
    """An axis would be a mixture of roles that no run of factors describes."""


APART = frozenset({Role.BATCH, Role.OUTPUT})
"""Roles of axes along which every index has scales of its own."""


@lru_cache(1024)
def layout_of(shape: Shape, roles: tuple[Role, ...]) -> Layout:
    """Return the layout of an operand of ``shape`` whose axes have one role each."""
    axes = enumerate(zip(roles, shape, strict=True))
    return tuple(_axis(Factor(role, size, axis)) for axis, (role, size) in axes)


def split_axis(layout: Layout, axis: int, outer: Role, count: int) -> Layout:
    """Return ``layout`` with an axis of one factor taken as ``count`` runs, which are ``outer``."""
    if count == 1 or not layout[axis]:
        return layout
    (factor,) = layout[axis]
    assert factor.size is not None
    inner = factor.size // count
    run = factor._replace(role=outer, size=count, stride=inner)
    return _put(layout, axis, _axis(run, factor._replace(size=inner)))


def input_factors(layout: Layout) -> list[tuple[int, Factor]]:
    """Return axes and factors of the input channels, in the order of the channels."""
    found = [
        (number, factor)
        for number, axis in enumerate(layout)
        for factor in axis
        if factor.role is Role.INPUT
    ]
    return sorted(found, key=lambda item: (item[1].axis, -item[1].stride))


@lru_cache(1024)  # a program has fewer layouts
def block_meaning(layout: Layout) -> object:
    """Return a value that is equal for layouts that give equal blocks."""
    axes = []
    for axis in layout:
        kinds = groupby(axis, lambda factor: None if factor.role in APART else factor.role)
        axes.append(
            tuple(
                (kind, math.prod(factor.size or 0 for factor in factors)) for kind, factors in kinds
            )
        )
    return tuple(axes), tuple(axis for axis, _ in input_factors(layout))


def before_transpose(layout: Layout, permutation: Sequence[int]) -> Layout:
    """Return the layout in front of a transpose: its axis ``permutation[i]`` becomes axis i."""
    found: list[Axis] = [()] * len(layout)
    for axis, source in zip(layout, permutation, strict=True):
        found[source] = axis
    return tuple(found)


def before_broadcast(layout: Layout, moved: Shape) -> Layout:
    """Return the layout in front of a broadcast of something of shape ``moved``.

    Axes are aligned at the last one. All indices are alike along an axis that was repeated.
    """
    behind = layout[len(layout) - len(moved) :]
    return tuple(() if size == 1 else axis for axis, size in zip(behind, moved, strict=True))


def before_resize(layout: Layout, shape: Shape, moved: Shape) -> Layout:
    """Return the layout in front of an op that cuts, pads or joins along axes.

    Args:
        layout: of the result.
        shape: of the result.
        moved: of what it moves.

    Raises:
        MixedError: an axis of several factors changes its length.
    """
    return tuple(map(_resized, layout, shape, moved))


def before_gather(axes: Iterable[Axis], size: int | None) -> Axis:
    """Return what an axis is whose indices select parts that are laid out along ``axes``.

    Raises:
        MixedError: those have several roles.
    """
    factors = [factor for axis in axes for factor in axis]
    roles = {factor.role for factor in factors}
    if not roles:  # one index selects one part
        return _axis(Factor(Role.BATCH, size, 0))
    if roles <= APART and len(roles) > 1:
        roles = {Role.BATCH}
    if len(roles) > 1:
        raise MixedError("what is gathered along its axes has several roles")
    return _axis(Factor(roles.pop(), size, factors[0].axis))


def before_reshape(layout: Layout, shape: Shape, moved: Shape) -> Layout:
    """Return the layout in front of a reshape.

    Args:
        layout: of the result.
        shape: of the result.
        moved: of what is reshaped.

    Raises:
        MixedError: an axis becomes parts that are not made of whole factors.
    """
    if _static(shape) == _static(moved) and shape.count(None) == moved.count(None) == 1:
        same_unknown = True  # one length is unknown on either side, so that both are equal
    else:
        same_unknown = None not in (*shape, *moved)
    first, last = _common_ends(shape, moved, same_unknown)
    end, end_moved = len(shape) - last, len(moved) - last
    middle = _regroup(layout[first:end], shape[first:end], moved[first:end_moved])
    return (*layout[:first], *middle, *layout[end:])


def _common_ends(shape: Shape, moved: Shape, same_unknown: bool) -> tuple[int, int]:
    """Return how many axes at the start, and how many at the end, a reshape leaves as they are."""

    def same(pair: tuple[int | None, int | None]) -> bool:
        return pair[0] == pair[1] and (same_unknown or pair[0] is not None)

    shorter = min(len(shape), len(moved))
    last = 0
    while last < shorter and same((shape[-1 - last], moved[-1 - last])):
        last += 1
    first = 0
    while first < shorter - last and same((shape[first], moved[first])):
        first += 1
    return first, last


def _regroup(layout: Layout, shape: Shape, moved: Shape) -> Layout:
    factors = [factor for axis in layout for factor in axis]
    if None in moved or None in shape:
        roles = {factor.role for factor in factors}
        if len(roles) > 1:
            raise MixedError("a reshape to a size that is computed mixes its axes")
        return tuple(_axis(factors[0]._replace(size=size)) if factors else () for size in moved)
    found: list[Axis] = []
    for length in reversed(moved):
        assert length is not None
        axis: list[Factor] = []
        left = length
        while left > 1 and factors:
            factor = factors.pop()
            assert factor.size is not None
            size = math.gcd(left, factor.size)
            if size not in (left, factor.size):
                raise MixedError(f"a reshape from {list(moved)} to {list(shape)} mixes its axes")
            axis.insert(0, factor._replace(size=size))
            if size < factor.size:
                outer = factor._replace(size=factor.size // size, stride=factor.stride * size)
                factors.append(outer)
            left //= size
        found.insert(0, _axis(*axis))
    return tuple(found)


def _resized(axis: Axis, size: int | None, moved: int | None) -> Axis:
    if size == moved or not axis:
        return axis
    if len(axis) == 1:
        return _axis(axis[0]._replace(size=moved))
    inner = _static([factor.size for factor in axis[1:]])
    apart = {factor.role for factor in axis} <= APART
    if moved is None or moved % inner or not apart:
        raise MixedError("an axis of several roles is cut or joined")
    return _axis(axis[0]._replace(size=moved // inner), *axis[1:])


def _static(shape: Iterable[int | None]) -> int:
    return math.prod(size for size in shape if size is not None)


def _axis(*factors: Factor) -> Axis:
    """Return factors as an axis, those that are neighbours in the operand as one."""
    axis: list[Factor] = []
    for factor in factors:
        if axis and _continues(axis[-1], factor):
            axis.append(factor._replace(size=_static([axis.pop().size, factor.size])))
        elif factor.size != 1:
            axis.append(factor)
    return tuple(axis)


def _continues(outer: Factor, inner: Factor) -> bool:
    return (
        (outer.role, outer.axis) == (inner.role, inner.axis)
        and inner.size is not None
        and outer.size is not None
        and outer.stride == inner.stride * inner.size
    )


def _put(layout: Layout, axis: int, factors: Axis) -> Layout:
    return (*layout[:axis], factors, *layout[axis + 1 :])
