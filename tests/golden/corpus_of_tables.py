"""The golden corpus of look-up tables: digests of what is found for the weights of ``corpus.py``.

``lookup.h`` lists the cases with their digests, which are computed from the reference, and is what
``golden_tables.c`` reads. A change of the contract is a change of that file:

    python -m tests.golden.corpus_of_tables
"""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coreai_opt import reference
from coreai_opt.reference import Cluster

from .corpus import SOURCES, Layout, Source, arrays, importance, little_endian

TABLE = Path(__file__).with_name("lookup.h")

LAYOUTS = (
    Layout("per tensor", (8, 15), (0, 0)),
    Layout("per group of channels", (24, 35), (8, 0)),
    Layout("per channel of the last axis", (40, 12), (0, 1)),
)


@dataclass(frozen=True)
class Case:
    """A line of the table.

    Attributes:
        length: of vectors along the first axis; 1 for none.
        weighed: by :func:`corpus.importance`.
    """

    source: Source
    layout: Layout
    bits: int
    length: int
    weighed: bool

    def digest(self) -> str:
        """SHA-256 over tables (little-endian, as float32) and packed indices of all arrays, and
        what they decode to in each type.
        """
        sha = hashlib.sha256()
        counts = importance(self.layout) if self.weighed else None
        for weight in arrays(self.source, self.layout):
            what = weight, self.bits, self.layout.block_sizes
            if self.length == 1:
                found = reference.tables.find_tables(*what, counts)
                packed = reference.tables.encode(weight, found)
            else:
                cluster = Cluster(self.length, 0)
                found = reference.table_vectors.find_tables(*what, cluster, counts)
                packed = reference.table_vectors.encode(weight, found, 0)
            sha.update(little_endian(found.astype(np.float32)))
            sha.update(packed.tobytes())
            for source in SOURCES:
                where = weight.shape, source.dtype
                if self.length == 1:
                    decoded = reference.tables.decode(packed, found, *where)
                else:
                    decoded = reference.table_vectors.decode(packed, found, 0, *where)
                sha.update(little_endian(decoded))
        return sha.hexdigest()

    def line(self) -> str:
        """Return a call of the macro that ``golden_tables.c`` defines."""
        shape, sizes = (str(numbers) for numbers in (self.layout.shape, self.layout.block_sizes))
        return (
            f"GOLDEN_TABLE({self.source.name}, {self.bits}, {self.length}, {int(self.weighed)}, "
            f'{shape}, {sizes}, "{self.digest()}")'
        )


def cases() -> Iterator[Case]:
    """All cases."""
    for layout, source in itertools.product(LAYOUTS, SOURCES):
        for bits, length, weighed in itertools.product((1, 4), (1, 2), (False, True)):
            yield Case(source, layout, bits, length, weighed)
        yield Case(source, layout, 6, 4, weighed=False)
        yield Case(source, layout, 8, 1, weighed=True)


def table() -> list[str]:
    """Return the lines that ``lookup.h`` must have."""
    head = "/* Made by `python -m tests.golden.corpus_of_tables`, from the reference. */"
    return [head, "/* clang-format off */", *(case.line() for case in cases())]


if __name__ == "__main__":
    TABLE.write_text("\n".join(table()) + "\n")
