"""Definitions by name, wherever they stand: functions and macros of C, Cython and Python.

A definition has a dotted name: the path of its file without the suffix, then the names that it is
nested in, for example ``csrc.templates.scales.e8m0_scale`` or
``coreai_opt.arrays.quantized_array.QuantizedArray.dequantize``.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDERS = ("coreai_opt", "csrc", "reference")


class Definition(NamedTuple):
    """A definition and where its text is.

    Attributes:
        name: the dotted name.
        file: the file, relative to the root of the project.
        start: the position in the file's text of its first character.
        text: all of it, head and body.
    """

    name: str
    file: str
    start: int
    text: str


@cache
def named(where: str) -> tuple[Definition, ...]:
    """Return the definitions whose dotted names end with ``where``."""
    return tuple(d for d in _all() if f".{d.name}".endswith(f".{where}"))


@cache
def _all() -> tuple[Definition, ...]:
    files = [
        file
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.*"))
        if file.suffix in _READERS and not file.parent.is_symlink()
    ]
    return tuple(found for file in files for found in definitions(file))


def definitions(file: Path) -> tuple[Definition, ...]:
    """Return the definitions in a file of the project."""
    relative = file.relative_to(ROOT)
    module = ".".join(relative.with_suffix("").parts)
    found = _READERS[file.suffix](file.read_text())
    return tuple(Definition(f"{module}.{name}", str(relative), *at) for name, *at in found)


_OPENS = re.compile(
    r"( *)(?:(?:async )?(?:c|cp)?def\b[^(=\n]*?\b(?=\w+\()|(?:cdef )?class )(\w+)"
    r"|()(\w+)(?: *: *[^=\n]+)? = "
)


def in_python(source: str) -> Iterator[tuple[str, int, str]]:
    """Yield functions, classes and constants of Python or Cython by their indentation."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    outer: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        opens = _OPENS.match(line)
        if not opens:
            continue
        indent, name = len(opens[1] or ""), opens[2] or opens[4]
        while outer and outer[-1][0] >= indent:
            outer.pop()
        end = number + 1
        while end < len(lines) and _continues(lines[end], indent):
            end += 1
        qualified = ".".join((*(name for _, name in outer), name))
        yield qualified, starts[number], source[starts[number] : starts[end]]
        if opens[2]:
            outer.append((indent, name))


def _continues(line: str, indent: int) -> bool:
    text = line.strip()
    return not text or len(line) - len(line.lstrip()) > indent or text[0] in ")]}\"'"


_TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|^#(?:\\\n|[^\n])*|\w+|[^\w\s]",
    re.DOTALL | re.MULTILINE,
)


def in_c(source: str) -> Iterator[tuple[str, int, str]]:
    """Yield macros, functions, types and variables of C that stand at the top level."""
    tokens: list[str] = []
    start = depth = 0
    for token in _TOKEN.finditer(source):
        text = token.group()
        if text.startswith("#"):
            macro = re.match(r"# *define +(\w+)", text)
            if macro and not tokens:
                yield macro[1], token.start(), text
            continue
        if text.startswith(("/*", "//")):
            continue
        if not tokens:
            start = token.start()
        tokens.append(text)
        depth += (text in "({[") - (text in ")}]")
        if tokens == ["extern", '"C"', "{"] or depth < 0:
            tokens, depth = [], 0  # the braces around a header for C++
        elif depth == 0 and (text == ";" or (text == "}" and _body_follows_parameters(tokens))):
            if "{" in tokens or "=" in tokens:
                yield _name(tokens), start, source[start : token.end()]
            tokens = []


def _body_follows_parameters(tokens: list[str]) -> bool:
    return tokens[tokens.index("{") - 1] == ")"


def _name(tokens: list[str]) -> str:
    """Return the name before the body or value of a definition, or at the end of a type's."""
    if tokens[0] == "typedef":
        return tokens[-2]
    items: list[list[str]] = []  # at the top level: words, and brackets with what is in them
    depth = 0
    for token in tokens[: min(tokens.index(sign) for sign in "{=" if sign in tokens)]:
        depth -= token in ")]"
        if depth or token in ")]":
            items[-1].append(token)
        else:
            items.append([token])
        depth += token in "(["
    while items[-1][0] == "[":
        items.pop()
    if items[-1][0] == "(":
        items.pop()
    return [word for word in items[-1] if word.isidentifier()][-1]  # of KERNEL(name), the name


_READERS = {".py": in_python, ".pyx": in_python, ".c": in_c, ".h": in_c}
