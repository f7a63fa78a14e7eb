"""Where an op comes from, by its debug information."""

import re
from typing import NamedTuple

from coreai_opt.program.ir.tensors import Op


class Origin(NamedTuple):
    """Where an op comes from, by its debug information.

    Attributes:
        modules: the modules that it was converted from, from the whole model to the innermost, e.g.
            ``("Encoder$1", "Linear$3")``; empty if that was not recorded.
        source: path and line in the source, e.g. ``("model.py", 12)``, None if not recorded. Of the
            frames that led there it is the innermost that is not PyTorch's own.
        op_id: the number that Core AI's tools show, unique in its graph; None if it has none.
    """

    modules: tuple[str, ...]
    source: tuple[str, int] | None
    op_id: int | None


_QUOTED = r'"(?:[^"\\]|\\.)*"'
_SOURCE = re.compile(rf"loc\(({_QUOTED}):(\d+):\d+")
_OP_ID = re.compile(r'"op_id": \{type = "coreai", value = (\d+)')
_CALL_STACK = re.compile(rf'"call_stack": \[((?:{_QUOTED}(?:, )?)*)\]')
_IDENTIFIER = re.compile(r'identifiers = \["([^"]*)"')
_HEXADECIMAL = re.compile(r"_[0-9a-f]{8}$")
_FRAMEWORK = "/torch/"
_NO_FILE = "-"
"""Converters write this for the file where they record none."""


def origin(op: Op) -> Origin:
    """Return where ``op`` comes from."""
    text = str(op.location)  # Core AI has no other way to read metadata
    op_id, stack = _OP_ID.search(text), _CALL_STACK.search(text)
    modules = reversed(re.findall(_QUOTED, stack[1])) if stack else ()
    return Origin(
        modules=tuple(quoted[1:-1] for quoted in modules),
        source=_source(text),
        op_id=int(op_id[1]) if op_id else None,
    )


def identifier(op: Op) -> str:
    """Return what the op was called where it was converted from; empty if that was not recorded.

    For an op of a module of its own that is the path of the module, and a number in hexadecimal,
    which is left out: it is another one in every export.
    """
    found = _IDENTIFIER.search(str(op.location))
    return _HEXADECIMAL.sub("", found[1]) if found else ""


def _source(text: str) -> tuple[str, int] | None:
    frames = [(file[1:-1], int(line)) for file, line in _SOURCE.findall(text)]
    if not frames or frames[0][0] == _NO_FILE:
        return None
    theirs = (frame for frame in frames if _FRAMEWORK not in frame[0] and frame[0] != _NO_FILE)
    return next(theirs, frames[0])


def location_text(op: Op) -> str:
    """Return where ``op`` comes from, short: the source line, and the id that debug tools show."""
    _, source, op_id = origin(op)
    parts = [f"{source[0]}:{source[1]}" if source else ""]
    parts += [f"op_id {op_id}" if op_id is not None else ""]
    return ", ".join(filter(None, parts)) or str(op.location)
