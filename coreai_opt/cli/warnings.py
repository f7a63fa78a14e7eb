"""Warnings as the command prints them: a line for each, or for all weights with one cause."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from coreai_opt.cli import messages
from coreai_opt.cli.parser import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coreai_opt.exceptions import Cause

__all__ = ["flush_warnings", "warnings_shown"]

_LOGGER = logging.getLogger("coreai_opt")


class _Warnings(logging.Handler):
    """Prints log records on the present ``sys.stderr``, which a progress bar replaces for a while.

    Reasons why weights are left are kept until ``flush``, and printed once for each cause. A weight
    that is alone with its cause is named.
    """

    def __init__(self, level: int, *, each: bool) -> None:
        super().__init__(level)
        self._each = each
        self._kept: list[tuple[logging.LogRecord, Cause]] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = getattr(record, "cause", None)
        if cause is None or self._each:
            say(record.levelname.lower(), messages.of_record(record))
        else:
            self._kept.append((record, cause))

    def flush(self) -> None:
        groups: dict[tuple[str, str], list[tuple[logging.LogRecord, Cause]]] = {}
        for record, cause in self._kept:
            groups.setdefault((cause.text, str(cause.advice)), []).append((record, cause))
        self._kept.clear()
        for group in groups.values():
            (record, _), causes = group[0], [cause for _, cause in group]
            several = len(group) > 1
            text = messages.of_cause(causes) if several else messages.of_record(record)
            say(record.levelname.lower(), f"{text} (-v names them)" if several else text)


@contextmanager
def warnings_shown(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Print what the library logs while the block runs.

    Args:
        quiet: whether warnings are dropped.
        verbose: whether each weight has a line of its own.
    """
    handler = _Warnings(logging.ERROR if quiet else logging.WARNING, each=verbose)
    _LOGGER.addHandler(handler)
    try:
        yield
    finally:
        handler.flush()
        _LOGGER.removeHandler(handler)


def flush_warnings() -> None:
    """Print reasons that are kept, before a summary that should come last."""
    for handler in _LOGGER.handlers:
        if isinstance(handler, _Warnings):
            handler.flush()
