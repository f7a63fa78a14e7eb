"""Constants, read into arrays."""

from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import memory
from coreai_opt.exceptions import UnreadableError
from coreai_opt.program.ir.core_ai import copy_constant_value_to_array, mlir
from coreai_opt.program.ir.tensors import Op, Tensor, bits_of, static_tensor


class Buffer:
    """Memory to read constants into, one after the other; it grows to the largest."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def take(self, nbytes: int) -> npt.NDArray[np.uint8]:
        """Return ``nbytes`` bytes; what was returned before is overwritten."""
        if nbytes > self._bytes.nbytes:
            self._bytes = memory.empty(nbytes, np.uint8)
        return self._bytes[:nbytes]


def read_constant(
    op: Op, buffer: Buffer | None = None, tensor: Tensor | None = None
) -> npt.NDArray[Any]:
    """Return a constant's value: an array of its shape and dtype.

    Dense attributes, splats and resources, float or bfloat16, are all read by this one call: numpy
    cannot see into resources, and into bfloat16 not at all.

    Args:
        op: the constant.
        buffer: memory for the array, which then lives until the next constant is read into it.
        tensor: its type, where that is known already; asking takes longer than a small constant.
    """
    tensor = tensor or static_tensor(op.result)
    assert tensor is not None
    assert tensor.dtype is not None
    raw = (buffer or Buffer()).take(tensor.nbytes)
    copy_constant_value_to_array(constant_op=op, destination=raw)
    return raw.view(tensor.dtype).reshape(tensor.shape)


def read_integers(op: Op) -> Any:
    """Return a constant's integers as lists of ints, or the one it is: a permutation, say."""
    value = op.attributes["value"]
    # Small constants are, and numpy reads their integers several times as quickly.
    if isinstance(value, mlir.DenseElementsAttr):
        return np.array(value).tolist()
    return read_constant(op).tolist()


def read_packed(op: Op) -> npt.NDArray[np.uint8]:
    """Return a constant's elements as they are stored, flat; unused bits of the last byte are zero.

    Args:
        op: a constant of codes, of 8, 4 or 2 bits.

    Raises:
        UnreadableError: codes of less than a byte are stored one per byte.
    """
    tensor = static_tensor(op.result)
    assert tensor is not None
    # Core AI copies what is stored, however little room there is.
    raw = np.zeros(max(tensor.nbytes, tensor.size), np.uint8)
    raw[tensor.nbytes :] = _NO_CODE
    copy_constant_value_to_array(constant_op=op, destination=raw)
    if np.any(raw[tensor.nbytes :] != _NO_CODE):
        raise UnreadableError(
            f"its {tensor.format} codes are stored one per byte; Core AI's runtime takes them for "
            f"{8 // bits_of(tensor.element)} per byte and reads noise"
        )
    return raw[: tensor.nbytes]


_NO_CODE = 0xAA
"""A byte that holds no code of less than a byte, sign-extended or not."""


def stored_bytes(op: Op) -> int:
    """Return the bytes a constant's value takes in a saved program; a splat takes next to none."""
    tensor = static_tensor(op.result)
    return 0 if tensor is None or is_splat(op) else tensor.nbytes


def is_splat(op: Op) -> bool:
    """Return whether a constant is stored as one element, which all of its elements are."""
    value = constant_value(op)
    return isinstance(value, mlir.DenseElementsAttr) and bool(value.is_splat)


def splat_value(op: Op) -> float:
    """Return the one element that a splat is stored as."""
    element: float = constant_value(op).get_splat_value().value
    return element


def constant_value(op: Op) -> Any:
    """Return a constant's value as Core AI has it: constants of one value have equal ones."""
    return op.attributes["value"]
