"""What the float values of a program are: found once, and looked at in several ways."""

from functools import cached_property
from typing import NamedTuple

from coreai_opt.program.census import census_of
from coreai_opt.program.ir import AIProgram
from coreai_opt.program.names import names_of
from coreai_opt.program.sites import find_sites
from coreai_opt.program.weights import QuantizedWeight, Weight, quantized_among, weights_among
from coreai_opt.reports.records import Census


class Counts(NamedTuple):
    """The weights of a program: how many are not quantized, how many are, their bytes together."""

    weights: int
    quantized: int
    nbytes: int


class Inventory:
    """The float values of a program, as they are when this is made.

    What it returns has handles into the program. Once weights are replaced, make another one.

    Args:
        program: the program.
        weight_num_threshold: only constants with more elements than this are weights.
    """

    def __init__(self, program: AIProgram, weight_num_threshold: int) -> None:
        self._program = program  # which what is found in it must not outlive
        self._threshold = weight_num_threshold
        self._sites = find_sites(program)
        self._names = names_of(self._sites)

    @cached_property
    def weights(self) -> list[Weight]:
        """See ``weights.find_weights``."""
        return weights_among(self._sites, self._names, self._threshold)

    @cached_property
    def quantized(self) -> list[QuantizedWeight]:
        """The weights that are quantized already, in the order of their use."""
        return quantized_among(self._sites, self._names)

    @cached_property
    def census(self) -> Census:
        """All float constants together, and those that are no weights."""
        return census_of(self._sites, self._names, self._threshold)

    @cached_property
    def counts(self) -> Counts:
        """How many weights there are, of those that are not quantized the large ones."""
        nbytes = sum(w.nbytes for w in self.weights) + sum(q.nbytes for q in self.quantized)
        return Counts(len(self.weights), len(self.quantized), nbytes)
