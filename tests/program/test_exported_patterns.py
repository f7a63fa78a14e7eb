"""Programs as exporters write them compute, quantized, what their decoded weights do.

Each is run on Core AI's runtime, quantized and with the decoded weights as floats, and the outputs
are compared byte for byte. Experts, stacks behind a gather and what only moves elements are in
``test_census.py`` and ``test_following.py``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from coreai._compiler import ir as mlir
from coreai.authoring import (
    AIProgram,
    Context,
    Value,
    broadcast_in_dims,
    broadcasting_add,
    broadcasting_batch_matmul,
    broadcasting_divide,
    broadcasting_mul,
    gather_along_axis,
    gather_nd,
    reduce_sum,
    relu,
    reshape,
    sqrt,
    transpose,
)
from coreai.authoring.constant import constant

from coreai_opt.coreai_utils import dequantize_weights, quantize_weights
from coreai_opt.program.runtime import run_program
from coreai_opt.program.weights import find_quantized

from ..support.exported import PRIVATE, ROWS, make_graphs, s32
from ..support.programs import (
    F32,
    convolution,
    make_graph,
    make_program,
    new_builder,
    random_weight,
    u32,
)


def index_select() -> AIProgram:
    """Rows of a table that are selected by ``gather_along_axis``."""
    return make_program(
        lambda rows: (
            relu(
                gather_along_axis(
                    constant(random_weight((48, 8))),
                    broadcast_in_dims(rows, u32(8), s32(1)),
                    np.int32(0),
                )
            ),
        ),
        ROWS,
        {"y": ((4, 8), F32)},
    )


def weight_norm() -> AIProgram:
    """A convolution whose weight is divided by its norm, which a graph of its own computes."""

    def write() -> None:
        norm = make_graph(
            lambda v: (sqrt(reduce_sum(broadcasting_mul(v, v), s32(1, 2))),),
            {"v": ((6, 8, 3), F32)},
            {"y": ((6, 1, 1), F32)},
            provided_name="norm",
            **PRIVATE,
        )

        def main(x: Value) -> Any:
            direction = constant(random_weight((6, 8, 3), seed=1))
            weight = broadcasting_divide(direction, norm(direction)[0])
            return (convolution(x, reshape(weight, u32(6, 8, 1, 3))),)

        inputs, outputs = {"x": ((1, 8, 1, 5), F32)}, {"y": ((1, 6, 1, 3), F32)}
        make_graph(main, inputs, outputs, provided_name="main")

    return make_graphs(write)


def two_callers() -> AIProgram:
    """A graph that is handed another weight by each of two callers."""

    def write() -> None:
        times = make_graph(
            lambda x, w: (broadcasting_batch_matmul(x, w),),
            {"x": ((4, 8), F32), "w": ((8, 6), F32)},
            {"y": ((4, 6), F32)},
            provided_name="times",
            **PRIVATE,
        )

        def main(x: Value) -> Any:
            one, other = (constant(random_weight((8, 6), seed=seed)) for seed in (1, 2))
            return (broadcasting_add(times(x, one)[0], times(x, other)[0]),)

        make_graph(main, {"x": ((4, 8), F32)}, {"y": ((4, 6), F32)}, provided_name="main")

    return make_graphs(write)


def callers_that_disagree() -> AIProgram:
    """A weight of a graph of its own, whose columns are channels to one caller and rows to one."""

    def write() -> None:
        weight = make_graph(
            lambda: (transpose(constant(random_weight((6, 8))), u32(1, 0)),),
            {},
            {"w": ((8, 6), F32)},
            provided_name="weight",
            **PRIVATE,
        )
        make_graph(
            lambda x, z: (
                broadcasting_batch_matmul(x, weight()[0]),
                broadcasting_batch_matmul(weight()[0], z),
            ),
            {"x": ((4, 8), F32), "z": ((6, 3), F32)},
            {"y": ((4, 6), F32), "v": ((8, 3), F32)},
            provided_name="main",
        )

    return make_graphs(write)


def functions() -> AIProgram:
    """No ``main``: two functions of several lengths over one weight."""

    def write() -> None:
        for size in (1, 4):
            make_graph(
                lambda x: (broadcasting_batch_matmul(x, constant(random_weight((8, 6)))),),
                {"x": ((size, 8), F32)},
                {"y": ((size, 6), F32)},
                provided_name=f"extend_{size}",
            )

    return make_graphs(write)


def any_length() -> AIProgram:
    """Rows of a table and a product, both of any number of rows."""

    def body(rows: Value, x: Value) -> Any:
        found = gather_nd(constant(random_weight((48, 8))), rows)
        return found, broadcasting_batch_matmul(x, constant(random_weight((8, 6), seed=1)))

    return make_program(
        body,
        {"rows": ((-1, 1), np.int32), "x": ((-1, 8), F32)},
        {"found": ((-1, 8), F32), "y": ((-1, 6), F32)},
    )


def with_state() -> AIProgram:
    """``total += x; y = total @ weight`` for a state ``total``, as exporters write caches."""
    numbers = ", ".join(str(row) for row in random_weight((3, 5)).tolist())
    state, weight, y = "tensor<2x3xf32>", "tensor<3x5xf32>", "tensor<2x5xf32>"
    text = f"""
    coreai.graph @main(
        %x: {state} {{coreai.name = "x"}},
        %total: !coreai.handle<{state}> {{coreai.name = "total"}}
    ) -> (!coreai.token {{coreai.name = "total"}}, {y} {{coreai.name = "y"}}) {{
      %0 = coreai.create_token : !coreai.token
      %1, %2 = coreai.read_handle %total, %0
          : (<{state}>, !coreai.token) -> ({state}, !coreai.token)
      %3 = coreai.decomposable.broadcasting_add %1, %x : ({state}, {state}) -> {state}
      %w = coreai.constant dense<[{numbers}]> : {weight}
      %4 = coreai.decomposable.broadcasting_batch_matmul %3, %w : ({state}, {weight}) -> {y}
      %5 = coreai.write_handle %total, %3, %2 : (<{state}>, {state}, !coreai.token) -> !coreai.token
      coreai.output %5, %4 : !coreai.token, {y}
    }}"""
    return AIProgram._from_mlir_module(mlir.Module.parse(text, Context()._mlir_context))


def beside_a_splat() -> AIProgram:
    """A weight behind a matrix of one repeated value, which is stored as one element."""

    def main(x: Value) -> Any:
        splat = new_builder().splat(0.5, (8, 6), "f32")
        hidden = broadcasting_batch_matmul(x, Value._from_mlir(splat))
        return (broadcasting_batch_matmul(hidden, constant(random_weight((6, 3)))),)

    return make_program(main, {"x": ((4, 8), F32)}, {"y": ((4, 3), F32)})


class Case(NamedTuple):
    """A program, how many weights it has, and what it is run on.

    Attributes:
        make: makes the program.
        weights: how many weights it has.
        inputs: its inputs.
        function: the function to run; None for the only one.
        states: what its states start as.
    """

    make: Callable[[], AIProgram]
    weights: int
    inputs: dict[str, Any]
    function: str | None = None
    states: dict[str, Any] | None = None


SELECTED = np.array([[6], [0], [3], [6]], np.int32)

CASES = {
    "index_select": Case(index_select, 1, {"rows": SELECTED}),
    "weight_norm": Case(weight_norm, 1, {"x": random_weight((1, 8, 1, 5))}),
    "two callers": Case(two_callers, 2, {"x": random_weight((4, 8))}),
    "callers that disagree": Case(
        callers_that_disagree, 1, {"x": random_weight((4, 8)), "z": random_weight((6, 3))}
    ),
    "no main": Case(functions, 1, {"x": random_weight((4, 8))}, "extend_4"),
    "any length": Case(any_length, 2, {"rows": SELECTED, "x": random_weight((5, 8))}),
    "a splat": Case(beside_a_splat, 1, {"x": random_weight((4, 8))}),
    "states": Case(with_state, 1, {"x": random_weight((2, 3))}, None, {"total": np.ones((2, 3))}),
}


@pytest.mark.parametrize("name", CASES)
def test_quantized_programs_compute_what_their_decoded_weights_do(name: str) -> None:
    case = CASES[name]
    quantized = quantize_weights(case.make(), "int8", weight_num_threshold=0)
    assert len(find_quantized(quantized)) == case.weights
    floats = dequantize_weights(quantized)
    assert find_quantized(floats) == []
    got, want, before = (
        run_program(program, case.inputs, function=case.function, states=case.states)
        for program in (quantized, floats, case.make())
    )
    assert got.keys() == want.keys() == before.keys()
    for output, exact in want.items():
        assert got[output].tobytes() == exact.tobytes()
        assert not np.array_equal(exact, before[output])
        assert np.allclose(exact, before[output], atol=0.05)


def test_callers_that_disagree_are_told(caplog: pytest.LogCaptureFixture) -> None:
    quantize_weights(callers_that_disagree(), "int8", weight_num_threshold=0)
    (told,) = caplog.records
    assert "disagree" in told.message
