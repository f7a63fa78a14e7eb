"""Channel axes by who uses a weight, and the block sizes that follow."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from coreai.authoring import (
    AIProgram,
    Value,
    broadcasting_batch_matmul,
    conv_transpose2d,
    conv_transpose3d,
    gather_nd,
    reshape,
    transpose,
)
from coreai.authoring.constant import constant

from coreai_opt import quantize_array
from coreai_opt.coreai_utils import (
    CompressionGranularity,
    palettize_weights,
    plan_quantization,
    quantize_weights,
    sparsify_weights,
)
from coreai_opt.program import ir
from coreai_opt.program.channel_axes import IndivisibleError, channel_layout, weight_blocks
from coreai_opt.program.weights import find_weights

from ..support.exported import experts_program
from ..support.programs import (
    F32,
    convolution,
    linear,
    make_program,
    matmul_program,
    operand_constants,
    random_weight,
    roles,
    run,
    transposed_convolution,
    u32,
)

Shape = tuple[int, ...]
ROWS = ((4, 1), np.int32)


def permuted(*permutation: int) -> Callable[[Value, Any], Value]:
    """A matmul whose right operand is the weight, transposed."""
    return lambda x, w: broadcasting_batch_matmul(x, transpose(w, u32(*permutation)))


def program_of(
    body: Callable[[Value, Any], Value],
    x: tuple[Shape, Any] | Shape,
    weight: Shape,
    y: Shape,
) -> AIProgram:
    """A program of one weight."""
    spec = x if isinstance(x[0], tuple) else (x, F32)
    return make_program(
        lambda value: (body(value, constant(random_weight(weight))),), {"x": spec}, {"y": (y, F32)}
    )


def axes_of(program: AIProgram) -> str:
    (weight,) = find_weights(program, 0)
    return roles(channel_layout(weight))


def sizes_of(program: AIProgram, granularity: str, block_size: int = 32) -> Shape:
    (weight,) = find_weights(program, 0)
    return weight_blocks(weight, CompressionGranularity(granularity), block_size).sizes


def three_dimensional(x: Value, w: Any) -> Value:
    one, zero = u32(1, 1, 1), u32(0, 0, 0)
    return conv_transpose3d(x, w, one, zero, one, zero, np.uint32(2))


# body, shape of x, of the weight, of the result; axes
KINDS: dict[str, tuple[Any, Any, Shape, Shape, str]] = {
    "linear": (linear, (4, 8), (6, 8), (4, 6), "O6 I8"),
    "right operand": (broadcasting_batch_matmul, (4, 8), (8, 6), (4, 6), "I8 O6"),
    "left operand": (
        lambda x, w: broadcasting_batch_matmul(w, x),
        (8, 4),
        (6, 8),
        (6, 4),
        "O6 I8",
    ),
    "heads": (
        broadcasting_batch_matmul,
        (2, 4, 8),
        (2, 8, 6),
        (2, 4, 6),
        "B2 I8 O6",
    ),
    "heads, two batch axes": (
        broadcasting_batch_matmul,
        (2, 3, 4, 8),
        (2, 3, 8, 6),
        (2, 3, 4, 6),
        "B2 B3 I8 O6",
    ),
    "heads, left": (
        lambda x, w: broadcasting_batch_matmul(w, x),
        (2, 8, 4),
        (2, 6, 8),
        (2, 6, 4),
        "B2 O6 I8",
    ),
    "identity transpose": (permuted(0, 1), (4, 8), (8, 6), (4, 6), "I8 O6"),
    "heads [O, heads, I]": (
        permuted(1, 2, 0),
        (2, 4, 8),
        (6, 2, 8),
        (2, 4, 6),
        "O6 B2 I8",
    ),
    "chain of transposes": (
        lambda x, w: permuted(2, 1, 0)(x, transpose(w, u32(1, 2, 0))),
        (2, 4, 8),
        (2, 6, 8),  # behind the first transpose it is (6, 8, 2), behind the second (2, 8, 6)
        (2, 4, 6),
        "B2 O6 I8",
    ),
    "transpose to the left operand": (
        lambda x, w: broadcasting_batch_matmul(transpose(w, u32(1, 0)), x),
        (8, 4),
        (8, 6),
        (6, 4),
        "I8 O6",
    ),
    "conv2d": (convolution, (1, 8, 5, 5), (6, 8, 3, 3), (1, 6, 3, 3), "O6 I8 T3 T3"),
    "depthwise conv2d": (
        lambda x, w: convolution(x, w, groups=8),
        (1, 8, 5, 5),
        (8, 1, 3, 3),
        (1, 8, 3, 3),
        "B8 - T3 T3",
    ),
    "conv_transpose2d": (
        transposed_convolution,
        (1, 8, 5, 5),
        (8, 6, 3, 3),
        (1, 6, 7, 7),
        "I8 O6 P3 P3",
    ),
    "conv_transpose2d, 4 groups": (
        lambda x, w: transposed_convolution(x, w, groups=4),
        (1, 8, 5, 5),
        (8, 3, 3, 3),
        (1, 12, 7, 7),
        "B4.I2 O3 P3 P3",
    ),
    "conv_transpose3d, 2 groups": (
        three_dimensional,
        (1, 8, 3, 3, 3),
        (8, 6, 2, 2, 2),
        (1, 12, 4, 4, 4),
        "B2.I4 O6 P2 P2 P2",
    ),
    "gather_nd": (lambda x, w: gather_nd(w, x), ROWS, (9, 8), (4, 8), "O9 I8"),
    "gather_nd, 1-D": (lambda x, w: gather_nd(w, x), ROWS, (9,), (4,), "O9"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_channel_axes(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    *recipe, axes = KINDS[kind]
    assert axes_of(program_of(*recipe)) == axes
    assert caplog.records == []


@pytest.mark.parametrize(
    ("kind", "per_channel", "per_block"),
    [
        # The documented tables.
        ("linear", (1, 0), (1, 2)),
        ("conv2d", (1, 0, 0, 0), (1, 2, 0, 0)),
        # What they imply for the rest.
        ("right operand", (0, 1), (2, 1)),
        ("left operand", (1, 0), (1, 2)),
        ("gather_nd", (1, 0), (1, 2)),
        ("heads", (1, 0, 1), (1, 2, 1)),
        ("heads, two batch axes", (1, 1, 0, 1), (1, 1, 2, 1)),
        ("heads [O, heads, I]", (1, 1, 0), (1, 1, 2)),
        ("conv_transpose2d", (0, 1, 0, 0), (2, 1, 0, 0)),
        ("conv_transpose2d, 4 groups", (2, 1, 0, 0), (2, 1, 0, 0)),
        ("conv_transpose3d, 2 groups", (4, 1, 0, 0, 0), (2, 1, 0, 0, 0)),
    ],
)
def test_block_sizes(kind: str, per_channel: Shape, per_block: Shape) -> None:
    program = program_of(*KINDS[kind][:-1])
    assert sizes_of(program, "per_tensor") == (0,) * len(per_channel)
    assert sizes_of(program, "per_channel") == per_channel
    assert sizes_of(program, "per_block", 2) == per_block


@pytest.mark.parametrize(
    ("granularity", "two", "four"),
    [
        ("per_tensor", (0, 0), (0, 0, 0, 0)),
        ("per_channel", (1, 0), (1, 0, 0, 0)),
        ("per_block", (1, 32), (1, 32, 0, 0)),
    ],
)
def test_the_documented_tables(granularity: str, two: Shape, four: Shape) -> None:
    assert sizes_of(program_of(linear, (4, 64), (6, 64), (4, 6)), granularity) == two
    conv = program_of(convolution, (1, 64, 5, 5), (6, 64, 3, 3), (1, 6, 3, 3))
    assert sizes_of(conv, granularity) == four


@pytest.mark.parametrize(("block_size", "fits"), [(1, True), (2, True), (4, False), (8, False)])
def test_a_block_stays_within_a_group_of_a_transposed_convolution(
    block_size: int, fits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """8 input channels in 4 groups: 4 and 8 divide the axis but not the 2 channels of a group."""
    program = program_of(*KINDS["conv_transpose2d, 4 groups"][:-1])
    quantized = quantize_weights(
        program, "int8", granularity="per_block", block_size=block_size, weight_num_threshold=0
    )
    ops = ir.operations(quantized, ir.BLOCKWISE_SHIFT_SCALE)
    assert [len(ops), len(caplog.records)] == ([1, 0] if fits else [0, 1])
    assert fits or f"block size {block_size} does not divide axis 0" in caplog.text


def test_groups_of_a_transposed_convolution_have_scales_of_their_own(backend: str) -> None:
    """One group has weights a thousand times the other's; a shared scale would flush those to 0."""
    weight = random_weight((8, 3, 3, 3))
    weight[:4] *= 1000
    program = make_program(
        lambda x: (transposed_convolution(x, constant(weight), groups=2),),
        {"x": ((1, 8, 5, 5), F32)},
        {"y": ((1, 6, 7, 7), F32)},
    )
    quantized = quantize_weights(program, "int8", weight_num_threshold=0, backend=backend)
    x = {"x": random_weight((1, 8, 5, 5), seed=1)}
    small, got = run(program, x)["y"][:, 3:], run(quantized, x)["y"][:, 3:]
    assert np.sum((small - got) ** 2) < 1e-3 * np.sum(small**2)


def test_heads_do_not_share_scales() -> None:
    weight = random_weight((2, 8, 6))
    weight[1] *= 1000
    quantized = quantize_weights(matmul_program(weight, (2,)), "int8", weight_num_threshold=0)
    (op,) = ir.operations(quantized, ir.BLOCKWISE_SHIFT_SCALE)
    expected = quantize_array(weight, "int8", block_sizes=(1, 0, 1))
    assert operand_constants(op)[1] == ((2, 1, 6), "f32", expected.scale.tobytes())


def disagreeing(count: int = 1, size: int = 8) -> AIProgram:
    """So many square weights, each of which two ops read along other axes."""

    def body(x: Value) -> Any:
        weights = [constant(random_weight((size, size), seed=seed)) for seed in range(count)]
        both = [(broadcasting_batch_matmul(x, weight), linear(x, weight)) for weight in weights]
        return tuple(y for outputs in both for y in outputs)

    outputs = {f"y{number}": ((4, size), F32) for number in range(2 * count)}
    return make_program(body, {"x": ((4, size), F32)}, outputs)


def compressed_with_scales(program: AIProgram) -> None:
    palettize_weights(program, None, 2, "per_channel", scale_block_size=4, weight_num_threshold=0)


def planned(program: AIProgram) -> None:
    """A plan of several candidates: that by the weights is another than that by the outputs.

    Both are run on the inputs, so that the nearer is taken.
    """
    plan_quantization(
        program,
        target_bytes=1100,
        forms=["integer", "table"],
        inputs={"x": random_weight((4, 32))},
        weight_num_threshold=0,
    )


@pytest.mark.parametrize(
    "compress",
    [
        lambda program: quantize_weights(program, "int8", weight_num_threshold=0),
        lambda program: sparsify_weights(program, quantize_dtype="int8", weight_num_threshold=0),
        compressed_with_scales,
        planned,
    ],
    ids=["quantize", "sparsify", "palettize", "plan"],
)
def test_where_uses_disagree_there_is_one_warning_for_each_weight(
    compress: Callable[[AIProgram], object], caplog: pytest.LogCaptureFixture
) -> None:
    program = disagreeing(2, 32)
    weights = find_weights(program, 0)
    assert [len(weight.contractions) for weight in weights] == [2, 2]
    # The first of the two is a plain matmul.
    assert [roles(channel_layout(weight)) for weight in weights] == ["I32 O32"] * 2
    compress(program)
    for record, weight in zip(caplog.records, weights, strict=True):
        assert (record.name, record.levelno) == ("coreai_opt", logging.WARNING)
        assert "disagree" in record.message
        assert str(weight) in record.message


def test_where_uses_disagree_per_tensor_does_not_care(caplog: pytest.LogCaptureFixture) -> None:
    quantize_weights(disagreeing(), "int8", granularity="per_tensor", weight_num_threshold=0)
    assert caplog.records == []
    quantize_weights(disagreeing(), "int8", weight_num_threshold=0)
    assert len(caplog.records) == 1


def test_two_matmuls_that_disagree_behind_one_transpose(caplog: pytest.LogCaptureFixture) -> None:
    def body(x: Value) -> Any:
        turned = transpose(constant(random_weight((8, 8))), u32(1, 0))
        return broadcasting_batch_matmul(x, turned), broadcasting_batch_matmul(turned, x)

    eight = ((8, 8), F32)
    program = make_program(body, {"x": eight}, {"y": eight, "z": eight})
    assert axes_of(program) == "O8 I8"  # in front of the transpose
    quantize_weights(program, "int8", weight_num_threshold=0)
    assert len(caplog.records) == 1


def test_users_that_mean_the_same_by_other_roles_agree(caplog: pytest.LogCaptureFixture) -> None:
    """Rows of a table are rows of a matrix, and matrices of a stack may be rows of one."""

    def body(x: Value, z: Value, rows: Value) -> Any:
        weight = constant(random_weight((2, 3, 8)))
        flat = reshape(weight, u32(6, 8))
        heads = transpose(weight, u32(0, 2, 1))
        return linear(x, flat), broadcasting_batch_matmul(z, heads), gather_nd(flat, rows)

    program = make_program(
        body,
        {"x": ((4, 8), F32), "z": ((2, 4, 8), F32), "rows": ROWS},
        {"y": ((4, 6), F32), "v": ((2, 4, 3), F32), "t": ((4, 8), F32)},
    )
    assert sizes_of(program, "per_block", 4) == (1, 1, 4)
    assert caplog.records == []


MIXED = {
    "a reshape that cuts rows": (
        lambda x, w: linear(x, reshape(w, u32(6, 8))),
        (4, 12),
        "a reshape from [4, 12] to [6, 8] mixes its axes",
    ),
    "outputs inside of inputs": (
        lambda x, w: broadcasting_batch_matmul(x, reshape(w, u32(8, 6))),
        (48,),
        "axis 0 holds channels between those of others",
    ),
}


@pytest.mark.parametrize("kind", MIXED)
def test_a_weight_whose_axes_are_mixed_is_left_with_the_reason(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    body, shape, reason = MIXED[kind]
    program = program_of(body, (4, 8), shape, (4, 6))
    for granularity in ("per_channel", "per_block"):
        caplog.clear()
        left = quantize_weights(
            program, "int8", granularity=granularity, block_size=4, weight_num_threshold=0
        )
        assert ir.operations(left, ir.BLOCKWISE_SHIFT_SCALE) == []
        assert f"is left as it is: {reason}; per_tensor needs no channels" in caplog.text
    quantized = quantize_weights(program, "int8", granularity="per_tensor", weight_num_threshold=0)
    assert len(ir.operations(quantized, ir.BLOCKWISE_SHIFT_SCALE)) == 1


@pytest.mark.parametrize(
    ("shape", "reach"),
    [
        ((6, 2, 8), {2: (1, 1, 2), 8: (1, 1, 8), 16: (1, 2, 8)}),
        ((6, 4, 4), {2: (1, 1, 2), 8: (1, 2, 4), 16: (1, 4, 4)}),
        ((96,), {4: (4,), 16: (16,)}),
    ],
)
def test_a_run_of_input_channels_reaches_over_axes(
    shape: Shape, reach: dict[int, Shape], caplog: pytest.LogCaptureFixture
) -> None:
    program = program_of(lambda x, w: linear(x, reshape(w, u32(6, 16))), (4, 16), shape, (4, 6))
    assert {size: sizes_of(program, "per_block", size) for size in reach} == reach
    assert caplog.records == []


def test_a_run_that_would_end_within_a_head_is_no_block() -> None:
    """Blocks of 8 fit into 48 input channels, but not into 4 heads of 12 of them."""
    program = program_of(
        lambda x, w: linear(x, reshape(w, u32(6, 48))), (4, 48), (6, 4, 12), (4, 6)
    )
    (weight,) = find_weights(program, 0)
    with pytest.raises(IndivisibleError, match=r"8 does not divide axes \[1, 2\]: 48 input") as why:
        weight_blocks(weight, CompressionGranularity.PER_BLOCK, 8)
    assert why.value.fitting == 6


def test_positions_of_a_kernel_are_in_the_block_if_they_stand_within_the_channel() -> None:
    program = program_of(
        lambda x, w: convolution(x, reshape(w, u32(6, 8, 3, 3))),
        (1, 8, 5, 5),
        (6, 72),
        (1, 6, 3, 3),
    )
    assert sizes_of(program, "per_block", 4) == (1, 36)
    assert sizes_of(program, "per_channel") == (1, 0)


def test_experts_have_blocks_along_their_inputs() -> None:
    program = experts_program(random_weight((1, 4, 64, 96)))
    assert sizes_of(program, "per_block") == (0, 1, 32, 1)
    assert sizes_of(program, "per_channel") == (0, 1, 0, 1)
    unfolded = experts_program(random_weight((1, 4, 96, 64)), folded=False)
    assert sizes_of(unfolded, "per_block") == (0, 1, 1, 32)


def test_a_permutation_that_is_computed_leaves_a_weight(caplog: pytest.LogCaptureFixture) -> None:
    weight = random_weight((8, 8))
    program = make_program(
        lambda x, order: (broadcasting_batch_matmul(x, transpose(constant(weight), order)),),
        {"x": ((4, 8), F32), "order": ((2,), np.uint32)},
        {"y": ((4, -1), F32)},
    )
    quantize_weights(program, "int8", weight_num_threshold=0)
    assert "a transpose turns its axes in an order that is computed" in caplog.text


def test_a_permutation_may_be_stored_as_a_resource() -> None:
    program = program_of(permuted(0, 1), (4, 8), (8, 6), (4, 6))
    (op,) = ir.operations(program, ir.TRANSPOSE)
    permutation = ir.operand_constant(op, 1)
    build = ir.Builder(permutation)
    order = build.constant(np.array([0, 1], np.uint32), (2,), "ui32")
    ir.replace(permutation, order)
    assert axes_of(program) == "I8 O6"


def test_a_group_count_that_is_computed_says_nothing() -> None:
    def body(x: Value, groups: Value) -> Any:
        one, zero = u32(1, 1), u32(0, 0)
        weight = constant(random_weight((8, 6, 3, 3)))
        return (conv_transpose2d(x, weight, one, zero, one, zero, reshape(groups, u32())),)

    program = make_program(
        body,
        {"x": ((1, 8, 5, 5), F32), "groups": ((1,), np.uint32)},
        {"y": ((1, -1, 7, 7), F32)},
    )
    assert axes_of(program) == "I8 O6 P3 P3"
