"""What a mutant is: an edit, inside a definition, that breaks one rule."""

import re
from pathlib import Path
from typing import NamedTuple

from .definitions import ROOT, find


class Mutant(NamedTuple):
    """One edit.

    It is found by what it breaks: moving the definition to another file, or laying it out anew,
    costs nothing.

    Attributes:
        name: a name to tell it by.
        address: the definition that holds the rule; see ``definitions.find``.
        text: a text that the definition holds exactly once, whatever white space is in it.
        replacement: what takes its place.
        rule: the rule that this breaks.
    """

    name: str
    address: str
    text: str
    replacement: str
    rule: str

    def file(self, root: Path = ROOT) -> str:
        """The file that it changes, from the project's root."""
        return find(self.address, root).file

    def apply(self, root: Path = ROOT) -> str:
        """Return the text of its file with the edit.

        Raises:
            ValueError: the definition is not there once, or its text is not.
        """
        place = find(self.address, root)
        source = (root / place.file).read_text()
        body = source[place.start : place.end]
        found = list(_pattern(self.text).finditer(body))
        if len(found) != 1:
            raise ValueError(
                f"mutant {self.name}: {self.text!r} occurs {len(found)} times in {self.address} "
                f"({place.file}), not once"
            )
        start, end = (place.start + position for position in found[0].span())
        return source[:start] + self.replacement + source[end:]


def mutants(address: str, *edits: tuple[str, str, str, str]) -> tuple[Mutant, ...]:
    """Return mutants of one definition from (name, text, replacement, rule)."""
    return tuple(Mutant(name, address, *edit) for name, *edit in edits)


def _pattern(text: str) -> re.Pattern[str]:
    """Match the words and signs of a text, with any white space or ends of macro lines between."""
    words = re.findall(r"\w+|[^\w\s]", text)
    pattern = r"[\s\\]*".join(map(re.escape, words))
    # Not in the middle of a longer word or number.
    before = r"(?<!\w)" if text.strip()[0].isalnum() else ""
    return re.compile(before + pattern)
