"""What people tell weights by: their names, and what uses them, in words.

A name says where a weight stands, from what Core AI's debug information has of that::

    main/Encoder.1/Linear.3/broadcasting_batch_matmul:1/384x1536@27

the graph; the modules that it was converted from, or else the line of the source; the ops that
consume it, behind any transposes, and which of their operands it is; its shape; and after ``@``
the id that Core AI's tools show. What is not recorded is left out. None of that changes when a
weight is quantized, so neither does its name. Weights that would have one name get ``:2``, ``:3``,
… after it, in the order of the program, from the second on.

Names are of letters, digits and ``_./@:-`` alone, so a name as a glob matches itself only.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import PurePath
from typing import NamedTuple

from coreai_opt.program import ir
from coreai_opt.program.ir import AIProgram, Op, Tensor, Use, Value
from coreai_opt.reference import WEIGHT_DTYPES


class Site(NamedTuple):
    """A place of a program that a weight is at, or may be.

    Attributes:
        op: the constant, or what decodes it.
        tensor: its shape and element type.
        uses: who uses it.
    """

    op: Op
    tensor: Tensor
    uses: tuple[Use, ...]


def find_sites(program: AIProgram) -> Iterator[Site]:
    """Find the constants of a weight's dtype, and what decodes constants, in the program's order.

    Quantizing a weight changes what is at its site, but no site comes or goes.
    """
    tensor_of = cache(ir.tensor_of)  # the types of a program are few
    for op in ir.operations(program, ir.CONSTANT, ir.BLOCKWISE_SHIFT_SCALE):
        tensor = tensor_of(op.result.type)
        if tensor is None or tensor.dtype is None or tensor.dtype not in WEIGHT_DTYPES:
            continue
        uses = tuple(ir.uses(op.result))
        if _is_site(op, uses):
            yield Site(op, tensor, uses)


def _is_site(op: Op, uses: tuple[Use, ...]) -> bool:
    if op.name == ir.CONSTANT:  # what is decoded, or its scale, is at the decoder's site
        return all(use.op.name != ir.BLOCKWISE_SHIFT_SCALE for use in uses)
    return ir.operand_constant(op, 0) is not None


class Names:
    """The names of a program's weights. They are made when the first one is asked for.

    They are the same before and after weights are quantized, and in between.
    """

    def __init__(self, program: AIProgram) -> None:
        self._program = program

    def __getitem__(self, site: int) -> str:
        """Return the name of the weight at site number ``site``."""
        return self._names[site]

    @cached_property
    def _names(self) -> list[str]:
        seen: Counter[str] = Counter()
        names = []
        for site in find_sites(self._program):
            name = _name(site)
            seen[name] += 1
            names.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
        return names


def _name(site: Site) -> str:
    modules, source, op_id = ir.origin(site.op)
    where = [_plain(module) for module in modules]
    if source and not modules:
        where.append(f"{_plain(PurePath(source[0]).name)}:{source[1]}")
    shape = "x".join(map(str, site.tensor.shape)) or "scalar"
    last = shape if op_id is None else f"{shape}@{op_id}"
    return "/".join([_plain(ir.graph_name(site.op)), *where, _operands(site.uses), last])


def _plain(text: str) -> str:
    """Return ``text`` in characters that have no other meaning in names, nor any in patterns."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text.replace("$", "."))


def _operands(uses: tuple[Use, ...]) -> str:
    """The operands that a weight is, e.g. ``broadcasting_batch_matmul:1-gather_nd:0``."""
    found = {(short_name(use.op.name), use.operand) for use in consumers(uses)}
    return "-".join(f"{_plain(op)}:{operand}" for op, operand in sorted(found)) or "unused"


def short_name(op: str) -> str:
    """Return the name of an op without its dialect: ``"coreai.conv2d"`` is ``"conv2d"``."""
    return op.rsplit(".", 1)[-1]


def consumers(uses: tuple[Use, ...]) -> list[Use]:
    """Return what really consumes a weight: its uses, with transposes followed to those behind."""
    return [path[-1] for path in _paths(uses)]


def describe_consumers(value: Value) -> str:
    """Return what uses a weight, in words: ``"coreai.transpose -> coreai.batch_matmul x2"``."""
    paths = (" -> ".join(use.op.name for use in path) for path in _paths(tuple(ir.uses(value))))
    counted = sorted(Counter(paths).items())
    return ", ".join(path if count == 1 else f"{path} x{count}" for path, count in counted)


def _paths(uses: tuple[Use, ...]) -> Iterator[tuple[Use, ...]]:
    """The ways from a weight, through transposes, to what really consumes it."""
    for use in uses:
        behind = ir.uses(use.op.result) if use.op.name == ir.TRANSPOSE else ()
        if not behind:
            yield (use,)
        for path in _paths(tuple(behind)):
            yield (use, *path)
