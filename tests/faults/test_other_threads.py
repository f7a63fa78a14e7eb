"""Other threads at the same program, or writing to the array that is being quantized."""

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from coreai_opt import Feedback, _native, palettize_array, quantize_array
from coreai_opt.arrays import threads
from coreai_opt.coreai_utils import calibrate, plan_quantization, quantize_weights
from coreai_opt.exceptions import WeightChangedError
from coreai_opt.planning import measure as program_plan
from coreai_opt.program.ir import read_constant
from coreai_opt.program.weights import find_weights
from coreai_opt.reference.quantize import NotFiniteError
from coreai_opt.reports.records import WeightRecord

from ..support.programs import random_weight, text, two_layers, weight_values


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """What each of the calls, made at the same time, returns or raises."""
    start, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(i: int) -> None:
        start.wait()
        try:
            results[i] = calls[i]()
        except Exception as error:
            results[i] = error  # type: ignore[call-overload]  # a list of results, or errors

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def quantize(program: Any, **options: Any) -> Any:
    return quantize_weights(program, "int4", weight_num_threshold=0, num_threads=2, **options)


def test_threads_may_copy_one_program() -> None:
    program = two_layers(64, 48, 32)
    before, want = text(program), weight_values(quantize(program))
    for copy in in_threads(*[lambda: quantize(program)] * 8):
        assert weight_values(copy) == want
    assert text(program) == before


def test_threads_may_calibrate_one_program_and_round_with_one_calibration() -> None:
    program = two_layers(64, 48, 32)
    samples = [{"x": random_weight((3, 64), seed=seed)} for seed in range(4)]

    def calibrated() -> Any:
        return calibrate(program, samples, weight_num_threshold=0)

    before, calibration = text(program), calibrated()
    want = weight_values(quantize(program, calibration=calibration))
    assert want != weight_values(quantize(program, observer="mse"))
    for found in in_threads(*[calibrated] * 4):
        for name, moments in calibration.moments.items():
            np.testing.assert_array_equal(found.moments[name].matrices[0], moments.matrices[0])
    for copy in in_threads(*[lambda: quantize(program, calibration=calibration)] * 4):
        assert weight_values(copy) == want
    assert text(program) == before


def test_only_one_thread_can_quantize_a_program_in_place() -> None:
    """The others are refused, or find it done."""
    program = two_layers(64, 48, 32)
    want = weight_values(quantize(program))
    messages = []

    def from_another_thread(_: WeightRecord) -> None:
        (error,) = in_threads(lambda: quantize(program, in_place=True))
        messages.append(str(error))

    assert quantize(program, in_place=True, progress=from_another_thread) is program
    assert messages == ["another thread is at work on the program already"] * 2
    assert weight_values(program) == want

    for _ in range(50):
        program = two_layers(64, 48, 32)
        for result in in_threads(*[lambda: quantize(program, in_place=True)] * 3):
            assert result is program or isinstance(result, RuntimeError)
        program._module.verify()
        assert weight_values(program) == want


def plan(program: Any) -> Any:
    return plan_quantization(program, min_sqnr=20.0, weight_num_threshold=0, num_threads=2)


def test_no_plan_is_made_for_a_program_that_another_thread_changes() -> None:
    program = two_layers(64, 48, 32)
    results = []

    def from_another_thread(_: WeightRecord) -> None:
        results.extend(in_threads(lambda: plan(program)))

    quantize(program, in_place=True, progress=from_another_thread)
    assert [type(error) for error in results] == [RuntimeError] * 2
    assert {str(error) for error in results} == {"another thread is at work on the program already"}


def test_no_program_is_changed_that_another_thread_makes_a_plan_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program, results = two_layers(64, 48, 32), []
    want = plan(program).to_toml()

    def from_another_thread(*arguments: Any) -> Any:
        results.extend(in_threads(lambda: quantize(program, in_place=True)))
        return read_constant(*arguments)

    monkeypatch.setattr(program_plan, "read_constant", from_another_thread)
    assert plan(program).to_toml() == want
    assert [type(error) for error in results] == [RuntimeError] * 2
    assert len(find_weights(program, 0)) == 2


def test_threads_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a system has no more of them; in a moment it may."""
    start, allowed = threads._thread.start_new_thread, [0]

    def refuse(*arguments: Any) -> Any:
        allowed[0] -= 1
        if allowed[0] < 0:
            raise RuntimeError("can't start new thread")
        return start(*arguments)

    monkeypatch.setattr(_native, "SMALLEST_SHARE", 64)
    program = two_layers(64, 48, 32)
    original, want = weight_values(program), weight_values(quantize(program))
    states = [original, [want[0], original[1]], want]
    for number in range(20):
        monkeypatch.setattr(threads, "_pool", threads._Pool())
        monkeypatch.setattr(threads._thread, "start_new_thread", refuse)
        allowed[0] = number
        try:
            quantize_weights(program, "int4", weight_num_threshold=0, num_threads=4, in_place=True)
        except RuntimeError as error:
            assert str(error) == "can't start new thread"
        else:
            break
        finally:
            monkeypatch.setattr(threads._thread, "start_new_thread", start)
        assert weight_values(program) in states
        program._module.verify()
    assert 1 < number < 19
    assert weight_values(program) == want


def test_a_program_can_be_quantized_again_after_a_failure() -> None:
    """By any thread."""

    def fail(*_: Any) -> None:
        raise KeyError

    program = two_layers()
    with pytest.raises(KeyError):
        quantize(program, in_place=True, progress=fail)
    (result,) = in_threads(lambda: quantize(program, in_place=True))
    assert result is program


def disturb(
    compress: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch, *, rounds: int
) -> None:
    """Compress an array that another thread writes numbers of all kinds to, NaNs among them."""
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1 << 15)
    weight = np.ones((512, 256), np.float32)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for value in (np.nan, 3e38, -1e-45, np.inf, 1):
                weight[:] = value

    writer = threading.Thread(target=write)
    writer.start()
    found = False
    done, deadline = 0, time.monotonic() + 120
    try:
        # At least until the writer, whose turn it may not be for a while, has been noticed.
        while done < rounds or not found:
            assert time.monotonic() < deadline
            done += 1
            try:
                result = compress(weight)
            except ValueError:
                found = True
            except WeightChangedError:
                pass
            else:
                assert result.dequantize().shape == weight.shape
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("block_sizes", [(1, 32), (32, 1), (0, 0)], ids=str)
@pytest.mark.parametrize("dtype", ["int4", "uint8", "fp8_e4m3fn", "fp4_e2m1fn"])
def test_an_array_that_changes_meanwhile(
    dtype: str, block_sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """No memory but the result's is touched; a NaN that comes and goes is found or not."""

    def quantize_it(weight: Any) -> Any:
        return quantize_array(weight, dtype, block_sizes=block_sizes, num_threads=2)

    disturb(quantize_it, monkeypatch, rounds=2000 if long else 100)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"block_sizes": (32, 0)}, {"scale_block_sizes": (1, 32)}, {"cluster_dim": 2}],
    ids=["tensor", "groups", "scales", "vectors"],
)
def test_an_array_that_changes_while_tables_are_found(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    def palettize_it(weight: Any) -> Any:
        return palettize_array(weight, 4, **arguments, num_threads=2)

    disturb(palettize_it, monkeypatch, rounds=500 if long else 20)


def changed_at(step: int, weight: Any, value: float, compress: Callable[[Any], Any]) -> bool:
    """Fill a weight with a value at one of the steps of compressing it.

    Steps are the calls and returns of the functions in ``coreai_opt.arrays``, and the returns of
    what they call in numpy.

    Returns:
        whether there are so many steps.
    """
    steps = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal steps
        if event in {"call", "return", "c_return"} and "/arrays/" in frame.f_code.co_filename:
            steps += 1
            if steps == step:
                weight[...] = value

    sys.setprofile(count)
    try:
        result = compress(weight)
    except (NotFiniteError, WeightChangedError):
        assert steps >= step
    else:
        assert result.dequantize().shape == weight.shape
    finally:
        sys.setprofile(None)
    return steps >= step


FEEDBACK = Feedback.from_moments(np.eye(16, dtype=np.float32))


WAYS: dict[str, Callable[[Any], Any]] = {
    "codes": partial(quantize_array, dtype="int4", block_sizes=(1, 8), observer="mse"),
    "reference": partial(quantize_array, dtype="int8", block_sizes=(1, 0), backend="reference"),
    "feedback": partial(quantize_array, dtype="int4", block_sizes=(1, 8), feedback=FEEDBACK),
    "table": partial(palettize_array, n_bits=2),
    "vectors": partial(palettize_array, n_bits=2, cluster_dim=2),
    "fp8_table": partial(palettize_array, n_bits=2, lut_dtype="fp8_e4m3fn"),
    "scales": partial(palettize_array, n_bits=2, scale_block_sizes=(1, 8)),
    "searched_scales": partial(palettize_array, n_bits=2, scale_block_sizes=(1, 8), observer="mse"),
    "int8_table": partial(palettize_array, n_bits=2, scale_block_sizes=(1, 0), lut_dtype="int8"),
}


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_an_array_that_changes_at_any_step(way: str, value: float) -> None:
    """No warning, and no error but those that say so."""
    weight = random_weight((4, 16))
    step = 1
    while changed_at(step, weight.copy(), value, WAYS[way]):
        step += 1
    assert step > 10


def test_a_nan_that_is_gone_when_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.ones((4, 4), np.float32)
    weight[1, 2] = np.nan
    monkeypatch.setattr(_native, "check_finite", lambda _: None)
    with pytest.raises(WeightChangedError, match="weight was changed, by another thread"):
        quantize_array(weight, "int8", block_sizes=(1, 0), backend="native")
