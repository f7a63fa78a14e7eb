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
    relu,
    reshape,
    transpose,
)
from coreai.authoring.constant import constant

from coreai_opt import quantize_array
from coreai_opt.coreai_utils import CompressionGranularity, quantize_weights
from coreai_opt.program import ir
from coreai_opt.program.channel_axes import ChannelAxes, channel_axes, weight_blocks
from coreai_opt.program.weights import find_weights

from ..support.programs import (
    F32,
    convolution,
    linear,
    make_program,
    matmul_program,
    operand_constants,
    random_weight,
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


def axes_of(program: AIProgram) -> ChannelAxes:
    (weight,) = find_weights(program, 0)
    return channel_axes(weight)


def sizes_of(program: AIProgram, granularity: str, block_size: int = 32) -> Shape:
    (weight,) = find_weights(program, 0)
    return weight_blocks(weight, CompressionGranularity(granularity), block_size).sizes


def three_dimensional(x: Value, w: Any) -> Value:
    one, zero = u32(1, 1, 1), u32(0, 0, 0)
    return conv_transpose3d(x, w, one, zero, one, zero, np.uint32(2))


# body, shape of x, of the weight, of the result; axes
KINDS: dict[str, tuple[Any, Any, Shape, Shape, ChannelAxes]] = {
    "linear": (linear, (4, 8), (6, 8), (4, 6), ChannelAxes(0, 1)),
    "right operand": (broadcasting_batch_matmul, (4, 8), (8, 6), (4, 6), ChannelAxes(1, 0)),
    "left operand": (
        lambda x, w: broadcasting_batch_matmul(w, x),
        (8, 4),
        (6, 8),
        (6, 4),
        ChannelAxes(0, 1),
    ),
    "heads": (
        broadcasting_batch_matmul,
        (2, 4, 8),
        (2, 8, 6),
        (2, 4, 6),
        ChannelAxes(2, 1, batch=(0,)),
    ),
    "heads, two batch axes": (
        broadcasting_batch_matmul,
        (2, 3, 4, 8),
        (2, 3, 8, 6),
        (2, 3, 4, 6),
        ChannelAxes(3, 2, batch=(0, 1)),
    ),
    "heads, left": (
        lambda x, w: broadcasting_batch_matmul(w, x),
        (2, 8, 4),
        (2, 6, 8),
        (2, 6, 4),
        ChannelAxes(1, 2, batch=(0,)),
    ),
    "identity transpose": (permuted(0, 1), (4, 8), (8, 6), (4, 6), ChannelAxes(1, 0)),
    "heads [O, heads, I]": (
        permuted(1, 2, 0),
        (2, 4, 8),
        (6, 2, 8),
        (2, 4, 6),
        ChannelAxes(0, 2, batch=(1,)),
    ),
    "chain of transposes": (
        lambda x, w: permuted(2, 1, 0)(x, transpose(w, u32(1, 2, 0))),
        (2, 4, 8),
        (2, 6, 8),  # behind the first transpose it is (6, 8, 2), behind the second (2, 8, 6)
        (2, 4, 6),
        ChannelAxes(1, 2, batch=(0,)),
    ),
    "transpose to the left operand": (
        lambda x, w: broadcasting_batch_matmul(transpose(w, u32(1, 0)), x),
        (8, 4),
        (8, 6),
        (6, 4),
        ChannelAxes(1, 0),
    ),
    "transpose into no matmul": (
        lambda x, w: relu(transpose(w, u32(2, 0, 1))),
        (1,),
        (6, 8, 3),
        (3, 6, 8),
        ChannelAxes(0, 1),
    ),
    "conv2d": (convolution, (1, 8, 5, 5), (6, 8, 3, 3), (1, 6, 3, 3), ChannelAxes(0, 1)),
    "depthwise conv2d": (
        lambda x, w: convolution(x, w, groups=8),
        (1, 8, 5, 5),
        (8, 1, 3, 3),
        (1, 8, 3, 3),
        ChannelAxes(0, 1),
    ),
    "conv_transpose2d": (
        transposed_convolution,
        (1, 8, 5, 5),
        (8, 6, 3, 3),
        (1, 6, 7, 7),
        ChannelAxes(1, 0),
    ),
    "conv_transpose2d, 4 groups": (
        lambda x, w: transposed_convolution(x, w, groups=4),
        (1, 8, 5, 5),
        (8, 3, 3, 3),
        (1, 12, 7, 7),
        ChannelAxes(1, 0, groups=4),
    ),
    "conv_transpose3d, 2 groups": (
        three_dimensional,
        (1, 8, 3, 3, 3),
        (8, 6, 2, 2, 2),
        (1, 12, 4, 4, 4),
        ChannelAxes(1, 0, groups=2),
    ),
    "gather_nd": (lambda x, w: gather_nd(w, x), ROWS, (9, 8), (4, 8), ChannelAxes(0, 1)),
    "gather_nd, 1-D": (lambda x, w: gather_nd(w, x), ROWS, (9,), (4,), ChannelAxes(0, 1)),
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
        ("gather_nd, 1-D", (1,), (1,)),
        ("heads", (1, 0, 1), (1, 2, 1)),
        ("heads, two batch axes", (1, 1, 0, 1), (1, 1, 2, 1)),
        ("heads [O, heads, I]", (1, 1, 0), (1, 1, 2)),
        ("transpose into no matmul", (1, 0, 0), (1, 2, 0)),
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


def disagreeing() -> AIProgram:
    def body(x: Value) -> Any:
        weight = constant(random_weight((8, 8)))
        return broadcasting_batch_matmul(x, weight), linear(x, weight)

    return make_program(body, {"x": ((4, 8), F32)}, {"y": ((4, 8), F32), "z": ((4, 8), F32)})


def test_where_uses_disagree_there_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    program = disagreeing()
    (weight,) = find_weights(program, 0)
    assert len(weight.uses) == 2
    assert channel_axes(weight) == ChannelAxes(0, 1)
    (record,) = caplog.records
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
    assert axes_of(program) == ChannelAxes(0, 1)
    assert len(caplog.records) == 1


def test_only_matmuls_behind_a_transpose_count(caplog: pytest.LogCaptureFixture) -> None:
    def body(x: Value) -> Any:
        turned = transpose(constant(random_weight((8, 6))), u32(0, 1))
        return broadcasting_batch_matmul(x, turned), relu(turned)

    program = make_program(body, {"x": ((4, 8), F32)}, {"y": ((4, 6), F32), "z": ((8, 6), F32)})
    assert axes_of(program) == ChannelAxes(1, 0)
    assert caplog.records == []


def test_a_permutation_that_is_computed_says_nothing() -> None:
    weight = random_weight((8, 8))
    program = make_program(
        lambda x, order: (broadcasting_batch_matmul(x, transpose(constant(weight), order)),),
        {"x": ((4, 8), F32), "order": ((2,), np.uint32)},
        {"y": ((4, -1), F32)},
    )
    assert axes_of(program) == ChannelAxes(0, 1)


def test_a_permutation_may_be_stored_as_a_resource() -> None:
    program = program_of(permuted(0, 1), (4, 8), (8, 6), (4, 6))
    (op,) = ir.operations(program, ir.TRANSPOSE)
    permutation = ir.operand_constant(op, 1)
    with ir.Builder(permutation) as build:
        order = build.constant(np.array([0, 1], np.uint32), (2,), "ui32")
    ir.replace(permutation, order)
    assert axes_of(program) == ChannelAxes(1, 0)


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
    assert axes_of(program) == ChannelAxes(1, 0)
