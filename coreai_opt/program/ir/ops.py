"""Ops, who uses them, and what they use."""

from collections.abc import Iterator
from typing import NamedTuple

from coreai_opt.program.ir.core_ai import AIProgram, mlir
from coreai_opt.program.ir.tensors import Op, Value

CONSTANT = "coreai.constant"
BLOCKWISE_SHIFT_SCALE = "coreai.blockwise_shift_scale"
LUT_TO_DENSE = "coreai.lut_to_dense"
BUILD_SPARSE = "coreai.build_sparse_with_bitmask"
SPARSE_TO_DENSE = "coreai.sparse_with_bitmask_to_dense"
TRANSPOSE = "coreai.transpose"

_MADE_FROM = {
    BLOCKWISE_SHIFT_SCALE: (LUT_TO_DENSE, SPARSE_TO_DENSE),
    SPARSE_TO_DENSE: (BUILD_SPARSE,),
    BUILD_SPARSE: (LUT_TO_DENSE, BLOCKWISE_SHIFT_SCALE),
}
"""Ops that decode a weight, and the ops that make what they decode, if it is no constant."""

_CAST = "coreai.cast"
"""Stands between a table of 8-bit entries and their scales where coreai-opt has made them."""


class Use(NamedTuple):
    """A use of a value: operand number ``operand`` of ``op``."""

    op: Op
    operand: int


def operations(program: AIProgram, *names: str) -> list[Op]:
    """Return the ops of these names, wherever they sit, in the order of the program."""
    return [op for op in nested(program._module._mlir_module.operation) if op.name in names]


def nested(op: Op) -> Iterator[Op]:
    """Yield the ops in the regions of ``op``, wherever they sit, in the order of the program."""
    # Not op.walk(): it calls back from C++, and makes a Ctrl-C that comes there a RuntimeError.
    for region in op.regions:
        for block in region.blocks:
            for view in block.operations:
                inner = view.operation
                # Core AI ends a loop by a C++ exception, which takes longer than all else here.
                if len(inner.regions):
                    yield from nested(inner)
                yield inner


def uses(value: Value) -> list[Use]:
    """Return who uses ``value``, nested regions included."""
    return [Use(use.owner, use.operand_number) for use in value.uses]


def operand_constant(op: Op, operand: int) -> Op | None:
    """Return the constant that operand number ``operand`` of ``op`` is, None if it is none."""
    owner = op.operands[operand].owner
    # A block argument is owned by a block, which has no name.
    return owner if getattr(owner, "name", None) == CONSTANT else None


def constants_of(op: Op) -> list[Op]:
    """Return the constants among the operands of ``op``, in their order."""
    found = (operand_constant(op, operand) for operand in range(len(op.operands)))
    return [constant for constant in found if constant is not None]


def table_of(op: Op) -> Op | None:
    """Return the ``coreai.lut_to_dense`` that an op is or scales the result of, None if neither."""
    return _made_by(op, LUT_TO_DENSE)


def sparse_of(op: Op) -> Op | None:
    """Return the ``coreai.sparse_with_bitmask_to_dense`` that an op is or scales the result of.

    None if it does neither.
    """
    return _made_by(op, SPARSE_TO_DENSE)


def made_from(op: Op) -> list[Op]:
    """Return the ops that a weight is decoded with, the last one first, without the constants.

    Args:
        op: the last one; any other op stands alone.
    """
    ops = [op]
    while ops[-1].name in _MADE_FROM:
        before = [ops[-1].operands[0].owner]
        if op.name == BLOCKWISE_SHIFT_SCALE and getattr(before[0], "name", None) == _CAST:
            before.append(before[0].operands[0].owner)
        # A block argument is owned by a block, which has no name.
        if getattr(before[-1], "name", None) not in _MADE_FROM[ops[-1].name]:
            break
        ops += before
    return ops


def decoders_after(op: Op) -> list[Op]:
    """Return the ops that decode what an op decodes further."""
    users = [use.op for use in uses(op.result) if use.operand == 0]
    cast = [use.op for user in users if user.name == _CAST for use in uses(user.result)]
    return [user for user in (*users, *cast) if op in made_from(user)[1:]]


def _made_by(op: Op, name: str) -> Op | None:
    """Return the op of a name that an op is, or of which it scales the result."""
    if op.name == name:
        return op
    if op.name != BLOCKWISE_SHIFT_SCALE:
        return None
    inner = [made for made in made_from(op)[1:] if made.name != _CAST]
    return inner[0] if inner and inner[0].name == name else None


def graphs(program: AIProgram) -> dict[str, Op]:
    """Return the graphs of a program by name, in its order."""
    return {
        mlir.StringAttr(op.attributes["sym_name"]).value: op.operation
        for op in program._module._mlir_module.body.operations
        if "sym_name" in op.attributes
    }


def graph_name(op: Op) -> str:
    """Return the name of the graph that ``op`` is in."""
    while "sym_name" not in op.attributes:
        op = op.parent
    return str(mlir.StringAttr(op.attributes["sym_name"]).value)
