"""One thread at a time works on a program."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from coreai_opt.program.ir import AIProgram

_owners: dict[int, int] = {}
"""The programs that are being worked on, by id, and the threads that do it."""


@contextmanager
def alone_with(program: AIProgram) -> Iterator[None]:
    """Keep a thread from rewriting a program that another thread is at work on.

    Core AI would follow freed pointers.

    An entry that Ctrl-C leaves behind does not hinder the thread that was interrupted.
    """
    this_thread = threading.get_ident()
    if _owners.setdefault(id(program), this_thread) != this_thread:
        raise RuntimeError("another thread is at work on the program already")
    try:
        yield
    finally:
        _owners.pop(id(program), None)
