"""With several threads a weight is quantized in one of them while the next one is read."""

import threading
from typing import Any

import pytest

from coreai_opt.arrays.threads import say_busy
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program import quantize as program_quantize

from ..support.programs import three_kinds, two_layers, weight_values


def test_the_next_weight_is_read_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, read_all = [0], threading.Event()
    read, quantize = program_quantize.read_constant, program_quantize._quantize

    def count(*arguments: Any) -> Any:
        reads[0] += 1
        if reads[0] == 2:
            read_all.set()
        return read(*arguments)

    def wait(*arguments: Any) -> Any:
        say_busy()
        assert read_all.wait(20), "the second weight is not read while the first is quantized"
        return quantize(*arguments)

    monkeypatch.setattr(program_quantize, "read_constant", count)
    monkeypatch.setattr(program_quantize, "_quantize", wait)
    quantize_weights(two_layers(64, 48, 32), "int4", weight_num_threshold=0, num_threads=2)
    assert reads == [2]


@pytest.mark.parametrize(("given", "taken"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_one_of_the_threads_reads(given: int, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, quantize = [], program_quantize._quantize

    def record(read: Any, work: Any, num_threads: int) -> Any:
        threads.append(num_threads)
        return quantize(read, work, num_threads)

    monkeypatch.setattr(program_quantize, "_quantize", record)
    quantize_weights(three_kinds(), "int8", weight_num_threshold=0, num_threads=given)
    assert threads == [taken] * 3


def test_a_small_weight_has_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small weight is quantized in the thread that reads."""
    threads, quantize = [], program_quantize._quantize

    def record(read: Any, work: Any, num_threads: int) -> Any:
        threads.append((num_threads, threading.current_thread()))
        return quantize(read, work, num_threads)

    monkeypatch.setattr(program_quantize, "_quantize", record)
    monkeypatch.setattr(program_quantize, "WORTH_A_THREAD", 1 << 20)
    quantize_weights(three_kinds(), "int8", weight_num_threshold=0, num_threads=3)
    assert threads == [(3, threading.current_thread())] * 3


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_the_result_does_not_depend_on_threads(threads: int) -> None:
    one, several = (
        quantize_weights(three_kinds(), "int4", weight_num_threshold=0, num_threads=number)
        for number in (1, threads)
    )
    assert weight_values(one) == weight_values(several)
