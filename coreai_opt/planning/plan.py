"""Plans: which of several formats each weight of a program is to have."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from coreai_opt.evaluation.weight_error import decibels
from coreai_opt.exceptions import ArgumentError
from coreai_opt.planning.knapsack import Option, frontier, select
from coreai_opt.settings.arguments import parse_int, parse_real
from coreai_opt.settings.rules import Rule, rule_for
from coreai_opt.settings.rules_file import dump_rules
from coreai_opt.settings.settings import Settings

__all__ = [
    "Candidate",
    "Choice",
    "FrontierPoint",
    "PlannedWeight",
    "QuantizationPlan",
    "make_plan",
    "parse_goal",
]


class Candidate(NamedTuple):
    """One candidate for one weight, and the bytes and the error that it would leave.

    Attributes:
        settings: the settings of a rule that asks for it; None keeps the weight.
        nbytes: bytes that the weight would take in a saved program.
        sqnr_db: SQNR of the weight in dB; infinity if it is kept.
        cost: what it adds to the plan's noise / signal.
    """

    settings: Settings | None
    nbytes: int
    sqnr_db: float
    cost: float


@dataclass(frozen=True)
class PlannedWeight:
    """A weight and its candidates.

    Attributes:
        name: its name.
        shape: its shape.
        candidates: what it may become; the first keeps it as it is, at no cost.
    """

    name: str
    shape: tuple[int, ...]
    candidates: tuple[Candidate, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in a saved program as it is."""
        return self.candidates[0].nbytes

    @property
    def least_nbytes(self) -> int:
        """Bytes that it takes with the smallest candidate."""
        return min(candidate.nbytes for candidate in self.candidates)


class Choice(NamedTuple):
    """The rule that a plan has for a weight, and its bytes and error.

    Attributes:
        name: the weight's name.
        shape: its shape.
        rule: the rule that does it.
        nbytes: bytes that it then takes in a saved program, alone or with those identical to it.
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


_SHOWN = 12
"""How many formats are printed of a plan."""


@dataclass(frozen=True)
class QuantizationPlan:
    """A format for each weight of a program.

    Attributes:
        choices: what becomes of each weight, in the order of the program; of identical ones each
            follows the first.
        nbytes: bytes that the weights together take then in a saved program, identical ones once.
        sqnr_db: of the plan, in dB, see ``plan_quantization``; infinity if all are kept.
        sqnr_of: what that is the SQNR of: ``"weights"``, or ``"outputs"``, estimated.
        frontier: the best plans of every size, from the smallest on.
    """

    choices: tuple[Choice, ...]
    nbytes: int
    sqnr_db: float
    sqnr_of: Literal["weights", "outputs"]
    frontier: tuple[FrontierPoint, ...]

    @property
    def sqnr_words(self) -> str:
        """What ``sqnr_db`` is, in words."""
        return f"SQNR of the {self.sqnr_of}{', about' if self.sqnr_of == 'outputs' else ''}"

    @property
    def rules(self) -> list[Rule]:
        """One rule for each weight: ``quantize_weights(program, None, overrides=plan.rules)``."""
        return [choice.rule for choice in self.choices]

    def __repr__(self) -> str:
        return f"QuantizationPlan({self._totals()})"

    def __str__(self) -> str:
        """Return a few lines: the totals of the plan, and how many weights get which format."""
        formats = Counter(_format(choice.rule) for choice in self.choices)
        lines = [self._totals()]
        lines += [f"  {count:>4} {name}" for name, count in formats.most_common(_SHOWN)]
        more = len(formats) - _SHOWN
        return "\n".join(lines + [f"  and {more} other formats"] * (more > 0))

    def to_toml(self) -> str:
        """Return the rules as a file for ``coreai-opt quantize --rules``, with comments on each.

        It can be edited. The comments have bytes and errors, and are ignored when it is read.
        """
        rules = (f"# {_describe(choice)}\n{dump_rules([choice.rule])}" for choice in self.choices)
        return "\n".join([f"# {self._totals()}\n", *rules])

    def _totals(self) -> str:
        quality = f"{self.sqnr_words}: {decibels(self.sqnr_db)}"
        return f"{len(self.choices)} weights, {self.nbytes:,} bytes, {quality}"


def _format(rule: Rule) -> str:
    """Return what a rule asks for, in a few words."""
    if rule.keep:
        return "kept"
    size = rule.group_size if rule.block_size is None else rule.block_size
    what = rule.dtype if rule.n_bits is None else f"tables of {rule.n_bits} bits"
    scales = "" if rule.scale_block_size is None else f", scales of {rule.scale_block_size}"
    return f"{what} {rule.granularity}{'' if size is None else f' of {size}'}{scales}"


def _describe(choice: Choice) -> str:
    shape = "x".join(map(str, choice.shape))
    return f"{shape}: {choice.nbytes:,} bytes, SQNR of the weight: {decibels(choice.sqnr_db)}"


def parse_goal(target_bytes: object, min_sqnr: object) -> tuple[int | None, float | None]:
    """Return the two as numbers, of which one is None.

    Raises:
        ArgumentError, ArgumentTypeError: not one of the two is a goal.
    """
    if (target_bytes is None) == (min_sqnr is None):
        raise ArgumentError(
            "target_bytes", "one of target_bytes and min_sqnr must be given, and not both"
        )
    if target_bytes is not None:
        return parse_int("target_bytes", target_bytes, least=0), None
    return None, parse_real("min_sqnr", min_sqnr, "a number of dB, finite and >= 0")


def make_plan(
    weights: Sequence[PlannedWeight],
    *,
    target_bytes: int | None,
    min_sqnr: float | None,
    sqnr_of: Literal["weights", "outputs"] = "weights",
    costs: Sequence[PlannedWeight] | None = None,
) -> QuantizationPlan:
    """Choose a candidate for each weight, with the least cost in ``target_bytes`` or the other way.

    A plan costs more than the best plan of its size by less than one weight's step from a candidate
    to the next. With ``min_sqnr`` that holds for its size beside the smallest. See ``knapsack.py``.

    Args:
        weights: the weights.
        target_bytes: bytes that all together may take; or None.
        min_sqnr: else, the SQNR in dB that the plan must have.
        sqnr_of: what the costs of ``weights`` are the noise / signal of.
        costs: the same weights with the costs to choose by in ``target_bytes``; ``weights`` if
            None. What the plan comes to is by ``weights``.

    Raises:
        ValueError: there is no such plan; the message says how far it can go.
    """
    if target_bytes is not None:
        least = sum(weight.least_nbytes for weight in weights)
        if target_bytes < least:
            raise ArgumentError(
                "target_bytes",
                f"target_bytes {target_bytes:,} cannot be reached: with these candidates the "
                f"weights take at least {least:,} bytes",
            )
        picks = select(_by_size(costs or weights), target_bytes).picks
    else:
        assert min_sqnr is not None
        by_cost = [[Option(c.cost, c.nbytes) for c in w.candidates] for w in weights]
        picks = select(by_cost, 10 ** (-min_sqnr / 10)).picks
    points = (_point(weights, corner) for corner in frontier(_by_size(weights)))
    chosen = _point(weights, picks)
    return QuantizationPlan(
        tuple(
            Choice(w.name, w.shape, rule_for(w.name, c.settings), c.nbytes, c.sqnr_db)
            for w, c in _chosen(weights, picks)
        ),
        chosen.nbytes,
        chosen.sqnr_db,
        sqnr_of,
        tuple(points),
    )


def _by_size(weights: Sequence[PlannedWeight]) -> list[list[Option]]:
    return [[Option(c.nbytes, c.cost) for c in w.candidates] for w in weights]


def _chosen(
    weights: Sequence[PlannedWeight], picks: tuple[int, ...]
) -> list[tuple[PlannedWeight, Candidate]]:
    return [(w, w.candidates[pick]) for w, pick in zip(weights, picks, strict=True)]


def _point(weights: Sequence[PlannedWeight], picks: tuple[int, ...]) -> FrontierPoint:
    candidates = [candidate for _, candidate in _chosen(weights, picks)]
    cost = math.fsum(c.cost for c in candidates)
    return FrontierPoint(sum(c.nbytes for c in candidates), _sqnr_db(cost))


def _sqnr_db(cost: float) -> float:
    return -10 * math.log10(cost) if cost else math.inf
