"""Tables for a terminal that leave columns out where it is narrow, and never cut a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult


class FittingTable:
    """A table with one line for each row, whose columns fit a width.

    Where names are wider than that, each stands at the end of its line: a terminal wraps the lines
    of those that are too long, and of no other.

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
        if width > options.max_width:
            yield from self._names_last()
            return
        yield from console.render(table, options.update_width(width))

    def _names_last(self) -> Iterator[Text]:
        """Return the lines of the columns that always stay, the first of them at the end."""
        name, *others = self._shown(len(self._least))
        heads = [head.lstrip(">") for head in self._heads]
        columns = [self._padded([row[n] for row in (heads, *self._rows)], n) for n in others]
        names = [heads[name], *(row[name] for row in self._rows)]
        for cells in zip(*columns, names, strict=True):
            yield Text(" " + "   ".join(cells), no_wrap=True, overflow="ignore")

    def _padded(self, cells: Sequence[str], number: int) -> list[str]:
        """Return the cells of a column, all as wide as the widest."""
        width = max(map(cell_len, cells))
        if self._heads[number].startswith(">"):
            return [" " * (width - cell_len(cell)) + cell for cell in cells]
        return [set_cell_size(cell, width) for cell in cells]

    def _shown(self, dropped: int) -> list[int]:
        """Return the numbers of the columns that are left without the first ``dropped``."""
        gone = self._least[:dropped]
        return [n for n, head in enumerate(self._heads) if head.lstrip(">") not in gone]

    def _table(self, dropped: int) -> Table:
        """Return the table without the first ``dropped`` columns of those that may be left out."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        shown = self._shown(dropped)
        for number in shown:
            justify = "right" if self._heads[number].startswith(">") else "left"
            head = self._heads[number].lstrip(">")
            table.add_column(head, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # two words
        for row in self._rows:
            # In a Text no brackets are markup, whatever the console is.
            table.add_row(*(Text(row[number]) for number in shown))
        return table


_AS_WIDE_AS_IT_IS = 100_000


def _width(console: Console, table: Table) -> int:
    options = console.options.update_width(_AS_WIDE_AS_IT_IS)
    return Measurement.get(console, options, table).maximum
