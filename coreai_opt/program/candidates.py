"""Which constants of a program are weights to quantize, and which are quantized already."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coreai_opt.program import coreai_ir
from coreai_opt.program.coreai_ir import AIProgram, Op, Tensor, Use, Value
from coreai_opt.reference import WEIGHT_DTYPES

MATMULS = frozenset({"coreai.batch_matmul", "coreai.decomposable.broadcasting_batch_matmul"})
CONVOLUTIONS = frozenset({"coreai.conv2d", "coreai.conv3d"})
TRANSPOSED_CONVOLUTIONS = frozenset({"coreai.conv_transpose2d", "coreai.conv_transpose3d"})
GATHER = "coreai.gather_nd"
TRANSPOSE = "coreai.transpose"

WEIGHT_OPERANDS: dict[str, frozenset[int]] = {
    **dict.fromkeys(MATMULS, frozenset({0, 1})),
    **dict.fromkeys(CONVOLUTIONS | TRANSPOSED_CONVOLUTIONS, frozenset({1})),
    GATHER: frozenset({0}),
    TRANSPOSE: frozenset({0}),
}
"""The ops that have weights, and which of their operands those are."""

HUGE = 100_000_000
"""A constant of this many elements is worth quantizing whatever uses it."""


@dataclass(frozen=True, eq=False)
class Weight:
    """A constant that can be quantized.

    The op and its uses are handles into the program, which must outlive them: Core AI does not see
    to that. What tells a weight to people is asked of the op when it is first needed, so it must be
    needed before the op is replaced.

    Attributes:
        op: the constant.
        number: which of the program's constants it is.
        tensor: its shape and element type.
        uses: who uses it.
    """

    op: Op
    number: int
    tensor: Tensor
    uses: tuple[Use, ...]

    @cached_property
    def name(self) -> str:
        """A name to tell it by: its graph, and which of the program's constants it is."""
        return f"@{coreai_ir.graph_name(self.op)}/constant_{self.number}"

    @cached_property
    def location(self) -> str:
        """Where it comes from, by Core AI's debug information."""
        return coreai_ir.location_text(self.op)

    @cached_property
    def consumers(self) -> str:
        """Who uses it, in words, e.g. ``"coreai.transpose -> coreai.batch_matmul"``."""
        return _describe_consumers(self.op.result)

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
        return f"{self.op.name} {self.name}, {self.dtype} {self.shape}, at {self.location}"


@dataclass(frozen=True, eq=False)
class QuantizedWeight:
    """A weight that is stored quantized.

    Attributes:
        name: a name to tell it by: its graph, and which of the program's such ops it is.
        location: where it comes from, by Core AI's debug information.
        shape: its shape.
        format: format of the codes, e.g. ``"int4"``.
        scale_dtype: dtype of the scales, e.g. ``"float16"``.
        num_scales: how many scales it has.
        nbytes: bytes of its codes, scales and offsets.
        consumers: what uses it, e.g. ``"coreai.conv2d x9"``.
    """

    name: str
    location: str
    shape: tuple[int, ...]
    format: str
    scale_dtype: str
    num_scales: int
    nbytes: int
    consumers: str


def find_weights(program: AIProgram, weight_num_threshold: int) -> list[Weight]:
    """Return the constants of ``program`` that are weights to quantize, in its order.

    They are the constants of static shape and of dtype float32, float16 or bfloat16 that have more
    than ``weight_num_threshold`` elements and that every user uses as its weight, or that are huge.
    """
    found = []
    for number, op in enumerate(coreai_ir.operations(program, coreai_ir.CONSTANT)):
        tensor = coreai_ir.static_tensor(op.result)
        if tensor is None or tensor.dtype is None or tensor.dtype not in WEIGHT_DTYPES:
            continue
        uses = tuple(coreai_ir.uses(op.result))
        if tensor.size > weight_num_threshold and _are_weights(uses, tensor.size):
            found.append(Weight(op, number, tensor, uses))
    return found


def find_quantized(program: AIProgram) -> list[QuantizedWeight]:
    """Return the weights of ``program`` that are quantized already, in its order."""
    ops = coreai_ir.operations(program, coreai_ir.BLOCKWISE_SHIFT_SCALE)
    described = (_describe_quantized(number, op) for number, op in enumerate(ops))
    return [quantized for quantized in described if quantized is not None]


def _are_weights(uses: tuple[Use, ...], size: int) -> bool:
    as_weight = (use.operand in WEIGHT_OPERANDS.get(use.op.name, ()) for use in uses)
    return bool(uses) and (size >= HUGE or all(as_weight))


def _describe_quantized(number: int, op: Op) -> QuantizedWeight | None:
    data, scale = (coreai_ir.static_tensor(op.operands[operand]) for operand in range(2))
    if coreai_ir.operand_constant(op, 0) is None or data is None or scale is None:
        return None  # it decodes something that is computed
    constants = filter(None, (coreai_ir.operand_constant(op, operand) for operand in range(4)))
    return QuantizedWeight(
        name=f"@{coreai_ir.graph_name(op)}/quantized_{number}",
        location=coreai_ir.location_text(op),
        shape=data.shape,
        format=data.format,
        scale_dtype=scale.format,
        num_scales=scale.size,
        nbytes=sum(map(coreai_ir.stored_bytes, constants)),
        consumers=_describe_consumers(op.result),
    )


def _describe_consumers(value: Value) -> str:
    paths = Counter(path for use in coreai_ir.uses(value) for path in _paths(use.op))
    return ", ".join(path if count == 1 else f"{path} x{count}" for path, count in paths.items())


def _paths(op: Op) -> list[str]:
    """The names from ``op`` on, through transposes, to what really consumes the weight."""
    if op.name != TRANSPOSE:
        return [op.name]
    further = [path for use in coreai_ir.uses(op.result) for path in _paths(use.op)]
    return [f"{op.name} -> {path}" for path in further] or [op.name]
