"""Programs as exporters write them, small and by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
from coreai.authoring import (
    AIProgram,
    Module,
    Value,
    broadcast_in_dims,
    broadcast_to,
    broadcasting_add,
    broadcasting_batch_matmul,
    cast,
    expand_dims,
    gather_along_axis,
    gather_nd,
    int32,
    reshape,
    transpose,
)
from coreai.authoring.constant import constant

from .programs import F32, Array, make_graph, make_program, u32


def s32(*numbers: int) -> Array:
    return np.array(numbers, np.int32)


def make_graphs(write: Callable[[], None]) -> AIProgram:
    """Return a program of the graphs that ``write`` writes, without Core AI's optimization."""
    module = Module.create()
    with module._block_context():
        write()
    return AIProgram(module)


PRIVATE = {"private": True, "no_inline": True}
TOKENS, CHOSEN, EXPERTS, INPUTS, OUTPUTS = 3, 2, 4, 64, 96


def gather_mm(x: Value, weight: Value, chosen: Value) -> tuple[Value]:
    """What exporters write for experts: the chosen matrices are gathered, then multiplied.

    Args:
        x: ``[tokens, 1, 1, inputs]``.
        weight: ``[1, experts, inputs, outputs]``.
        chosen: numbers of experts, ``[tokens, chosen]``.
    """
    count = TOKENS * CHOSEN
    numbers = reshape(cast(chosen, int32), u32(1, count, 1, 1))
    indices = broadcast_in_dims(numbers, u32(INPUTS, OUTPUTS), s32(2, 3))
    gathered = gather_along_axis(weight, indices, np.int32(1))
    apart = reshape(gathered, u32(1, TOKENS, CHOSEN, INPUTS, OUTPUTS))
    matrices = broadcast_to(apart, u32(1, TOKENS, CHOSEN, INPUTS, OUTPUTS))
    tokens = broadcast_in_dims(expand_dims(x, s32(0)), u32(CHOSEN), s32(2))
    y = broadcasting_batch_matmul(
        reshape(tokens, u32(count, 1, INPUTS)), reshape(matrices, u32(count, INPUTS, OUTPUTS))
    )
    return (reshape(y, u32(1, TOKENS, CHOSEN, 1, OUTPUTS)),)


EXPERT_X = {"x": ((TOKENS, 1, 1, INPUTS), F32), "chosen": ((TOKENS, CHOSEN), np.uint16)}
EXPERT_Y = {"y": ((1, TOKENS, CHOSEN, 1, OUTPUTS), F32)}


def experts_program(*weights: Array, folded: bool = True) -> AIProgram:
    """A program of layers of experts, which share one graph.

    Args:
        weights: ``[1, experts, inputs, outputs]``, or if not ``folded`` the last two exchanged.
        folded: there is no transpose in front of the invoke.
    """
    shape = (1, EXPERTS, INPUTS, OUTPUTS)

    def write() -> None:
        inputs = {"lhs": EXPERT_X["x"], "rhs": (shape, F32), "indices": EXPERT_X["chosen"]}
        invoke = make_graph(gather_mm, inputs, EXPERT_Y, provided_name="gather_mm", **PRIVATE)

        def main(x: Value, chosen: Value) -> Any:
            total = None
            for weight in weights:
                value = constant(weight)
                value = value if folded else transpose(value, u32(0, 1, 3, 2))
                (y,) = invoke(x, value, chosen)
                total = y if total is None else broadcasting_add(total, y)
            return (total,)

        make_graph(main, EXPERT_X, EXPERT_Y, provided_name="main")

    return make_graphs(write)


ROWS = {"rows": ((4, 1), np.int32)}


def stack_program(weight: Array, transposed: bool) -> AIProgram:
    """Four matrices of eight are gathered; each is multiplied by a row of its own."""
    inputs, outputs = weight.shape[1:][:: -1 if transposed else 1]

    def body(x: Value, rows: Value) -> Any:
        gathered = gather_nd(constant(weight), rows)
        turned = transpose(gathered, u32(0, 2, 1)) if transposed else gathered
        return (broadcasting_batch_matmul(x, turned),)

    return make_program(body, {"x": ((4, 1, inputs), F32), **ROWS}, {"y": ((4, 1, outputs), F32)})
