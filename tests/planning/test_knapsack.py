"""Choosing within a budget: against every selection there is, on small instances."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from coreai_opt.planning.knapsack import Option, frontier, select

Items = list[list[Option]]

NUMBERS = st.one_of(st.integers(0, 12), st.floats(0, 1, width=16), st.floats(0, 1e9))
ITEMS = st.lists(
    st.lists(st.builds(Option, NUMBERS, NUMBERS), min_size=1, max_size=4), min_size=1, max_size=5
)

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A machine may be busy with something else."""


def totals(items: Items, picks: tuple[int, ...]) -> tuple[Fraction, Fraction]:
    """Size and cost of a selection."""
    chosen = [options[pick] for options, pick in zip(items, picks, strict=True)]
    return sum(Fraction(o.size) for o in chosen), sum(Fraction(o.cost) for o in chosen)


def selections(items: Items) -> list[tuple[Fraction, Fraction]]:
    """Size and cost of every selection."""
    return [totals(items, picks) for picks in product(*(range(len(o)) for o in items))]


@PATIENT
@given(ITEMS, st.floats(0, 1))
@example([[Option(1, 0)]], 0)
@example([[Option(1, 5), Option(2, 0)], [Option(1, 5), Option(3, 1)]], 0.5)
def test_within_one_step_of_the_best(items: Items, share: float) -> None:
    everything = selections(items)
    smallest, largest = min(everything)[0], max(everything)[0]
    budget = float(smallest + (largest - smallest) * Fraction(share))
    assume(budget >= smallest)
    selection = select(items, budget)
    size, cost = totals(items, selection.picks)
    best = min(cost for size, cost in everything if size <= budget)
    assert size <= budget
    assert selection.least_cost <= float(best) <= float(cost)
    rounding = 1 + 2**-50
    assert float(cost) <= (selection.least_cost + selection.step) * rounding
    if not selection.step:
        assert cost == best == min(cost for _, cost in everything)


@PATIENT
@given(ITEMS, st.floats(0, 1))
def test_no_change_of_one_item_that_fits_is_left(items: Items, share: float) -> None:
    smallest, largest = min(selections(items))[0], max(selections(items))[0]
    budget = float(smallest + (largest - smallest) * Fraction(share))
    assume(budget >= smallest)
    picks = select(items, budget).picks
    cost = totals(items, picks)[1]
    for item, options in enumerate(items):
        for option in range(len(options)):
            changed = totals(items, (*picks[:item], option, *picks[item + 1 :]))
            assert changed[0] > budget or changed[1] >= cost


@PATIENT
@given(ITEMS)
def test_nothing_beats_the_frontier(items: Items) -> None:
    everything = selections(items)
    corners = [totals(items, picks) for picks in frontier(items)]
    assert corners == sorted(corners)
    assert corners[0] == min(everything)
    assert corners[-1][1] == min(cost for _, cost in everything)
    for size, cost in corners:
        assert cost == min(other for taken, other in everything if taken <= size)


def test_a_step_that_does_not_fit_is_no_reason_to_stop() -> None:
    """By hand: the first item saves 9 for 9, which 8 has no room for; the second 4 for 5."""
    items = [[Option(1, 10), Option(10, 1)], [Option(1, 10), Option(6, 6)]]
    selection = select(items, 10)
    assert selection.picks == (0, 1)
    assert selection.least_cost == 20 - 8
    assert selection.step == 9


def test_an_option_off_the_hull_fills_what_is_left() -> None:
    """By hand: 5 for 4 lies above the line from (1, 10) to (10, 0), and is what fits."""
    items = [[Option(1, 10), Option(5, 6), Option(10, 0)]]
    assert frontier(items) == [(0,), (2,)]
    assert [select(items, budget).picks for budget in (4, 5, 9, 10)] == [(0,), (1,), (1,), (2,)]


def test_sizes_are_added_without_rounding() -> None:
    """Ten times 0.1 is more than 1, and a float's sum of them less."""
    items = [[Option(0.1, 1)]] * 10
    with pytest.raises(ValueError, match=r"the smallest options exceed 1 by 5\.55"):
        select(items, 1)
    assert select(items, 1.0000000000000002).picks == (0,) * 10
