"""Which constants of a program are weights to quantize, and which are quantized already."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from coreai_opt.program import ir
from coreai_opt.program.census import why_no_weight
from coreai_opt.program.contraction import Contraction
from coreai_opt.program.following import Ending
from coreai_opt.program.forms import form_of_op
from coreai_opt.program.forms.form import Form, Stored
from coreai_opt.program.ir import AIProgram, Op, Tensor
from coreai_opt.program.names import Names, describe_ways, names_of
from coreai_opt.program.sites import Site, find_sites


@dataclass(frozen=True, eq=False)
class Weight:
    """A constant that can be quantized.

    Its ops and their uses are handles into the program, which must outlive them: Core AI does not
    see to that. Properties that describe the weight to people are asked of its ops when they are
    first read. All but the name must be read before the ops are replaced.

    Attributes:
        site: where it is.
        number: of the site, among those of the program.
        names: the names of the program's weights.
    """

    site: Site
    number: int
    names: Names | Sequence[str]

    @property
    def ops(self) -> tuple[Op, ...]:
        """The constants that it is. Functions that are clones of each other each have their own."""
        return self.site.ops

    @property
    def op(self) -> Op:
        """The first of :attr:`ops`."""
        return self.ops[0]

    @property
    def tensor(self) -> Tensor:
        """Its shape and element type."""
        return self.site.tensor

    @property
    def contractions(self) -> tuple[Contraction, ...]:
        """The contractions of it; none where :attr:`mixed` says why its channels are not known."""
        found = [way.contraction for way in self.site.ways]
        return () if self.mixed else tuple(one for one in found if one is not None)

    @property
    def mixed(self) -> str:
        """Why its axes are no channels to an op that contracts it; empty if they are to all ops."""
        mixed = [way.reason for way in self.site.ways if way.ending is Ending.MIXED]
        return mixed[0] if mixed else ""

    @cached_property
    def name(self) -> str:
        """A name to tell it by, which no other weight of the program has; see ``names.py``."""
        return self.names[self.number]

    @cached_property
    def location(self) -> str:
        """Where it comes from, by Core AI's debug information."""
        return ir.location_text(self.op)

    @cached_property
    def consumers(self) -> str:
        """Who uses it, in words, e.g. ``"coreai.transpose -> coreai.batch_matmul"``."""
        return describe_ways(self.site.ways)

    @property
    def consumer_ops(self) -> set[str]:
        """The names of the ops that really consume it, e.g. ``"coreai.batch_matmul"``."""
        return {way.uses[-1].op.name for way in self.site.ways}

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.tensor.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Its numpy dtype: float32, float16 or bfloat16."""
        assert self.tensor.dtype is not None
        return self.tensor.dtype

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return self.tensor.nbytes

    @property
    def functions(self) -> int:
        """In how many functions it is: clones of a function share its weights."""
        return self.site.functions

    def __str__(self) -> str:
        return f"{self.name} ({self.dtype}, at {self.location})"


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedWeight(Stored):
    """A weight that is stored compressed.

    Attributes:
        ops: what decodes it, handles into the program, as in :class:`Weight`.
        form: how it is stored.
        name: a name to tell it by: the one it had before it was compressed.
        location: where it comes from, by Core AI's debug information.
        consumers: what uses it, e.g. ``"coreai.conv2d x9"``.
        functions: in how many functions it is.
    """

    ops: tuple[Op, ...]
    form: Form[Any]
    name: str
    location: str
    consumers: str
    functions: int

    @property
    def op(self) -> Op:
        """The first of :attr:`ops`."""
        return self.ops[0]

    def __str__(self) -> str:
        return f"{self.name} ({self.format}, at {self.location})"


def find_weights(program: AIProgram, weight_num_threshold: int) -> list[Weight]:
    """Return the constants of ``program`` that are weights to quantize, in the order of their use.

    They are the constants of static shape and of dtype float32, float16 or bfloat16 that have more
    than ``weight_num_threshold`` elements, that are contracted, and that nothing else uses but to
    compute other constants that are contracted. A constant that is stored as one repeated element
    is no weight. Names are made when the first one is asked for.
    """
    return weights_among(find_sites(program), Names(program), weight_num_threshold)


def weights_among(
    sites: Sequence[Site], names: Names | Sequence[str], weight_num_threshold: int
) -> list[Weight]:
    """Return those of all sites of a program, given their names, that are weights to quantize."""
    return [
        Weight(site, number, names)
        for number, site in enumerate(sites)
        if site.is_constant and site.tensor.size > weight_num_threshold and not why_no_weight(site)
    ]


def find_quantized(program: AIProgram) -> list[QuantizedWeight]:
    """Return the weights of ``program`` that are quantized already, in the order of their use."""
    sites = find_sites(program)
    return quantized_among(sites, names_of(sites))


def quantized_among(sites: Sequence[Site], names: Sequence[str]) -> list[QuantizedWeight]:
    """Return the weights at sites of a program, given their names, that are quantized already."""
    described = (_describe(name, site) for name, site in zip(names, sites, strict=True))
    return [quantized for quantized in described if quantized is not None]


def _describe(name: str, site: Site) -> QuantizedWeight | None:
    """Describe what is stored compressed at a site, if anything is."""
    form = form_of_op(site.ops[0])
    stored = None if form is None else form.describe(site.ops[0])
    if form is None or stored is None:
        return None
    return QuantizedWeight(
        **vars(stored),
        ops=site.ops,
        form=form,
        name=name,
        location=ir.location_text(site.ops[0]),
        consumers=describe_ways(site.ways),
        functions=site.functions,
    )
