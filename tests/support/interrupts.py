"""KeyboardInterrupt at a chosen moment of a call, and at the next, so that none is left out."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import coreai_opt

_PACKAGE = str(Path(coreai_opt.__file__).parent)


def interrupted_at_instruction(number: int, call: Callable[[], object]) -> bool:
    """Interrupt a call at the ``number``-th instruction of the package.

    Python raises KeyboardInterrupt between two of its instructions, so these are all the moments
    there are, but for the compiled module.

    Returns:
        whether there are so many.
    """
    left = number

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal left
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()  # of a coverage tool
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def interrupted_at_call(number: int, call: Callable[[], object]) -> bool:
    """Interrupt a call at the ``number``-th call or return from C that it makes, whoever's it is.

    These are the moments, but for the ends of loops, when CPython looks for signals.

    Returns:
        whether there are so many.
    """
    left = number

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal left
        left -= event in {"call", "c_return"}
        if left == 0:
            sys.setprofile(None)
            raise KeyboardInterrupt

    try:
        sys.setprofile(profile)
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False
