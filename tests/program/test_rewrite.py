"""What a quantized program holds, what happens to the one that was given, and what is skipped."""

import gc
import itertools
import logging
import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import AIProgram, broadcasting_batch_matmul
from coreai.authoring.constant import constant

from coreai_opt import BackendMismatchError, quantize_array
from coreai_opt.arrays.methods import nearest
from coreai_opt.arrays.threads import Task
from coreai_opt.coreai_utils import DType, QScheme, quantize_weights
from coreai_opt.program import ir, quantize
from coreai_opt.program.ir import Buffer, read_constant, tensors
from coreai_opt.program.weights import find_weights
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, pack

from ..support.programs import (
    F32,
    all_stored,
    make_program,
    matmul_program,
    operand_constants,
    ops,
    random_weight,
    run,
    stored,
    text,
    two_layers,
)

ELEMENTS = {
    "int2": "si2",
    "uint2": "ui2",
    "int4": "si4",
    "uint4": "ui4",
    "int8": "si8",
    "uint8": "ui8",
    "fp4_e2m1fn": "f4E2M1FN",
    "fp8_e4m3fn": "f8E4M3FN",
    "fp8_e5m2": "f8E5M2",
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "float8_e8m0fnu": "f8E8M0FNU",
}
"""How MLIR spells the types, said here a second time."""

SPECS = [
    *itertools.product([d for d in DType if d.is_int()], QScheme, [None]),
    *itertools.product(
        [DType.FP8_E4M3FN, DType.FP8_E5M2], [QScheme.SYMMETRIC], [None, DType.FP8_E8M0FNU]
    ),
    (DType.FP4_E2M1FN, QScheme.SYMMETRIC, None),
]
"""Every format with every scheme and scale that it can have."""


def decoders(program: AIProgram) -> list[Any]:
    """The ops that decode weights; ``program`` must outlive them."""
    return ir.operations(program, ir.BLOCKWISE_SHIFT_SCALE)


def decoded_shapes(program: AIProgram) -> list[tuple[int, ...]]:
    return [tuple(op.result.type.shape) for op in decoders(program)]


def quantize_small(program: AIProgram, **arguments: Any) -> AIProgram:
    return quantize_weights(program, **{"dtype": "int8", "weight_num_threshold": 0, **arguments})


# What is stored.


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize(("format", "qscheme", "scale_dtype"), SPECS)
def test_what_is_stored_is_what_quantize_array_gives(
    format: DType, qscheme: QScheme, scale_dtype: DType | None, dtype: Any, backend: str
) -> None:
    weight = random_weight((96, 5), dtype)  # sub-byte codes cross rows
    weight[:32] = 0
    spec: dict[str, Any] = {"qscheme": qscheme, "scale_dtype": scale_dtype, "backend": backend}
    quantized = quantize_small(
        matmul_program(weight), dtype=format, granularity="per_block", **spec
    )
    (op,) = decoders(quantized)
    expected = quantize_array(weight, format, block_sizes=(32, 1), **spec)
    element, scale = ELEMENTS[format], expected.scale
    zero_points = pack(expected.zero_point, FORMATS[format]).tobytes()
    assert operand_constants(op) == [
        ((96, 5), element, expected.packed.tobytes()),
        ((3, 5), ELEMENTS[scale.dtype.name], scale.tobytes()),
        ((3, 5), element, zero_points),
        ((3, 5), ELEMENTS[weight.dtype.name], bytes(15 * weight.itemsize)),
    ]
    assert ir.static_tensor(op.result) == ((96, 5), ELEMENTS[weight.dtype.name])


@pytest.mark.parametrize("num_threads", [1, 2])
def test_importances_go_along_the_input_axis_of_the_weight_they_name(num_threads: int) -> None:
    program = two_layers(16, 12, 8)
    first, second = find_weights(program, 0)
    values = {w.name: read_constant(w.op, Buffer(), w.tensor).copy() for w in (first, second)}
    importance = np.exp(np.random.default_rng(0).normal(0, 2, 12))
    arguments: dict[str, Any] = {"dtype": "int4", "observer": "mse", "num_threads": num_threads}
    quantized = quantize_small(program, importance={second.name: importance}, **arguments)
    wanted = [
        quantize_array(
            values[weight.name], "int4", block_sizes=(0, 1), observer="mse", importance=h
        )
        for weight, h in ((first, None), (second, importance[:, np.newaxis]))
    ]
    stored_codes = [operand_constants(op)[0][2] for op in decoders(quantized)]
    assert stored_codes == [w.packed.tobytes() for w in wanted]
    assert all_stored(quantized) != all_stored(quantize_small(program, **arguments))


@pytest.mark.parametrize(
    ("format", "qscheme", "splats"),
    [
        ("int4", "symmetric", [False, False, True, True]),
        ("uint4", "symmetric", [False, False, True, True]),
        ("uint4", "asymmetric", [False, False, False, True]),
        ("fp8_e5m2", "symmetric", [False, False, True, True]),
    ],
)
def test_offsets_that_are_all_the_same_take_no_room(
    format: str, qscheme: str, splats: list[bool]
) -> None:
    program = matmul_program(random_weight((8, 6)))
    quantized = quantize_small(program, dtype=format, qscheme=qscheme)
    (op,) = decoders(quantized)
    assert [ir.stored_bytes(operand.owner) == 0 for operand in op.operands] == splats


def test_constants_share_the_memory_they_are_made_from_and_protect_it() -> None:
    program = two_layers()
    (first, _) = find_weights(program, 0)
    array = np.arange(16, dtype=np.int8)
    build = ir.Builder(first.op)
    made = build.constant(array, (16,), "si8").owner
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    assert stored(made) == ((16,), "si8", array.tobytes())
    del array
    gc.collect()
    assert stored(made) == ((16,), "si8", bytes(range(16)))


@pytest.mark.parametrize("worth", [1, 6 * 4 + 1, 8 * 6, 8 * 6 + 1])
def test_only_weights_that_are_worth_it_are_quantized_in_another_thread(
    worth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, program = all_stored(quantize_small(two_layers(), num_threads=1)), two_layers()
    (*weights,) = find_weights(program, 0)
    start, started = quantize.start, []

    def note(call: Any, read: Any, *arguments: Any) -> Any:
        started.append(read.array.size)
        return start(call, read, *arguments)

    monkeypatch.setattr(quantize, "WORTH_A_THREAD", worth)
    monkeypatch.setattr(quantize, "start", note)
    assert all_stored(quantize_small(program, num_threads=2)) == expected
    assert started == [weight.tensor.size for weight in weights if weight.tensor.size >= worth]


def test_the_next_weight_is_read_when_this_one_is_being_quantized(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Core AI keeps the GIL while it copies a constant, and quantizing would only begin after."""
    read, wait, order = quantize.read_constant, Task.wait_until_busy, []

    def note_read(*arguments: Any) -> Any:
        order.append("read")
        return read(*arguments)

    def note_wait(task: Task) -> None:
        wait(task)
        order.append("busy")

    monkeypatch.setattr(quantize, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(quantize, "read_constant", note_read)
    monkeypatch.setattr(Task, "wait_until_busy", note_wait)
    quantize_small(two_layers(), num_threads=2)
    assert order == ["read", "busy"] * 2


def test_what_is_made_once_for_a_program_is_told_apart() -> None:
    program, parts = two_layers(), {}
    wanted = [
        (number, shape, element)
        for number in (0.0, -0.0, 1.0)
        for shape in ((2, 3), (3, 2))
        for element in ("f32", "f16", "bf16")
    ]
    (first, _) = find_weights(program, 0)
    build = ir.Builder(first.op, parts)
    made = [build.splat(*each).owner for each in wanted * 2]
    for (number, shape, element), op in zip(wanted * 2, made, strict=True):
        tensor = ir.Tensor(shape, element)
        assert stored(op) == (*tensor, np.full(shape, number, tensor.dtype).tobytes())


def test_constants_are_aligned_as_core_ais_own_are() -> None:
    """The first four bytes of a printed resource are its alignment, which is saved with it."""
    resources = re.findall(r'"0x([0-9A-F]{8})', text(quantize_small(two_layers())))
    assert resources == ["10000000"] * 4  # data and scale of two weights


def test_a_splat_weight_is_read_like_any_other(backend: str) -> None:
    program = make_program(
        lambda x: (
            broadcasting_batch_matmul(x, constant(np.full((8, 6), 1.5, ml_dtypes.bfloat16))),
        ),
        {"x": ((3, 8), ml_dtypes.bfloat16)},
        {"y": ((3, 6), ml_dtypes.bfloat16)},
    )
    quantized = quantize_small(program, backend=backend)
    y = run(quantized, {"x": np.ones((3, 8), ml_dtypes.bfloat16)})["y"]
    np.testing.assert_allclose(y.astype(F32), 12, rtol=1e-2)


def test_locations_are_kept_and_replaced_constants_erased() -> None:
    program = two_layers()
    before = {weight.shape: str(weight.op.location) for weight in find_weights(program, 0)}
    quantized = quantize_small(program)
    found = decoders(quantized)
    assert {tuple(op.result.type.shape): str(op.location) for op in found} == before
    for op in found:
        assert {str(operand.owner.location) for operand in op.operands} == {str(op.location)}
    constants = ir.operations(quantized, ir.CONSTANT)
    assert len(constants) == 4 * len(found)
    assert all(ir.uses(op.result) for op in constants)


# The program that was given.


def test_a_copy_leaves_the_given_program_as_it_was() -> None:
    program = two_layers()
    before = text(program)
    quantized = quantize_small(program)
    assert quantized is not program
    assert text(program) == before != text(quantized)


def test_in_place_changes_and_returns_the_given_program() -> None:
    program = two_layers()
    expected = all_stored(quantize_small(program))
    assert quantize_small(program, in_place=True) is program
    assert all_stored(program) == expected
    program._module.verify()


def test_quantizing_a_quantized_program_changes_nothing() -> None:
    once = quantize_small(two_layers())
    assert text(quantize_small(once)) == text(once)


def test_the_threshold_is_exclusive() -> None:
    program = two_layers()
    for threshold, shapes in ((23, [(8, 6), (6, 4)]), (24, [(8, 6)]), (48, [])):
        quantized = quantize_small(program, weight_num_threshold=threshold)
        assert decoded_shapes(quantized) == shapes


@pytest.mark.parametrize("backend", ["auto", "native", "validate"])
def test_an_unknown_instruction_set_is_an_error_not_a_reason_to_skip(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = two_layers()
    before = text(program)
    monkeypatch.setenv("COREAI_OPT_ISA", "sse9")
    with pytest.raises(ValueError, match=r"COREAI_OPT_ISA must be one of .*; got 'sse9'"):
        quantize_small(program, in_place=True, backend=backend)
    assert text(program) == before


class InjectedError(Exception):
    """A failure that nothing expects."""


def fail_at(call: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function``, but for its ``call``-th call, which raises."""
    calls = itertools.count(1)

    def failing(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise InjectedError
        return function(*args, **kwargs)

    return failing


@pytest.mark.parametrize(
    ("where", "name", "call"),
    [
        (nearest, "quantize", 2),
        (quantize, "read_constant", 2),
        (quantize, "replace_constants", 2),
        (ir.Builder, "constant", 3),
        (ir.Builder, "constant", 4),
        (ir.Builder, "splat", 3),
        (ir.Builder, "splat", 4),
        (ir.Builder, "blockwise_shift_scale", 2),
    ],
)
@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_failure_in_the_middle_leaves_a_valid_program(
    where: Any, name: str, call: int, num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = two_layers()
    complete = run(quantize_small(program), x := {"x": random_weight((3, 8))})["y"]
    monkeypatch.setattr(where, name, fail_at(call, getattr(where, name)))
    with pytest.raises(InjectedError):
        quantize_small(program, in_place=True, num_threads=num_threads)
    monkeypatch.undo()
    program._module.verify()
    # With two threads the second weight is read before the first is written back.
    done = 0 if (name, num_threads) == ("read_constant", 2) else 1
    shapes = [(8, 6), (6, 4)]
    assert decoded_shapes(program) == shapes[:done]
    assert [weight.shape for weight in find_weights(program, 0)] == shapes[done:]
    constants = ir.operations(program, ir.CONSTANT)
    assert all(ir.uses(op.result) for op in constants)  # nothing half built is left
    run(program, x)
    quantize_small(program, in_place=True)
    np.testing.assert_array_equal(run(program, x)["y"], complete)


def test_an_op_that_does_not_verify_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    program = two_layers()
    before = text(program)
    # Core AI takes no float32 scales for FP4 data.
    monkeypatch.setitem(tensors._CODE_TYPES, "int4", "f4E2M1FN")
    with pytest.raises(Exception, match="blockwise_shift_scale"):
        quantize_small(program, dtype="int4", in_place=True)
    assert text(program) == before


# Weights that cannot be quantized.


def test_a_block_size_that_does_not_divide(caplog: pytest.LogCaptureFixture, backend: str) -> None:
    program = two_layers()
    quantized = quantize_small(program, granularity="per_block", block_size=4, backend=backend)
    assert decoded_shapes(quantized) == [(8, 6)]
    skipped = next(weight for weight in find_weights(program, 0) if weight.shape == (6, 4))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("coreai_opt", logging.WARNING)
    for part in (skipped.name, skipped.location, "block size 4"):
        assert part in record.message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_weights_that_are_not_finite(
    bad: float, dtype: Any, caplog: pytest.LogCaptureFixture, backend: str
) -> None:
    weight = random_weight((8, 6), dtype)
    weight[5, 2] = weight[7, 0] = bad
    program = matmul_program(weight)
    quantized = quantize_small(program, backend=backend)
    assert text(quantized) == text(program)
    (record,) = caplog.records
    for part in ("matmul:1/8x6", "programs.py:", str(bad), "(5, 2)"):
        assert part in record.message


def test_a_mismatch_of_the_backends_is_raised_and_names_the_weight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mismatch(*_: Any, **__: Any) -> Any:
        raise BackendMismatchError("codes differ first at index (0, 1)")

    monkeypatch.setattr(nearest, "quantize", mismatch)
    program = two_layers()
    weight = find_weights(program, 0)[0]
    with pytest.raises(BackendMismatchError) as caught:
        quantize_small(program)
    for part in (str(weight), "codes differ first at index (0, 1)"):
        assert part in str(caught.value)


def test_the_validator_runs_on_programs() -> None:
    program = two_layers()
    validated = quantize_small(program, backend="validate", num_threads=2)
    assert all_stored(validated) == all_stored(quantize_small(program, backend="reference"))


def test_nothing_else_in_the_program_changes() -> None:
    program = two_layers()
    quantized = quantize_small(program)
    ours = {ir.CONSTANT, ir.BLOCKWISE_SHIFT_SCALE}
    before, after = (
        [op.name for op in ops(p) if op.name not in ours] for p in (program, quantized)
    )
    assert after == before


def test_the_observer_reaches_the_weights() -> None:
    weight = random_weight((64, 48))
    expected = quantize_array(weight, "int4", block_sizes=(0, 1), observer="mse")
    stored_scales = []
    for observer in ("minmax", "mse"):
        program = matmul_program(weight, (64,))
        quantized = quantize_weights(program, "int4", observer=observer, weight_num_threshold=0)
        (op,) = ir.operations(quantized, ir.BLOCKWISE_SHIFT_SCALE)
        stored_scales.append(operand_constants(op)[1][2])
    assert stored_scales[1] == expected.scale.tobytes() != stored_scales[0]
