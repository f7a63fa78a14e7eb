"""``quantize_weights(…, calibration=…)``: kinds of weights, what is recorded, what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from coreai.authoring import AIProgram, Value, conv3d
from coreai.authoring.constant import constant

from coreai_opt import Feedback, Rule, WeightRecord, quantize_array
from coreai_opt.calibration.calibration import Calibration
from coreai_opt.calibration.moments import Moments
from coreai_opt.coreai_utils import calibrate, compare_programs, quantize_weights
from coreai_opt.exceptions import ArgumentError, ArgumentTypeError, CalibrationError

from ..support.exported import EXPERT_X, EXPERTS, INPUTS, OUTPUTS, experts_program
from ..support.programs import (
    F32,
    Array,
    all_stored,
    convolution,
    linear,
    make_program,
    matmul_program,
    random_weight,
    run,
    text,
    transposed_convolution,
    two_layers,
    u32,
)

MIXING = np.random.default_rng(9).standard_normal((64, 64)) / 8


def correlated(shape: tuple[int, ...], seed: int, axis: int = -1) -> Array:
    """Inputs whose channels, along an axis, are correlated, and neighbours along the last axis."""
    x = np.random.default_rng(seed).standard_normal(shape)
    x[..., 1:] += x[..., :-1]
    n = shape[axis]
    mixed = np.moveaxis(x, axis, -1) @ MIXING[:n, :n]
    return np.ascontiguousarray(np.moveaxis(mixed, -1, axis), np.float32)


def quantized(
    program: AIProgram, dtype: str = "int4", **arguments: Any
) -> tuple[AIProgram, list[WeightRecord]]:
    records: list[WeightRecord] = []
    result = quantize_weights(
        program, dtype, weight_num_threshold=0, progress=records.append, **arguments
    )
    return result, records


def seen(program: AIProgram, samples: list[dict[str, Array]]) -> Calibration:
    return calibrate(program, samples, weight_num_threshold=0)


def test_it_is_what_the_array_api_gives() -> None:
    weight = random_weight((24, 10))
    program = matmul_program(weight)
    shape = (3, 24)
    calibration = seen(program, [{"x": correlated(shape, seed)} for seed in range(20)])
    result, (record,) = quantized(program, calibration=calibration)
    assert (record.rounding, record.observer, record.reason) == ("gptq", "mse", "")
    (moments,) = calibration.moments.values()
    array = quantize_array(
        weight.T.copy(),
        "int4",
        block_sizes=(1, 0),
        observer="mse",
        feedback=Feedback.from_moments(moments.matrices),
    )
    x = correlated(shape, 99)
    want = x @ array.dequantize().T
    np.testing.assert_allclose(
        run(result, {"x": x})["y"], want, rtol=0, atol=1e-5 * np.abs(want).max()
    )
    error = weight.T - array.dequantize()
    square = moments.matrices[0][0]
    assert record.output_error is not None
    assert record.output_error.noise == pytest.approx(np.trace(error @ square @ error.T), rel=1e-4)
    signal = np.trace(weight.T @ square @ weight)
    assert record.output_error.signal == pytest.approx(signal, rel=1e-4)


def convolutions(channels: int, outputs: int, groups: int) -> AIProgram:
    weight = random_weight((outputs, channels // groups, 3, 3))
    return make_program(
        lambda x: (convolution(x, constant(weight), groups),),
        {"x": ((1, channels, 12, 12), F32)},
        {"y": ((1, outputs, 10, 10), F32)},
    )


def convolutions_3d() -> AIProgram:
    weight = random_weight((6, 4, 2, 2, 2))
    return make_program(
        lambda x: (conv3d(x, constant(weight), u32(1, 2, 1), u32(1, 1, 2), np.uint32(1)),),
        {"x": ((1, 4, 6, 6, 6), F32)},
        {"y": ((1, 6, 5, 3, 4), F32)},
    )


def transposed_convolutions(groups: int) -> AIProgram:
    weight = random_weight((16, 6 // groups, 2, 2))
    return make_program(
        lambda x: (transposed_convolution(x, constant(weight), groups),),
        {"x": ((1, 16, 12, 12), F32)},
        {"y": ((1, 6, 13, 13), F32)},
    )


def linears() -> AIProgram:
    """Three weights with the same inputs."""

    def body(x: Value) -> Any:
        return tuple(linear(x, constant(random_weight((20, 48), seed=seed))) for seed in range(3))

    return make_program(body, {"x": ((32, 48), F32)}, {f"y{i}": ((32, 20), F32) for i in range(3)})


IMAGE = (1, 16, 12, 12)
KINDS: dict[str, tuple[Callable[[], AIProgram], tuple[int, ...], int]] = {
    "right operand": (lambda: matmul_program(random_weight((48, 20))), (3, 48), -1),
    "linear": (linears, (32, 48), -1),
    "heads": (lambda: matmul_program(random_weight((4, 16, 12)), batch=(4,)), (4, 3, 16), -1),
    "convolution": (lambda: convolutions(16, 6, 1), IMAGE, 1),
    "groups": (lambda: convolutions(16, 6, 2), IMAGE, 1),
    "depthwise": (lambda: convolutions(16, 16, 16), IMAGE, 1),
    "convolution 3-D": (convolutions_3d, (1, 4, 6, 6, 6), 1),
    "transposed convolution": (lambda: transposed_convolutions(1), IMAGE, 1),
    "transposed, groups": (lambda: transposed_convolutions(2), IMAGE, 1),
}


@pytest.mark.parametrize("granularity", ["per_channel", "per_block", "per_tensor"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_weight(kind: str, granularity: str) -> None:
    make, shape, axis = KINDS[kind]
    program = make()
    calibration = seen(program, [{"x": correlated(shape, seed, axis)} for seed in range(30)])
    given = {"granularity": granularity, "block_size": 8, "indivisible": "fit", "dtype": "uint4"}
    result, records = quantized(program, calibration=calibration, backend="validate", **given)
    plain, _ = quantized(program, observer="mse", **given)
    for record in records:
        error = record.output_error
        assert error is not None
        assert error.sqnr_db >= error.nearest_sqnr_db
        assert record.rounding == "gptq"
    held_back = {"x": correlated(shape, 99, axis)}
    for with_feedback, without in zip(
        compare_programs(program, result, held_back),
        compare_programs(program, plain, held_back),
        strict=True,
    ):
        assert with_feedback.sqnr_db > without.sqnr_db


@pytest.mark.parametrize("dtype", ["int2", "int8", "fp8_e4m3fn", "fp8_e5m2", "fp4_e2m1fn"])
@pytest.mark.parametrize("observer", [None, "minmax"])
def test_formats_and_observers(dtype: str, observer: str | None) -> None:
    program = matmul_program(random_weight((64, 20)))
    calibration = seen(program, [{"x": correlated((3, 64), seed)} for seed in range(60)])
    given = {"granularity": "per_block", "observer": observer}
    _, (record,) = quantized(program, dtype, calibration=calibration, **given)
    assert (record.rounding, record.observer) == ("gptq", observer or "mse")


def test_experts() -> None:
    """Experts that no row reached are rounded to nearest, the others with feedback."""
    shape = (1, EXPERTS, INPUTS, OUTPUTS)
    program = experts_program(random_weight(shape))
    (rows, _), (choices, kind) = EXPERT_X["x"], EXPERT_X["chosen"]
    samples = [
        {"x": correlated(rows, seed), "chosen": np.zeros(choices, kind)} for seed in range(20)
    ]
    calibration = seen(program, samples)
    (moments,) = calibration.moments.values()
    assert (moments.rows > 0).tolist() == [True] + [False] * (EXPERTS - 1)
    result, (record,) = quantized(program, calibration=calibration, backend="validate")
    assert record.rounding == "gptq"
    plain, _ = quantized(program, observer="mse")
    error = record.output_error
    assert error is not None
    assert error.sqnr_db > error.nearest_sqnr_db + 1
    held_back = {"x": correlated(rows, 99), "chosen": np.zeros(choices, kind)}
    (with_feedback,), (without,) = (
        compare_programs(program, changed, held_back) for changed in (result, plain)
    )
    assert with_feedback.sqnr_db > without.sqnr_db


def test_rules_say_otherwise() -> None:
    program = two_layers(16, 12, 8)
    calibration = seen(program, [{"x": correlated((3, 16), seed)} for seed in range(20)])
    names = list(calibration.moments)
    rules = [Rule(name=names[0], rounding="nearest")]
    _, (first, second) = quantized(program, calibration=calibration, overrides=rules)
    assert (first.rounding, first.output_error) == ("nearest", None)
    assert second.rounding == "gptq"
    result, records = quantized(program, calibration=calibration, rounding="nearest")
    assert [record.rounding for record in records] == ["nearest", "nearest"]
    plain, _ = quantized(program, observer="mse")
    assert all_stored(result) == all_stored(plain)


def test_weights_that_were_not_seen_are_rounded_to_nearest() -> None:
    program = two_layers(16, 12, 8)
    calibration = seen(program, [{"x": correlated((3, 16), seed)} for seed in range(20)])
    first, second = calibration.moments
    some = Calibration(
        moments={second: calibration.moments[second]},
        channels={second: calibration.channels[second]},
        digests={second: calibration.digests[second]},
        left={first: "it was not looked at"},
        samples=20,
    )
    _, records = quantized(program, calibration=some)
    assert [(r.rounding, r.observer) for r in records] == [("nearest", "mse"), ("gptq", "mse")]


def test_nearest_is_kept_where_it_is_better() -> None:
    """Inputs that have nothing in common: there is nothing to make up for."""
    program = matmul_program(random_weight((24, 10)))
    calibration = seen(program, [{"x": correlated((3, 24), 1)}])
    (name,) = calibration.moments
    apart = Calibration(
        moments={name: Moments((np.eye(24, dtype=np.float32)[np.newaxis],), np.array([99]))},
        channels=calibration.channels,
        digests=calibration.digests,
        left={},
        samples=1,
    )
    result, (record,) = quantized(program, calibration=apart)
    assert record.rounding == "nearest"
    assert record.reason.startswith("rounded to nearest: with feedback outputs had an SQNR of")
    assert record.output_error is not None
    assert record.output_error.noise == record.output_error.nearest_noise
    plain, _ = quantized(program, observer="mse")
    assert all_stored(result) == all_stored(plain)


@pytest.mark.parametrize("factor", [2.0**66, 2.0**-83])
def test_weights_whose_squares_are_no_float32(factor: float) -> None:
    """They are judged as those that a power of two makes of them."""
    weight, samples = random_weight((64, 32)), [{"x": correlated((3, 64), 1)}]
    found = []
    for times in (1, factor):
        program = matmul_program(weight * np.float32(times))
        _, (record,) = quantized(program, calibration=seen(program, samples))
        assert record.output_error is not None
        found.append((record.rounding, record.output_error.sqnr_db))
    assert found[0] == found[1]
    assert found[0][0] == "gptq"


def test_any_number_of_threads() -> None:
    program = linears()
    calibration = seen(program, [{"x": correlated((32, 48), seed)} for seed in range(4)])
    one, *more = (
        all_stored(quantized(program, calibration=calibration, num_threads=threads)[0])
        for threads in (1, 2, 5)
    )
    assert all(other == one for other in more)


def test_a_calibration_of_another_program() -> None:
    program = matmul_program(random_weight((24, 10)))
    calibration = seen(program, [{"x": correlated((3, 24), 1)}])
    other = matmul_program(random_weight((24, 10), seed=7))
    before = text(other)
    with pytest.raises(CalibrationError, match="of another program"):
        quantized(other, calibration=calibration, in_place=True)
    assert text(other) == before


def test_a_calibration_of_another_program_where_few_weights_are_quantized() -> None:
    """It is told by all weights that were seen, as many as are large enough to be quantized."""
    samples = [{"x": correlated((3, 64), 0)}]
    calibration = seen(two_layers(64, 48, 32), samples)
    with pytest.raises(CalibrationError, match="of another program"):
        quantize_weights(
            two_layers(64, 48, 31), "int4", weight_num_threshold=2000, calibration=calibration
        )


def test_arguments() -> None:
    program = matmul_program(random_weight((24, 10)))
    with pytest.raises(ArgumentError, match='rounding "gptq" needs a calibration'):
        quantized(program, rounding="gptq")
    with pytest.raises(ArgumentError, match='rounding "gptq" needs a calibration'):
        quantized(program, overrides=[Rule(name="*", rounding="gptq")])
    with pytest.raises(ArgumentTypeError, match="calibration must be a Calibration"):
        quantized(program, calibration="model.calibration")
    with pytest.raises(ArgumentError, match="rounding"):
        quantized(program, rounding="up")
