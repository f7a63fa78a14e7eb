"""The bytes do not depend on how many threads make them, however the work is cut."""

import os
import signal
import threading
import time
import weakref
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from coreai_opt import _native, reference
from coreai_opt.arrays import threads as workers
from coreai_opt.reference import FORMATS

LAYOUTS = {
    "one scale": ((37, 129), (0, 0)),
    "one scale, fewer elements than threads": ((5,), (0,)),
    "rows": ((61, 35), (1, 0)),
    "blocks of the last axis": ((9, 96), (1, 32)),
    "short blocks of the last axis": ((1, 9000), (1, 9)),
    "columns, rows of whole bytes": ((33, 1040), (0, 1)),
    "columns, rows that share bytes": ((33, 1037), (0, 1)),
    "blocks of an earlier axis": ((96, 35), (32, 1)),
    "blocks of an earlier axis, odd everything": ((21, 35), (3, 1)),
    "heads": ((5, 32, 9), (1, 32, 1)),
    "transposed convolution": ((8, 5, 3, 3), (0, 1, 0, 0)),
    "three merged axes, odd rows": ((4, 6, 5), (2, 3, 1)),
    "general": ((4, 6, 6, 5), (2, 3, 2, 0)),
}
TARGETS = [("int4", True), ("uint4", False), ("int2", False), ("int8", True), ("fp4_e2m1fn", True)]


@pytest.fixture
def every_element_is_worth_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)


def quantize_both(
    weight: npt.NDArray[Any], target: tuple[str, bool], sizes: tuple[int, ...], threads: int
) -> tuple[list[bytes], list[bytes]]:
    name, symmetric = target
    arguments: dict[str, Any] = {
        "symmetric": symmetric,
        "block_sizes": sizes,
        "e8m0_scale": name == "fp4_e2m1fn",
    }
    native = _native.quantize(weight, FORMATS[name], **arguments, num_threads=threads)
    expected = reference.quantize(weight, FORMATS[name], **arguments)
    return [part.tobytes() for part in native], [part.tobytes() for part in expected]


@pytest.mark.usefixtures("every_element_is_worth_a_thread")
@pytest.mark.parametrize("threads", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_bytes_do_not_depend_on_threads(
    layout: str, target: tuple[str, bool], threads: int
) -> None:
    shape, sizes = LAYOUTS[layout]
    weight = np.random.default_rng(3).standard_normal(shape).astype(ml_dtypes.bfloat16)
    native, expected = quantize_both(weight, target, sizes, threads)
    assert native == expected


@pytest.mark.usefixtures("every_element_is_worth_a_thread")
@pytest.mark.parametrize("threads", [2, 3, 5, 8])
@pytest.mark.parametrize("target", [t for t in TARGETS if t[0] != "int8"], ids=str)
def test_shares_begin_at_bytes_of_their_own(
    target: tuple[str, bool], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three rows of 35 codes end inside one; two threads that write it would seldom be caught."""
    shares: list[list[int]] = []

    def record(work: Any, bounds: list[int]) -> list[Any]:
        shares.append(bounds)
        return workers.in_parallel(work, bounds)

    monkeypatch.setattr(_native, "in_parallel", record)
    quantize_both(np.ones((93, 35), np.float32), target, (3, 1), threads)
    (bounds,) = shares
    assert len(bounds) == threads + 1
    units = bounds[-1] // 31  # of three rows; they share bytes
    bits = 3 * 35 * FORMATS[target[0]].bits
    assert all(unit % units == 0 and unit // units * bits % 8 == 0 for unit in bounds[:-1])


@pytest.mark.usefixtures("every_element_is_worth_a_thread")
def test_blocks_whose_rows_lie_apart_share_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands of rows of 5 codes begin within bytes of others, which need not be their neighbours."""
    shares: list[list[int]] = []

    def record(work: Any, bounds: list[int]) -> list[Any]:
        shares.append(bounds)
        return workers.in_parallel(work, bounds)

    monkeypatch.setattr(_native, "in_parallel", record)
    quantize_both(np.ones((4, 6, 5), np.float32), ("int4", True), (2, 3, 1), 2)
    assert {bound for bounds in shares for bound in bounds} <= {0, *(b[-1] for b in shares)}


@pytest.mark.usefixtures("every_element_is_worth_a_thread")
@pytest.mark.parametrize("sizes", [(0, 0), (1, 0), (0, 1)], ids=str)
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_nan_in_any_share_is_found(sizes: tuple[int, ...], symmetric: bool) -> None:
    for index in [(0, 0), (13, 70), (63, 127)]:
        weight = np.ones((64, 128), np.float32)
        weight[index] = np.nan
        with pytest.raises(ValueError, match=rf"nan at index \({index[0]}, {index[1]}\)"):
            quantize_both(weight, ("int8", symmetric), sizes, 4)


def quantize_ones(rows: int, columns: int, threads: int) -> list[bytes]:
    weight = np.ones((rows, columns), np.float32)
    native, expected = quantize_both(weight, ("int8", True), (1, 0), threads)
    assert native == expected
    return native


def test_large_weights_are_really_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = []

    def in_parallel(work: Any, bounds: list[int]) -> list[Any]:
        shared.append(bounds)
        return workers.in_parallel(work, bounds)

    monkeypatch.setattr(_native, "in_parallel", in_parallel)
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1024)
    quantize_ones(32, 63, threads=2)
    assert shared == []
    quantize_ones(32, 64, threads=2)
    assert [len(bounds) for bounds in shared] == [3]


def test_parts_are_done_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=60)

    def work(first: int, end: int) -> tuple[int, int]:
        meeting.wait()  # for the others
        return first, end

    assert workers.in_parallel(work, [0, 5, 7, 11]) == [(0, 5), (5, 7), (7, 11)]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failure_in_any_part_is_raised(failing: int) -> None:
    def work(first: int, end: int) -> None:
        if first == failing:
            raise MemoryError

    with pytest.raises(MemoryError):
        workers.in_parallel(work, [0, 1, 2])


def test_all_parts_have_ended_when_one_fails() -> None:
    """A part that went on would write into buffers that are gone."""
    begun, ended = threading.Event(), []

    def work(first: int, end: int) -> None:
        if end == 2:
            begun.wait(60)
            raise MemoryError
        begun.set()
        time.sleep(0.3)
        ended.append(first)

    with pytest.raises(MemoryError):
        workers.in_parallel(work, [0, 1, 2])
    assert ended == [0]


def test_threads_that_wait_keep_nothing_of_the_last_call() -> None:
    def work(first: int, end: int) -> None:
        pass

    kept, deadline = weakref.ref(work), time.monotonic() + 10
    workers.in_parallel(work, [0, 1, 2, 3])
    del work
    while kept() and time.monotonic() < deadline:  # they let go after they say they ended
        time.sleep(0.01)
    assert kept() is None


class SlowPool(workers._Pool):
    """Its threads take a while to wake."""

    def _serve(self) -> None:
        time.sleep(0.1)
        super()._serve()


def test_a_call_is_busy_when_all_its_parts_are(monkeypatch: pytest.MonkeyPatch) -> None:
    mark_busy, release = workers.Task.mark_busy, threading.Event()
    order: list[Any] = []

    def note(task: workers.Task) -> None:
        order.append(task)
        mark_busy(task)

    def call() -> list[bool]:
        time.sleep(0.1)
        order.append("prepared")
        return workers.in_parallel(lambda *_: release.wait(60), [0, 1, 2, 3])

    monkeypatch.setattr(workers, "_pool", SlowPool())
    monkeypatch.setattr(workers.Task, "mark_busy", note)
    task = workers.start(call)
    task.wait_until_busy()  # which none of the parts ends before
    assert order[0] == "prepared"
    assert order.index(task) == len(order) - 1 == 3
    release.set()
    assert task.result() == [True] * 3


def test_a_call_that_ends_is_waited_for_no_more() -> None:
    def fail() -> None:
        raise KeyError

    for call in (fail, int):
        task = workers.start(call)
        task.wait_until_busy()
        task.wait_until_busy()
        task.join()


def test_quantizing_in_one_thread_says_that_it_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr(_native, "say_busy", lambda: said.append(True))
    quantize_ones(2, 3, threads=1)
    assert said == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.usefixtures("every_element_is_worth_a_thread")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    quantize_ones(8, 64, threads=2)  # the parent's are running now
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # it would wait for ever for its parent's
        try:
            quantize_ones(8, 64, threads=2)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
