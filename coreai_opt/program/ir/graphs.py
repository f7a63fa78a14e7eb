"""The graphs of a program, and which of them an op invokes."""

import re
from functools import cached_property
from typing import NamedTuple

from coreai_opt.program.ir.core_ai import AIProgram, mlir
from coreai_opt.program.ir.ops import operations
from coreai_opt.program.ir.tensors import Op, Type, Value

INVOKE = "coreai.invoke"
OUTPUT = "coreai.output"

_CALLEE = re.compile(r'@("?)([^>"]+)\1>')
_COMPOSITE = re.compile(r'<"([^"]*)"')


class Graph(NamedTuple):
    """A graph of a program.

    Attributes:
        op: the op that it is.
        name: its name.
        is_private: only other graphs of the program can invoke it.
        composite: the operation that it stands for, e.g. ``"gather_mm"``; empty if none.
    """

    op: Op
    name: str
    is_private: bool
    composite: str

    @property
    def arguments(self) -> list[Value]:
        """The values that it takes."""
        (block,) = self.op.regions[0].blocks
        return list(block.arguments)


class Graphs:
    """The graphs of a program, which must outlive this."""

    def __init__(self, program: AIProgram) -> None:
        self._program = program

    @cached_property
    def by_name(self) -> dict[str, Graph]:
        """All graphs, in the order of the program."""
        ops = self._program._module._mlir_module.body.operations
        graphs = (_graph(op.operation) for op in ops if "sym_name" in op.attributes)
        return {graph.name: graph for graph in graphs}

    @cached_property
    def invokes(self) -> dict[str, list[Op]]:
        """The ops that invoke each graph that is invoked, by its name."""
        found: dict[str, list[Op]] = {}
        for op in operations(self._program, INVOKE):
            found.setdefault(callee_name(op), []).append(op)
        return found

    def that_take(self, kind: Type) -> list[Value]:
        """Return the inputs of public graphs that are of a type with a memory layout of its own.

        The caller of a program hands such a value from one of its graphs to others.
        """
        if kind.encoding is None:
            return []
        return [
            argument
            for graph in self.by_name.values()
            if not graph.is_private
            for argument in graph.arguments
            if argument.type == kind
        ]

    def invoked_by(self, invoke: Op) -> Graph | None:
        """Return the graph that an op invokes, None where that is outside of the program."""
        return self.by_name.get(callee_name(invoke))


def _graph(op: Op) -> Graph:
    composite = str(op.attributes["composite_decl"]) if "composite_decl" in op.attributes else ""
    found = _COMPOSITE.search(composite)
    return Graph(
        op=op,
        name=mlir.StringAttr(op.attributes["sym_name"]).value,
        is_private="priv" in op.attributes,
        composite=found[1] if found else "",
    )


def callee_name(invoke: Op) -> str:
    """Return the name of the graph that an op invokes, empty if it has none."""
    found = _CALLEE.search(str(invoke.attributes["callee"]))  # Core AI has no other way to read it
    return found[2] if found else ""


def argument_of_graph(value: Value) -> int | None:
    """Return which argument of its graph a value is, None if it is none."""
    owner = value.owner
    if hasattr(owner, "name") or "sym_name" not in owner.owner.attributes:
        return None
    return int(mlir.BlockArgument(value).arg_number)
