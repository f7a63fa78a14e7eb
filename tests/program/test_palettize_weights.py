"""``palettize_weights``: programs with look-up tables, on Core AI's runtime and on the way back."""

import inspect
import logging
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import (
    Value,
    blockwise_shift_scale,
    broadcasting_batch_matmul,
    cast,
    lut_to_dense,
)
from coreai.authoring.constant import constant

from coreai_opt import WeightRecord, palettize_array
from coreai_opt.coreai_utils import dequantize_weights, palettize_weights
from coreai_opt.program.ir import read_constant
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.programs import (
    convolution,
    linear_program,
    make_program,
    matmul_program,
    random_weight,
    text,
)

F16, BF16 = np.float16, ml_dtypes.bfloat16


def test_the_signature_is_apple_s() -> None:
    parameters = inspect.signature(palettize_weights).parameters
    positional = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    assert list(positional)[:2] == ["coreai_program", "lut_dtype"]
    assert list(positional.items())[2:] == [
        ("n_bits", 4),
        ("granularity", "per_tensor"),
        ("group_size", 32),
        ("cluster_dim", 1),
        ("enable_per_channel_scale", False),
        ("weight_num_threshold", 1024),
        ("num_kmeans_workers", 4),
        ("enable_fast_kmeans_mode", True),
        ("rounding_precision", 4),
        ("in_place", False),
    ]


# Of the energy of normal numbers 1 bit leaves 36 %, 2 bits 12 % and 3 bits 3.5 %.
@pytest.mark.parametrize(("bits", "share"), [(1, 0.4), (2, 0.13), (3, 0.04), (4, 0.011)])
def test_a_program_has_tables_until_it_is_dequantized(bits: int, share: float) -> None:
    weight = random_weight((24, 32))
    palettized = palettize_weights(linear_program(weight), None, bits, weight_num_threshold=0)
    assert "coreai.lut_to_dense" in text(palettized)
    back = dequantize_weights(palettized)
    assert "coreai.lut_to_dense" not in text(back)
    (decoded,) = (read_constant(found.op) for found in find_weights(back, 0))
    assert decoded.shape == weight.shape
    assert 0 < ((decoded - weight) ** 2).sum() < share * (weight**2).sum()


@pytest.mark.parametrize("dtype", [np.float32, F16, BF16], ids=lambda dtype: dtype.__name__)
def test_what_is_stored_is_what_arrays_are(dtype: Any) -> None:
    weight = random_weight((64, 32), dtype)
    program = palettize_weights(
        matmul_program(weight), None, 3, weight_num_threshold=0, granularity="per_tensor"
    )
    (stored,) = find_quantized(program)
    array, expected = stored.form.read(stored.op), palettize_array(weight, 3)
    assert array.packed.tobytes() == expected.packed.tobytes()
    assert array.table.tobytes() == expected.table.tobytes()
    assert (stored.format, stored.shape) == ("lut3", (64, 32))
    assert stored.nbytes == expected.nbytes
    assert find_weights(program, 0) == []


INDICES = np.arange(0, 256, 4, dtype=np.uint8).reshape(4, 16)
TABLE = np.arange(-128, 128, dtype=np.int8)


def apples_program(offset: float) -> Any:
    """A table of 8-bit entries as coreai-opt writes it: cast, and scaled by 0.5."""
    scale = np.array([[0.5]], np.float32)

    def body(x: Value) -> Any:
        looked_up = lut_to_dense(
            constant(INDICES),
            constant(TABLE.reshape(1, 1, 256, 1)),
            constant(np.int16(0)),
        )
        decoded = blockwise_shift_scale(
            cast(looked_up, np.float32),
            constant(scale),
            constant(0 * scale + np.float32(offset)),
            constant(0 * scale),
        )
        return (broadcasting_batch_matmul(x, decoded),)

    return make_program(body, {"x": ((3, 4), np.float32)}, {"y": ((3, 16), np.float32)})


def test_an_offset_that_is_no_whole_number_is_not_read(caplog: pytest.LogCaptureFixture) -> None:
    program = apples_program(0.5)
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        assert text(dequantize_weights(program)) == text(program)
    assert "is not one whole number everywhere" in caplog.text


def test_a_cast_between_a_table_and_its_scales_is_read() -> None:
    program = apples_program(0)
    (stored,) = find_quantized(program)
    assert (stored.format, stored.shape, stored.num_scales) == ("lut8", (4, 16), 1)
    assert (stored.form.read(stored.op).dequantize() == 0.5 * TABLE[INDICES]).all()
    back = dequantize_weights(program)
    for op in ("lut_to_dense", "blockwise_shift_scale", "coreai.cast"):
        assert op in text(program)
        assert op not in text(back)


def test_a_program_is_copied_unless_it_is_changed_in_place() -> None:
    program = matmul_program(random_weight((64, 32)))
    before = text(program)
    palettize_weights(program, None, weight_num_threshold=0)
    assert text(program) == before
    assert palettize_weights(program, None, weight_num_threshold=0, in_place=True) is program
    assert text(program) != before


@pytest.mark.parametrize("dtype", [np.float32, F16, BF16], ids=lambda dtype: dtype.__name__)
def test_vectors_lie_along_the_output_channels(dtype: Any) -> None:
    weight = random_weight((64, 32), dtype)
    palettized = palettize_weights(
        matmul_program(weight), None, 3, cluster_dim=4, weight_num_threshold=0
    )
    (stored,) = find_quantized(palettized)
    array = stored.form.read(stored.op)
    expected = palettize_array(weight, 3, cluster_dim=4, cluster_axis=1)
    assert array.packed.tobytes() == expected.packed.tobytes()
    assert array.table.tobytes() == expected.table.tobytes()
    assert array.dequantize().tobytes() == expected.dequantize().tobytes()
    assert (stored.format, stored.shape, stored.granularity) == ("lut3x4", (64, 32), "per_tensor")
    assert stored.nbytes == expected.nbytes == stored.form.saved_bytes(array)
    assert stored.form.label(array).format == stored.format
    (back,) = find_weights(dequantize_weights(palettized), 0)
    assert read_constant(back.op).tobytes() == expected.dequantize().tobytes()


@pytest.mark.parametrize("group_size", [8, 24])
def test_groups_of_vectors(group_size: int) -> None:
    weight = random_weight((24, 32))
    palettized = palettize_weights(
        linear_program(weight),
        "int8",
        4,
        "per_grouped_channel",
        group_size,
        4,
        weight_num_threshold=0,
    )
    (stored,) = find_quantized(palettized)
    expected = palettize_array(
        weight, 4, block_sizes=(group_size, 0), cluster_dim=4, lut_dtype="int8"
    )
    assert stored.form.read(stored.op).dequantize().tobytes() == expected.dequantize().tobytes()
    assert stored.nbytes == expected.nbytes


LEFT: list[tuple[dict[str, Any], str]] = [
    ({"cluster_dim": 5}, "cluster_dim 5 does not divide axis 0: 24 output channels"),
    (
        {"cluster_dim": 3, "granularity": "per_grouped_channel", "group_size": 8},
        "cluster_dim 3 does not divide axis 0: 8 output channels",
    ),
    (
        {"cluster_dim": 2, "granularity": "per_channel"},
        "cluster_dim 2 does not divide axis 0: 1 output channels",
    ),
]


@pytest.mark.parametrize(("arguments", "reason"), LEFT)
def test_vectors_that_do_not_fit_leave_the_weight(
    arguments: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    program = linear_program(random_weight((24, 32)))
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        after = palettize_weights(program, None, weight_num_threshold=0, **arguments)
    assert text(after) == text(program)
    assert reason in caplog.text


def test_vectors_stay_within_the_groups_of_a_convolution(
    caplog: pytest.LogCaptureFixture,
) -> None:
    weight = random_weight((18, 4, 3, 3))
    shapes = {"x": ((1, 12, 5, 5), np.float32)}, {"y": ((1, 18, 3, 3), np.float32)}
    program = make_program(lambda x: convolution(x, weight, 3), *shapes)
    assert find_quantized(palettize_weights(program, None, cluster_dim=3, weight_num_threshold=0))
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        left = palettize_weights(program, None, cluster_dim=9, weight_num_threshold=0)
    assert find_quantized(left) == []
    assert "cluster_dim 9 does not divide axis 0: 6 output channels" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "blocks"),
    [
        ({"scale_block_size": 16}, {"scale_block_sizes": (1, 16)}),
        ({"enable_per_channel_scale": True}, {"scale_block_sizes": (1, 0)}),
        (
            {"scale_block_size": 8, "granularity": "per_grouped_channel", "group_size": 12},
            {"scale_block_sizes": (1, 8), "block_sizes": (12, 0)},
        ),
    ],
)
def test_searched_scales_are_those_of_arrays(
    arguments: dict[str, Any], blocks: dict[str, Any]
) -> None:
    weight = random_weight((24, 32))
    records: list[WeightRecord] = []
    palettized = palettize_weights(
        linear_program(weight),
        None,
        observer="mse",
        weight_num_threshold=0,
        progress=records.append,
        **arguments,
    )
    (stored,) = find_quantized(palettized)
    expected = palettize_array(weight, 4, observer="mse", **blocks)
    assert stored.form.read(stored.op).scale.tobytes() == expected.scale.tobytes()
    plain = palettize_array(weight, 4, **blocks)
    assert plain.scale.tobytes() != expected.scale.tobytes()
    assert records[0].observer == "mse"


def test_a_group_size_that_does_not_divide_leaves_the_weight(
    caplog: pytest.LogCaptureFixture,
) -> None:
    program = linear_program(random_weight((24, 32)))
    before = text(program)
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        after = palettize_weights(
            program, None, granularity="per_grouped_channel", weight_num_threshold=0
        )
    assert text(after) == before
    assert "group_size 32 does not divide axis 0: 24 output channels" in caplog.text


def test_what_is_not_finite_is_left(caplog: pytest.LogCaptureFixture) -> None:
    weight = random_weight((24, 32))
    weight[3, 4] = np.inf
    program = linear_program(weight)
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        after = palettize_weights(program, None, weight_num_threshold=0)
    assert text(after) == text(program)
    assert "weight is inf at index (3, 4)" in caplog.text


BAD: list[tuple[dict[str, Any], str]] = [
    ({"lut_dtype": "int4"}, "`lut_dtype` must be one of"),
    ({"n_bits": 5}, "`n_bits` must be one of"),
    ({"granularity": "per_block"}, "`granularity` must be one of"),
    (
        {"cluster_dim": 2, "enable_per_channel_scale": True},
        "`enable_per_channel_scale=True` is not supported with",
    ),
    ({"cluster_dim": 2, "scale_block_size": 8}, "`scale_block_size` is not supported with"),
    ({"cluster_dim": 257}, "`cluster_dim` must be at most 256"),
    ({"cluster_dim": 0}, "cluster_dim must be an int >= 1"),
    ({"observer": "mse"}, "observer=.* needs scale_block_size or enable_per_channel_scale"),
    (
        {"observer": "mse", "scale_block_size": 8, "lut_dtype": "int8"},
        "observer=.* needs scale_block_size or enable_per_channel_scale",
    ),
    ({"observer": "mean"}, "Invalid observer"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named_before_anything_is_touched(
    arguments: dict[str, Any], message: str
) -> None:
    program = matmul_program(random_weight((64, 32)))
    before = text(program)
    with pytest.raises(ValueError, match=f"^{message}"):
        palettize_weights(program, **{"lut_dtype": None, "in_place": True, **arguments})
    assert text(program) == before
