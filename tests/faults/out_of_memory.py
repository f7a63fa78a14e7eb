"""Run by ``test_out_of_memory.py`` under ``failing_malloc.c``: fail each allocation in turn.

Prints, for each call, how many allocations failed, each of which it survived.
"""

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from coreai.authoring import AIProgram
from programs import random_weight, text, two_layers, weight_values

from coreai_opt import Feedback, _native, palettize_array, quantize_array
from coreai_opt.coreai_utils import (
    calibrate,
    dequantize_weights,
    plan_quantization,
    quantize_weights,
)
from coreai_opt.program import quantize

failing_malloc = ctypes.CDLL(sys.argv[1])
_native.SMALLEST_SHARE = 1024
quantize.WORTH_A_THREAD = 1


def fail_each_allocation(what: str, call: Callable[[], Any], check: Callable[[], None]) -> None:
    """Call until nothing fails any more; ``check`` after each failure."""
    number = 0
    while True:
        number += 1
        before = failing_malloc.failed_allocations()
        failing_malloc.fail_allocation(number)
        try:
            call()
        except MemoryError:
            assert failing_malloc.failed_allocations() == before + 1
        else:
            assert failing_malloc.failed_allocations() == before, "a failure was passed over"
            break
        finally:
            failing_malloc.fail_allocation(0)
        check()
    print(number - 1, what)


WEIGHT = random_weight((96, 128))
IMPORTANCE = np.abs(random_weight((1, 128)))
INPUTS = random_weight((300, 128))
MOMENTS = INPUTS.T @ INPUTS
ARRAYS: dict[str, dict[str, Any]] = {
    "int4": {"dtype": "int4", "block_sizes": (1, 4)},
    "uint4": {"dtype": "uint4", "qscheme": "asymmetric", "block_sizes": (0, 0)},
    "fp8_e4m3fn": {"dtype": "fp8_e4m3fn", "block_sizes": (0, 1)},
    "int4 mse": {"dtype": "int4", "block_sizes": (0, 0), "observer": "mse"},
    "int8 mse weighed": {
        "dtype": "int8",
        "block_sizes": (1, 4),
        "observer": "mse",
        "importance": IMPORTANCE,
    },
    "int4 feedback": {
        "dtype": "int4",
        "block_sizes": (1, 4),
        "feedback": Feedback.from_moments(MOMENTS),
    },
}


def fail_repeatable(what: str, call: Callable[[], bytes]) -> None:
    """Fail each allocation of a call that gives the same bytes each time."""
    want, given = call(), WEIGHT.tobytes() + IMPORTANCE.tobytes()

    def check() -> None:
        assert WEIGHT.tobytes() + IMPORTANCE.tobytes() == given
        assert call() == want

    fail_each_allocation(what, call, check)


def arrays() -> None:
    for name, arguments in ARRAYS.items():
        for num_threads in (1, 2):

            def quantized() -> bytes:
                q = quantize_array(WEIGHT, num_threads=num_threads, **arguments)
                return q.packed.tobytes() + q.scale.tobytes() + q.zero_point.tobytes()

            fail_repeatable(f"array {name}, {num_threads} threads", quantized)
    stored = quantize_array(WEIGHT, "int4", block_sizes=(1, 4))
    for num_threads in (1, 2):
        fail_repeatable(
            f"decoded, {num_threads} threads",
            lambda: stored.dequantize(num_threads=num_threads).tobytes(),
        )


# None with scales: numpy divides by these, and ends the process where it gets no buffers for that.
TABLES: dict[str, dict[str, Any]] = {
    "tables": {"block_sizes": (8, 0)},
    "tables on two axes": {"block_sizes": (48, 64)},
    "weighed tables": {"importance": IMPORTANCE},
    "tables of vectors": {"cluster_dim": 2},
}


def tables() -> None:
    for name, arguments in TABLES.items():

        def palettized() -> bytes:
            found = palettize_array(WEIGHT, 2, num_threads=2, **arguments)
            return found.packed.tobytes() + found.table.tobytes() + found.dequantize().tobytes()

        fail_repeatable(name, palettized)


def moments() -> None:
    def factored() -> bytes:
        found = Feedback.from_moments(MOMENTS)
        return b"".join(x.tobytes() for x in (found.order, *found.coefficients, found.importance))

    fail_repeatable("moments factored", factored)


def programs() -> None:
    for num_threads in (1, 2):

        def quantize(program: AIProgram, *, in_place: bool) -> AIProgram:
            return quantize_weights(
                program,
                "uint4",
                "asymmetric",
                "per_block",
                4,
                in_place=in_place,
                num_threads=num_threads,
            )

        program = two_layers(96, 128, 96)
        before = text(program)
        original, quantized = (
            weight_values(program),
            weight_values(quantize(program, in_place=False)),
        )

        def check_copied() -> None:
            assert text(program) == before

        def check_in_place() -> None:
            # Whole weights, in order; what is left is done by the next call.
            states = [original, [quantized[0], original[1]], quantized]
            assert weight_values(program) in states
            program._module.verify()

        for in_place, check in ((False, check_copied), (True, check_in_place)):
            what = f"program, in_place={in_place}, {num_threads} threads"
            fail_each_allocation(what, lambda: quantize(program, in_place=in_place), check)
        assert weight_values(program) == quantized


def calibrated_programs() -> None:
    samples = [{"x": random_weight((3, 96), seed=seed)} for seed in range(6)]
    program = two_layers(96, 128, 96)
    before, calibration = text(program), calibrate(program, samples)

    def round_it(program: AIProgram, *, in_place: bool) -> AIProgram:
        return quantize_weights(
            program, "int4", in_place=in_place, calibration=calibration, num_threads=2
        )

    original, rounded = weight_values(program), weight_values(round_it(program, in_place=False))
    assert rounded != weight_values(quantize_weights(program, "int4", observer="mse"))

    def check_copied() -> None:
        assert text(program) == before

    def check_in_place() -> None:
        # Whole weights, in order; what is left is rounded by the next call.
        states = [original, [rounded[0], original[1]], rounded]
        assert weight_values(program) in states
        program._module.verify()

    for in_place, check in ((False, check_copied), (True, check_in_place)):
        what = f"calibrated program, in_place={in_place}"
        fail_each_allocation(what, lambda: round_it(program, in_place=in_place), check)
    assert weight_values(program) == rounded


def decoded_programs() -> None:
    program = quantize_weights(two_layers(96, 128, 96), "int4")
    before = text(program)
    quantized, floats = weight_values(program), weight_values(dequantize_weights(program))

    def check_copied() -> None:
        assert text(program) == before

    def check_in_place() -> None:
        states = [quantized, [quantized[1], floats[0]], floats]
        assert weight_values(program) in states
        program._module.verify()

    for in_place, check in ((False, check_copied), (True, check_in_place)):
        what = f"decoded program, in_place={in_place}"
        fail_each_allocation(what, lambda: dequantize_weights(program, in_place=in_place), check)
    assert weight_values(program) == floats


def plans() -> None:
    program = two_layers(96, 128, 96)
    before = text(program)

    def plan() -> str:
        return plan_quantization(program, min_sqnr=20.0, num_threads=2).to_toml()

    want = plan()

    def check() -> None:
        assert text(program) == before
        assert plan() == want

    fail_each_allocation("plan", plan, check)


arrays()
tables()
moments()
programs()
calibrated_programs()
decoded_programs()
plans()
