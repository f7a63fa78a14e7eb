"""What people tell weights by: their names, and what uses them, in words.

A name says where a weight stands, from what Core AI's debug information has of that::

    main/Encoder.1/Linear.3/broadcasting_batch_matmul:1/384x1536@27

Its parts are the graph; the modules that it was converted from, or else the line of the source; the
name of the op that hands it to a graph, which for experts is their path in the model; the ops that
consume it, behind those that only move its elements, and which of their operands it is; its shape;
and after ``@`` the id that Core AI's tools show. A part that is not recorded is left out. Nothing
of that changes when a weight is quantized, so neither does its name. Weights that would share a
name get ``:2``, ``:3``, … after it from the second on, in the order in which the program uses them.

Names are of letters, digits and ``_./@:-`` alone, so a name as a glob matches itself only.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import PurePath

from coreai_opt.program import ir
from coreai_opt.program.following import Way
from coreai_opt.program.ir import AIProgram
from coreai_opt.program.sites import Site, find_sites


class Names:
    """The names of a program's weights. They are made when the first one is asked for.

    Quantizing weights does not change them.
    """

    def __init__(self, program: AIProgram) -> None:
        self._program = program

    def __getitem__(self, site: int) -> str:
        """Return the name of the weight at site number ``site``."""
        return self._names[site]

    @cached_property
    def _names(self) -> list[str]:
        return names_of(find_sites(self._program))


def names_of(sites: Iterable[Site]) -> list[str]:
    """Return a name for each site of a program."""
    seen: Counter[str] = Counter()
    names = []
    for site in sites:
        name = _name(site)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return names


def _name(site: Site) -> str:
    modules, source, op_id = ir.origin(site.ops[0])
    where = [_plain(module) for module in modules]
    if source and not modules:
        where.append(f"{_plain(PurePath(source[0]).name)}:{source[1]}")
    where += filter(None, [_plain(_called(site.ways))])
    shape = "x".join(map(str, site.tensor.shape)) or "scalar"
    last = shape if op_id is None else f"{shape}@{op_id}"
    return "/".join([_plain(ir.graph_name(site.ops[0])), *where, _operands(site.ways), last])


def _called(ways: Iterable[Way]) -> str:
    """Return the name of the first graph that a weight is handed to, e.g. a layer of experts."""
    contractions = (way.contraction for way in ways)
    calls = (one.calls[0] for one in contractions if one is not None and one.calls)
    first = next(calls, None)
    return "" if first is None else ir.identifier(first)


def _plain(text: str) -> str:
    """Return ``text`` in characters that have no other meaning in names, nor any in patterns."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text.replace("$", "."))


def _operands(ways: Iterable[Way]) -> str:
    """The operands that a weight is, e.g. ``broadcasting_batch_matmul:1-gather_nd:0``."""
    found = {(_short_name(way.uses[-1].op.name), way.uses[-1].operand) for way in ways}
    return "-".join(f"{_plain(op)}:{operand}" for op, operand in sorted(found)) or "unused"


def _short_name(op: str) -> str:
    """Return the name of an op without its dialect: ``"coreai.conv2d"`` is ``"conv2d"``."""
    return op.rsplit(".", 1)[-1]


def describe_ways(ways: Iterable[Way]) -> str:
    """Return what uses a weight, in words: ``"coreai.transpose -> coreai.batch_matmul x2"``.

    Ops on the way that leave its elements in their order are left out.
    """
    counted = sorted(Counter(map(_describe, ways)).items())
    return ", ".join(path if count == 1 else f"{path} x{count}" for path, count in counted)


def _describe(way: Way) -> str:
    *before, last = (use.op.name for use in way.uses)
    return " -> ".join([*(name for name in before if _short_name(name) not in _UNSAID), last])


_UNSAID = {
    "broadcast_in_dims",
    "broadcast_to",
    "cast",
    "copy_discarding_constraints",
    "copy_with_constraints",
    "expand_dims",
    "output",
    "reshape",
    "shrink_dims",
    "yield",
}
