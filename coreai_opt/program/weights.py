"""Which constants of a program are weights to quantize, and which are quantized already."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from coreai_opt.program import ir
from coreai_opt.program.contraction import Contraction
from coreai_opt.program.following import Ending
from coreai_opt.program.forms.blockwise import granularity_of, scheme_of
from coreai_opt.program.ir import AIProgram, Op, Tensor
from coreai_opt.program.names import Names, describe_ways, names_of
from coreai_opt.program.sites import Site, find_sites
from coreai_opt.settings.enums import CompressionGranularity, QScheme


@dataclass(frozen=True, eq=False)
class Weight:
    """A constant that can be quantized.

    Its ops and their uses are handles into the program, which must outlive them: Core AI does not
    see to that. What tells a weight to people is asked of its ops when it is first needed; all but
    the name must be needed before they are replaced.

    Attributes:
        site: where it is.
        number: of the site, among those of the program.
        names: the names of the program's weights.
    """

    site: Site
    number: int
    names: Names

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

    @cached_property
    def contractions(self) -> tuple[Contraction, ...]:
        """What contracts it; none where :attr:`mixed` says why that gives no channels."""
        found = [way.contraction for way in self.site.ways]
        return () if self.mixed else tuple(one for one in found if one is not None)

    @cached_property
    def mixed(self) -> str:
        """Why its axes are no channels to an op that contracts it; empty if they are to all."""
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

    def __str__(self) -> str:
        return f"{self.name} ({self.dtype}, at {self.location})"


@dataclass(frozen=True, eq=False)
class QuantizedWeight:
    """A weight that is stored quantized.

    Attributes:
        ops: what decodes it, handles into the program, as in :class:`Weight`.
        name: a name to tell it by: the one it had before it was quantized.
        location: where it comes from, by Core AI's debug information.
        shape: its shape.
        format: format of the codes, e.g. ``"int4"``.
        qscheme: symmetric or asymmetric; None where its zero points cannot be read.
        block_sizes: how long a block is along each axis.
        scale_dtype: dtype of the scales, e.g. ``"float16"``.
        num_scales: how many scales it has.
        nbytes: bytes of its codes, scales and offsets.
        consumers: what uses it, e.g. ``"coreai.conv2d x9"``.
    """

    ops: tuple[Op, ...]
    name: str
    location: str
    shape: tuple[int, ...]
    format: str
    qscheme: QScheme | None
    block_sizes: tuple[int, ...]
    scale_dtype: str
    num_scales: int
    nbytes: int
    consumers: str

    @property
    def op(self) -> Op:
        """The first of :attr:`ops`."""
        return self.ops[0]

    @property
    def granularity(self) -> CompressionGranularity:
        """Which elements share a scale."""
        return granularity_of(self.shape, self.block_sizes)

    def __str__(self) -> str:
        return f"{self.name} ({self.format}, at {self.location})"


def find_weights(program: AIProgram, weight_num_threshold: int) -> list[Weight]:
    """Return the constants of ``program`` that are weights to quantize, in the order of their use.

    They are the constants of static shape and of dtype float32, float16 or bfloat16 that have more
    than ``weight_num_threshold`` elements, that are contracted, and that nothing else uses but to
    compute other constants that are contracted. One that is stored as one repeated element is none.
    """
    names = Names(program)
    return [
        Weight(site, number, names)
        for number, site in enumerate(find_sites(program))
        if site.is_constant and site.tensor.size > weight_num_threshold and _is_weight(site)
    ]


def find_quantized(program: AIProgram) -> list[QuantizedWeight]:
    """Return the weights of ``program`` that are quantized already, in the order of their use."""
    sites = find_sites(program)
    described = (
        _describe_quantized(name, site)
        for name, site in zip(names_of(sites), sites, strict=True)
        if site.ops[0].name == ir.BLOCKWISE_SHIFT_SCALE
    )
    return [quantized for quantized in described if quantized is not None]


class Counts(NamedTuple):
    """The weights of a program: how many are not quantized, how many are, their bytes together."""

    weights: int
    quantized: int
    nbytes: int


def count_weights(program: AIProgram, weight_num_threshold: int) -> Counts:
    """Return how many weights ``program`` has, of those that are not quantized the large ones."""
    weights, quantized = find_weights(program, weight_num_threshold), find_quantized(program)
    nbytes = sum(w.nbytes for w in weights) + sum(q.nbytes for q in quantized)
    return Counts(len(weights), len(quantized), nbytes)


def _is_weight(site: Site) -> bool:
    endings = {way.ending for way in site.ways}
    is_contracted = not endings.isdisjoint({Ending.CONTRACTED, Ending.MIXED})
    return is_contracted and Ending.OTHER not in endings and not ir.is_splat(site.ops[0])


def _describe_quantized(name: str, site: Site) -> QuantizedWeight | None:
    op = site.ops[0]
    data, scale = (ir.static_tensor(op.operands[operand]) for operand in range(2))
    assert data is not None
    if scale is None or len(data.shape) != len(scale.shape):
        return None  # Core AI accepts that, and its runtime ends the process
    constants = filter(None, (ir.operand_constant(op, operand) for operand in range(4)))
    return QuantizedWeight(
        ops=site.ops,
        name=name,
        location=ir.location_text(op),
        shape=data.shape,
        format=data.format,
        qscheme=_scheme(op),
        block_sizes=tuple(n // blocks for n, blocks in zip(data.shape, scale.shape, strict=True)),
        scale_dtype=scale.format,
        num_scales=scale.size,
        nbytes=sum(map(ir.stored_bytes, constants)),
        consumers=describe_ways(site.ways),
    )


def _scheme(decoder: Op) -> QScheme | None:
    try:
        return scheme_of(decoder)
    except ValueError:
        return None
