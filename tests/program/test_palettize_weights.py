"""``palettize_weights``: programs with look-up tables, on Core AI's runtime and on the way back."""

import inspect
import logging
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import Value

from coreai_opt import palettize_array
from coreai_opt.coreai_utils import dequantize_weights, palettize_weights
from coreai_opt.program.ir import read_constant
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.programs import (
    convolution,
    linear,
    make_program,
    matmul_program,
    random_weight,
    run,
    text,
    transposed_convolution,
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


def outputs_of(program: Any, shape: tuple[int, ...]) -> np.ndarray:
    x = np.random.default_rng(1).standard_normal(shape, np.float32)
    (result,) = run(program, {"x": x}).values()
    return result


FORMS: dict[str, dict[str, Any]] = {
    **{f"{bits} bits": {"n_bits": bits} for bits in (1, 2, 3, 4, 6, 8)},
    "3 bits, groups": {"n_bits": 3, "granularity": "per_grouped_channel", "group_size": 4},
    "6 bits, channels": {"n_bits": 6, "granularity": "per_channel"},
    "int8 entries": {"lut_dtype": "int8"},
    "uint8 entries, groups": {
        "lut_dtype": "uint8",
        "granularity": "per_grouped_channel",
        "group_size": 8,
    },
    "E4M3 entries": {"lut_dtype": "fp8_e4m3fn"},
    "E5M2 entries": {"lut_dtype": "fp8_e5m2"},
    "channel scales": {"enable_per_channel_scale": True},
    "int8 entries, channel scales": {"lut_dtype": "int8", "enable_per_channel_scale": True},
}

KINDS: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    # shapes of x, of the weight and of the result
    "linear": ((3, 32), (24, 32), (3, 24)),
    "convolution": ((1, 8, 6, 6), (16, 8, 3, 3), (1, 16, 4, 4)),
    "transposed_convolution": ((1, 8, 4, 4), (8, 16, 3, 3), (1, 16, 6, 6)),
}
OPS = {
    "linear": linear,
    "convolution": convolution,
    "transposed_convolution": transposed_convolution,
}


def program_of(kind: str, weight: np.ndarray) -> Any:
    x, _, result = KINDS[kind]

    def body(value: Value) -> Any:
        return OPS[kind](value, weight)

    return make_program(body, {"x": (x, np.float32)}, {"y": (result, np.float32)})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMS)
def test_every_form_runs_as_what_it_decodes_to(name: str, kind: str) -> None:
    weight = random_weight(KINDS[kind][1])
    arguments = {"lut_dtype": None, **FORMS[name]}
    palettized = palettize_weights(program_of(kind, weight), weight_num_threshold=0, **arguments)
    assert "coreai.lut_to_dense" in text(palettized)
    back = dequantize_weights(palettized)
    assert "coreai.lut_to_dense" not in text(back)
    assert "blockwise_shift_scale" not in text(back)
    x = KINDS[kind][0]
    assert outputs_of(palettized, x).tobytes() == outputs_of(back, x).tobytes()
    (decoded,) = (read_constant(found.op) for found in find_weights(back, 0))
    assert decoded.shape == weight.shape
    # 1 bit leaves 36 % of the energy of normal numbers, 3 bits 3.5 %.
    left = 0.4 if name == "1 bits" else 0.13 if name == "2 bits" else 0.04
    assert ((decoded - weight) ** 2).sum() < left * (weight**2).sum()


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
    program = program_of("linear", random_weight((24, 32)))
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
    program = program_of("linear", weight)
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
