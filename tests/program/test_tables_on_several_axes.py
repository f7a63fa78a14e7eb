"""Output channels that lie on several axes of a weight have tables, which the runtime reads."""

import logging
from typing import Any, NamedTuple

import numpy as np
import pytest
from coreai.authoring import Value, broadcasting_batch_matmul, reshape, transpose

from coreai_opt import palettize_array
from coreai_opt.coreai_utils import dequantize_weights, palettize_weights
from coreai_opt.program.ir import read_constant
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.every_kind import assert_equal_outputs
from ..support.programs import linear, make_program, random_weight, run, text, u32

CHANNELS: dict[str, Any] = {"granularity": "per_channel"}


def groups(size: int) -> dict[str, Any]:
    return {"granularity": "per_grouped_channel", "group_size": size}


def heads(x: Value, weight: Value) -> Value:
    """A weight ``[heads, inputs, outputs]``."""
    return broadcasting_batch_matmul(x, weight)


def linear_heads(x: Value, weight: Value) -> Value:
    """A weight ``[heads, outputs, inputs]``."""
    return broadcasting_batch_matmul(x, transpose(weight, u32(0, 2, 1)))


def joined(x: Value, weight: Value) -> Value:
    """A weight ``[parts of outputs, outputs, inputs]``."""
    return linear(x, reshape(weight, u32(24, 64)))


class Kind(NamedTuple):
    """What is computed of x and a weight, and the shapes of these and of the result."""

    body: Any
    x: tuple[int, ...]
    weight: tuple[int, ...]
    y: tuple[int, ...]


KINDS = {
    "heads": Kind(heads, (3, 4, 64), (3, 64, 8), (3, 4, 8)),
    "linear heads": Kind(linear_heads, (3, 4, 64), (3, 8, 64), (3, 4, 8)),
    "joined": Kind(joined, (4, 64), (3, 8, 64), (4, 24)),
}

# What is asked for, and which blocks of the array that is: of the weight and, if there are scales,
# those of scales; or the axis along which vectors lie.
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("heads", CHANNELS, {"block_sizes": (1, 0, 1)}),
    ("heads", groups(4), {"block_sizes": (1, 0, 4)}),
    ("heads", groups(8), {"block_sizes": (1, 0, 8)}),
    ("heads", groups(24), {"block_sizes": (3, 0, 8)}),
    (
        "heads",
        {"enable_per_channel_scale": True, **groups(4)},
        {"block_sizes": (1, 0, 4), "scale_block_sizes": (1, 0, 1)},
    ),
    (
        "heads",
        {"scale_block_size": 16, "observer": "mse", **groups(4)},
        {"block_sizes": (1, 0, 4), "scale_block_sizes": (1, 16, 1), "observer": "mse"},
    ),
    (
        "heads",
        {"cluster_dim": 2, **groups(4)},
        {"block_sizes": (1, 0, 4), "cluster_dim": 2, "cluster_axis": 2},
    ),
    ("heads", {"lut_dtype": "int8", **CHANNELS}, {"block_sizes": (1, 0, 1), "lut_dtype": "int8"}),
    ("linear heads", CHANNELS, {"block_sizes": (1, 1, 0)}),
    ("linear heads", groups(4), {"block_sizes": (1, 4, 0)}),
    (
        "linear heads",
        {"cluster_dim": 4, **groups(8)},
        {"block_sizes": (1, 8, 0), "cluster_dim": 4, "cluster_axis": 1},
    ),
    ("joined", CHANNELS, {"block_sizes": (1, 1, 0)}),
    ("joined", {"n_bits": 3, **groups(4)}, {"block_sizes": (1, 4, 0)}),
    ("joined", {"cluster_dim": 2}, {"cluster_dim": 2, "cluster_axis": 1}),
]


def program_of(kind: str, weight: Any) -> Any:
    body, x, _, y = KINDS[kind]
    shapes = {"x": (x, weight.dtype)}, {"y": (y, weight.dtype)}
    return make_program(lambda value: body(value, weight), *shapes)


@pytest.mark.parametrize(
    ("kind", "asked", "blocks"), CASES, ids=[f"{kind}, {asked}" for kind, asked, _ in CASES]
)
def test_tables_are_those_of_arrays_and_the_runtime_reads_them(
    kind: str, asked: dict[str, Any], blocks: dict[str, Any]
) -> None:
    weight = random_weight(KINDS[kind].weight, np.float16)
    palettized = palettize_weights(
        program_of(kind, weight), **{"lut_dtype": None, **asked}, weight_num_threshold=0
    )
    (stored,) = find_quantized(palettized)
    array = stored.form.read(stored.op)
    expected = palettize_array(weight, asked.get("n_bits", 4), **blocks)
    assert array.table.tobytes() == expected.table.tobytes()
    assert array.packed.tobytes() == expected.packed.tobytes()
    assert stored.nbytes == expected.nbytes == stored.form.saved_bytes(array)
    back = dequantize_weights(palettized)
    (decoded,) = find_weights(back, 0)
    assert read_constant(decoded.op).tobytes() == expected.dequantize().tobytes()
    inputs = {"x": random_weight(KINDS[kind].x, np.float16, seed=9)}
    assert_equal_outputs(run(palettized, inputs), run(back, inputs))


@pytest.mark.parametrize("size", [3, 16, 48])
def test_a_group_is_a_part_of_a_head_or_some_heads(
    size: int, caplog: pytest.LogCaptureFixture
) -> None:
    program = program_of("heads", random_weight((3, 64, 8)))
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        after = palettize_weights(program, None, **groups(size), weight_num_threshold=0)
    assert text(after) == text(program)
    assert f"group_size {size} does not divide axes [0, 2]: 3 x 8 output channels" in caplog.text


def test_a_group_has_whole_channels_of_an_axis_that_has_inputs_as_well() -> None:
    """Of a weight ``[outputs · inputs]``, of which 64 elements are a channel."""
    weight = random_weight((8 * 64,))
    program = make_program(
        lambda x: linear(x, reshape(weight, u32(8, 64))),
        {"x": ((4, 64), np.float32)},
        {"y": ((4, 8), np.float32)},
    )
    (stored,) = find_quantized(
        palettize_weights(program, None, 2, **groups(4), weight_num_threshold=0)
    )
    assert stored.block_sizes == (4 * 64,)
