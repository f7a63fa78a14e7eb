"""Plans: which of several formats each weight of a program is to have."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from coreai_opt.budget import Option, frontier, select
from coreai_opt.rules import Rule, dump_rules

__all__ = ["Candidate", "Choice", "FrontierPoint", "PlannedWeight", "QuantizationPlan", "make_plan"]


class Candidate(NamedTuple):
    """What one candidate would make of one weight.

    Attributes:
        rule: the rule that asks for it, of this weight's name.
        nbytes: bytes that the weight would take in a saved program.
        sqnr_db: SQNR of the weight in dB; infinity if it is kept.
        cost: what it adds to the plan's noise / signal.
    """

    rule: Rule
    nbytes: int
    sqnr_db: float
    cost: float


@dataclass(frozen=True)
class PlannedWeight:
    """A weight and its candidates; the first keeps it as it is, at no cost."""

    name: str
    shape: tuple[int, ...]
    candidates: tuple[Candidate, ...]


class Choice(NamedTuple):
    """What a plan does with a weight.

    Attributes:
        name: the weight's name.
        shape: its shape.
        rule: the rule that does it.
        nbytes: bytes that it then takes in a saved program.
        sqnr_db: SQNR of the weight in dB; infinity if it is kept.
    """

    name: str
    shape: tuple[int, ...]
    rule: Rule
    nbytes: int
    sqnr_db: float


class FrontierPoint(NamedTuple):
    """Bytes of all weights together, and the SQNR in dB of the plan that makes the most of them."""

    nbytes: int
    sqnr_db: float


@dataclass(frozen=True)
class QuantizationPlan:
    """A format for each weight of a program.

    Attributes:
        choices: what becomes of each weight, in the order of the program.
        nbytes: bytes that the weights together take then in a saved program.
        sqnr_db: of the plan, in dB, see ``plan_quantization``; infinity if all are kept.
        frontier: the best plans of every size, from the smallest on.
    """

    choices: tuple[Choice, ...]
    nbytes: int
    sqnr_db: float
    frontier: tuple[FrontierPoint, ...]

    @property
    def rules(self) -> list[Rule]:
        """One rule for each weight: ``quantize_weights(program, None, overrides=plan.rules)``."""
        return [choice.rule for choice in self.choices]

    def to_toml(self) -> str:
        """Return the rules as a file for ``coreai-opt quantize --rules``."""
        return dump_rules(self.rules)


def make_plan(
    weights: list[PlannedWeight], *, target_bytes: int | None, min_sqnr: float | None
) -> QuantizationPlan:
    """Choose a candidate for each weight, with the least cost in ``target_bytes`` or the other way.

    The cost of a plan is less than one weight's step from one candidate to the next above that of
    the best plan of its size (so is, with ``min_sqnr``, its size above that of the smallest), see
    ``budget.py``.

    Args:
        weights: the weights.
        target_bytes: bytes that all together may take; or None.
        min_sqnr: else, the SQNR in dB that the plan must have.

    Raises:
        ValueError: there is no such plan; the message says how far it can go.
    """
    by_size = [[Option(c.nbytes, c.cost) for c in w.candidates] for w in weights]
    if target_bytes is not None:
        least = sum(min(option.size for option in options) for options in by_size)
        if target_bytes < least:
            raise ValueError(
                f"the weights take at least {int(least):,} bytes with these candidates; "
                f"{target_bytes:,} are too few"
            )
        picks = select(by_size, target_bytes).picks
    else:
        assert min_sqnr is not None
        by_cost = [[Option(c.cost, c.nbytes) for c in w.candidates] for w in weights]
        picks = select(by_cost, 10 ** (-min_sqnr / 10)).picks
    points = (_point(weights, corner) for corner in frontier(by_size))
    chosen = _point(weights, picks)
    return QuantizationPlan(
        tuple(
            Choice(w.name, w.shape, c.rule, c.nbytes, c.sqnr_db) for w, c in _chosen(weights, picks)
        ),
        chosen.nbytes,
        chosen.sqnr_db,
        tuple(points),
    )


def _chosen(
    weights: list[PlannedWeight], picks: tuple[int, ...]
) -> list[tuple[PlannedWeight, Candidate]]:
    return [(w, w.candidates[pick]) for w, pick in zip(weights, picks, strict=True)]


def _point(weights: list[PlannedWeight], picks: tuple[int, ...]) -> FrontierPoint:
    candidates = [candidate for _, candidate in _chosen(weights, picks)]
    cost = math.fsum(c.cost for c in candidates)
    return FrontierPoint(sum(c.nbytes for c in candidates), _sqnr_db(cost))


def _sqnr_db(cost: float) -> float:
    return -10 * math.log10(cost) if cost else math.inf
