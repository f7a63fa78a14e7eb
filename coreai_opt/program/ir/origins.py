"""Where an op comes from, by its debug information."""

import re
from typing import NamedTuple

from coreai_opt.program.ir.tensors import Op


class Origin(NamedTuple):
    """Where an op comes from, by its debug information.

    Attributes:
        modules: the modules that it was converted from, from the whole model to the innermost, e.g.
            ``("Encoder$1", "Linear$3")``; empty if that was not recorded.
        source: path and line in the source, e.g. ``("model.py", 12)``, None if not recorded.
        op_id: the number that Core AI's tools show, unique in its graph; None if it has none.
    """

    modules: tuple[str, ...]
    source: tuple[str, int] | None
    op_id: int | None


_QUOTED = r'"(?:[^"\\]|\\.)*"'
_SOURCE = re.compile(rf"loc\(({_QUOTED}):(\d+):\d+")
_OP_ID = re.compile(r'"op_id": \{type = "coreai", value = (\d+)')
_CALL_STACK = re.compile(rf'"call_stack": \[((?:{_QUOTED}(?:, )?)*)\]')
_NO_FILE = "-"
"""Converters write this for the file where they record none."""


def origin(op: Op) -> Origin:
    """Return where ``op`` comes from."""
    text = str(op.location)  # Core AI has no other way to read metadata
    source, op_id, stack = (found.search(text) for found in (_SOURCE, _OP_ID, _CALL_STACK))
    modules = reversed(re.findall(_QUOTED, stack[1])) if stack else ()
    file = source[1][1:-1] if source else _NO_FILE
    return Origin(
        modules=tuple(quoted[1:-1] for quoted in modules),
        source=(file, int(source[2])) if source and file != _NO_FILE else None,
        op_id=int(op_id[1]) if op_id else None,
    )


def location_text(op: Op) -> str:
    """Return where ``op`` comes from, short: the source line, and the id that debug tools show."""
    _, source, op_id = origin(op)
    parts = [f"{source[0]}:{source[1]}" if source else ""]
    parts += [f"op_id {op_id}" if op_id is not None else ""]
    return ", ".join(filter(None, parts)) or str(op.location)
