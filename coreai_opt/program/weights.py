"""Which constants of a program are weights to quantize, and which are quantized already."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from coreai_opt.program import ir
from coreai_opt.program.forms.blockwise import granularity_of, scheme_of
from coreai_opt.program.ir import AIProgram, Op, Tensor, Use
from coreai_opt.program.names import Names, Site, describe_consumers, find_sites
from coreai_opt.settings.enums import CompressionGranularity, QScheme

MATMULS = frozenset({"coreai.batch_matmul", "coreai.decomposable.broadcasting_batch_matmul"})
CONVOLUTIONS = frozenset({"coreai.conv2d", "coreai.conv3d"})
TRANSPOSED_CONVOLUTIONS = frozenset({"coreai.conv_transpose2d", "coreai.conv_transpose3d"})
GATHER = "coreai.gather_nd"

WEIGHT_OPERANDS: dict[str, frozenset[int]] = {
    **dict.fromkeys(MATMULS, frozenset({0, 1})),
    **dict.fromkeys(CONVOLUTIONS | TRANSPOSED_CONVOLUTIONS, frozenset({1})),
    GATHER: frozenset({0}),
    ir.TRANSPOSE: frozenset({0}),
}
"""The ops that have weights, and which of their operands those are."""

HUGE = 100_000_000
"""A constant of this many elements is worth quantizing whatever uses it."""


@dataclass(frozen=True, eq=False)
class Weight:
    """A constant that can be quantized.

    The op and its uses are handles into the program, which must outlive them: Core AI does not see
    to that. What tells a weight to people is asked of the op when it is first needed; all but the
    name must be needed before the op is replaced.

    Attributes:
        op: the constant.
        site: which of the program's sites it is at.
        tensor: its shape and element type.
        uses: who uses it.
        names: the names of the program's weights.
    """

    op: Op
    site: int
    tensor: Tensor
    uses: tuple[Use, ...]
    names: Names

    @cached_property
    def name(self) -> str:
        """A name to tell it by, which no other weight of the program has; see ``names.py``."""
        return self.names[self.site]

    @cached_property
    def location(self) -> str:
        """Where it comes from, by Core AI's debug information."""
        return ir.location_text(self.op)

    @cached_property
    def consumers(self) -> str:
        """Who uses it, in words, e.g. ``"coreai.transpose -> coreai.batch_matmul"``."""
        return describe_consumers(self.op.result)

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
        op: what decodes it, a handle into the program, as in :class:`Weight`.
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

    op: Op
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
    def granularity(self) -> CompressionGranularity:
        """Which elements share a scale."""
        return granularity_of(self.shape, self.block_sizes)

    def __str__(self) -> str:
        return f"{self.name} ({self.format}, at {self.location})"


def find_weights(program: AIProgram, weight_num_threshold: int) -> list[Weight]:
    """Return the constants of ``program`` that are weights to quantize, in its order.

    They are the constants of static shape and of dtype float32, float16 or bfloat16 that have more
    than ``weight_num_threshold`` elements and that every user uses as its weight, or that are huge.
    """
    names, found = Names(program), []
    for number, site in enumerate(find_sites(program)):
        is_constant = site.op.name == ir.CONSTANT
        if is_constant and site.tensor.size > weight_num_threshold and _is_weight(site):
            found.append(Weight(site.op, number, site.tensor, site.uses, names))
    return found


def find_quantized(program: AIProgram) -> list[QuantizedWeight]:
    """Return the weights of ``program`` that are quantized already, in its order."""
    names = Names(program)
    described = (
        _describe_quantized(names[number], site.op)
        for number, site in enumerate(find_sites(program))
        if site.op.name == ir.BLOCKWISE_SHIFT_SCALE
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
    as_weight = (use.operand in WEIGHT_OPERANDS.get(use.op.name, ()) for use in site.uses)
    return bool(site.uses) and (site.tensor.size >= HUGE or all(as_weight))


def _describe_quantized(name: str, op: Op) -> QuantizedWeight | None:
    data, scale = (ir.static_tensor(op.operands[operand]) for operand in range(2))
    assert data is not None
    if scale is None or len(data.shape) != len(scale.shape):
        return None  # Core AI accepts that, and its runtime ends the process
    constants = filter(None, (ir.operand_constant(op, operand) for operand in range(4)))
    return QuantizedWeight(
        op=op,
        name=name,
        location=ir.location_text(op),
        shape=data.shape,
        format=data.format,
        qscheme=_scheme(op),
        block_sizes=tuple(n // blocks for n, blocks in zip(data.shape, scale.shape, strict=True)),
        scale_dtype=scale.format,
        num_scales=scale.size,
        nbytes=sum(map(ir.stored_bytes, constants)),
        consumers=describe_consumers(op.result),
    )


def _scheme(decoder: Op) -> QScheme | None:
    try:
        return scheme_of(decoder)
    except ValueError:
        return None
