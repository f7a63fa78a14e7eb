"""The float values of a program that are weights, or may be, in the order in which it uses them.

One value can be at several places: exporters clone functions for several sizes of their inputs, and
all clones hold the same constants. Such a value is one site. Quantizing a weight changes what is at
its site, but no site comes or goes.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter, itemgetter
from typing import NamedTuple

from coreai_opt.program import ir
from coreai_opt.program.axis_roles import block_meaning
from coreai_opt.program.following import Follower, Way
from coreai_opt.program.ir import AIProgram, Graphs, Op, Tensor, Type
from coreai_opt.reference import WEIGHT_DTYPES

DECODERS = frozenset({ir.BLOCKWISE_SHIFT_SCALE, ir.LUT_TO_DENSE, ir.SPARSE_TO_DENSE})
"""The ops that make a weight of what is stored of it."""

_TAKERS = DECODERS | {ir.BUILD_SPARSE}
"""The ops that take constants for such an op."""


@dataclass(frozen=True, eq=False)
class Site:
    """A value of a weight's dtype, and the places that it is at.

    Attributes:
        ops: the constants, or what decodes them; handles into the program, in the order of use.
        tensor: its shape and element type.
        ways: what becomes of it, from each place.
        functions: in how many graphs it is.
    """

    ops: tuple[Op, ...]
    tensor: Tensor
    ways: tuple[Way, ...]
    functions: int

    @property
    def is_constant(self) -> bool:
        """Whether it is a float constant, and nothing has to be decoded."""
        return bool(self.ops[0].name == ir.CONSTANT)


def find_sites(program: AIProgram) -> list[Site]:
    """Find the constants of a weight's dtype, and what decodes constants."""
    graphs = Graphs(program)
    order, follower = _Order(graphs), Follower(graphs)
    tensor_of = cache(_weight_tensor)  # the types of a program are few
    taken = _taken(order)
    found: dict[object, dict[object, list[_Place]]] = {}
    for op in order.ops_named(ir.CONSTANT, *DECODERS):
        tensor = tensor_of(op.result.type)
        if tensor is None or not _is_site(op, taken):
            continue
        at = sorted(((order.of(way), way) for way in follower.follow(op)), key=_first)
        ways = [way for _, way in at]
        place = _Place(at[0][0] if at else _NEVER, op, tensor, ways)
        found.setdefault(_value(op), {}).setdefault(_meaning(ways), []).append(place)
    places = [sorted(same, key=_position) for one in found.values() for same in _alike(one)]
    return [
        Site(
            ops=tuple(place.op for place in same),
            tensor=same[0].tensor,
            ways=tuple(way for place in same for way in place.ways),
            functions=len({order.graph_of(place.op) for place in same}),
        )
        for same in sorted(places, key=lambda same: same[0].position)
    ]


def _weight_tensor(kind: Type) -> Tensor | None:
    """Return what a type says if it is of tensors of a weight's dtype, else None."""
    tensor = ir.tensor_of(kind)
    return tensor if tensor is not None and tensor.dtype in WEIGHT_DTYPES else None


def _taken(order: "_Order") -> set[Op]:
    """Return the constants that decoders take, such as codes and scales."""
    takers = order.ops_named(*_TAKERS)
    return {constant for op in takers for constant in ir.constants_of(op)}


_Position = tuple[float, ...]
"""Where an op stands among those that run: a graph's number, and numbers of ops from outside in."""


class _Place(NamedTuple):
    """One op that a value comes from; see ``Site``."""

    position: _Position
    op: Op
    tensor: Tensor
    ways: list[Way]


def _alike(places: dict[object, list[_Place]]) -> Iterable[list[_Place]]:
    """Put the places of one value together that are quantized alike.

    Args:
        places: the places of the value, by their meaning. Places without a meaning join others,
            because the value is stored as long as any place has it.
    """
    nothing = places.pop(frozenset(), [])
    if not places:
        return [nothing]
    next(iter(places.values())).extend(nothing)
    return places.values()


_position, _first = attrgetter("position"), itemgetter(0)


class _Order:
    """The order in which a program's ops run. A graph that others invoke stands at its invoke."""

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._numbers: dict[Op, tuple[str, int]] = {}
        for graph in graphs.by_name.values():
            for number, op in enumerate(ir.nested(graph.op)):
                self._numbers[op] = graph.name, number
        public = [graph.name for graph in graphs.by_name.values() if not graph.is_private]
        self._positions: dict[str, _Position] = {name: (n,) for n, name in enumerate(public)}

    def ops_named(self, *names: str) -> list[Op]:
        """Return the ops of these names."""
        return [op for op in self._numbers if op.name in names]

    def graph_of(self, op: Op) -> str:
        """Return the name of the graph that an op is in."""
        return self._numbers[op][0]

    def of(self, way: Way) -> _Position:
        """Return the position, in its own graph, at which a way uses a value."""
        # Ops that move the value there may stand far from the op that uses it.
        leaving = (use for use in way.uses if use.op.name in (ir.INVOKE, ir.OUTPUT))
        return self._of_op(next(leaving, way.uses[-1]).op)

    def _of_op(self, op: Op) -> _Position:
        graph, number = self._numbers[op]
        return (*self._of_graph(graph), number)

    def _of_graph(self, name: str) -> _Position:
        if name not in self._positions:
            self._positions[name] = _NEVER  # where graphs invoke each other in a circle
            invokes = self._graphs.invokes.get(name, [])
            self._positions[name] = min(map(self._of_op, invokes), default=_NEVER)
        return self._positions[name]


_NEVER: _Position = (math.inf,)


def _is_site(op: Op, taken: set[Op | None]) -> bool:
    if op.name == ir.CONSTANT:
        return op not in taken  # which belongs to the site of its decoder
    if ir.decoders_after(op):  # the last one returns the weight
        return False
    return ir.operand_constant(ir.made_from(op)[-1], 0) is not None


def _meaning(ways: Iterable[Way]) -> object:
    """Return what must be the same for constants of one value to be quantized alike."""
    contractions = (way.contraction for way in ways)
    return frozenset(block_meaning(one.layout) for one in contractions if one is not None)


def _value(op: Op) -> object:
    """Return a key that is equal for ops that return one value."""
    if op.name == ir.CONSTANT:
        return ir.constant_value(op)
    ops, values = ir.made_from(op), list[object]()
    for made in ops:
        values.append(made.name)
        for operand in range(len(made.operands)):
            constant = ir.operand_constant(made, operand)
            if constant is not None:
                values.append(ir.constant_value(constant))
            elif operand > 0 or made == ops[-1]:
                return op
    return tuple(values)
