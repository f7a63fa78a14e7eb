"""What a line of progress says: a bar, how much of how much is done, the time left, and of what.

It imports rich, so it is imported when progress is first shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, ProgressColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task

_WIDEST_BAR = 40


class _Told(ProgressColumn):
    """Count, time left, and what is done; of that ``short`` alone where a line has no room."""

    def __init__(self, console: Console, bar_width: int) -> None:
        super().__init__()
        self._console = console
        self._bar_width = bar_width
        self._left = TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        """Return the text beside the bar."""
        told = "" if task.total is None else f"{_count(task)} {self._left(task)} "
        room = self._console.width - self._bar_width - 1
        text = Text(told + task.description)
        if text.cell_len > room:
            text = Text(told + task.fields["short"])
        text.no_wrap = True
        return text


def _count(task: Task) -> str:
    """Return ``done/total``, as wide at the beginning as at the end."""
    total = f"{int(task.total or 0)}"
    return f"{int(task.completed):{len(total)}}/{total}"


def progress_on(console: Console) -> Progress:
    """Return a bar whose line is gone in the end; its tasks need a field ``short``.

    Args:
        console: where to show it.
    """
    bar_width = min(_WIDEST_BAR, console.width // 4)
    columns = BarColumn(bar_width), _Told(console, bar_width)
    return Progress(*columns, console=console, transient=True)
