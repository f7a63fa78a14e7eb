"""Run by ``test_out_of_memory.py`` under ``failing_malloc.c``: fail each allocation in turn.

Prints, for each call, how many allocations failed, each of which it survived.
"""

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "program"))

from coreai.authoring import AIProgram
from programs import random_weight, text, two_layers, weight_values

from coreai_opt import _native, quantize_array
from coreai_opt.coreai_utils import quantize_weights

failing_malloc = ctypes.CDLL(sys.argv[1])
_native.SMALLEST_SHARE = 1024


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


def arrays() -> None:
    weight = random_weight((96, 128))
    for dtype, qscheme, block_sizes in (
        ("int4", "symmetric", (1, 4)),
        ("uint4", "asymmetric", (0, 0)),
        ("fp8_e4m3fn", "symmetric", (0, 1)),
    ):
        for num_threads in (1, 2):

            def quantized() -> tuple[bytes, bytes, bytes]:
                q = quantize_array(
                    weight,
                    dtype,  # noqa: B023
                    qscheme=qscheme,  # noqa: B023
                    block_sizes=block_sizes,  # noqa: B023
                    num_threads=num_threads,  # noqa: B023
                )
                return q.packed.tobytes(), q.scale.tobytes(), q.zero_point.tobytes()

            want, before = quantized(), weight.tobytes()

            def check() -> None:
                assert weight.tobytes() == before  # noqa: B023
                assert quantized() == want  # noqa: B023

            fail_each_allocation(f"array {dtype}, {num_threads} threads", quantized, check)


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
                num_threads=num_threads,  # noqa: B023
            )

        program = two_layers(96, 128, 96)
        before = text(program)
        original, quantized = (
            weight_values(program),
            weight_values(quantize(program, in_place=False)),
        )

        def check_copied() -> None:
            assert text(program) == before  # noqa: B023

        def check_in_place() -> None:
            # Whole weights, in order; what is left is done by the next call.
            states = [original, [quantized[0], original[1]], quantized]  # noqa: B023
            assert weight_values(program) in states  # noqa: B023
            program._module.verify()  # noqa: B023

        for in_place, check in ((False, check_copied), (True, check_in_place)):
            what = f"program, in_place={in_place}, {num_threads} threads"
            fail_each_allocation(what, lambda: quantize(program, in_place=in_place), check)  # noqa: B023
        assert weight_values(program) == quantized


arrays()
programs()
