"""What graphs take and return, and what a run returns."""

import re
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt

from coreai_opt.program.ir.core_ai import AIProgram, HandleType, NDArray, mlir
from coreai_opt.program.ir.ops import graphs
from coreai_opt.program.ir.tensors import PORT_DTYPES, NumpyDType, Op, Value


class Port(NamedTuple):
    """An input, a state or an output of a graph.

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
        return f"{self.name}: {self.dtype} [{', '.join(self.sizes)}]"

    @property
    def sizes(self) -> tuple[str, ...]:
        """Its shape in words, ``?`` for a dimension that is not fixed."""
        return tuple("?" if size is None else str(size) for size in self.shape)

    @property
    def is_interleaved(self) -> bool:
        """Whether its elements are in another order in memory, as the Neural Engine has them.

        Core AI 1.0.0b3 refuses arrays for such an input, and ends the process when numpy reads such
        an output.
        """
        factors = re.search(r"interleave: \[([^\]]*)\]", self.type)
        return factors is not None and any(factor != "1" for factor in factors[1].split("x"))


class Signature(NamedTuple):
    """What a graph takes and returns, in its order.

    Attributes:
        inputs: what it takes.
        states: what it takes and changes, such as the keys and values of earlier tokens.
        outputs: what it returns.
    """

    inputs: tuple[Port, ...]
    states: tuple[Port, ...]
    outputs: tuple[Port, ...]


def functions(program: AIProgram) -> dict[str, Signature]:
    """Return what can be run of a program, by name, in its order.

    These are the graphs that are public and have names for what they return. Exporters leave others
    public that are called only; Core AI 1.0.0b3 ends the process when one of them is run.
    """
    return {
        name: _signature(graph)
        for name, graph in graphs(program).items()
        if "priv" not in graph.attributes and _has_named_outputs(graph)
    }


def function_inputs(program: AIProgram, function: str) -> dict[str, Value]:
    """Return the values that a function takes, by name; ``program`` must outlive them."""
    return _arguments(graphs(program)[function])


def _signature(graph: Op) -> Signature:
    takes = _arguments(graph)
    states = [name for name, value in takes.items() if isinstance(value.type, HandleType)]
    ports = {name: port(name, value.type) for name, value in takes.items()}
    return Signature(
        tuple(port for name, port in ports.items() if name not in states),
        tuple(ports[name] for name in states),
        tuple(port(name, value.type) for name, value in _results(graph) if name is not None),
    )


def _arguments(graph: Op) -> dict[str, Value]:
    (block,) = graph.regions[0].blocks
    named = _named(graph, "arg_attrs", block.arguments)
    return {name: value for name, value in named if name is not None}


def _results(graph: Op) -> list[tuple[str | None, Value]]:
    """The names of what is returned, and the values; of a state that is changed, it is a token."""
    (block,) = graph.regions[0].blocks
    returned = block.operations[len(block.operations) - 1].operands
    named = _named(graph, "res_attrs", returned)
    return [(name, value) for name, value in named if str(value.type) != "!coreai.token"]


def _has_named_outputs(graph: Op) -> bool:
    return all(name is not None for name, _ in _results(graph))


def _named(graph: Op, attributes: str, values: Any) -> list[tuple[str | None, Value]]:
    # Left out where nothing has a name.
    given = graph.attributes[attributes] if attributes in graph.attributes else [{}] * len(values)
    key = "coreai.name"
    names = [mlir.StringAttr(of[key]).value if key in of else None for of in given]
    return list(zip(names, values, strict=True))


def port(name: str, kind: Any) -> Port:
    """Return the port of a name and a type of Core AI's: a tensor, or a handle of a state."""
    if isinstance(kind, HandleType):
        kind = kind.inner_type
    if not isinstance(kind, mlir.RankedTensorType):
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
