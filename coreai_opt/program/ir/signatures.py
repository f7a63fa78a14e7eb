"""Inputs and outputs of graphs, and of a run."""

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt

from coreai_opt.program.ir.core_ai import AIProgram, NDArray, mlir
from coreai_opt.program.ir.ops import find_graph
from coreai_opt.program.ir.tensors import PORT_DTYPES, NumpyDType, Value


class Port(NamedTuple):
    """An input or an output of a graph.

    Attributes:
        name: its name.
        type: its type as Core AI writes it, e.g. ``"tensor<?x4xf32>"``.
        shape: its shape; None stands for a dimension that is not fixed.
        dtype: its dtype as an array, None where the runtime cannot be given or asked for one.
    """

    name: str
    type: str
    shape: tuple[int | None, ...]
    dtype: NumpyDType | None

    def __str__(self) -> str:
        if self.dtype is None:
            return f"{self.name}: {self.type}"
        sizes = ("?" if size is None else str(size) for size in self.shape)
        return f"{self.name}: {self.dtype} [{', '.join(sizes)}]"


class Signature(NamedTuple):
    """What a graph takes and returns, in its order."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def signature(program: AIProgram, graph: str) -> Signature:
    """Return the inputs and outputs of a graph.

    Raises:
        ValueError: the program has no such graph.
    """
    op = find_graph(program, graph)
    (block,) = op.regions[0].blocks
    results = block.operations[len(block.operations) - 1].operands
    outputs = _named(op.attributes["res_attrs"], results)
    ports = (
        tuple(_port(name, value.type) for name, value in values.items())
        for values in (graph_inputs(program, graph), outputs)
    )
    return Signature(*ports)


def graph_inputs(program: AIProgram, graph: str) -> dict[str, Value]:
    """Return the values that a graph takes, by name; ``program`` must outlive them."""
    op = find_graph(program, graph)
    (block,) = op.regions[0].blocks
    return _named(op.attributes["arg_attrs"], block.arguments)


def _named(attributes: Any, values: Any) -> dict[str, Value]:
    # A graph that keeps state returns a token, which has no name.
    named = (pair for pair in zip(attributes, values, strict=True) if "coreai.name" in pair[0])
    return {mlir.StringAttr(names["coreai.name"]).value: value for names, value in named}


def _port(name: str, kind: Any) -> Port:
    if not isinstance(kind, mlir.RankedTensorType):  # a handle, for state that is kept between runs
        return Port(name, str(kind), (), None)
    shape = tuple(
        None if kind.is_dynamic_dim(axis) else size for axis, size in enumerate(kind.shape)
    )
    return Port(name, str(kind), shape, PORT_DTYPES.get(str(kind.element_type)))


def read_output(output: NDArray) -> npt.NDArray[Any]:
    """Return a copy of what the runtime returned, as an array."""
    if output.dtype != "bfloat16":
        return output.numpy().copy()
    # Core AI 1.0.0b3 hands bfloat16 to numpy in a way that numpy 2.5 refuses with a BufferError.
    raw = memoryview(output._tensor).tobytes()
    return np.frombuffer(raw, ml_dtypes.bfloat16).reshape(output.shape)
