"""Values become outputs, and what a function computed before is computed as it was, bit by bit."""

import copy
from typing import Any

import numpy as np
import pytest
from coreai.authoring import AIProgram, Value, broadcasting_add, relu, shrink_dims
from coreai.authoring.constant import constant

from coreai_opt.program import ir

from ..support.exported import PRIVATE, experts_program, make_graphs, s32
from ..support.programs import (
    F32,
    Array,
    if_,
    linear,
    make_graph,
    make_program,
    random_weight,
    run,
    two_layers,
    while_,
)

X = {"x": ((3, 8), F32)}


def matmuls(program: AIProgram) -> list[Any]:
    return ir.operations(program, "coreai.decomposable.broadcasting_batch_matmul")


def nested_program() -> AIProgram:
    """A linear layer in a branch of a private graph, which another one calls twice."""

    def write() -> None:
        def branch(x: Value, flag: Value) -> Any:
            weight = constant(random_weight((8, 8)))
            return (
                if_(
                    shrink_dims(flag, s32(0)),
                    ((3, 8), F32),
                    lambda: linear(x, weight),
                    lambda: relu(linear(broadcasting_add(x, x), weight)),
                ),
            )

        takes = {**X, "flag": ((1,), np.bool_)}
        inner = make_graph(branch, takes, {"y": ((3, 8), F32)}, provided_name="inner", **PRIVATE)
        outer = make_graph(
            lambda x, flag: (inner(inner(x, flag)[0], flag)[0],),
            takes,
            {"y": ((3, 8), F32)},
            provided_name="outer",
            **PRIVATE,
        )
        make_graph(
            lambda x, flag: (outer(x, flag)[0],), takes, {"y": ((3, 8), F32)}, provided_name="main"
        )

    return make_graphs(write)


@pytest.mark.parametrize("flag", [True, False])
def test_through_branches_and_private_graphs(flag: bool) -> None:
    """Of the branch that is not taken come zeros."""
    program, x = nested_program(), random_weight((3, 8), seed=1)
    inputs = {"x": x, "flag": np.array([flag])}
    expected = run(program, inputs)["y"]
    watched = copy.deepcopy(program)
    then, otherwise = ir.expose(
        watched, "main", [ir.probe_operand(op, 0) for op in matmuls(watched)]
    )
    assert (len(then), len(otherwise)) == (2, 2)
    found = run(watched, inputs)
    np.testing.assert_array_equal(found["y"], expected)
    weight = random_weight((8, 8)).T

    def layer(rows: Array) -> Array:
        return rows @ weight if flag else np.maximum(2 * rows @ weight, 0)

    for taken, not_taken, rows in zip(
        *((then, otherwise) if flag else (otherwise, then)), (x, layer(x)), strict=True
    ):
        np.testing.assert_allclose(found[taken], rows if flag else 2 * rows, rtol=1e-4, atol=1e-4)
        assert not found[not_taken].any()


def test_outputs_stay_bit_identical_and_the_program_valid() -> None:
    program, x = two_layers(), {"x": random_weight((3, 8), seed=3)}
    watched = copy.deepcopy(program)
    probes = [ir.probe_operand(op, 0) for op in matmuls(watched)]
    (first,), (second,) = ir.expose(watched, "main", probes)
    watched._module._mlir_module.operation.verify()
    found = run(watched, x)
    np.testing.assert_array_equal(found["y"], run(program, x)["y"])
    np.testing.assert_array_equal(found[first], x["x"])
    assert found[second].shape == (3, 6)


def test_a_value_that_is_asked_for_twice_is_one_output() -> None:
    program = two_layers()
    op = matmuls(program)[1]
    (first,), (second,) = ir.expose(program, "main", [ir.probe_operand(op, 0)] * 2)
    assert first == second


def test_a_value_of_one_call_is_not_that_of_another() -> None:
    program = experts_program(*(random_weight((1, 4, 64, 96), seed=seed) for seed in range(3)))
    calls = ir.operations(program, ir.INVOKE)
    (matmul,) = matmuls(program)
    names = ir.expose(
        program,
        "main",
        [
            *(ir.Probe(matmul.result, (call,), matmul.operation.block) for call in calls),
            ir.Probe(matmul.result, (), matmul.operation.block),
        ],
    )
    assert [len(of) for of in names] == [1, 1, 1, 3]
    assert names[3] == [of for (of,) in names[:3]]
    x = {"x": random_weight((3, 1, 1, 64)), "chosen": np.array([[0, 1], [2, 3], [1, 0]], np.uint16)}
    found = run(program, x)
    total = sum(found[of].reshape(found["y"].shape) for of in names[3])
    np.testing.assert_allclose(found["y"], total, rtol=1e-6)
    assert not np.array_equal(found[names[3][0]], found[names[3][1]])


def test_values_of_graphs_that_the_function_does_not_enter_are_no_outputs() -> None:
    def write() -> None:
        for name in ("one", "other"):
            make_graph(
                lambda x: (linear(x, constant(random_weight((5, 8)))),),
                X,
                {"y": ((3, 5), F32)},
                provided_name=name,
            )

    program = make_graphs(write)
    probes = [ir.probe_operand(op, 0) for op in matmuls(program)]
    assert sorted(map(len, ir.expose(program, "one", probes))) == [0, 1]


def test_a_value_in_a_loop_cannot_be_an_output() -> None:
    def body(x: Value, other: Value) -> tuple[Value, Value]:
        return linear(x, constant(random_weight((8, 8)))), other

    program = make_program(
        lambda x, flag: (while_(shrink_dims(flag, s32(0)), (x, x), body)[0],),
        {**X, "flag": ((1,), np.bool_)},
        {"y": ((3, 8), F32)},
    )
    (matmul,) = matmuls(program)
    assert ir.expose(program, "main", [ir.probe_operand(matmul, 0)]) == [
        "it is inside coreai.while"
    ]


def test_half_floats_become_float32() -> None:
    def body(x: Value) -> Any:
        return (linear(x, constant(random_weight((5, 8), np.float16))),)

    program = make_program(body, {"x": ((3, 8), np.float16)}, {"y": ((3, 5), np.float16)})
    assert ir.widen_to_float32(program)
    assert not ir.widen_to_float32(program)
    x = random_weight((3, 8), seed=1)
    y = run(program, {"x": x})["y"]
    wanted = x @ random_weight((5, 8), np.float16).astype(np.float32).T
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)
    assert y.dtype == np.float32


def test_a_float32_program_is_not_widened() -> None:
    program = two_layers()
    before = str(program._module._mlir_module)
    assert not ir.widen_to_float32(program)
    assert str(program._module._mlir_module) == before
