"""Quantized weights as floats again: the decoded bytes, and which are left as they are."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import (
    AIProgram,
    Value,
    blockwise_shift_scale,
    broadcasting_add,
    broadcasting_batch_matmul,
    float4_e2m1fn,
)
from coreai.authoring.constant import constant

from coreai_opt import BackendMismatchError, quantize_array
from coreai_opt.arrays import backends
from coreai_opt.coreai_utils import dequantize_weights, quantize_weights
from coreai_opt.program import dequantize, ir
from coreai_opt.program.forms import blockwise
from coreai_opt.program.forms.blockwise import granularity_of
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, pack
from coreai_opt.settings.enums import CompressionGranularity, DType, QScheme

from ..support.every_kind import BLOCKS, SPECS, assert_equal_outputs, every_kind, feed, weights_of
from ..support.programs import (
    F32,
    Array,
    all_stored,
    make_program,
    matmul_program,
    ops,
    random_weight,
    run,
    text,
    two_layers,
    weight_values,
)

SHAPE = (64, 5)


def quantize_small(program: AIProgram, dtype: str = "int4", **options: Any) -> AIProgram:
    return quantize_weights(program, dtype, weight_num_threshold=0, **options)


def float_constants(program: AIProgram) -> list[tuple[tuple[int, ...], Any, bytes]]:
    """The weights of a program that are not quantized."""
    weights = find_weights(program, 0)
    return [(w.shape, w.dtype, ir.read_constant(w.op).tobytes()) for w in weights]


def op_names(program: AIProgram) -> list[str]:
    return [op.name for op in ops(program)]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", SPECS)
def test_weights_are_what_the_array_api_decodes(spec: str, dtype: Any, backend: str) -> None:
    weights = weights_of(dtype)
    original = every_kind(weights, dtype)
    arguments = {**SPECS[spec], "granularity": "per_block", "weight_num_threshold": 0}
    program = quantize_weights(original, **arguments)
    decoded = dequantize_weights(program, backend=backend)
    expected = [
        quantize_array(weight, **SPECS[spec], block_sizes=BLOCKS[kind]).dequantize()
        for kind, weight in weights.items()
    ]
    assert float_constants(decoded) == [(w.shape, w.dtype, w.tobytes()) for w in expected]
    assert find_quantized(decoded) == []
    # Neither codes nor scales are left behind, and nothing else has changed.
    assert sorted(op_names(decoded)) == sorted(op_names(original))


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", SPECS)
def test_the_runtime_computes_the_same(spec: str, dtype: Any) -> None:
    program = quantize_weights(
        every_kind(weights_of(dtype), dtype),
        **SPECS[spec],
        granularity="per_block",
        weight_num_threshold=0,
    )
    before, after = (run(p, feed(dtype)) for p in (program, dequantize_weights(program)))
    assert_equal_outputs(after, before)


def test_rows_that_end_inside_a_byte() -> None:
    """35 codes and 7 zero points of 2 or 4 bits: the last bytes are not full."""
    weight = random_weight((5, 7))
    for format in ("int2", "uint2", "int4", "uint4"):
        program = quantize_small(matmul_program(weight), format, qscheme="asymmetric")
        expected = quantize_array(weight, format, qscheme="asymmetric", block_sizes=(0, 1))
        assert float_constants(dequantize_weights(program)) == [
            ((5, 7), F32, expected.dequantize().tobytes())
        ]


def test_locations_are_kept() -> None:
    program = quantize_small(two_layers())
    before = {weight.shape: str(weight.op.location) for weight in find_quantized(program)}
    decoded = dequantize_weights(program)
    assert {w.shape: str(w.op.location) for w in find_weights(decoded, 0)} == before


def test_dequantized_weights_can_be_quantized_again() -> None:
    """With scales that are powers of two a second time gives the same bytes."""
    program = quantize_small(
        matmul_program(random_weight(SHAPE)), "fp4_e2m1fn", granularity="per_block"
    )
    again = quantize_small(dequantize_weights(program), "fp4_e2m1fn", granularity="per_block")
    assert weight_values(again) == weight_values(program)


# The program that was given.


def test_a_copy_leaves_the_given_program_as_it_was() -> None:
    program = quantize_small(two_layers())
    before = text(program)
    decoded = dequantize_weights(program)
    assert decoded is not program
    assert text(program) == before != text(decoded)


def test_in_place_changes_and_returns_the_given_program() -> None:
    program = quantize_small(two_layers())
    expected = all_stored(dequantize_weights(program))
    assert dequantize_weights(program, in_place=True) is program
    assert all_stored(program) == expected
    program._module.verify()


def test_a_program_without_quantized_weights_stays_as_it_is() -> None:
    program = two_layers()
    assert text(dequantize_weights(program)) == text(program)


class InjectedError(Exception):
    """A failure that nothing expects."""


@pytest.mark.parametrize(("where", "name"), [(blockwise, "read"), (dequantize, "replace_decoders")])
def test_a_failure_in_the_middle_leaves_a_valid_program(
    where: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, function = quantize_small(two_layers()), getattr(where, name)
    expected = weight_values(dequantize_weights(program))
    before = weight_values(program)
    calls: list[object] = []

    def fail_the_second_time(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise InjectedError
        return function(*arguments)

    monkeypatch.setattr(where, name, fail_the_second_time)
    with pytest.raises(InjectedError):
        dequantize_weights(program, in_place=True)
    monkeypatch.undo()
    program._module.verify()
    assert weight_values(program) == [before[1], expected[0]]  # first those that are quantized
    assert weight_values(dequantize_weights(program)) == expected


def test_constants_that_others_use_are_kept() -> None:
    """Core AI merges constants that are alike; here both weights have one scale and offset."""

    def body(x: Value) -> Any:
        scale, zero = constant(np.ones((1, 1), F32)), constant(np.zeros((1, 1), F32))
        offset = constant(np.zeros((1, 1), np.int8))
        decoded = [
            blockwise_shift_scale(constant(np.full((4, 4), code, np.int8)), scale, offset, zero)
            for code in (2, 3)
        ]
        y = broadcasting_batch_matmul(broadcasting_batch_matmul(x, decoded[0]), decoded[1])
        return (broadcasting_add(y, scale),)

    program = make_program(body, {"x": ((3, 4), F32)}, {"y": ((3, 4), F32)})
    decoded = dequantize_weights(program)
    decoded._module.verify()
    assert [np.frombuffer(raw, F32)[0] for *_, raw in float_constants(decoded)] == [2, 3]
    assert len(ir.operations(decoded, ir.CONSTANT)) == 3  # the scale is added
    x = {"x": random_weight((3, 4))}
    np.testing.assert_allclose(run(decoded, x)["y"], run(program, x)["y"], rtol=1e-6)


def test_only_one_thread_can_change_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    program, honest = quantize_small(two_layers()), blockwise.read
    messages = []

    def from_another_thread(op: Any) -> Any:
        with ThreadPoolExecutor() as pool:
            for change in (dequantize_weights, quantize_small):
                error = pool.submit(change, program, in_place=True).exception()
                messages.append((type(error), str(error)))
        return honest(op)

    monkeypatch.setattr(blockwise, "read", from_another_thread)
    dequantize_weights(program, in_place=True)
    refusal = (RuntimeError, "another thread is at work on the program already")
    assert messages == [refusal] * 4
    assert find_quantized(program) == []


# Weights that are not as this package writes them.


def apples_program(
    data: Callable[[], Any],
    scale: Array,
    offset1: Array,
    offset2: Array | None = None,
    shape: tuple[int, int] = SHAPE,
) -> AIProgram:
    """``x @ weight`` with the weight built as coreai-opt 0.4.0 builds it, by Core AI's own API."""
    offset2 = np.zeros(scale.shape, F32) if offset2 is None else offset2

    def body(x: Value) -> Any:
        decoded = blockwise_shift_scale(
            data(), constant(scale), constant(offset1), constant(offset2)
        )
        return (broadcasting_batch_matmul(x, decoded),)

    return make_program(body, {"x": ((3, shape[0]), F32)}, {"y": ((3, shape[1]), F32)})


def left_alone(program: AIProgram, caplog: pytest.LogCaptureFixture) -> str:
    """The reason given for a program's one weight, which must have been left as it is."""
    (weight,) = find_quantized(program)
    with caplog.at_level(logging.WARNING):
        assert text(dequantize_weights(program)) == text(program)
    (record,) = caplog.records
    assert record.name == "coreai_opt"
    prefix = f"{weight} is left as it is: "
    assert record.getMessage().startswith(prefix)
    return record.getMessage().removeprefix(prefix)


def test_offsets_that_are_no_splats() -> None:
    codes = np.arange(320, dtype=np.int32).reshape(SHAPE).astype(np.int8)
    scale, offset = random_weight((2, 5)), np.arange(10, dtype=np.int8).reshape(2, 5)
    program = apples_program(lambda: constant(codes), scale, offset)
    blocks = codes.reshape(2, 32, 5).astype(F32) - offset[:, None]
    expected = (scale[:, None] * blocks).reshape(SHAPE)
    assert float_constants(dequantize_weights(program)) == [(SHAPE, F32, expected.tobytes())]


def test_an_offset_behind_the_scale_is_left(caplog: pytest.LogCaptureFixture) -> None:
    codes, scale = np.ones(SHAPE, np.int8), np.ones((1, 5), F32)
    offset2 = np.array([[0, 0, 0, 0, 1e-45]], F32)
    program = apples_program(lambda: constant(codes), scale, np.zeros((1, 5), np.int8), offset2)
    assert "offset2" in left_alone(program, caplog)


@pytest.mark.parametrize("code", [0, 7])
def test_codes_stored_one_per_byte_are_left(code: int, caplog: pytest.LogCaptureFixture) -> None:
    """As coreai-opt 0.4.0 stores FP4. Core AI hands out all bytes, however little room there is."""
    codes = np.full(SHAPE, code, np.uint8)
    fp4 = codes.view(ml_dtypes.float4_e2m1fn)
    scale = np.ones((2, 5), ml_dtypes.float8_e8m0fnu)
    zero = np.zeros((2, 5), ml_dtypes.float4_e2m1fn)
    program = apples_program(
        lambda: constant(fp4, dtype=float4_e2m1fn), scale, zero, np.zeros((2, 5), F32)
    )
    assert "stored one per byte" in left_alone(program, caplog)


def test_scales_that_are_computed_are_left(caplog: pytest.LogCaptureFixture) -> None:
    def body(scale: Value) -> Any:
        codes, offset = np.ones(SHAPE, np.int8), np.zeros((1, 5), np.int8)
        zero = constant(np.zeros((1, 5), F32))
        return (blockwise_shift_scale(constant(codes), scale, constant(offset), zero),)

    program = make_program(body, {"scale": ((1, 5), F32)}, {"y": (SHAPE, F32)})
    assert left_alone(program, caplog) == "its scale is computed, not a constant"


def test_scales_of_another_dtype_are_left(caplog: pytest.LogCaptureFixture) -> None:
    codes, scale = np.ones(SHAPE, np.int8), np.ones((1, 5), np.float16)
    offset = np.zeros((1, 5), np.int8)
    program = apples_program(lambda: constant(codes), scale, offset, np.zeros((1, 5), F32))
    assert left_alone(program, caplog).startswith("scale must be float32 of shape (1, 5)")


def test_the_others_are_dequantized_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    def body(x: Value) -> Any:
        weights = [
            blockwise_shift_scale(
                constant(np.full((4, 4), code, np.int8)),
                constant(np.ones((1, 4), F32)),
                constant(np.zeros((1, 4), np.int8)),
                constant(np.full((1, 4), offset2, F32)),
            )
            for code, offset2 in ((2, 1), (3, 0))
        ]
        return (broadcasting_batch_matmul(broadcasting_batch_matmul(x, weights[0]), weights[1]),)

    program = make_program(body, {"x": ((3, 4), F32)}, {"y": ((3, 4), F32)})
    decoded = dequantize_weights(program)
    assert len(caplog.records) == len(find_quantized(decoded)) == 1
    assert [np.frombuffer(raw, F32)[0] for *_, raw in float_constants(decoded)] == [3]


# Arguments.


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "^backend must be one of.*'cuda'", {"backend": "cuda"}),
        (TypeError, "^backend must be one of", {"backend": None}),
        (ValueError, "^num_threads must be an int >= 1", {"num_threads": 0}),
        (TypeError, "^num_threads must be an int", {"num_threads": "2"}),
    ],
)
def test_bad_arguments(error: type[Exception], message: str, arguments: dict[str, Any]) -> None:
    program = quantize_small(two_layers())
    before = text(program)
    with pytest.raises(error, match=message):
        dequantize_weights(program, in_place=True, **arguments)
    assert text(program) == before


def test_something_else_than_a_program() -> None:
    with pytest.raises(TypeError, match=r"^program must be a coreai.authoring.AIProgram.*got str"):
        dequantize_weights("model.aimodel")  # type: ignore[arg-type]  # the error to test


def test_an_unknown_instruction_set_is_an_error_not_a_reason_to_skip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = quantize_small(two_layers())
    monkeypatch.setenv("COREAI_OPT_ISA", "sse9")
    with pytest.raises(ValueError, match=r"COREAI_OPT_ISA must be one of"):
        dequantize_weights(program)


def test_a_mismatch_of_the_backends_is_raised_and_names_the_weight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(self: Any, stored: Any, format: Any, out: Array, num_threads: int) -> None:
        out[...] = 1

    program = quantize_small(two_layers())
    (weight, _) = find_quantized(program)
    monkeypatch.setattr(backends.NativeBackend, "decode", wrong)
    with pytest.raises(BackendMismatchError) as caught:
        dequantize_weights(program, backend="validate")
    assert str(caught.value).startswith(f"{weight}: ")


# What is said of quantized weights.


SCHEMES = [
    *((dtype, "symmetric", {}) for dtype in DType if dtype != DType.FP8_E8M0FNU),
    *((dtype, "symmetric", {"observer": "mse"}) for dtype in DType if dtype.is_int()),
    *((dtype, "asymmetric", {}) for dtype in DType if dtype.is_int()),
]


@pytest.mark.parametrize(("dtype", "qscheme", "options"), SCHEMES)
def test_the_scheme(dtype: DType, qscheme: str, options: dict[str, Any]) -> None:
    program = quantize_small(
        matmul_program(random_weight(SHAPE)),
        dtype,
        qscheme=qscheme,
        granularity="per_block",
        **options,
    )
    (weight,) = find_quantized(program)
    assert weight.qscheme == qscheme


ZERO_POINTS: list[tuple[str, list[int], str]] = [
    ("int8", [0, 0], "symmetric"),
    ("int8", [0, 1], "asymmetric"),
    ("int8", [1, 1], "asymmetric"),
    ("uint8", [127, 127], "symmetric"),
    ("uint8", [128, 128], "asymmetric"),
    ("uint8", [0, 0], "asymmetric"),
    ("uint4", [7, 7], "symmetric"),
    ("uint4", [8, 8], "symmetric"),  # the observer MSE
    ("uint4", [7, 8], "asymmetric"),
    ("uint2", [2, 2], "symmetric"),
    ("uint2", [3, 3], "asymmetric"),
]


@pytest.mark.parametrize(
    ("dtype", "zero_points", "qscheme", "as_splat"),
    [
        *((*case, False) for case in ZERO_POINTS),
        *((*case, True) for case in ZERO_POINTS if len(set(case[1])) == 1),
    ],
)
def test_symmetric_are_the_neutral_zero_points(
    dtype: str, zero_points: list[int], qscheme: str, as_splat: bool
) -> None:
    program, format = matmul_program(random_weight((2, 2))), FORMATS[dtype]
    (weight,) = find_weights(program, 0)
    zeros = np.array([zero_points], format.code_dtype)
    element = ir.element_type(dtype)
    build = ir.Builder(weight.op)
    decoded = build.blockwise_shift_scale(
        ir.Tensor((2, 2), "f32"),
        data=build.splat(1, (2, 2), element),
        scale=build.splat(1, (1, 2), "f32"),
        offset1=build.splat(zero_points[0], (1, 2), element)
        if as_splat
        else build.constant(pack(zeros, format), (1, 2), element),
        offset2=build.splat(0, (1, 2), "f32"),
    )
    ir.replace(weight.op, decoded)
    (quantized,) = find_quantized(program)
    assert quantized.qscheme == QScheme(qscheme)


@pytest.mark.parametrize(
    ("shape", "block_sizes", "granularity"),
    [
        ((8, 64), (8, 64), "per_tensor"),
        ((8, 64), (1, 64), "per_channel"),
        ((8, 64), (8, 1), "per_channel"),
        ((8, 64), (1, 32), "per_block"),
        ((8, 64), (2, 64), "per_block"),
        ((8, 64), (1, 1), "per_block"),
        ((8, 1, 3, 3), (1, 1, 3, 3), "per_channel"),
        ((8, 1), (1, 1), "per_block"),
        ((1, 64), (1, 64), "per_tensor"),
        ((2, 64, 5), (1, 64, 1), "per_channel"),
    ],
)
def test_granularity(
    shape: tuple[int, ...], block_sizes: tuple[int, ...], granularity: str
) -> None:
    assert granularity_of(shape, block_sizes) == CompressionGranularity(granularity)


@pytest.mark.parametrize(
    ("granularity", "block_sizes"),
    [("per_tensor", (64, 5)), ("per_channel", (64, 1)), ("per_block", (16, 1))],
)
def test_blocks(granularity: str, block_sizes: tuple[int, ...]) -> None:
    program = quantize_small(
        matmul_program(random_weight(SHAPE)), granularity=granularity, block_size=16
    )
    (weight,) = find_quantized(program)
    assert (weight.block_sizes, weight.granularity) == (block_sizes, granularity)
