"""Programs changed so that they can be watched: values as outputs, and float32 for half floats."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from coreai_opt.program.ir.builder import Builder, replace
from coreai_opt.program.ir.constants import (
    constant_value,
    is_splat,
    read_constant,
    splat_value,
)
from coreai_opt.program.ir.core_ai import AIProgram, mlir
from coreai_opt.program.ir.graphs import INVOKE, argument_of_graph, callee_name
from coreai_opt.program.ir.ops import CONSTANT, graph_name, graphs, operations
from coreai_opt.program.ir.signatures import port
from coreai_opt.program.ir.tensors import Op, Type, Value, static_tensor

_IF = "coreai.if"
_GRAPH = "coreai.graph"
_ADD = "coreai.decomposable.broadcasting_add"
_HALF = re.compile(r"b?f16\b")


class Probe(NamedTuple):
    """A value to watch.

    Attributes:
        value: the value.
        calls: the ``coreai.invoke`` ops through which its graph is entered, outermost first; empty
            if it counts whoever enters.
        block: the block in which it is watched; in a branch it is zeros when another one is taken.
    """

    value: Value
    calls: tuple[Op, ...]
    block: Any


def probe_operand(op: Op, operand: int, calls: tuple[Op, ...] = ()) -> Probe:
    """Return the probe of what an op takes, whenever it takes it.

    Args:
        op: the op.
        operand: number of the operand.
        calls: as in :class:`Probe`.
    """
    return Probe(op.operands[operand], calls, op.operation.block)


def expose(program: AIProgram, function: str, probes: Sequence[Probe]) -> list[list[str] | str]:
    """Make values outputs of a function, in place.

    What the function computed before is computed as it was. Values of private graphs become results
    of those and of each call; values in a branch are zeros where the other branch is taken.

    Args:
        program: a program of its own (Core AI's ``deepcopy``): ops are made anew, so what points to
            calls and outputs of it is invalid after this.
        function: the graph that is to be run.
        probes: the values.

    Returns:
        for each probe the names of its outputs, one for every call that reaches it (none if no
        call does); or the reason why its value cannot be an output.
    """
    return _Exposure(program, function).run(probes)


@dataclass
class _Wanted:
    """A value that is on its way to the function's outputs.

    Attributes:
        number: of the probe.
        value: where it has got to.
        calls, block: as in :class:`Probe`.
    """

    number: int
    value: Value
    calls: tuple[Op, ...]
    block: Any

    @property
    def around(self) -> Op:
        """The op in whose region it is."""
        return self.block.owner.operation

    @property
    def depth(self) -> int:
        """How many ops are around it inside of its graph."""
        depth, op = 0, self.around
        while op.name != _GRAPH:
            depth, op = depth + 1, op.parent.operation
        return depth


class _Exposure:
    def __init__(self, program: AIProgram, function: str) -> None:
        self._program, self._function = program, function
        self._wanted: list[_Wanted] = []
        self._names: list[list[str] | str] = []

    def run(self, probes: Sequence[Probe]) -> list[list[str] | str]:
        self._names = [[] for _ in probes]
        self._wanted = [_Wanted(number, *probe) for number, probe in enumerate(probes)]
        interleaved = [w for w in self._wanted if port("", w.value.type).is_interleaved]
        self._give_up(interleaved, "it is interleaved in memory, so that no array can be read")
        self._wanted = [w for w in self._wanted if w not in interleaved]
        # Every graph comes after those that it calls, so that its calls are made anew only once.
        for name in _callees_first(self._program, self._function):
            here = [w for w in self._wanted if graph_name(w.around) == name]
            self._wanted = [w for w in self._wanted if w not in here]
            here = list(self._out_of_branches(here))
            if name == self._function:
                self._add_outputs(here)
            elif here:
                self._add_results(name, here)
        return self._names

    def _out_of_branches(self, here: Iterable[_Wanted]) -> Iterator[_Wanted]:
        """Yield the values in the graph's own block, those of branches as results of their if."""
        pending = list(here)
        while pending:
            depth = max(w.depth for w in pending)
            deepest = [w for w in pending if w.depth == depth]
            if depth == 0:
                yield from deepest
                return
            pending = [w for w in pending if w not in deepest]
            while deepest:
                branch = deepest[0].around
                inside = [w for w in deepest if w.around == branch]
                deepest = [w for w in deepest if w not in inside]
                if branch.name != _IF:
                    self._give_up(inside, f"it is inside {branch.name}")
                    continue
                movable = [w for w in inside if static_tensor(w.value) is not None]
                self._give_up(
                    [w for w in inside if w not in movable],
                    "it is in a branch, and its size is known only when the program runs",
                )
                if movable:
                    self._yield_from(branch, movable, [*pending, *deepest])
                    pending += movable

    def _give_up(self, wanted: Iterable[_Wanted], reason: str) -> None:
        for w in wanted:
            self._names[w.number] = reason

    def _yield_from(self, branch: Op, inside: list[_Wanted], others: list[_Wanted]) -> None:
        for region in branch.regions:
            (block,) = region.blocks
            end = _last(block)
            build = Builder(end)
            values = []
            for w in inside:
                tensor = static_tensor(w.value)
                assert tensor is not None
                zeros = build.splat(0, tensor.shape, tensor.element)
                values.append(_computed(w.value, zeros, end) if w.block == block else zeros)
            _create(end, [], [*end.operands, *values])
            end.erase()
        first = len(branch.results)
        new = self._recreate(branch, [w.value.type for w in inside], others)
        for place, w in enumerate(inside):
            w.value, w.block = new.results[first + place], new.operation.block

    def _recreate(self, op: Op, types: list[Type], others: Iterable[_Wanted] = ()) -> Op:
        """Make ``op`` with more results; what uses it uses the new one, as probes under way do."""
        new = _create(op, [*(result.type for result in op.results), *types], list(op.operands))
        for old, region in zip(op.regions, new.regions, strict=True):
            for block in list(old.blocks):
                block.append_to(region)
        for w in [*self._wanted, *others]:
            w.calls = tuple(new if call == op else call for call in w.calls)
            for result, now in zip(op.results, new.results, strict=False):
                if w.value == result:
                    w.value = now
        for result, now in zip(op.results, new.results, strict=False):
            result.replace_all_uses_with(now)
        op.erase()
        return new

    def _add_outputs(self, here: list[_Wanted]) -> None:
        graph = graphs(self._program)[self._function]
        values = _distinct(w.value for w in here)
        names = [f"probe.{i}" for i in range(len(values))]
        _extend_graph(graph, values, names)
        for w in here:
            found = self._names[w.number]
            assert isinstance(found, list)
            found.append(names[values.index(w.value)])

    def _add_results(self, name: str, here: list[_Wanted]) -> None:
        graph = graphs(self._program)[name]
        of_caller = {w.number: argument_of_graph(w.value) for w in here}
        inner = [w for w in here if of_caller[w.number] is None]
        values = _distinct(w.value for w in inner)
        if values:
            _extend_graph(graph, values, [None] * len(values))
        calls = operations(self._program, INVOKE)
        for call in [call for call in calls if callee_name(call) == name]:
            first = len(call.results)
            through = [w for w in here if not w.calls or w.calls[-1] == call]
            new = self._recreate(call, [value.type for value in values], here) if values else call
            for w in through:
                place = of_caller[w.number]
                if place is None:
                    value = new.results[first + values.index(w.value)]
                else:
                    value = new.operands[place]
                self._wanted.append(_Wanted(w.number, value, w.calls[:-1], new.operation.block))


def _computed(value: Value, zeros: Value, end: Op) -> Value:
    """Return a value as what is computed in the block that ends with ``end``.

    Core AI 1.0.0b3 does not run an if whose results are all computed outside of it.
    """
    if getattr(value.owner, "name", None) is not None and value.owner.operation.block == end.block:
        return value
    at, place = end.location, mlir.InsertionPoint(end)
    return mlir.Operation.create(_ADD, [value.type], [value, zeros], loc=at, ip=place).result


def _create(op: Op, types: list[Type], operands: list[Value]) -> Op:
    """Make an op like ``op``, in front of it."""
    attributes = {name: op.attributes[name] for name in _names_of(op.attributes)}
    return mlir.Operation.create(
        op.name,
        types,
        operands,
        attributes,
        regions=len(op.regions),
        loc=op.location,
        ip=mlir.InsertionPoint(op),
    )


def _names_of(attributes: Any) -> list[str]:
    return [a if isinstance(a, str) else a.name for a in attributes]


def _extend_graph(graph: Op, values: list[Value], names: Sequence[str | None]) -> None:
    """Add results to a graph, with or without names."""
    (block,) = graph.regions[0].blocks
    end, context = _last(block), graph.context
    nothing = mlir.DictAttr.get({}, context=context)
    named = "res_attrs" in graph.attributes  # else nothing has a name
    before = list(graph.attributes["res_attrs"]) if named else [nothing] * len(end.operands)
    results = [*end.operands, *values]
    _create(end, [], results)
    end.erase()
    kind = mlir.FunctionType.get(
        [argument.type for argument in block.arguments],
        [result.type for result in results],
        context=context,
    )
    graph.attributes["function_type"] = mlir.TypeAttr.get(kind, context=context)
    more = [
        mlir.DictAttr.get(
            {"coreai.name": mlir.StringAttr.get(name, context=context)}, context=context
        )
        if name is not None
        else nothing
        for name in names
    ]
    graph.attributes["res_attrs"] = mlir.ArrayAttr.get([*before, *more], context=context)
    if "composite_decl" in graph.attributes:  # it lists the results
        del graph.attributes["composite_decl"]


def _last(block: Any) -> Op:
    return block.operations[len(block.operations) - 1].operation


def _distinct(values: Iterable[Value]) -> list[Value]:
    return list(dict.fromkeys(values))


def _callees_first(program: AIProgram, function: str) -> list[str]:
    """The graphs that a function enters and itself, every graph after those that it calls."""
    callees: dict[str, set[str]] = {}
    for call in operations(program, INVOKE):
        callees.setdefault(graph_name(call), set()).add(callee_name(call))
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for callee in sorted(callees.get(name, ())):
            if callee not in found:
                visit(callee)
        found[name] = None

    visit(function)
    return list(found)


def widen_to_float32(program: AIProgram) -> bool:
    """Let a program compute in float32 what it does in float16 and bfloat16, in place.

    Constants become float32 as well, and so do inputs, outputs and states. Constants of one value
    keep one value, and splats stay splats, because weights are found and named by these.

    Returns:
        whether there was anything in float16 or bfloat16.
    """
    context = program._module._mlir_module.operation.context
    wide: dict[Type, Type | None] = {}
    constants: dict[Any, Op] = {}

    def widened(kind: Type) -> Type | None:
        if kind not in wide:
            text = str(kind)
            wider = _HALF.sub("f32", text)
            wide[kind] = None if wider == text else mlir.Type.parse(wider, context)
        return wide[kind]

    def widen(value: Value) -> None:
        kind = widened(value.type)
        if kind is not None:
            value.set_type(kind)

    def widen_ops(op: Op) -> None:
        for region in op.regions:
            for block in region.blocks:
                for argument in block.arguments:
                    widen(argument)
                for view in list(block.operations):
                    inner = view.operation
                    if inner.name == CONSTANT:
                        _widen_constant(inner, constants)
                        continue
                    widen_ops(inner)
                    for result in inner.results:
                        widen(result)
                    if "function_type" in inner.attributes:
                        kind = widened(mlir.TypeAttr(inner.attributes["function_type"]).value)
                        if kind is not None:
                            inner.attributes["function_type"] = mlir.TypeAttr.get(
                                kind, context=context
                            )

    widen_ops(program._module._mlir_module.operation)
    return any(kind is not None for kind in wide.values())


def _widen_constant(op: Op, done: dict[Any, Op]) -> None:
    """Put a constant in float32 in the place of one in float16 or bfloat16.

    Args:
        op: the constant; any other one stays.
        done: what was made so far, by the values that it stands for; it grows.
    """
    tensor = static_tensor(op.result)
    if tensor is None or tensor.element not in {"f16", "bf16"}:
        return
    build, before = Builder(op), constant_value(op)
    if is_splat(op):
        value = build.splat(splat_value(op), tensor.shape, "f32")
    elif before in done:
        value = build.copy(done[before])
    else:
        array = read_constant(op, tensor=tensor).astype(np.float32)
        value = build.constant(array, tensor.shape, "f32")
        done[before] = value.owner
    op.result.set_type(value.type)
    replace(op, value)
