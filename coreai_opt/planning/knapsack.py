"""One option for each of many items, at the least cost within a budget.

This is the multiple-choice knapsack problem. It knows nothing of weights: with bytes as size and
error as cost it finds the best plan of a size, with error as size and bytes as cost the smallest
plan of a quality.

Of an item's options, only those on the lower convex hull of (size, cost) matter to the
*relaxation*, in which an item may be a mixture of options. Its optimum begins with the smallest
options. It takes the steps along the hulls, those first that save the most cost per size, until one
does not fit, and takes the part of that step that fits. No selection within the budget costs less.
The selection that is returned leaves this part out, so it costs more than the best by less than the
step would have saved. The rest of the budget goes to any other option that fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

__all__ = ["Option", "Selection", "frontier", "select"]


@dataclass(frozen=True)
class Option:
    """A choice for an item.

    Attributes:
        size: what it takes of the budget, finite.
        cost: what it costs, finite.
    """

    size: float
    cost: float


@dataclass(frozen=True)
class Selection:
    """One option for each item.

    Attributes:
        picks: the number of each item's option.
        least_cost: no selection within the budget costs less, and this one at most ``step`` more.
        step: what the step saves that the budget has no room for; 0 if it has room for all.
    """

    picks: tuple[int, ...]
    least_cost: float
    step: float


def select(items: Sequence[Sequence[Option]], budget: float) -> Selection:
    """Choose one option for each item, so that they fit a budget and cost little.

    It takes the sum of the sizes exactly, without rounding.

    Args:
        items: each item's options, at least one.
        budget: what the sizes of the options chosen may add up to.

    Raises:
        ValueError: the smallest options together exceed the budget.
    """
    picks, steps = _relax(items)
    chosen = [options[pick] for options, pick in zip(items, picks, strict=True)]
    left = Fraction(budget) - sum(Fraction(option.size) for option in chosen)
    if left < 0:
        raise ValueError(f"the smallest options exceed {budget} by {float(-left)}")
    cost = sum(Fraction(option.cost) for option in chosen)
    missing = 0.0
    for step in steps:
        if step.size > left:
            cost -= Fraction(step.saving) * left / step.size
            missing = float(step.saving)
            break
        left, cost = left - step.size, cost - step.saving
        picks[step.item] = step.option
    _fill(items, picks, left)
    return Selection(tuple(picks), float(cost), missing)


def frontier(items: Sequence[Sequence[Option]]) -> list[tuple[int, ...]]:
    """Return selections that nothing of their size beats, from the smallest to the best.

    They are the corners of the relaxation: between two that follow each other, one item differs.
    """
    picks, steps = _relax(items)
    corners = [tuple(picks)]
    for step in steps:
        picks[step.item] = step.option
        corners.append(tuple(picks))
    return corners


@dataclass(frozen=True)
class _Step:
    """From one option of an item to a larger one that costs less."""

    item: int
    option: int
    size: Fraction
    saving: Fraction


def _relax(items: Sequence[Sequence[Option]]) -> tuple[list[int], list[_Step]]:
    """Return the smallest options, and the steps from there, in the order to take them."""
    hulls = [_hull(options) for options in items]
    steps = [
        _Step(item, to, *_difference(items[item][start], items[item][to]))
        for item, hull in enumerate(hulls)
        for start, to in pairwise(hull)
    ]
    steps.sort(key=lambda step: step.saving / step.size, reverse=True)
    return [hull[0] for hull in hulls], steps


def _hull(options: Sequence[Option]) -> list[int]:
    """Numbers of the options on the lower convex hull, from the smallest to the cheapest."""
    hull: list[int] = []
    for number in sorted(range(len(options)), key=lambda n: (options[n].size, options[n].cost)):
        if hull and options[number].cost >= options[hull[-1]].cost:
            continue
        while len(hull) > 1 and _rate(options, *hull[-2:]) <= _rate(options, hull[-1], number):
            hull.pop()
        hull.append(number)
    return hull


def _rate(options: Sequence[Option], start: int, to: int) -> Fraction:
    size, saving = _difference(options[start], options[to])
    return saving / size


def _difference(start: Option, to: Option) -> tuple[Fraction, Fraction]:
    return Fraction(to.size) - Fraction(start.size), Fraction(start.cost) - Fraction(to.cost)


def _fill(items: Sequence[Sequence[Option]], picks: list[int], left: Fraction) -> None:
    """Use the rest of the budget: change the item that saves the most, as long as any does."""
    while True:
        changes = (
            (saving, item, option, size)
            for item, options in enumerate(items)
            for option in range(len(options))
            for size, saving in [_difference(options[picks[item]], options[option])]
            if saving > 0 and size <= left
        )
        best = max(changes, default=None, key=lambda change: change[0])
        if best is None:
            return
        _, item, option, size = best
        picks[item], left = option, left - size
