"""``palettize_weights``: programs with look-up tables, on Core AI's runtime and on the way back."""

import inspect
import logging
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import palettize_array
from coreai_opt.coreai_utils import dequantize_weights, palettize_weights
from coreai_opt.program.ir import read_constant
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.programs import (
    linear,
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


def linear_program(weight: np.ndarray) -> Any:
    rows, columns = weight.shape
    return make_program(
        lambda x: linear(x, weight),
        {"x": ((3, columns), np.float32)},
        {"y": ((3, rows), np.float32)},
    )


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


def test_a_program_is_copied_unless_it_is_changed_in_place() -> None:
    program = matmul_program(random_weight((64, 32)))
    before = text(program)
    palettize_weights(program, None, weight_num_threshold=0)
    assert text(program) == before
    assert palettize_weights(program, None, weight_num_threshold=0, in_place=True) is program
    assert text(program) != before


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
