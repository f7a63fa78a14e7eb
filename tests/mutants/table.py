"""The mutants: edits that each break one rule, which some test has to notice.

The files in ``areas/`` have them: a table for each definition, in which each mutant has a name, a
piece of code, what takes its place and the rule that this breaks. The definition is looked for
wherever it stands, and code is compared by its words and signs, whatever space is between them.
Where a rule stands in C and in ``reference/``, each has a mutant of its own, and the contract tests
have to notice the reference's.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .definitions import named

AREAS = Path(__file__).parent / "areas"


class Place(NamedTuple):
    """Where a mutant's code stands: a file of the project, and positions in its text."""

    file: str
    start: int
    end: int


class Mutant(NamedTuple):
    """One edit.

    Attributes:
        area: the name of the file that has it.
        name: a name to tell it by.
        where: the end of a definition's dotted name, as much as tells it from others.
        code: what stands in that definition exactly once.
        replacement: what takes its place; its second and later lines are indented as the first.
        rule: the rule that this breaks.
        tests: the tests that have to notice, those that are likely to first.
    """

    area: str
    name: str
    where: str
    code: str
    replacement: str
    rule: str
    tests: tuple[str, ...]

    def place(self) -> Place:
        """Return where the code stands.

        Raises:
            ValueError: it does not stand there exactly once.
        """
        places = [
            Place(definition.file, definition.start + found.start(), definition.start + found.end())
            for definition in named(self.where)
            for found in pattern(self.code).finditer(definition.text)
        ]
        if len(places) != 1:
            raise ValueError(
                f"mutant {self.name}: {self.code!r} stands {len(places)} times in {self.where}, "
                f"not once"
            )
        return places[0]

    def apply(self, source: str) -> str:
        """Return the text of the file in which the code stands, with the edit."""
        _, start, end = self.place()
        indent = re.findall(r"(?m)^[ \t]*", source[:start])[-1]
        replacement = self.replacement.replace("\n", "\n" + indent)
        return source[:start] + replacement + source[end:]


def pattern(code: str) -> re.Pattern[str]:
    """Return what finds ``code`` whatever space is between its words and signs."""
    tokens = re.findall(r"\w+|[^\w\s]", code)
    found = re.escape(tokens[0])
    for before, after in itertools.pairwise(tokens):
        two_words = re.match(r"\w", before) and re.match(r"\w", after)
        found += (r"\s+" if two_words else r"\s*") + re.escape(after)
    return re.compile(rf"(?<!\w(?=\w)){found}(?!(?<=\w)\w)")


def _mutants() -> Iterator[Mutant]:
    for area in sorted(AREAS.glob("*.toml")):
        definitions = tomllib.loads(area.read_text())
        tests = tuple(definitions.pop("tests"))
        for where, mutants in definitions.items():
            for name, (code, replacement, rule) in mutants.items():
                yield Mutant(area.stem, name, where, code, replacement, rule, tests)


MUTANTS = tuple(_mutants())
