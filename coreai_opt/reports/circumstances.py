"""Facts for a report beside the weights: files, outputs, the plan, and how it came about."""

from dataclasses import dataclass
from typing import NamedTuple

from coreai_opt.evaluation.output_comparison import OutputComparison

__all__ = ["ON_RANDOM", "RANDOM_INPUTS", "Circumstances", "Planned"]

ON_RANDOM = "random inputs"
"""How the words begin that say that programs were run on made-up inputs."""

RANDOM_INPUTS = (
    "Random inputs are unlike those that a model is made for: give recorded ones (--inputs) to see "
    "how good it is."
)
"""What is said of outputs on random inputs."""


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

    @property
    def on_random_inputs(self) -> bool:
        """Whether the outputs are those on made-up inputs."""
        return self.outputs_on.startswith(ON_RANDOM)
