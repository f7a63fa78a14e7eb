"""Tables for a terminal that leave columns out where it is narrow, and never cut a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult


class FittingTable:
    """A table with one line for each row, whose columns fit a width.

    Args:
        heads: what stands above the columns; one that starts with ``>`` is aligned right, without
            the ``>``.
        rows: one text for each column.
        least: heads of columns that may be left out, the first one first.
    """

    def __init__(
        self, heads: Sequence[str], rows: Iterable[Sequence[str]], least: Sequence[str] = ()
    ) -> None:
        self._heads = list(heads)
        self._rows = [list(row) for row in rows]
        self._least = least

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many columns as fit; those that always stay are as wide as they have to be."""
        dropped = 0
        table = self._table(dropped)
        while (width := _width(console, table)) > options.max_width and dropped < len(self._least):
            dropped += 1
            table = self._table(dropped)
        yield from console.render(table, options.update_width(width))

    def least_width(self, console: Console) -> int:
        """Return the width of the columns that always stay; a terminal that has less wraps lines.

        Args:
            console: where the table is to be printed.
        """
        return _width(console, self._table(len(self._least)))

    def _table(self, dropped: int) -> Table:
        """Return the table without the first ``dropped`` columns of those that may be left out."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        heads = [head.lstrip(">") for head in self._heads]
        shown = [number for number, h in enumerate(heads) if h not in self._least[:dropped]]
        for number in shown:
            justify = "right" if self._heads[number].startswith(">") else "left"
            table.add_column(heads[number], justify=justify, no_wrap=True)  # type: ignore[arg-type]  # two words
        for row in self._rows:
            # In a Text no brackets are markup, whatever the console is.
            table.add_row(*(Text(row[number]) for number in shown))
        return table


_AS_WIDE_AS_IT_IS = 100_000


def _width(console: Console, table: Table) -> int:
    options = console.options.update_width(_AS_WIDE_AS_IT_IS)
    return Measurement.get(console, options, table).maximum
