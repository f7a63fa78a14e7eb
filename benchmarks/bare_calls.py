"""What Core AI's own calls take of the processor to replace each weight of a program.

This is the floor of what ``quantize_weights`` can take for small weights. Every call that replacing
needs is made once: going through the ops, following each constant to the matmul behind its
transpose, copying it out, and making five ops of codes and scales that are there already. Nothing
is decided, nothing computed, nothing checked but what Core AI verifies.
"""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import coreai.authoring  # noqa: F401  # before what it consists of
import numpy as np
from coreai._compiler import ir as mlir
from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import copy_constant_value_to_array

BLOCK = 32


def replace_all(program: Any) -> tuple[int, float]:
    """Replace the weights of a program that ``program_child.build`` has made, in place.

    Args:
        program: the program; its weights are float32 and of one shape.

    Returns:
        how many weights there are, and the seconds of the processor for all of them.
    """
    start = time.process_time()
    found = list(_weights(program))
    decoded = _Decoded(found[0])
    weight = np.empty(decoded.elements * 4, np.uint8)
    for op in found:
        copy_constant_value_to_array(constant_op=op, destination=weight)
        op.result.replace_all_uses_with(decoded.make_at(op))
        op.erase()
    return len(found), time.process_time() - start


def _weights(program: Any) -> Iterator[Any]:
    for graph in program._module._mlir_module.body.operations:
        for view in graph.operation.regions[0].blocks[0].operations:
            op = view.operation
            if op.name != "coreai.constant":
                continue
            hash(op.attributes["value"])
            (use,) = op.result.uses
            if use.operand_number == 0:  # else it is the order of a transpose
                transpose = use.owner
                np.array(transpose.operands[1].owner.attributes["value"])
                (end,) = transpose.result.uses
                end.owner.name  # noqa: B018  # the call is what is timed
                yield op


class _Constant(NamedTuple):
    kind: Any
    array: np.ndarray | None
    splat: Any


class _Decoded:
    """The ops that stand in the place of a weight, as they are for INT4 in blocks of 32."""

    def __init__(self, weight: Any) -> None:
        self._kind, self._context = weight.result.type, weight.context
        rows, columns = self._kind.shape
        blocks = rows, columns // BLOCK
        self.elements = rows * columns
        codes, zero_point = self._type((rows, columns), "si4"), self._type(blocks, "si4")
        scale = self._type(blocks, "f32")
        at = weight.location
        zeros = (
            mlir.IntegerAttr.get(zero_point.element_type, 0),
            mlir.FloatAttr.get(scale.element_type, 0.0, loc=at),
        )
        of_zeros = mlir.DenseElementsAttr.get_splat
        self._constants = (
            _Constant(codes, np.zeros(self.elements // 2, np.uint8), None),
            _Constant(scale, np.zeros(self.elements // BLOCK * 4, np.uint8), None),
            _Constant(zero_point, None, of_zeros(zero_point, zeros[0])),
            _Constant(scale, None, of_zeros(scale, zeros[1])),
        )
        self._numbers = count()

    def make_at(self, op: Any) -> Any:
        location, place = op.location, mlir.InsertionPoint(op)
        made = []
        for kind, array, splat in self._constants:
            value = splat if array is None else self._resource(array, kind)
            made.append(
                mlir.Operation.create(
                    "coreai.constant", [kind], (), {"value": value}, loc=location, ip=place
                )
            )
        operands = [constant.result for constant in made]
        made.append(
            mlir.Operation.create(
                "coreai.blockwise_shift_scale", [self._kind], operands, {}, loc=location, ip=place
            )
        )
        for each in made:
            each.verify()
        return made[-1].result

    def _resource(self, array: np.ndarray, kind: Any) -> Any:
        return mlir.DenseResourceElementsAttr.get_from_buffer(
            array, f"bare_{next(self._numbers)}", kind, alignment=16, context=self._context
        )

    def _type(self, shape: tuple[int, ...], element: str) -> Any:
        parsed = mlir.Type.parse(element, self._context)
        return mlir.RankedTensorType.get(shape, parsed, loc=mlir.Location.unknown(self._context))
