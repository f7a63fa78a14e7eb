"""Tables, sizes and a progress bar, as the command and the demo print them.

rich is imported when something is printed: ``coreai-opt --help`` should not wait for it.
"""

from __future__ import annotations

import errno
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO, cast

from coreai_opt.evaluation.weight_error import decibels
from coreai_opt.planning.plan import FrontierPoint, QuantizationPlan

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress

    from coreai_opt.evaluation.output_comparison import OutputComparison
    from coreai_opt.reports.fitting_table import FittingTable
    from coreai_opt.reports.records import WeightRecord


class StdoutError(Exception):
    """Stdout took no more.

    Attributes:
        reader_left: whether that is because the program that read it has ended, as ``head`` does.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"stdout: {error.strerror}")
        self.reader_left = error.errno == errno.EPIPE


def spelled(text: str, encoding: str = "utf-8") -> str:
    """Return a text with characters spelled that an encoding lacks.

    UTF-8 lacks what Python makes of the bytes of a file name that is not UTF-8.
    """
    return text.encode(encoding, "backslashreplace").decode(encoding)


class _Stdout:
    """``sys.stdout``. Characters that its encoding lacks are spelled; errors become StdoutError."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _told():
            return self._stream.write(spelled(text, self._stream.encoding or "utf-8"))

    def flush(self) -> None:
        with _told():
            self._stream.flush()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StdoutError(error) from error


_QUIET = ContextVar("_QUIET", default=False)


@contextmanager
def quietly(*, quiet: bool) -> Iterator[None]:
    """Print no tables and show no progress while the block runs, if ``quiet``."""
    token = _QUIET.set(quiet)
    try:
        yield
    finally:
        _QUIET.reset(token)


def stdout() -> Console:
    """Return a console on stdout: tables fit a terminal, and are never cut or wrapped in a pipe.

    Printing to it raises StdoutError where stdout takes no more.
    """
    from rich.console import Console  # noqa: PLC0415  # slow: see the top

    width = None if sys.stdout.isatty() else 10_000
    file = cast("TextIO", _Stdout(sys.stdout))
    return Console(
        file=file, width=width, quiet=_QUIET.get(), markup=False, highlight=False, emoji=False
    )


def print_text(text: str) -> None:
    """Print a text as it is, and a line break; raise StdoutError where stdout takes no more."""
    _Stdout(sys.stdout).write(f"{text}\n")


def flush_stdout() -> None:
    """Write what is left to be written; raise StdoutError where stdout takes no more."""
    _Stdout(sys.stdout).flush()


def drop_stdout() -> None:
    """Drop text that stdout did not take: Python would try to write it once more at exit."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


@contextmanager
def told_of(path: Path | None) -> Iterator[None]:
    """Add to a StdoutError of the block that the asset at ``path``, if any, is written."""
    try:
        yield
        flush_stdout()
    except StdoutError as error:
        if path is not None:
            error.add_note(f"{path} is written")
        raise


def open_closed_streams() -> None:
    """Open ``/dev/null`` for standard streams that are closed, before a file gets their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # stays


def print_table(
    console: Console,
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    least: Sequence[str] = (),
) -> None:
    """Print a title, and a table under it if there are any rows.

    Args:
        console: where to.
        title: the line above the table.
        columns: the heads; one that starts with ``>`` is aligned right, without the ``>``.
        rows: one cell per column, shown as ``str`` does; integers get thousands separators.
        least: heads of columns that a narrow terminal does without, the first one first.
    """
    from coreai_opt.reports.fitting_table import FittingTable  # noqa: PLC0415  # imports rich

    table = FittingTable(columns, (tuple(map(_cell, row)) for row in rows), least)
    console.print(title, style="bold")
    if table.row_count:
        print_fitting(console, table)


def print_fitting(console: Console, table: FittingTable) -> None:
    """Print a table; where the terminal is narrower than its names, it wraps lines itself."""
    console.print(table, crop=False)


_HEAD = 9
"""Columns of the head of a line of a summary, with a space after it."""


def print_fact(console: Console, head: str, text: str, *, indent: int = _HEAD) -> None:
    """Print a line of a summary; on a narrow terminal it goes on below its text.

    Args:
        console: where to.
        head: a word for what the text is about; may be empty.
        text: what is said; it is broken at spaces alone, so that names stay whole.
        indent: the column that it begins at.
    """
    width = max(console.width - indent, 1)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    for before, line in zip([head, *[""] * len(lines)], lines, strict=False):
        console.print(f"{before:{indent}}{line}", soft_wrap=True)


def print_comparisons(
    console: Console, title: str, comparisons: Iterable[OutputComparison]
) -> None:
    """Print a table of how far outputs are from their references."""
    print_table(
        console,
        title,
        ("output", "shape", ">SQNR", ">cosine", ">max abs error", ">top-1"),
        (
            (
                c.name,
                c.shape,
                decibels(c.sqnr_db, 2),
                f"{c.cosine:.6f}",
                f"{c.max_abs_error:.3g}",
                c.top1_in_percent,
            )
            for c in comparisons
        ),
        least=("shape", "max abs error", "cosine"),
    )


_FRONTIER_POINTS = 12
"""About so many are printed."""


def print_frontier(console: Console, plan: QuantizationPlan, rest: int) -> None:
    """Print what a plan could be chosen from.

    Args:
        console: where to.
        plan: the plan.
        rest: bytes that the file takes beside the weights.
    """
    chosen = FrontierPoint(plan.nbytes, plan.sqnr_db)
    every = max(1, len(plan.frontier) // _FRONTIER_POINTS)
    points = sorted({*plan.frontier[::every], *plan.frontier[-1:], chosen})
    print_table(
        console,
        "What the file can be",
        (">bytes at most", f">{plan.sqnr_words}", "plan"),
        ((rest + p.nbytes, decibels(p.sqnr_db), "chosen" if p == chosen else "") for p in points),
    )


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def change(before: int, after: int) -> str:
    """Return ``before -> after`` for two sizes in bytes, with the second as a percentage."""
    left = f" ({100 * after / before:.1f} %)" if before else ""
    return f"{before:,} -> {after:,} bytes{left}"


@contextmanager
def weight_bar(total: int) -> Iterator[Callable[[WeightRecord], None] | None]:
    """Show a progress bar of weights on stderr while the block runs, see :func:`_bar`.

    Args:
        total: how many weights there are.

    Yields:
        the function to call after each weight, or None.
    """
    with _bar(total, "weights") as show:
        yield None if show is None else lambda record: show(record.name)


@contextmanager
def sample_bar(total: int) -> Iterator[Callable[[int], None] | None]:
    """Show a progress bar of samples on stderr while the block runs, see :func:`_bar`.

    Args:
        total: how many samples there are.

    Yields:
        the function to call after each sample, or None.
    """
    with _bar(total, "samples") as show:
        yield None if show is None else lambda _: show("samples")


@contextmanager
def steps_bar(first: str) -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a progress bar for several kinds of steps while the block runs, see :func:`_bar`.

    Args:
        first: what is done before the function that is yielded is first called.

    Yields:
        the function to call with what is done, how much of it, and of how much; or None.
    """
    with _progress() as bar:
        if bar is None:
            yield None
            return
        task, last = bar.add_task(first, total=None, short=first), ""

        def show(what: str, done: int, total: int) -> None:
            nonlocal last
            if what != last:
                bar.reset(task, total=total, description=what, short=what)
                last = what
            bar.update(task, completed=done)

        yield show


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Show on stderr what is done while the block runs, of which nothing tells how far it is.

    Args:
        what: a verb, and what it is done to, which a narrow terminal does without.
    """
    with _progress() as bar:
        if bar is not None:
            bar.add_task(what, total=None, short=what.partition(" ")[0])
        yield


@contextmanager
def _bar(total: int, of_what: str) -> Iterator[Callable[[str], None] | None]:
    """Show a progress bar on stderr while the block runs, or nothing where stderr is no terminal.

    Args:
        total: how many steps there are.
        of_what: what is counted.

    Yields:
        the function to call after each step with what was done, or None.
    """
    with _progress() as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task(of_what, total=total, short=of_what)
        yield lambda done: bar.update(task, advance=1, description=done)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Show progress on stderr while the block runs; None where it is no terminal, or quiet."""
    if _QUIET.get() or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415  # slow: see the top

    from coreai_opt.cli.progress import progress_on  # noqa: PLC0415  # imports rich

    with progress_on(Console(stderr=True)) as bar:
        yield bar
