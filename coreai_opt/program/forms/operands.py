"""The constants that ops of stored forms are given."""

from coreai_opt.exceptions import UnreadableError
from coreai_opt.program import ir
from coreai_opt.program.ir import Op, Tensor

__all__ = ["constant_operand", "constant_tensor"]


def constant_operand(op: Op, number: int) -> Op:
    """Return the constant that is operand ``number`` of an op.

    Raises:
        UnreadableError: the operand is computed.
    """
    constant = ir.operand_constant(op, number)
    if constant is None:
        raise UnreadableError(f"operand {number} of {op.name} is computed, not a constant")
    return constant


def constant_tensor(constant: Op) -> Tensor:
    """Return the shape and type of a constant."""
    tensor = ir.static_tensor(constant.result)
    assert tensor is not None  # constants are tensors of static shape
    return tensor
