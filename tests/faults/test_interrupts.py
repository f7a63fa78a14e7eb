"""Ctrl-C, anywhere: what was given stays whole, nothing half-done is returned, no thread is left."""

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from coreai.authoring import AIProgram, broadcasting_batch_matmul
from coreai.authoring.constant import constant

import coreai_opt
from coreai_opt import _native, quantize_array
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program import coreai_ir
from coreai_opt.program.candidates import find_weights

from ..program.programs import F32, make_program, operand_constants, random_weight, stored, text

PACKAGE = str(Path(coreai_opt.__file__).parent)


class CtrlC:
    """A trace function: KeyboardInterrupt at the ``number``-th instruction of the package.

    Python raises it between two of its instructions, so these are all the points there are, but for
    the compiled module.
    """

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, argument: Any) -> "CtrlC | None":
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def interrupted_at(number: int, call: Callable[[], Any]) -> bool:
    """Whether ``call``, interrupted at an instruction, got that far."""
    before = sys.gettrace()  # of a coverage tool
    sys.settrace(CtrlC(number))
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def two_layers() -> AIProgram:
    def body(x: Any) -> Any:
        hidden = broadcasting_batch_matmul(x, constant(random_weight((8, 6), seed=1)))
        return (broadcasting_batch_matmul(hidden, constant(random_weight((6, 4), seed=2))),)

    return make_program(body, {"x": ((3, 8), F32)}, {"y": ((3, 4), F32)})


def quantize(program: AIProgram, num_threads: int, *, in_place: bool = True) -> AIProgram:
    return quantize_weights(
        program,
        "uint4",
        "asymmetric",
        weight_num_threshold=0,
        in_place=in_place,
        num_threads=num_threads,
    )


def weights(program: AIProgram) -> list[Any]:
    """What the weights of a program are: constants, or what decodes to them.

    Between two instructions that exchange the one for the other, Ctrl-C may leave the one that is
    not used (any more) in the program.
    """
    decoders = coreai_ir.operations(program, coreai_ir.BLOCKWISE_SHIFT_SCALE)
    quantized = [operand_constants(op) for op in decoders if coreai_ir.uses(op.result)]
    return quantized + [[stored(weight.op)] for weight in find_weights(program, 0)]


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_program_is_valid_wherever_it_is_interrupted(num_threads: int, long: bool) -> None:
    """In place: each weight is what it was, or quantized whole; another run does what is left."""
    original, quantized = weights(two_layers()), weights(quantize(two_layers(), 1))
    states = [original, [quantized[0], original[1]], quantized]
    seen = Counter[int]()
    for number in range(1, 1_000_000, 1 if long else 13):
        program = two_layers()
        if not interrupted_at(number, lambda: quantize(program, num_threads)):  # noqa: B023
            break
        program._module.verify()
        seen[states.index(weights(program))] += 1
        assert weights(quantize(program, num_threads)) == quantized
    assert seen.keys() == {0, 1, 2}
    assert seen.total() > 100


def test_a_copy_that_is_interrupted_leaves_the_program_as_it_was(long: bool) -> None:
    program = two_layers()
    before, number = text(program), 1
    while interrupted_at(number, lambda: quantize(program, 2, in_place=False)):
        assert text(program) == before
        number += 1 if long else 31
    assert number > 1000
    assert text(program) == before
    assert weights(quantize(program, 2)) == weights(quantize(two_layers(), 1))


@contextmanager
def ctrl_c_after(seconds: float) -> Iterator[None]:
    """A real signal, at some moment of the block."""
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _wait_for_threads() -> None:
    """Ctrl-C while a thread is waited for ends the waiting, and the thread a little later."""
    until = time.monotonic() + 10
    while any(t.is_alive() and "ThreadPool" in t.name for t in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(1e-4)


@pytest.mark.parametrize("block_sizes", [(1, 0), (0, 1), (0, 0)], ids=str)
def test_a_signal_while_threads_quantize_an_array(
    block_sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """Threads finish their share, on buffers of their own, and end; the next call works."""
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1 << 16)
    weight = np.random.default_rng(0).standard_normal((2048, 1024), np.float32)
    before = weight.tobytes()

    def quantized() -> bytes:
        result = quantize_array(weight, "int4", block_sizes=block_sizes, num_threads=4)
        return result.packed.tobytes() + result.scale.tobytes()

    want, interrupted = quantized(), 0
    for step in range(400 if long else 40):
        try:
            with ctrl_c_after(5e-5 * (step % 40 + 1)):
                for _ in range(10):
                    quantized()
        except KeyboardInterrupt:
            interrupted += 1
        _wait_for_threads()
        assert weight.tobytes() == before
    assert interrupted > 20
    assert quantized() == want
