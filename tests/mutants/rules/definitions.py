"""Where things are defined: functions, classes, constants and macros of C, Cython and Python.

A definition is found by its name, in whatever file it stands, so that who names one need not
follow it when it moves.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
FOLDERS = ("csrc", "coreai_opt", "reference")


class Definition(NamedTuple):
    """A definition.

    Attributes:
        file: the file that it stands in, from the project's root.
        name: its name, in Python with those of the classes and functions around it:
            ``Plan.rules``.
        start, end: the characters of the file's text that it takes.
    """

    file: str
    name: str
    start: int
    end: int

    def is_in(self, module: str) -> bool:
        """Whether its file is meant by a name without suffix, or by the end of its path."""
        return Path(self.file).stem == module or f"/{self.file}".endswith(f"/{module}")


@cache
def definitions(root: Path = ROOT) -> dict[str, list[Definition]]:
    """Return all definitions by name."""
    found: dict[str, list[Definition]] = {}
    for folder in FOLDERS:
        for path in sorted(root.joinpath(folder).rglob("*")):
            reader = _READERS.get(path.suffix)
            is_source = "tools" not in path.parts and not path.is_symlink()
            if reader is not None and is_source and "reference" not in path.parts[-3:-2]:
                file = str(path.relative_to(root))
                for name, start, end in reader(path.read_text()):
                    found.setdefault(name, []).append(Definition(file, name, start, end))
    return found


def find(address: str, root: Path = ROOT) -> Definition:
    """Return the definition that an address means.

    Args:
        address: a name, or where several files define it a file and the name:
            ``avx2:v_round``, ``scales.h:round_scales``, ``cli/quantize.py:run``.
        root: the folder of the project.

    Raises:
        ValueError: there is none, or more than one.
    """
    module, _, name = address.rpartition(":")
    places = [d for d in definitions(root).get(name, []) if not module or d.is_in(module)]
    if len(places) != 1:
        files = ", ".join(place.file for place in places) or "nowhere"
        raise ValueError(f"{address} is defined {len(places)} times, not once: {files}")
    return places[0]


Place = tuple[str, int, int]


def _in_python(text: str) -> Iterator[Place]:
    """What stands in a module of Python, nested functions and methods included."""
    offsets = _line_starts(text)

    def visit(body: list[ast.stmt], prefix: str) -> Iterator[Place]:
        for node in body:
            names: list[str] = []
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names = [node.name]
                yield from visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            assert node.end_lineno is not None
            for name in names:
                yield f"{prefix}{name}", offsets[first - 1], offsets[node.end_lineno]

    yield from visit(ast.parse(text).body, "")


_CYTHON = re.compile(r"^(?P<indent> *)(?:cdef |cpdef |def )[^\n=]*?(?P<name>\w+)\(", re.M)
_CYTHON_CLASS = re.compile(r"^(?:cdef )?class (\w+)", re.M)
_CYTHON_VALUE = re.compile(r"^(?P<name>[A-Z_]+) = ", re.M)


def _in_cython(text: str) -> Iterator[Place]:
    """Functions and methods, which end before the next line that is not further in."""
    for found in _CYTHON.finditer(text):
        outside = re.compile(rf"^ {{0,{len(found['indent'])}}}[^\s)]", re.M)
        end = outside.search(text, found.end())
        above = _CYTHON_CLASS.findall(text, 0, found.start()) if found["indent"] else []
        prefix = f"{above[-1]}." if above else ""
        yield prefix + found["name"], found.start(), end.start() if end else len(text)
    for found in _CYTHON_VALUE.finditer(text):
        yield found["name"], found.start(), text.index("\n", found.end())


_MACRO = re.compile(r"^ *# *define (?P<name>\w+)(?:.*\\\n)*.*\n", re.M)
_OPENING = re.compile(r"^(?![ #*/}\n]).*?(?:\{|;|\n(?=\n))", re.M | re.S)
_CLOSING = re.compile(r"^\}.*\n", re.M)
_FUNCTION = re.compile(r"(?:[A-Z_]+\((?P<pasted>\w+)\)|(?P<name>\w+)) ?\(")
_VALUE = re.compile(r"(?P<name>\w+)(?:\[\w*\])* = ?\{?")


def _in_c(text: str) -> Iterator[Place]:
    """Macros; functions, constants and types, which begin in the first column and end in it."""
    for found in _MACRO.finditer(text):
        yield found["name"], found.start(), found.end()
    position = 0
    while found := _OPENING.search(text, position):
        head, start, end = found[0], found.start(), found.end()
        rest_of_line = text[end:].partition("\n")[0]
        if head.endswith("{") and not rest_of_line.endswith("};"):
            closing = _CLOSING.search(text, end)
            end = closing.end() if closing else len(text)
        position = max(end, start + 1)
        if head.startswith('extern "C"'):
            position = found.end()
            continue
        named = _VALUE.search(head)
        if named is None and not head.endswith(";"):  # else it is declared, not defined
            named = _FUNCTION.search(head)
        if named is not None:
            yield named.groupdict().get("pasted") or named["name"], start, end


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


_READERS = {".py": _in_python, ".pyx": _in_cython, ".c": _in_c, ".h": _in_c}
