"""Threads that compute otherwise than the contract needs are refused, in any backend."""

import ctypes
import subprocess
import threading
from collections.abc import Callable

import numpy as np
import pytest

import coreai_opt
from coreai_opt.exceptions import UnusableArithmeticError

from ..support.targets import HOST_CC

SWITCH = """
#include <xmmintrin.h>
void switch_on(unsigned bits) { _mm_setcsr(_mm_getcsr() | bits); }
"""
MODES = {
    "denormals are zero": (0x0040, "takes subnormal numbers for zero"),
    "flush to zero": (0x8000, "takes subnormal numbers for zero"),
    "down": (0x2000, "does not round to nearest even"),
    "up": (0x4000, "does not round to nearest even"),
    "to zero": (0x6000, "does not round to nearest even"),
}


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], None]:
    """Switches bits of x86's MXCSR on, for the calling thread."""
    folder = tmp_path_factory.mktemp("switch")
    source, library = folder / "switch.c", folder / "switch.so"
    source.write_text(SWITCH)
    command = [HOST_CC, "-shared", "-fPIC", str(source), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("the processor has no MXCSR")
    return ctypes.CDLL(str(library)).switch_on


def in_a_thread_of_its_own(call: Callable[[], object]) -> BaseException | None:
    """Return what a call raises, if anything."""
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            call()
            raised.append(None)
        except BaseException as error:  # whatever it is, the caller sees it
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0]


@pytest.mark.parametrize("backend", ["native", "reference", "validate"])
@pytest.mark.parametrize("mode", MODES)
def test_a_thread_that_computes_otherwise_is_refused(
    mode: str, backend: str, switch: Callable[[int], None]
) -> None:
    bits, why = MODES[mode]
    weight = np.ones((4, 32), np.float32)

    def quantize() -> None:
        switch(bits)
        coreai_opt.quantize_array(weight, "int4", granularity="per_channel", backend=backend)

    error = in_a_thread_of_its_own(quantize)
    assert isinstance(error, UnusableArithmeticError)
    assert why in str(error)


def test_the_default_is_not_refused() -> None:
    def quantize() -> None:
        coreai_opt.quantize_array(np.ones((4, 32), np.float32), "int4", granularity="per_channel")

    assert in_a_thread_of_its_own(quantize) is None


def test_the_c_library_refuses_by_itself(switch: Callable[[int], None]) -> None:
    """Somebody may switch the mode between Python's check and the work."""
    from coreai_opt import _native  # where it is built
    from coreai_opt.reference import FORMATS

    weight = np.ones((4, 32), np.float32)

    def quantize() -> None:
        switch(MODES["flush to zero"][0])
        _native.quantize(
            weight,
            FORMATS["int4"],
            symmetric=True,
            block_sizes=(1, 32),
            e8m0_scale=False,
            observer="minmax",
            importance=None,
            num_threads=1,
        )

    assert "flushes subnormal numbers" in str(in_a_thread_of_its_own(quantize))
