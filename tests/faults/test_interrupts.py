"""Ctrl-C, anywhere: what was given stays whole, nothing half-done is returned, nothing hangs."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest
from coreai._compiler import ir
from coreai.authoring import AIProgram

from coreai_opt.coreai_utils import (
    calibrate,
    dequantize_weights,
    palettize_weights,
    plan_quantization,
    quantize_weights,
    sparsify_weights,
)

from ..support.interrupts import interrupted_at_instruction
from ..support.programs import random_weight, text, two_layers, weight_values


def wherever_interrupted(
    compress: Callable[[AIProgram], AIProgram], step: int
) -> Iterator[AIProgram]:
    """Yield programs whose compression ended at every ``step``-th instruction; last, a whole one.

    How many instructions there are is not the same each time: one thread waits for another or not.
    """
    for number in count(1, step):
        program = two_layers()
        interrupted = interrupted_at_instruction(number, lambda: compress(program))
        program._module.verify()
        assert ir.Context.current is None  # or every later program would be made in it
        yield program
        if not interrupted:
            return


def quantize(program: AIProgram, num_threads: int, *, in_place: bool = True) -> AIProgram:
    return quantize_weights(
        program,
        "uint4",
        "asymmetric",
        weight_num_threshold=0,
        in_place=in_place,
        num_threads=num_threads,
    )


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_program_is_valid_wherever_it_is_interrupted(num_threads: int, long: bool) -> None:
    """In place: each weight is what it was, or quantized whole; another run does what is left."""
    original, quantized = weight_values(two_layers()), weight_values(quantize(two_layers(), 1))
    states = [original, [quantized[0], original[1]], quantized]
    seen = Counter[int]()
    for program in wherever_interrupted(
        lambda program: quantize(program, num_threads), 1 if long else 13
    ):
        seen[states.index(weight_values(program))] += 1
        assert weight_values(quantize(program, num_threads)) == quantized
    assert seen.keys() == {0, 1, 2}
    assert seen.total() > 100


def palettize(program: AIProgram) -> AIProgram:
    arguments = {"scale_block_size": 2, "observer": "mse", "weight_num_threshold": 0}
    return palettize_weights(program, None, 1, **arguments, in_place=True, num_threads=2)


def palettize_sparse(program: AIProgram) -> AIProgram:
    arguments = {"palettize_nbits": 1, "weight_num_threshold": 0}
    return sparsify_weights(program, **arguments, in_place=True, num_threads=2)


@pytest.mark.parametrize("compress", [palettize, palettize_sparse])
def test_a_program_has_whole_tables_wherever_it_is_interrupted(
    compress: Callable[[AIProgram], AIProgram], long: bool
) -> None:
    """In place: each weight is what it was, or all of its tables, scales and zeros are there."""

    def floats(program: AIProgram) -> list[Any]:
        return weight_values(dequantize_weights(program))

    original, compressed = floats(two_layers()), floats(compress(two_layers()))
    states = [original, [compressed[0], original[1]], compressed]
    seen = Counter[int]()
    for program in wherever_interrupted(compress, 1 if long else 149):
        seen[states.index(floats(program))] += 1
        assert floats(compress(program)) == compressed
    assert seen.keys() == {0, 1, 2}
    assert seen.total() > 15


def test_a_copy_that_is_interrupted_leaves_the_program_as_it_was(long: bool) -> None:
    program = two_layers()
    before, number = text(program), 1
    while interrupted_at_instruction(number, lambda: quantize(program, 2, in_place=False)):
        assert text(program) == before
        number += 1 if long else 31
    assert number > 1000
    assert text(program) == before
    assert weight_values(quantize(program, 2)) == weight_values(quantize(two_layers(), 1))


def test_a_program_that_is_decoded_is_valid_wherever_it_is_interrupted(long: bool) -> None:
    """In place: each weight is quantized or decoded, whole; another run does what is left."""
    quantized = quantize(two_layers(), 1)
    before, after = weight_values(quantized), weight_values(dequantize_weights(quantized))
    states = [before, [before[1], after[0]], after]
    seen = Counter[int]()
    for number in range(1, 1_000_000, 1 if long else 13):
        program = deepcopy(quantized)
        decode = partial(dequantize_weights, program, in_place=True)
        if not interrupted_at_instruction(number, decode):
            break
        program._module.verify()
        assert ir.Context.current is None
        seen[states.index(weight_values(program))] += 1
        assert weight_values(dequantize_weights(program, in_place=True)) == after
    assert seen.keys() == {0, 1, 2}
    assert seen.total() > 50


def test_a_program_that_is_rounded_with_feedback_is_valid_wherever_it_is_interrupted(
    long: bool,
) -> None:
    """In place: each weight is what it was, or rounded with feedback, whole."""
    samples = [{"x": random_weight((3, 8), seed=seed)} for seed in range(6)]
    calibration = calibrate(two_layers(), samples, weight_num_threshold=0)

    def round_it(program: AIProgram) -> AIProgram:
        return quantize_weights(
            program,
            "int4",
            weight_num_threshold=0,
            in_place=True,
            calibration=calibration,
            num_threads=2,
        )

    original, rounded = weight_values(two_layers()), weight_values(round_it(two_layers()))
    states = [original, [rounded[0], original[1]], rounded]
    seen = Counter[int]()
    for program in wherever_interrupted(round_it, 1 if long else 211):
        seen[states.index(weight_values(program))] += 1
    assert seen.keys() == {0, 1, 2}
    assert seen.total() > 15


# Ctrl-C between making what runs a program and running it.
_CUT_SHORT = pytest.mark.filterwarnings("ignore:coroutine '_run' was never awaited:RuntimeWarning")


@_CUT_SHORT
def test_a_program_that_is_calibrated_is_never_changed(long: bool) -> None:
    """Nor is a calibration that was interrupted in the way of the next."""
    program, samples, number = two_layers(), [{"x": random_weight((3, 8))}], 1

    def moments() -> list[bytes]:
        found = calibrate(program, samples, weight_num_threshold=0)
        return [one.matrices[0].tobytes() for one in found.moments.values()]

    before, want = text(program), moments()
    while interrupted_at_instruction(number, moments):
        assert text(program) == before
        assert ir.Context.current is None
        number += 97 if long else 499
    assert number > 3000
    assert moments() == want


@_CUT_SHORT
def test_a_program_that_a_plan_is_made_for_is_never_changed(long: bool) -> None:
    program, number = two_layers(), 1
    inputs = {"x": np.ones((3, 8), np.float32)}

    def plan() -> str:
        return plan_quantization(
            program, min_sqnr=20.0, inputs=inputs, weight_num_threshold=0, num_threads=2
        ).to_toml()

    before, want = text(program), plan()
    while interrupted_at_instruction(number, plan):
        assert text(program) == before
        number += 97 if long else 997
    assert number > 5000
    assert plan() == want


SIGNALS = """
import signal, sys, threading, time
import numpy as np
from coreai_opt import _native, quantize_array

_native.SMALLEST_SHARE = 1 << 16
weight = np.random.default_rng(0).standard_normal((2048, 1024), np.float32)
before = weight.tobytes()

def quantized():
    result = quantize_array(weight, "int4", block_sizes=eval(sys.argv[1]), num_threads=4)
    return result.packed.tobytes() + result.scale.tobytes()

want, interrupted = quantized(), 0
signal.signal(signal.SIGALRM, signal.default_int_handler)
for step in range(int(sys.argv[2])):
    try:
        signal.setitimer(signal.ITIMER_REAL, 5e-5 * (step % 40 + 1))
        for _ in range(10):
            quantized()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    except RuntimeError as error:  # of Python's own threading, about its locks
        assert isinstance(error.__context__, KeyboardInterrupt)
    until = time.monotonic() + 10
    while any(t.is_alive() and "ThreadPool" in t.name for t in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(1e-4)
    assert weight.tobytes() == before
assert quantized() == want
print(interrupted)
"""


@pytest.mark.parametrize("block_sizes", [(1, 0), (0, 1), (0, 0)], ids=str)
def test_signals_while_threads_quantize_an_array(block_sizes: tuple[int, int], long: bool) -> None:
    """Threads finish their share, on buffers of their own, and end; the next call works.

    In a process of its own, because Python may print a KeyboardInterrupt that comes while it frees
    a thread pool, instead of raising it.
    """
    steps = 2000 if long else 60
    command = [sys.executable, "-c", SIGNALS, str(block_sizes), str(steps)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > steps / 2
