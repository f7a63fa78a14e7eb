"""Calls in threads of their own.

Not ``concurrent.futures`` and not ``threading``: a Ctrl-C that comes while they hold one of their
locks leaves it locked, and the next call, or the end of the process, waits for ever (seen in one of
a thousand). What is here has no lock but the interpreter's own.
"""

import _thread
from collections.abc import Callable
from typing import Any


class Task:
    """A call that is made in a new thread, at once.

    Ctrl-C while it is waited for ends the waiting, not the call.

    Args:
        call: what to call.
        arguments: what with.
    """

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._ended = False
        self._running = _thread.allocate_lock()
        self._running.acquire()
        _thread.start_new_thread(self._run, (call, arguments))

    def _run(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            self._value = call(*arguments)
        except BaseException as error:  # it is raised where the result is asked for
            self._error = error
        finally:
            self._ended = True
            self._running.release()

    def join(self) -> None:
        """Wait for the call to end. One thread may, and again when Ctrl-C has ended its waiting."""
        if not self._ended:
            with self._running:
                pass

    def result(self) -> Any:
        """Wait for the call to end, and return what it returned or raise what it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._value
