"""Threads that stay: starting one takes longer than quantizing a small weight.

They are not threads of ``concurrent.futures``. A Ctrl-C that comes while it or ``threading`` holds
one of its locks leaves that lock taken, and the next call waits for ever (seen once in a thousand).
A lock and a queue of the interpreter's own are never left taken.
"""

import _thread
import os
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, TypeVar

from coreai_opt.settings.arguments import parse_int

Result = TypeVar("Result")


class Task:
    """A call that another thread makes.

    Args:
        call: what to call.
        arguments: what with.
    """

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._call, self._arguments = call, arguments
        self._value: Any = None
        self._error: BaseException | None = None
        self._ended, self._is_busy = False, False
        self._running, self._idle = _thread.allocate_lock(), _thread.allocate_lock()
        self._running.acquire()
        self._idle.acquire()

    def run(self) -> None:
        """Make the call; what it raises is raised where the result is asked for."""
        try:
            self._value = self._call(*self._arguments)
        except BaseException as error:
            self._error = error
        finally:
            self.mark_busy()
            self._ended = True
            self._running.release()

    def mark_busy(self) -> None:
        """Say, in the thread that makes it, that the call needs the interpreter no more for now."""
        if not self._is_busy:
            self._is_busy = True
            self._idle.release()

    def wait_until_busy(self) -> None:
        """Wait until :meth:`mark_busy` is called or the call has ended. Ctrl-C ends the waiting.

        A caller that keeps the interpreter to itself would keep the call from beginning.
        """
        if not self._is_busy:
            with self._idle:
                pass

    def join(self) -> None:
        """Wait for the call to end. Ctrl-C ends the waiting, not the call; one may wait again."""
        if not self._ended:
            with self._running:
                pass

    def result(self) -> Any:
        """Wait for the call to end, and return what it returned or raise what it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._value


class _Pool:
    """Threads that make calls; there are as many as were ever needed at once by one caller."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._threads = 0

    def start(self, tasks: list[Task]) -> None:
        while self._threads < len(tasks):
            _thread.start_new_thread(self._serve, ())
            self._threads += 1
        for task in tasks:
            self._tasks.put(task)

    def _serve(self) -> None:
        while True:
            task = self._tasks.get()
            task.mark_busy()  # near enough: all that is left is to call the kernel
            task.run()
            del task  # it holds a weight, which would stay in memory until the next task comes


_pool = _Pool()

# A child process has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.__init__)  # type: ignore[misc]  # it is made anew


class _ThisThread(threading.local):
    """Attributes: ``task`` is what a thread was started for, if it was by :func:`start`."""

    task: Task | None = None


_this_thread = _ThisThread()


def start(call: Callable[..., Any], *arguments: Any) -> Task:
    """Call in a new thread, which may use :func:`in_parallel`."""
    task = Task(call, *arguments)
    _thread.start_new_thread(_run, (task,))
    return task


def _run(task: Task) -> None:
    _this_thread.task = task
    task.run()


def say_busy(others: Sequence[Task] = ()) -> None:
    """Mark the task that this thread was started for as busy, once all ``others`` are, too."""
    task = _this_thread.task
    if task is not None:
        for other in others:
            other.wait_until_busy()
        task.mark_busy()


def in_parallel(work: Callable[[int, int], Result], bounds: list[int]) -> list[Result]:
    """Call ``work`` from each bound to the next, all at the same time, and return the results.

    This thread does the last part itself. ``work`` must not use this function. When it raises, all
    parts have ended, except after Ctrl-C.
    """
    *others, own = pairwise(bounds)
    tasks = [Task(work, *part) for part in others]
    _pool.start(tasks)
    try:
        say_busy(tasks)
        result = work(*own)
    finally:
        for task in tasks:
            task.join()
    return [*(task.result() for task in tasks), result]


def parse_num_threads(num_threads: object) -> int:
    """Return the number of threads to use; None means one per processor this process may run on.

    Raises:
        TypeError, ValueError: not None and not an int >= 1.
    """
    if num_threads is None:
        return processors()
    return parse_int("num_threads", num_threads, least=1, alternative=" or None")


def processors() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
