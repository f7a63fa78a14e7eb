"""Which constants are weights, and what is said of them."""

import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import (
    AIModelAsset,
    AIProgram,
    Module,
    Value,
    batch_matmul,
    broadcasting_add,
    broadcasting_batch_matmul,
    cast,
    conv3d,
    conv_transpose3d,
    gather_nd,
    int32,
    relu,
    reshape,
    transpose,
)
from coreai.authoring.constant import constant

from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program import ir
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.programs import (
    F32,
    all_stored,
    convolution,
    if_,
    linear,
    make_graph,
    make_program,
    matmul_program,
    new_builder,
    random_weight,
    text,
    transposed_convolution,
    u32,
    weight_shapes,
)

X = {"x": ((4, 64), F32)}
Y = {"y": ((4, 48), F32)}
ROWS = {"rows": ((4, 1), np.int32)}
WEIGHT = random_weight((64, 48))
IMAGE = {"x": ((1, 8, 5, 5), F32)}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_constants_above_the_threshold_in_any_weight_dtype(dtype: Any) -> None:
    program = matmul_program(random_weight((64, 48), dtype))
    assert weight_shapes(program, 64 * 48 - 1) == [(64, 48)]
    assert weight_shapes(program, 64 * 48) == []
    (weight,) = find_weights(program, 0)
    assert (weight.dtype, weight.nbytes) == (np.dtype(dtype), 64 * 48 * np.dtype(dtype).itemsize)


def test_constants_of_other_dtypes_are_no_weights() -> None:
    table = np.arange(64 * 48, dtype=np.int32).reshape(64, 48)
    program = make_program(
        lambda rows: (gather_nd(constant(table), rows),), ROWS, {"y": ((4, 48), np.int32)}
    )
    assert weight_shapes(program) == []


WEIGHT_USES = {
    "matmul, right": (broadcasting_batch_matmul, (4, 8), (8, 6), (4, 6)),
    "matmul, left": (lambda x, w: broadcasting_batch_matmul(w, x), (4, 8), (6, 4), (6, 8)),
    "batch_matmul": (batch_matmul, (2, 4, 8), (2, 8, 6), (2, 4, 6)),
    "linear": (linear, (4, 8), (6, 8), (4, 6)),
    "conv2d": (convolution, (1, 8, 5, 5), (6, 8, 3, 3), (1, 6, 3, 3)),
    "conv3d": (
        lambda x, w: conv3d(x, w, u32(1, 1, 1), u32(1, 1, 1), np.uint32(1)),
        (1, 8, 5, 5, 5),
        (6, 8, 3, 3, 3),
        (1, 6, 3, 3, 3),
    ),
    "conv_transpose2d": (transposed_convolution, (1, 8, 5, 5), (8, 6, 3, 3), (1, 6, 7, 7)),
    "conv_transpose3d": (
        lambda x, w: conv_transpose3d(
            x, w, u32(1, 1, 1), u32(0, 0, 0), u32(1, 1, 1), u32(0, 0, 0), np.uint32(1)
        ),
        (1, 8, 5, 5, 5),
        (8, 6, 3, 3, 3),
        (1, 6, 7, 7, 7),
    ),
    "gather_nd": (lambda x, w: gather_nd(w, cast(x, int32)), (4, 1), (9, 8), (4, 8)),
}


@pytest.mark.parametrize("kind", WEIGHT_USES)
def test_every_weight_op(kind: str) -> None:
    body, x, weight, y = WEIGHT_USES[kind]
    program = make_program(
        lambda value: (body(value, constant(random_weight(weight))), relu(value)),
        {"x": (x, F32)},
        {"y": (y, F32), "z": (x, F32)},
    )
    assert weight_shapes(program) == [weight]


def test_what_a_weight_op_uses_otherwise_is_no_weight() -> None:
    """Bias of a convolution, left operand of an add, indices, and the input of an unrelated op."""

    def body(x: Value) -> Any:
        convolved = convolution(x, constant(random_weight((4, 8, 3, 3))))
        biased = broadcasting_add(convolved, constant(random_weight((4, 3, 3), seed=1)))
        # A convolution of a constant image by a computed kernel.
        image = constant(random_weight((1, 5, 5, 5), seed=2))
        kernel = reshape(x, u32(8, 5, 5, 1))
        return biased, convolution(image, kernel)

    outputs = {"y": ((1, 4, 3, 3), F32), "z": ((1, 8, 1, 5), F32)}
    assert weight_shapes(make_program(body, IMAGE, outputs)) == [(4, 8, 3, 3)]


def test_a_constant_that_is_also_used_otherwise_is_no_weight() -> None:
    def body(x: Value) -> Any:
        weight = constant(WEIGHT)
        y = broadcasting_batch_matmul(x, weight)
        return y, broadcasting_add(weight, reshape(y, u32(4, 1, 48)))

    program = make_program(body, X, {**Y, "z": ((4, 64, 48), F32)})
    assert weight_shapes(program) == []


def test_uses_in_nested_regions_and_constants_there(tmp_path: Path) -> None:
    def body(x: Value, flag: Value) -> Any:
        shared, inner = constant(WEIGHT), random_weight((64, 48), seed=1)

        def otherwise() -> Value:
            y = broadcasting_batch_matmul(x, shared)
            return broadcasting_add(y, broadcasting_batch_matmul(x, constant(inner)))

        return (if_(flag, ((4, 48), F32), lambda: broadcasting_batch_matmul(x, shared), otherwise),)

    program = make_program(body, {**X, "flag": ((), np.bool_)}, Y)
    weights = find_weights(program, 1024)
    assert sorted(len(weight.contractions) for weight in weights) == [1, 2]
    assert all(weight.name.startswith("main/") for weight in weights)
    quantized = quantize_weights(program, "int8")
    assert (len(find_quantized(quantized)), find_weights(quantized, 1024)) == (2, [])
    # It is not run: on Linux the runtime of coreai-core 1.0.0b3 ends the process on any coreai.if.
    asset = quantized.save_asset(tmp_path / "if.aimodel")
    assert all_stored(AIModelAsset.load(asset.path).program) == all_stored(quantized)


def test_private_graphs_and_invokes() -> None:
    """Weights inside of private graphs, and those that are handed to them."""
    module = Module.create()
    handed, inner = WEIGHT, random_weight((64, 48), seed=1)
    private = {"private": True, "no_inline": True}
    with module:
        takes_weight = make_graph(
            lambda x, w: (broadcasting_batch_matmul(x, w),),
            {**X, "w": ((64, 48), F32)},
            Y,
            provided_name="takes_weight",
            **private,
        )
        holds_weight = make_graph(
            lambda x: (broadcasting_batch_matmul(x, constant(inner)),),
            X,
            Y,
            provided_name="holds_weight",
            **private,
        )
        make_graph(
            lambda x: (broadcasting_add(takes_weight(x, constant(handed))[0], holds_weight(x)[0]),),
            X,
            Y,
            provided_name="main",
        )
    program = AIProgram(module)
    first, second = find_weights(program, 0)
    assert np.array_equal(ir.read_constant(first.op), handed)
    assert np.array_equal(ir.read_constant(second.op), inner)
    assert "holds_weight" in second.name
    matmul = "coreai.decomposable.broadcasting_batch_matmul"
    assert first.consumers == f"coreai.invoke -> {matmul}"
    assert second.consumers == matmul
    assert len(find_quantized(quantize_weights(program, "int8"))) == 2


def test_a_tied_embedding_is_quantized_once() -> None:
    def body(x: Value, rows: Value) -> Any:
        table = constant(random_weight((48, 64)))
        return linear(x, table), gather_nd(table, rows)

    program = make_program(body, {**X, **ROWS}, {**Y, "z": ((4, 64), F32)})
    (weight,) = find_weights(program, 0)
    assert weight.consumers == (
        "coreai.gather_nd, coreai.transpose -> coreai.decomposable.broadcasting_batch_matmul"
    )
    (quantized,) = find_quantized(quantize_weights(program, "int4", granularity="per_block"))
    assert (quantized.shape, quantized.num_scales) == ((48, 64), 48 * 64 // 32)


def test_a_weight_that_several_convolutions_share_is_quantized_once() -> None:
    def body(x: Value) -> Any:
        weight = constant(random_weight((8, 8, 1, 1)))
        for _ in range(3):
            x = relu(convolution(x, weight))
        return (x,)

    program = make_program(body, IMAGE, {"y": IMAGE["x"]})
    (found,) = find_weights(program, 0)
    assert found.consumers == "coreai.conv2d x3"
    (quantized,) = find_quantized(quantize_weights(program, "int8", weight_num_threshold=0))
    assert quantized.consumers == "coreai.conv2d x3"


def test_indices_and_permutations_are_no_weights() -> None:
    def body(x: Value) -> Any:
        return gather_nd(x, np.arange(4, dtype=np.int32)[:, None]), transpose(x, u32(1, 0))

    program = make_program(body, X, {"y": X["x"], "z": ((64, 4), F32)})
    assert weight_shapes(program) == []


def splat_program(shape: tuple[int, ...]) -> AIProgram:
    """A program that adds a constant of next to no bytes."""

    def body(x: Value) -> Any:
        splat = new_builder().splat(1.5, shape, "f32")
        return (broadcasting_add(x, Value._from_mlir(splat)),)

    return make_program(body, {"x": (shape, F32)}, {"y": (shape, F32)})


def test_huge_constants_that_are_not_contracted_are_no_weights() -> None:
    """A mask of one repeated value of 100 million elements takes a few bytes, and is no weight."""
    assert weight_shapes(splat_program((10_000, 10_001))) == []


def test_a_constant_that_is_stored_as_one_element_is_no_weight() -> None:
    def body(x: Value) -> Any:
        return (
            broadcasting_batch_matmul(x, Value._from_mlir(new_builder().splat(0, (64, 48), "f32"))),
        )

    assert weight_shapes(make_program(body, X, Y)) == []


def test_unused_constants_are_no_weights() -> None:
    program = matmul_program(WEIGHT)
    (used,) = find_weights(program, 0)
    build = ir.Builder(used.op)
    build.constant(random_weight((64, 48), seed=5), (64, 48), "f32")
    assert weight_shapes(program) == [(64, 48)]


def test_a_weight_says_where_it_is() -> None:
    program = matmul_program(WEIGHT)
    with program._module:  # leaving it runs Core AI's optimization, which numbers the ops
        pass
    (weight,) = find_weights(program, 0)
    assert re.fullmatch(r"programs\.py:\d+, op_id \d+", weight.location)
    for part in (weight.name, "float32", weight.location):
        assert part in str(weight)


@pytest.mark.parametrize(
    ("arguments", "format", "scale_dtype", "num_scales", "nbytes"),
    [
        ({"dtype": "int4"}, "int4", "float32", 48, 64 * 24 + 4 * 48),
        ({"dtype": "uint2", "granularity": "per_tensor"}, "uint2", "float32", 1, 64 * 12 + 4),
        (
            {"dtype": "uint4", "granularity": "per_block", "qscheme": "asymmetric"},
            "uint4",
            "float32",
            96,
            64 * 24 + 4 * 96 + 96 // 2,  # zero points are packed as the codes are
        ),
        (
            {"dtype": "fp8_e4m3fn", "scale_dtype": "fp8_e8m0fnu"},
            "fp8_e4m3fn",
            "float8_e8m0fnu",
            48,
            64 * 48 + 48,
        ),
        (
            {"dtype": "fp4_e2m1fn", "granularity": "per_block"},
            "fp4_e2m1fn",
            "float8_e8m0fnu",
            96,
            64 * 24 + 96,
        ),
    ],
)
def test_find_quantized(
    arguments: dict[str, Any], format: str, scale_dtype: str, num_scales: int, nbytes: int
) -> None:
    program = matmul_program(WEIGHT)
    (weight,) = find_weights(program, 0)
    assert find_quantized(program) == []
    (quantized,) = find_quantized(quantize_weights(program, **arguments))
    assert (quantized.format, quantized.scale_dtype) == (format, scale_dtype)
    assert (quantized.shape, quantized.num_scales) == ((64, 48), num_scales)
    assert quantized.nbytes == nbytes
    assert (quantized.location, quantized.consumers) == (weight.location, weight.consumers)
    assert quantized.name == weight.name


def test_decoding_what_is_computed_is_not_a_quantized_weight() -> None:
    def body(codes: Value) -> Any:
        builder = new_builder()
        scale, zero = builder.splat(0.5, (1, 1), "f32"), builder.splat(0, (1, 1), "f32")
        offset = builder.splat(0, (1, 1), "si8")
        decoded = builder.blockwise_shift_scale(
            ir.Tensor((4, 48), "f32"),
            data=codes._to_mlir(),
            scale=scale,
            offset1=offset,
            offset2=zero,
        )
        return (Value._from_mlir(decoded),)

    program = make_program(body, {"x": ((4, 48), np.int8)}, Y)
    assert ir.operations(program, ir.BLOCKWISE_SHIFT_SCALE)
    assert find_quantized(program) == []


def test_finding_changes_nothing() -> None:
    program = matmul_program(WEIGHT)
    before = text(program)
    find_weights(program, 0)
    find_quantized(program)
    assert text(program) == before
