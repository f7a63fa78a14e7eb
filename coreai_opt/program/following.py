"""Follow a constant to the ops that contract it, and find what its axes mean to them.

A value is followed through ops that only move elements, through arguments and results of graphs,
and through the regions of ``coreai.if`` and ``coreai.while``. Scaling by other constants, as weight
normalization does, leaves the axes what they are. Every way ends in one of these:

    a contraction    a matmul or a convolution, or a gather that looks rows up: see ``Contraction``
    a mixture        it is contracted, but a reshape on the way mixes its axes
    other constants  only constants are computed from it in another way, such as a norm
    anything else    it is added, multiplied element by element, returned, …
"""

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from coreai_opt.program import ir
from coreai_opt.program.axis_roles import (
    Layout,
    MixedError,
    Role,
    Shape,
    before_broadcast,
    before_gather,
    before_reshape,
    before_resize,
    before_transpose,
    layout_of,
    split_axis,
)
from coreai_opt.program.contraction import Contraction
from coreai_opt.program.ir import Graphs, Op, Use, Value

MATMULS = frozenset({"coreai.batch_matmul", "coreai.decomposable.broadcasting_batch_matmul"})
GATHER = "coreai.gather_nd"
GATHER_ALONG_AXIS = "coreai.gather_along_axis"

_CONVOLUTIONS = frozenset({"coreai.conv2d", "coreai.conv3d"})
TRANSPOSED_CONVOLUTIONS = frozenset({"coreai.conv_transpose2d", "coreai.conv_transpose3d"})
_SCALINGS = frozenset(
    f"coreai.{prefix}{name}"
    for prefix, name in (
        ("", "mul"),
        ("", "divide"),
        ("", "add"),
        ("", "sub"),
        ("decomposable.broadcasting_", "mul"),
        ("decomposable.broadcasting_", "divide"),
        ("decomposable.broadcasting_", "add"),
        ("decomposable.broadcasting_", "sub"),
    )
)
_PARTIAL = frozenset(
    f"coreai.{name}" for name in ("slice", "split", "pad", "tile", "reverse", "concat")
)
"""Ops whose result is not all of what they move, or not that alone, or in another order."""
_SHAPE_ONLY = "coreai.get_shape"
_CONCAT = "coreai.concat"
_YIELD = "coreai.yield"
_CONDITION = "coreai.condition"
_WHILE = "coreai.while"
_ISOLATED_GROUP = "coreai.isolated_group"
_PASSAGES = frozenset({ir.INVOKE, ir.OUTPUT, _YIELD, _CONDITION, _WHILE, _ISOLATED_GROUP})
_FEW = 50
"""Ops by which other constants are computed; more are taken for the network itself."""
_NOT_CONTRACTED = "never in a matmul or convolution"
_ROTARY = "rope"
"""How composites of rotary embeddings begin. Their tables hold sines and cosines of positions."""


class Ending(Enum):
    """How a way from a constant ends."""

    CONTRACTED = auto()
    MIXED = auto()
    CONSTANT = auto()
    OTHER = auto()


class Way(NamedTuple):
    """A way from a constant to what becomes of it.

    Attributes:
        uses: the ops on it, and which of their operands it takes; the last is where it ends.
        ending: how it ends.
        contraction: what contracts the constant, if it is contracted and its axes are known.
        reason: why not, otherwise.
    """

    uses: tuple[Use, ...]
    ending: Ending
    contraction: Contraction | None
    reason: str


class _Move(NamedTuple):
    """An op that only moves elements.

    Attributes:
        use: the op, and the operand whose elements it moves.
        result: the result that they are in then.
    """

    use: Use
    result: Value

    @property
    def moved(self) -> Shape:
        """The shape of what it moves."""
        return ir.lengths(self.use.op.operands[self.use.operand])


class _Here(NamedTuple):
    """A value on the way.

    Attributes:
        value: the value.
        uses: the ops that it came through.
        moves: what moved its elements since it was the constant.
        calls: the invokes that it is inside of, outermost first.
        gather: the gather that it came through, if any.
        is_whole: as in ``Contraction``.
        computed: the op by which other constants were computed, if any; empty if there is none.
    """

    value: Value
    uses: tuple[Use, ...] = ()
    moves: tuple[_Move, ...] = ()
    calls: tuple[Op, ...] = ()
    gather: Op | None = None
    is_whole: bool = True
    computed: str = ""


class Follower:
    """Follows constants of one program, which must outlive it.

    Args:
        graphs: those of the program.
    """

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs

    def follow(self, constant: Op) -> list[Way]:
        """Return the ways from ``constant``, or from what decodes one."""
        return list(self._ways(_Here(constant.result), set()))

    def _ways(self, here: _Here, seen: set[object]) -> Iterator[Way]:
        for use in ir.uses(here.value):
            place = use, here.calls, here.moves, here.computed
            if place not in seen:  # a loop leads back to itself
                seen.add(place)
                yield from self._through(here._replace(uses=(*here.uses, use)), use, seen)

    def _through(self, here: _Here, use: Use, seen: set[object]) -> Iterator[Way]:
        """Yield the ways that begin with one use of a value, which ``here`` ends with."""
        name = use.op.name
        if name == _SHAPE_ONLY:
            return
        roles = _contracting(use)
        if roles is not None:
            yield self._contraction(here, use, roles)
        elif name in (GATHER, GATHER_ALONG_AXIS) and use.operand == 0:
            yield from self._behind_gather(here, use, seen)
        elif name in _PASSAGES:
            yield from self._passage(here, use, seen)
        elif _moves_only(use) and (name != _CONCAT or _is_with_constants(here, use)):
            yield from self._moved(here, use, seen)
        elif _is_with_constants(here, use):
            yield from self._of_constants(here, use, seen)
        else:
            yield _other(here)

    def _moved(self, here: _Here, use: Use, seen: set[object]) -> Iterator[Way]:
        is_whole = here.is_whole and use.op.name not in _PARTIAL
        for result in use.op.results:
            moves = () if here.computed else (*here.moves, _Move(use, result))
            behind = here._replace(value=result, moves=moves, is_whole=is_whole)
            yield from self._ways(behind, seen)

    def _of_constants(self, here: _Here, use: Use, seen: set[object]) -> Iterator[Way]:
        """Yield the ways behind an op that computes something of constants alone."""
        if _scales(use):
            scaled = here._replace(value=use.op.results[0], is_whole=False)
            yield from self._ways(scaled, seen)
            return
        for result in use.op.results:
            computed = here._replace(value=result, moves=(), computed=use.op.name)
            yield from self._ways(computed, seen)

    def _behind_gather(self, here: _Here, use: Use, seen: set[object]) -> Iterator[Way]:
        """Yield the ways behind a gather, or the way to it where one of them is no contraction."""
        (result,) = use.op.results
        rows = here._replace(value=result, moves=(*here.moves, _Move(use, result)), gather=use.op)
        behind = list(self._ways(rows, seen))
        if behind and all(way.ending is not Ending.OTHER for way in behind):
            yield from behind
        else:
            yield _contracted(here, use, _Roles(_table_layout, None))

    def _contraction(self, here: _Here, use: Use, roles: "_Roles") -> Way:
        if here.gather is not None and _is_with_constants(here, use):
            return _other(here)  # the rows are what is multiplied by a weight
        return _contracted(here, use, roles)

    def _passage(self, here: _Here, use: Use, seen: set[object]) -> Iterator[Way]:
        """Yield the ways behind an op that hands values to a region or a graph, or back."""
        op, operand = use
        name = op.name
        if name == ir.INVOKE:
            graph = self._graphs.invoked_by(op)
            if graph is None or graph.composite.startswith(_ROTARY):
                what = "positions of a rotary embedding" if graph else _NOT_CONTRACTED
                yield Way(here.uses, Ending.OTHER, None, what)
            else:
                argument = graph.arguments[operand]
                yield from self._ways(here._replace(value=argument, calls=(*here.calls, op)), seen)
        elif name == ir.OUTPUT:
            yield from self._returned(here, use, seen)
        else:
            for value in _handed_to(use):
                yield from self._ways(here._replace(value=value), seen)

    def _returned(self, here: _Here, use: Use, seen: set[object]) -> Iterator[Way]:
        if here.calls:
            *calls, invoke = here.calls
            outside = here._replace(value=invoke.results[use.operand], calls=tuple(calls))
            yield from self._ways(outside, seen)
            return
        graph = self._graphs.by_name[ir.graph_name(use.op)]
        receivers = [op.results[use.operand] for op in self._graphs.invokes.get(graph.name, ())]
        if not graph.is_private and not graph.arguments:
            receivers += self._graphs.that_take(here.value.type)
        for value in receivers:
            yield from self._ways(here._replace(value=value), seen)
        if not receivers:
            yield _other(here)


class _Roles(NamedTuple):
    """How an op contracts one of its operands.

    Attributes:
        layout: returns what the operand's axes are.
        activation: the operand that it multiplies it with, None if it does not.
    """

    layout: Callable[[Use], Layout]
    activation: int | None


def _is_with_constants(here: _Here, use: Use) -> bool:
    """Return whether all that an op takes besides one operand is computed of constants."""
    others = (value for number, value in enumerate(use.op.operands) if number != use.operand)
    return all(_is_constant(value, here.calls) for value in others)


def _is_constant(value: Value, calls: tuple[Op, ...]) -> bool:
    """Return whether a value is computed of constants alone, by few ops.

    Args:
        value: the value.
        calls: the invokes that it is inside of; what they hand over is looked at as well.
    """
    pending, seen = [(value, calls)], set[object]()
    while pending and len(seen) < _FEW:
        place = value, calls = pending.pop()
        if place in seen:
            continue
        seen.add(place)
        argument = ir.argument_of_graph(value)
        if argument is not None and calls:
            pending.append((calls[-1].operands[argument], calls[:-1]))
            continue
        owner = value.owner
        if getattr(owner, "name", None) == ir.CONSTANT:
            continue
        if argument is not None or not _is_computed(owner):
            return False
        pending += [(operand, calls) for operand in owner.operands]
    return not pending


def _is_computed(owner: Op) -> bool:
    """Return whether a value's owner is an op that makes it of its operands alone."""
    is_op = hasattr(owner, "name")  # else it is a block, of which the value is an argument
    return is_op and len(owner.operands) > 0 and len(owner.regions) == 0


def _contracting(use: Use) -> _Roles | None:
    """Return how an op contracts one of its operands, None if it does not."""
    name = use.op.name
    if name in MATMULS:
        return _Roles(_matmul_layout, 1 - use.operand)
    if use.operand == 1 and name in _CONVOLUTIONS:
        return _Roles(_convolution_layout, 0)
    if use.operand == 1 and name in TRANSPOSED_CONVOLUTIONS:
        return _Roles(_transposed_convolution_layout, 0)
    return None


def _matmul_layout(use: Use) -> Layout:
    shape = ir.lengths(use.op.operands[use.operand])
    last = (Role.INPUT, Role.OUTPUT) if use.operand == 1 else (Role.OUTPUT, Role.INPUT)
    return layout_of(shape, (*(Role.BATCH,) * (len(shape) - 2), *last))


def _convolution_layout(use: Use) -> Layout:
    shape = ir.lengths(use.op.operands[use.operand])
    roles = Role.OUTPUT, Role.INPUT, *(Role.TAP,) * (len(shape) - 2)
    return split_axis(layout_of(shape, roles), 0, Role.BATCH, _groups(use.op, 4))


def _transposed_convolution_layout(use: Use) -> Layout:
    shape = ir.lengths(use.op.operands[use.operand])
    roles = Role.INPUT, Role.OUTPUT, *(Role.OUTPUT_TAP,) * (len(shape) - 2)
    return split_axis(layout_of(shape, roles), 0, Role.BATCH, _groups(use.op, 6))


def _table_layout(use: Use) -> Layout:
    """Return what the axes of a table are: those that are indexed select rows."""
    shape = ir.lengths(use.op.operands[0])
    if use.op.name == GATHER_ALONG_AXIS:
        rows = {_integer(use.op, 2) % len(shape)}
    else:
        rows = set(range(ir.lengths(use.op.operands[1])[-1] or 0))
    if len(rows) == len(shape) > 1:  # single elements are looked up
        rows = {0}
    return layout_of(
        shape, tuple(Role.OUTPUT if axis in rows else Role.INPUT for axis in range(len(shape)))
    )


def _contracted(here: _Here, use: Use, roles: _Roles) -> Way:
    if here.computed:
        reason = f"{here.computed} comes before it is multiplied"
        return Way(here.uses, Ending.CONSTANT, None, reason)
    try:
        layout = roles.layout(use)
        for move in reversed(here.moves):
            layout = _BEFORE[move.use.op.name](move, layout)
    except MixedError as reason:
        return Way(here.uses, Ending.MIXED, None, str(reason))
    contraction = Contraction(
        op=use.op,
        operand=use.operand,
        activation=roles.activation,
        layout=layout,
        calls=here.calls,
        gather=here.gather,
        is_whole=here.is_whole,
    )
    return Way(here.uses, Ending.CONTRACTED, contraction, "")


def _other(here: _Here) -> Way:
    return Way(here.uses, Ending.OTHER, None, _NOT_CONTRACTED)


# From the layout of a result to that of the operand that was moved.


def _before_same(_move: _Move, layout: Layout) -> Layout:
    return layout


def _before_transposed(move: _Move, layout: Layout) -> Layout:
    permutation = ir.operand_constant(move.use.op, 1)
    if permutation is None:
        raise MixedError("a transpose turns its axes in an order that is computed")
    return before_transpose(layout, ir.read_integers(permutation))


def _before_reshaped(move: _Move, layout: Layout) -> Layout:
    return before_reshape(layout, ir.lengths(move.result), move.moved)


def _before_broadcast(move: _Move, layout: Layout) -> Layout:
    return before_broadcast(layout, move.moved)


def _before_resized(move: _Move, layout: Layout) -> Layout:
    return before_resize(layout, ir.lengths(move.result), move.moved)


def _before_gathered(move: _Move, layout: Layout) -> Layout:
    gather = move.use.op
    table, indices = ir.lengths(gather.operands[0]), ir.lengths(gather.operands[1])
    if gather.name == GATHER_ALONG_AXIS:
        axis = _integer(gather, 2) % len(table)
        return (
            *layout[:axis],
            before_gather(layout[axis : axis + 1], table[axis]),
            *layout[axis + 1 :],
        )
    selected, indexed = len(indices) - 1, indices[-1] or 0
    rows = (before_gather(layout[:selected], size) for size in table[:indexed])
    return (*rows, *layout[selected:])


_BEFORE: dict[str, Callable[[_Move, Layout], Layout]] = {
    ir.TRANSPOSE: _before_transposed,
    "coreai.reshape": _before_reshaped,
    "coreai.expand_dims": _before_reshaped,
    "coreai.shrink_dims": _before_reshaped,
    "coreai.broadcast_to": _before_broadcast,
    "coreai.broadcast_in_dims": _before_broadcast,
    "coreai.cast": _before_same,
    "coreai.slice": _before_resized,
    "coreai.split": _before_resized,
    "coreai.pad": _before_resized,
    "coreai.tile": _before_resized,
    "coreai.reverse": _before_same,
    "coreai.concat": _before_resized,
    "coreaix.copy_with_constraints": _before_same,
    "coreaix.copy_discarding_constraints": _before_same,
    GATHER: _before_gathered,
    GATHER_ALONG_AXIS: _before_gathered,
}
"""Ops that only move elements, and how to get from what they return to what they take."""


def _moves_only(use: Use) -> bool:
    """Return whether an op only moves the elements of one of its operands."""
    name = use.op.name
    if name not in _BEFORE or (use.operand > 0) != (name == _CONCAT):
        return False
    return ir.is_float(use.op.results[0])


def _scales(use: Use) -> bool:
    """Return whether an op returns one of its operands scaled or shifted, axis for axis."""
    if use.op.name not in _SCALINGS:
        return False
    is_divisor = use.op.name.endswith("divide") and use.operand == 1
    return not is_divisor and ir.lengths(use.op.results[0]) == ir.lengths(
        use.op.operands[use.operand]
    )


def _handed_to(use: Use) -> list[Value]:
    """Return what a value becomes that is handed to a region of an op, or out of one."""
    op, operand = use
    if op.name in (_WHILE, _ISOLATED_GROUP):
        return [_argument(op, 0, operand)]
    outer = op.parent.operation
    if op.name == _CONDITION:  # its first operand says whether the loop goes on
        return [outer.results[operand - 1], _argument(outer, 1, operand - 1)] if operand else []
    return [_argument(outer, 0, operand) if outer.name == _WHILE else outer.results[operand]]


def _argument(op: Op, region: int, number: int) -> Value:
    return op.regions[region].blocks[0].arguments[number]


def _integer(op: Op, operand: int) -> int:
    constant = ir.operand_constant(op, operand)
    if constant is None:
        raise MixedError(f"an operand of {op.name} says what its axes are, and it is computed")
    return int(ir.read_integers(constant))


def _groups(convolution: Op, operand: int) -> int:
    """Return the number of groups of a convolution's channels; 1 if the program computes it."""
    constant = ir.operand_constant(convolution, operand)
    return 1 if constant is None else int(ir.read_integers(constant))
