"""Constants are followed to what contracts them, and what their axes mean comes back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from coreai.authoring import (
    AIProgram,
    Value,
    broadcast_in_dims,
    broadcast_to,
    broadcasting_add,
    broadcasting_batch_matmul,
    broadcasting_divide,
    broadcasting_mul,
    cast,
    concat,
    exp,
    expand_dims,
    float32,
    gather_along_axis,
    gather_nd,
    get_shape,
    pad,
    reduce_sum,
    relu,
    reshape,
    reverse,
    shrink_dims,
    slice_,
    split,
    sqrt,
    tile,
    transpose,
)
from coreai.authoring.constant import constant

from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program import ir
from coreai_opt.program.contraction import Contraction
from coreai_opt.program.following import Ending, Follower, Way
from coreai_opt.program.weights import find_quantized

from ..support.exported import (
    EXPERT_X,
    EXPERT_Y,
    EXPERTS,
    INPUTS,
    OUTPUTS,
    PRIVATE,
    ROWS,
    experts_program,
    make_graphs,
    s32,
    stack_program,
)
from ..support.programs import (
    F32,
    Array,
    convolution,
    if_,
    linear,
    make_graph,
    make_program,
    random_weight,
    roles,
    run,
    transposed_convolution,
    u32,
    while_,
)

Shape = tuple[int, ...]
Body = Callable[..., Value]


def ways(program: AIProgram, shape: Shape) -> list[Way]:
    """The ways from the one constant of this shape."""
    (found,) = (
        op
        for op in ir.operations(program, ir.CONSTANT)
        if ir.lengths(op.result) == shape and ir.is_float(op.result)
    )
    return Follower(ir.Graphs(program)).follow(found)


def contraction(program: AIProgram, shape: Shape) -> Contraction:
    (way,) = ways(program, shape)
    assert way.ending is Ending.CONTRACTED
    assert way.contraction is not None
    return way.contraction


def text(contraction: Contraction) -> str:
    return roles(contraction.layout)


def matmul(x: Value, weight: Any) -> Value:
    return broadcasting_batch_matmul(x, weight)


# Name: what is computed of x and the weight; shapes of x, of the weight, of the result; the roles.
MOVED: dict[str, tuple[Body, Shape, Shape, Shape, str]] = {
    "right operand": (matmul, (4, 8), (8, 6), (4, 6), "I8 O6"),
    "left operand": (lambda x, w: matmul(w, x), (8, 4), (6, 8), (6, 4), "O6 I8"),
    "heads": (matmul, (2, 4, 8), (2, 8, 6), (2, 4, 6), "B2 I8 O6"),
    "linear": (linear, (4, 8), (6, 8), (4, 6), "O6 I8"),
    "reshape splits inputs": (
        lambda x, w: linear(x, reshape(w, u32(6, 8))), (3, 8), (6, 2, 4), (3, 6), "O6 I2 I4",
    ),
    "reshape joins heads": (
        lambda x, w: linear(x, reshape(w, u32(6, 8))), (4, 8), (2, 3, 8), (4, 6), "O2 O3 I8",
    ),
    "reshape makes heads": (
        lambda x, w: matmul(x, reshape(w, u32(2, 8, 6))), (2, 4, 8), (16, 6), (2, 4, 6), "B2.I8 O6",
    ),
    "one axis of all roles": (
        lambda x, w: matmul(x, reshape(w, u32(8, 6))), (4, 8), (48,), (4, 6), "I8.O6",
    ),
    "transpose, then heads joined": (
        lambda x, w: linear(x, reshape(transpose(w, u32(1, 0, 2)), u32(6, 8))),
        (4, 8), (3, 2, 8), (4, 6), "O3 O2 I8",
    ),
    "inputs in another order": (
        lambda x, w: linear(
            x, reshape(transpose(reshape(w, u32(6, 8, 2)), u32(0, 2, 1)), u32(6, 16))
        ),
        (3, 16), (6, 16), (3, 6), "O6 I8.I2",
    ),
    "units come and go": (
        lambda x, w: linear(x, shrink_dims(expand_dims(w, s32(0)), s32(0, 2))),
        (4, 8), (6, 1, 8), (4, 6), "O6 - I8",
    ),
    "cast": (
        lambda x, w: linear(x, cast(w, float32)), (4, 8), (6, 8), (4, 6), "O6 I8",
    ),
    "broadcast over heads": (
        lambda x, w: matmul(x, broadcast_to(w, u32(2, 8, 6))),
        (2, 4, 8), (8, 6), (2, 4, 6), "I8 O6",
    ),
    "broadcast in place": (
        lambda x, w: matmul(x, broadcast_in_dims(w, u32(2), s32(0))),
        (2, 4, 8), (1, 8, 6), (2, 4, 6), "- I8 O6",
    ),
    "tile": (
        lambda x, w: matmul(x, tile(w, u32(2, 1, 1))), (2, 4, 8), (1, 8, 6), (2, 4, 6), "- I8 O6",
    ),
    "slice of outputs": (
        lambda x, w: linear(x, slice_(w, s32(2, 0), s32(8, 8), s32(1, 1))),
        (4, 8), (9, 8), (4, 6), "O9 I8",
    ),
    "padded inputs": (
        lambda x, w: linear(x, pad(w, u32(0, 0, 1, 0), np.float32(0))),
        (4, 8), (6, 7), (4, 6), "O6 I7",
    ),
    "joined with another": (
        lambda x, w: linear(x, concat(np.int32(0), [w, constant(random_weight((2, 8), seed=3))])),
        (4, 8), (4, 8), (4, 6), "O4 I8",
    ),
    "reversed": (lambda x, w: linear(x, reverse(w, s32(1))), (4, 8), (6, 8), (4, 6), "O6 I8"),
    "scaled": (
        lambda x, w: linear(x, broadcasting_mul(w, random_weight((6, 1), seed=5))),
        (4, 8), (6, 8), (4, 6), "O6 I8",
    ),
    "convolution": (convolution, (1, 8, 5, 5), (6, 8, 3, 3), (1, 6, 3, 3), "O6 I8 T3 T3"),
    "grouped convolution": (
        lambda x, w: convolution(x, w, groups=2),
        (1, 8, 5, 5), (6, 4, 3, 3), (1, 6, 3, 3), "B2.O3 I4 T3 T3",
    ),
    "depthwise convolution": (
        lambda x, w: convolution(x, w, groups=8),
        (1, 8, 5, 5), (8, 1, 3, 3), (1, 8, 3, 3), "B8 - T3 T3",
    ),
    "convolution from a matrix": (
        lambda x, w: convolution(x, reshape(w, u32(6, 8, 3, 3))),
        (1, 8, 5, 5), (6, 72), (1, 6, 3, 3), "O6 I8.T3.T3",
    ),
    "transposed convolution": (
        transposed_convolution, (1, 8, 5, 5), (8, 6, 3, 3), (1, 6, 7, 7), "I8 O6 P3 P3",
    ),
    "grouped transposed convolution": (
        lambda x, w: transposed_convolution(x, w, groups=4),
        (1, 8, 5, 5), (8, 3, 3, 3), (1, 12, 7, 7), "B4.I2 O3 P3 P3",
    ),
}  # fmt: skip


def moved_program(kind: str, weight: Array | None = None) -> AIProgram:
    body, x, shape, y, _ = MOVED[kind]
    value_of = random_weight(shape, np.float16 if kind == "cast" else F32)
    return make_program(
        lambda value: (body(value, constant(value_of if weight is None else weight)),),
        {"x": (x, F32)},
        {"y": (y, F32)},
    )


@pytest.mark.parametrize("kind", MOVED)
def test_the_roles_of_axes_behind_ops_that_only_move_elements(kind: str) -> None:
    assert text(contraction(moved_program(kind), MOVED[kind][2])) == MOVED[kind][4]


@pytest.mark.parametrize("kind", MOVED)
def test_matrices_are_the_weight_in_another_order(kind: str) -> None:
    shape = MOVED[kind][2]
    found = contraction(moved_program(kind), shape)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    matrices = found.matrices.to_matrices(numbers)
    assert matrices.shape == found.matrix_shape
    assert np.array_equal(np.sort(matrices, axis=None), numbers.reshape(-1))


@pytest.mark.parametrize("kind", sorted(MOVED.keys() - {"one axis of all roles"}))
def test_quantized_programs_compute_what_their_decoded_weights_do(kind: str) -> None:
    program = moved_program(kind)
    quantized = quantize_weights(program, "int8", weight_num_threshold=0)
    (found,) = (q for q in find_quantized(quantized) if q.shape == MOVED[kind][2])
    decoded = moved_program(kind, found.form.read(found.op).dequantize())
    if kind == "joined with another":
        decoded = quantize_weights(decoded, "int8", weight_num_threshold=0)
    x = {"x": random_weight(MOVED[kind][1], seed=1)}
    assert np.array_equal(run(quantized, x)["y"], run(decoded, x)["y"])


PARTS = {"slice of outputs", "padded inputs", "joined with another", "reversed", "scaled", "tile"}


@pytest.mark.parametrize("kind", MOVED)
def test_what_is_contracted_whole(kind: str) -> None:
    assert contraction(moved_program(kind), MOVED[kind][2]).is_whole == (kind not in PARTS)


@pytest.mark.parametrize("kind", sorted(k for k in MOVED.keys() - PARTS if "convol" not in k))
def test_matrices_give_what_the_runtime_computes(kind: str) -> None:
    """``y[group] = x[group] @ matrices[group].T``, in a program that has nothing else in it."""
    shape = MOVED[kind][2]
    program = moved_program(kind)
    found = contraction(program, shape)
    dtype = np.float16 if kind == "cast" else F32
    matrices = found.matrices.to_matrices(random_weight(shape, dtype)).astype(np.float64)
    x = random_weight(MOVED[kind][1], seed=1)
    across = x if found.activation == 0 else np.swapaxes(x, -1, -2)
    y = across @ np.swapaxes(matrices if x.ndim > 2 else matrices[0], -1, -2)
    expected = y if found.activation == 0 else np.swapaxes(y, -1, -2)
    assert np.allclose(run(program, {"x": x})["y"], expected, rtol=1e-4, atol=1e-5)


def test_columns_of_convolutions_are_in_the_order_of_their_windows() -> None:
    kind = "grouped convolution"
    program = moved_program(kind)
    matrices = contraction(program, MOVED[kind][2]).matrices.to_matrices(
        random_weight(MOVED[kind][2])
    )
    x = random_weight(MOVED[kind][1], seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (3, 3), axis=(1, 2))
    columns = windows.reshape(2, 4, 9, 9).transpose(0, 1, 3, 2).reshape(2, 36, 9)
    expected = (matrices @ columns).reshape(1, 6, 3, 3)
    assert np.allclose(run(program, {"x": x})["y"], expected, rtol=1e-4, atol=1e-5)


def test_rows_of_transposed_convolutions_are_output_channels_and_positions() -> None:
    kind = "grouped transposed convolution"
    program = moved_program(kind)
    matrices = contraction(program, MOVED[kind][2]).matrices.to_matrices(
        random_weight(MOVED[kind][2])
    )
    x = random_weight(MOVED[kind][1], seed=1)
    spread = (matrices @ x.reshape(4, 2, 25)).reshape(12, 3, 3, 5, 5)
    expected = np.zeros((1, 12, 7, 7), np.float32)
    for row, column in np.ndindex(3, 3):
        expected[0, :, row : row + 5, column : column + 5] += spread[:, row, column]
    assert np.allclose(run(program, {"x": x})["y"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "not folded"])
def test_experts(folded: bool) -> None:
    shape = (1, EXPERTS, INPUTS, OUTPUTS) if folded else (1, EXPERTS, OUTPUTS, INPUTS)
    weight = random_weight(shape)
    program = experts_program(weight, folded=folded)
    found = contraction(program, shape)
    assert text(found) == ("- B4 I64 O96" if folded else "- B4 O96 I64")
    assert found.matrix_shape == (EXPERTS, OUTPUTS, INPUTS)
    assert [call.name for call in found.calls] == [ir.INVOKE]
    assert found.gather is not None
    assert found.gather.name == "coreai.gather_along_axis"
    x = random_weight(EXPERT_X["x"][0], seed=1)
    chosen = np.array([[0, 1], [3, 2], [1, 3]], np.uint16)
    matrices = found.matrices.to_matrices(weight)[chosen]
    expected = np.einsum("ti,tcoi->tco", x[:, 0, 0], matrices).reshape(EXPERT_Y["y"][0])
    assert np.allclose(run(program, {"x": x, "chosen": chosen})["y"], expected, 1e-4, 1e-5)


def test_experts_of_several_layers_share_a_graph() -> None:
    shape = (1, EXPERTS, INPUTS, OUTPUTS)
    program = experts_program(random_weight(shape), random_weight(shape, seed=1))
    follower = Follower(ir.Graphs(program))
    first, second = (
        follower.follow(op)
        for op in ir.operations(program, ir.CONSTANT)
        if ir.lengths(op.result) == shape
    )
    (one,), (other,) = first, second
    assert one.contraction is not None
    assert other.contraction is not None
    assert one.contraction.op == other.contraction.op
    assert one.contraction.calls != other.contraction.calls
    assert text(one.contraction) == text(other.contraction) == "- B4 I64 O96"


@pytest.mark.parametrize("transposed", [False, True])
def test_stacked_matrices_behind_a_gather(transposed: bool) -> None:
    shape = (8, 48, 64) if transposed else (8, 64, 48)
    found = contraction(stack_program(random_weight(shape), transposed), shape)
    assert text(found) == ("B8 O48 I64" if transposed else "B8 I64 O48")
    assert found.gather is not None
    assert found.gather.name == "coreai.gather_nd"


def test_rows_of_a_matrix_that_are_gathered_stay_output_channels() -> None:
    program = make_program(
        lambda x, rows: (linear(x, gather_nd(constant(random_weight((48, 8))), rows)),),
        {"x": ((3, 8), F32), **ROWS},
        {"y": ((3, 4), F32)},
    )
    assert text(contraction(program, (48, 8))) == "O48 I8"


def test_tables_that_rows_are_looked_up_in() -> None:
    def looked_up(table: Value, rows: Value) -> Value:
        return broadcasting_mul(gather_nd(table, rows), np.float32(3))

    def selected(table: Value, rows: Value) -> Value:
        return relu(gather_along_axis(table, broadcast_in_dims(rows, u32(8), s32(1)), np.int32(0)))

    for body, operand in ((looked_up, "coreai.gather_nd"), (selected, "coreai.gather_along_axis")):
        program = make_program(
            lambda rows, body=body: (body(constant(random_weight((48, 8))), rows),),
            ROWS,
            {"y": ((4, 8), F32)},
        )
        found = contraction(program, (48, 8))
        assert (found.op.name, found.operand, found.activation) == (operand, 0, None)
        assert text(found) == "O48 I8"


def test_an_embedding_that_goes_straight_into_a_linear_layer_is_a_table() -> None:
    """What the layer multiplies by its own weight are activations, that were looked up."""
    program = make_program(
        lambda rows: (
            linear(gather_nd(constant(random_weight((48, 8))), rows), random_weight((6, 8))),
        ),
        ROWS,
        {"y": ((4, 6), F32)},
    )
    found = contraction(program, (48, 8))
    assert (found.op.name, text(found)) == ("coreai.gather_nd", "O48 I8")
    assert contraction(program, (6, 8)).activation == 0


def test_tables_of_rotary_embeddings_are_not_weights() -> None:
    declared = '#coreai.composite_declaration<"{}" = {{input_names = ["table", "rows"]}}>'

    def program(composite: str) -> AIProgram:
        def write() -> None:
            from coreai._compiler import ir as mlir

            lookup = make_graph(
                lambda table, rows: (gather_nd(table, rows),),
                {"table": ((48, 8), F32), **ROWS},
                {"y": ((4, 8), F32)},
                provided_name="lookup",
                composite_decl=mlir.Attribute.parse(declared.format(composite)),
                **PRIVATE,
            )
            make_graph(
                lambda rows: tuple(lookup(constant(random_weight((48, 8))), rows)),
                ROWS,
                {"y": ((4, 8), F32)},
                provided_name="main",
            )

        return make_graphs(write)

    (way,) = ways(program("rope_cached_cos_sin_gather"), (48, 8))
    assert (way.ending, way.reason) == (Ending.OTHER, "positions of a rotary embedding")
    assert text(contraction(program("embedding"), (48, 8))) == "O48 I8"


def test_weight_normalization() -> None:
    """The direction is divided by its norm, which a graph of its own computes of it."""
    direction = random_weight((6, 8, 3), seed=1)

    def write() -> None:
        norm = make_graph(
            lambda v: (sqrt(reduce_sum(broadcasting_mul(v, v), s32(1, 2))),),
            {"v": ((6, 8, 3), F32)},
            {"y": ((6, 1, 1), F32)},
            provided_name="norm",
            **PRIVATE,
        )

        def main(x: Value) -> Any:
            v = constant(direction)
            weight = broadcasting_divide(v, norm(v)[0])
            return (convolution(x, reshape(weight, u32(6, 8, 1, 3))),)

        make_graph(
            main, {"x": ((1, 8, 1, 5), F32)}, {"y": ((1, 6, 1, 3), F32)}, provided_name="main"
        )

    found = ways(make_graphs(write), (6, 8, 3))
    assert {way.ending for way in found} == {Ending.CONTRACTED, Ending.CONSTANT}
    contracted = [way.contraction for way in found if way.contraction is not None]
    assert [(text(one), one.is_whole) for one in contracted] == [("O6 I8 T3", False)]


def test_a_weight_that_a_private_graph_returns() -> None:
    """The weight is followed out of the graph, to every invoke."""

    def write() -> None:
        weight = make_graph(
            lambda: (transpose(constant(random_weight((6, 8))), u32(1, 0)),),
            {},
            {"w": ((8, 6), F32)},
            provided_name="weight",
            **PRIVATE,
        )
        make_graph(
            lambda x, z: (matmul(x, weight()[0]), matmul(weight()[0], z)),
            {"x": ((4, 8), F32), "z": ((6, 3), F32)},
            {"y": ((4, 6), F32), "v": ((8, 3), F32)},
            provided_name="main",
        )

    found = [way.contraction for way in ways(make_graphs(write), (6, 8))]
    assert sorted(text(one) for one in found if one is not None) == ["I6 O8", "O6 I8"]


def test_regions_of_if() -> None:
    def body(x: Value, flag: Value) -> Any:
        one, other = (constant(random_weight((6, 8), seed=seed)) for seed in (1, 2))
        chosen = if_(flag, ((6, 8), F32), lambda: one, lambda: other)
        return (linear(x, chosen),)

    program = make_program(body, {"x": ((4, 8), F32), "flag": ((), np.bool_)}, {"y": ((4, 6), F32)})
    follower = Follower(ir.Graphs(program))
    weights = [op for op in ir.operations(program, ir.CONSTANT) if ir.lengths(op.result) == (6, 8)]
    for weight in weights:
        (way,) = follower.follow(weight)
        assert way.contraction is not None
        assert text(way.contraction) == "O6 I8"
    assert len(weights) == 2


def test_arguments_of_while() -> None:
    """A weight that a loop carries around, unchanged, and that its body multiplies with."""

    def body(x: Value, weight: Value) -> tuple[Value, Value]:
        return linear(x, weight), weight

    program = make_program(
        lambda x, flag: (while_(flag, (x, constant(random_weight((8, 8)))), body)[0],),
        {"x": ((8, 8), F32), "flag": ((), np.bool_)},
        {"y": ((8, 8), F32)},
    )
    assert text(contraction(program, (8, 8))) == "O8 I8"


OTHERWISE: dict[str, tuple[Body, str]] = {
    "added": (broadcasting_add, "never in a matmul or convolution"),
    "multiplied by elements": (
        broadcasting_mul, "never in a matmul or convolution",
    ),
    "joined with activations": (
        lambda x, w: linear(pad(concat(np.int32(0), [x, w]), u32(0, 0, 0, 0), np.float32(0)), x),
        "never in a matmul or convolution",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERWISE)
def test_what_no_op_contracts(kind: str) -> None:
    body, reason = OTHERWISE[kind]
    program = make_program(
        lambda x: (body(x, constant(random_weight((8, 8)))),),
        {"x": ((8, 8), F32)},
        {"y": ((-1, 8), F32)},
    )
    (way,) = ways(program, (8, 8))
    assert (way.ending, way.reason, way.contraction) == (Ending.OTHER, reason, None)


@pytest.mark.parametrize("convolve", [convolution, transposed_convolution])
def test_what_is_convolved_is_no_weight(convolve: Body) -> None:
    program = make_program(
        lambda x: (convolve(constant(random_weight((1, 8, 6, 6))), x),),
        {"x": ((8, 8, 1, 1), F32)},
        {"y": ((1, 8, 6, 6), F32)},
    )
    (way,) = ways(program, (1, 8, 6, 6))
    assert (way.ending, way.contraction) == (Ending.OTHER, None)


def test_an_op_between_a_constant_and_the_matmul_is_named() -> None:
    program = make_program(
        lambda x: (linear(x, exp(constant(random_weight((6, 8))))),),
        {"x": ((4, 8), F32)},
        {"y": ((4, 6), F32)},
    )
    (way,) = ways(program, (6, 8))
    assert way.ending is Ending.CONSTANT
    assert way.reason == "coreai.exp comes before it is multiplied"


def test_a_reshape_that_mixes_roles_is_said() -> None:
    """Rows of 12 become rows of 8: where one begins depends on the row."""
    program = make_program(
        lambda x: (linear(x, reshape(constant(random_weight((4, 12))), u32(6, 8))),),
        {"x": ((4, 8), F32)},
        {"y": ((4, 6), F32)},
    )
    (way,) = ways(program, (4, 12))
    assert way.ending is Ending.MIXED
    assert way.reason == "a reshape from [4, 12] to [6, 8] mixes its axes"


def test_a_permutation_that_is_computed_is_said() -> None:
    program = make_program(
        lambda x, order: (matmul(x, transpose(constant(random_weight((8, 8))), order)),),
        {"x": ((4, 8), F32), "order": ((2,), np.uint32)},
        {"y": ((4, -1), F32)},
    )
    (way,) = ways(program, (8, 8))
    assert (way.ending, way.contraction) == (Ending.MIXED, None)
    assert way.reason == "a transpose turns its axes in an order that is computed"


def test_asking_for_a_shape_is_no_use() -> None:
    def body(x: Value) -> Any:
        weight = constant(random_weight((6, 8)))
        return linear(x, weight), get_shape(weight)

    program = make_program(
        body, {"x": ((4, 8), F32)}, {"y": ((4, 6), F32), "shape": ((2,), np.uint32)}
    )
    assert text(contraction(program, (6, 8))) == "O6 I8"


def test_sections_of_a_split_are_followed_each() -> None:
    def body(x: Value) -> Any:
        query, key = split(constant(random_weight((12, 8))), np.uint32(6), np.int32(0))
        return linear(x, query), linear(x, key)

    program = make_program(body, {"x": ((4, 8), F32)}, {"y": ((4, 6), F32), "z": ((4, 6), F32)})
    found = [way.contraction for way in ways(program, (12, 8))]
    assert [text(one) for one in found if one is not None] == ["O12 I8", "O12 I8"]
