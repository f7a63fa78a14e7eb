"""Facts for a report beside the weights: files, outputs, the plan, and how it came about."""

from dataclasses import dataclass
from typing import NamedTuple

from coreai_opt.evaluation.output_comparison import OutputComparison

__all__ = ["Circumstances", "Planned"]


class Planned(NamedTuple):
    """What a plan could be chosen from.

    Attributes:
        points: bytes of the file at most, and the SQNR in dB, of the best plans of every size, from
            the smallest on.
        chosen: those of the plan that was chosen.
        quality: what the SQNR is of: ``"weights"``, or ``"outputs"``, estimated.
    """

    points: tuple[tuple[int, float], ...]
    chosen: tuple[int, float]
    quality: str


@dataclass(frozen=True)
class Circumstances:
    """What a report tells beside the weights; what is empty or None is left out.

    Attributes:
        nbytes_before, nbytes_after: bytes of the files.
        outputs: how far outputs are from those of the original.
        outputs_on: what the programs were run on for that, in words.
        plan: what a plan was chosen from.
        command: the command line.
        versions: of what took part, by name.
        date: when, by ISO 8601.
    """

    nbytes_before: int | None = None
    nbytes_after: int | None = None
    outputs: tuple[OutputComparison, ...] = ()
    outputs_on: str = ""
    plan: Planned | None = None
    command: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    date: str = ""
