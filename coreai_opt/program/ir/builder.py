"""New ops in the place of old ones."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.program.ir.core_ai import mlir
from coreai_opt.program.ir.ops import (
    BLOCKWISE_SHIFT_SCALE,
    BUILD_SPARSE,
    CONSTANT,
    LUT_TO_DENSE,
    SPARSE_TO_DENSE,
    constants_of,
    made_from,
    uses,
)
from coreai_opt.program.ir.tensors import Op, Tensor, Type, Value

# Core AI's own constants have this alignment; numpy's memory has it on every platform with a wheel.
# Left alone, it would be 1, the alignment of the bytes that a buffer is handed over as.
_ALIGNMENT = 16


# Names that are taken make Core AI search for a free one: 1.9 ms for the ten thousandth constant.
_resource_numbers = count()


Parts = dict[Any, Any]
"""Types and attributes that ops of one program are made of, by what they are.

Making them takes longer than making an op. They keep the program's context alive.
"""


class Builder:
    """Makes ops just before ``op``, with its location.

    Context, place and location go with every call: Core AI can also take them from ``with``
    statements, but one that Ctrl-C keeps from being left would hold for all that comes after.

    Args:
        op: the op.
        parts: what ops of the same program were made of so far; it grows.
    """

    def __init__(self, op: Op, parts: Parts | None = None) -> None:
        self._built: list[Op] = []
        self._parts = {} if parts is None else parts
        self._context, self._location = op.context, op.location
        self._place = mlir.InsertionPoint(op)

    def constant(self, array: npt.NDArray[Any], shape: tuple[int, ...], element: str) -> Value:
        """Make a constant that shares the memory of ``array``.

        Args:
            array: the elements in C order; codes of less than a byte packed, as uint8. It becomes
                read-only, and lives as long as the program needs it.
            shape: shape of the constant.
            element: element type of the constant.
        """
        array.flags.writeable = False
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        tensor = Tensor(shape, element)
        # Core AI does not check this, and would read past the end.
        assert raw.nbytes == tensor.nbytes
        kind = self._type(tensor)
        value = mlir.DenseResourceElementsAttr.get_from_buffer(
            raw,
            f"quantized_{next(_resource_numbers)}",
            kind,
            alignment=_ALIGNMENT,
            context=self._context,
        )
        return self._constant(kind, value)

    def splat(self, number: float, shape: tuple[int, ...], element: str) -> Value:
        """Make a constant of which every element is ``number``."""
        tensor = Tensor(shape, element)
        kind, key = self._type(tensor), (tensor, float(number).hex())  # which tells -0.0 from 0.0
        value = self._parts.get(key)
        if value is None:
            value = self._parts[key] = self._splat(kind, number)
        return self._constant(kind, value)

    def blockwise_shift_scale(
        self, result: Tensor, *, data: Value, scale: Value, offset1: Value, offset2: Value
    ) -> Value:
        """Make ``scale * (data - offset1) + offset2``, one scale per block of ``data``.

        Args:
            result: shape of ``data``, element type of ``offset2``; Core AI verifies that.
        """
        kind = self._type(result)
        return self._op(BLOCKWISE_SHIFT_SCALE, kind, (data, scale, offset1, offset2), {})

    def lut_to_dense(self, result: Tensor, *, indices: Value, lut: Value, axis: Value) -> Value:
        """Make ``lut[block, indices]``, one look-up table per block of ``indices``.

        Args:
            result: shape of ``indices``, element type of ``lut``; Core AI verifies that.
        """
        return self._op(LUT_TO_DENSE, self._type(result), (indices, lut, axis), {})

    def sparse_to_dense(
        self, result: Tensor, *, values: Value, bitmask: Value, stored: int
    ) -> Value:
        """Make a tensor of ``values`` where ``bitmask`` is 1, and of zeros.

        Args:
            result: shape of ``bitmask``, element type of ``values``; Core AI verifies that.
            values: the elements that are not zero, in C order.
            bitmask: of type ui1.
            stored: how many values there are.
        """
        lengths = "x".join(map(str, result.shape))
        encoding = f"bitmask, numNonZero = {stored}, posWidth = 1, crdWidth = 1"
        kind = mlir.Type.parse(
            f"tensor<{lengths}x{result.element}, #coreai.sparse_tensor_encoding<{encoding}>>",
            self._context,
        )
        sparse = self._op(BUILD_SPARSE, kind, (values, bitmask), {})
        return self._op(SPARSE_TO_DENSE, self._type(result), (sparse,), {})

    def copy(self, made: Op) -> Value:
        """Make what ``made`` is: an op of constants, which share their values with the copies."""
        operands = [self.copy(operand.owner) for operand in made.operands]
        attributes = {named.name: named.attr for named in made.attributes}
        return self._op(made.name, made.result.type, operands, attributes)

    def erase(self) -> None:
        """Take back everything that was made."""
        while self._built:
            made = self._built.pop()
            # A Ctrl-C can come before an op is noted, and Core AI ends the process when an op is
            # erased that others use.
            for use in uses(made.result):
                use.op.erase()
            made.erase()

    def _type(self, tensor: Tensor) -> Type:
        kind = self._parts.get(tensor)
        if kind is None:
            element = mlir.Type.parse(tensor.element, self._context)
            kind = mlir.RankedTensorType.get(tensor.shape, element, loc=self._location)
            self._parts[tensor] = kind
        return kind

    def _splat(self, kind: Type, number: float) -> Any:
        if isinstance(kind.element_type, mlir.IntegerType):
            scalar = mlir.IntegerAttr.get(kind.element_type, int(number))
        else:
            scalar = mlir.FloatAttr.get(kind.element_type, float(number), loc=self._location)
        return mlir.DenseElementsAttr.get_splat(kind, scalar)

    def _constant(self, kind: Type, value: Any) -> Value:
        return self._op(CONSTANT, kind, (), {"value": value})

    def _op(
        self, name: str, kind: Type, operands: Sequence[Value], attributes: dict[str, Any]
    ) -> Value:
        op = mlir.Operation.create(
            name, [kind], operands, attributes, loc=self._location, ip=self._place
        )
        self._built.append(op)
        op.verify()
        return op.result


def replace(op: Op, value: Value) -> None:
    """Let every user of ``op`` use ``value`` instead; erase ``op``, and what only it used."""
    ops = made_from(op)
    constants = dict.fromkeys(constant for made in ops for constant in constants_of(made))
    op.result.replace_all_uses_with(value)
    op.erase()
    for made in (*ops[1:], *constants):
        if not uses(made.result):
            made.erase()
