"""Errors and warnings in the words of the command line.

The API says ``qscheme must be QScheme.SYMMETRIC``. A person who typed ``--qscheme asymmetric``
should read ``--qscheme must be symmetric``.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from coreai_opt.cli.parser import option_of
from coreai_opt.exceptions import (
    Argument,
    ArgumentError,
    ArgumentTypeError,
    BackendMismatchError,
    Cause,
    CoreAIError,
    InputError,
    Message,
    NotInstalledError,
    Value,
)

__all__ = ["EXPECTED_ERRORS", "of_cause", "of_error", "of_record"]

EXPECTED_ERRORS = (
    ArgumentTypeError,
    BackendMismatchError,
    CoreAIError,
    InputError,
    MemoryError,
    NotInstalledError,
    OSError,
)
"""Errors of input, files and options that cannot be used, lack of memory, and the difference that
``--backend validate`` looks for. Any other exception is a defect of this package, and keeps its
traceback.
"""

_OPTIONS = {
    "num_threads": "--threads",
    "sizes": "--size",
    "target_bytes": "--target-size",
    "weight_num_threshold": "--threshold",
}
"""Options that have another name than the argument of the Python API."""


def of_error(error: BaseException) -> str:
    """Return the message of an error for the person who typed a command."""
    if isinstance(error, (ArgumentError, ArgumentTypeError)):
        return _worded(error.message)
    if isinstance(error, OSError) and error.filename is not None and error.filename2 is None:
        return f"{error.filename}: {error.strerror}"
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return f"{error}{notes}" if str(error) else type(error).__name__


def of_record(record: logging.LogRecord) -> str:
    """Return the message of a warning for the person who typed a command."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    worded = (_worded(a) if isinstance(a, Message) else a for a in arguments)
    return str(record.msg) % tuple(worded)


def of_cause(causes: Sequence[Cause]) -> str:
    """Return why several weights are left, for the person who typed a command.

    Args:
        causes: those of the weights, which differ in nothing but ``detail``.
    """
    text, _, advice = causes[0]
    counts = Counter(cause.detail for cause in causes).most_common()
    details = ", ".join(f"{detail} ({count})" for detail, count in counts)
    helps = "" if advice is None else _worded(advice)
    return f"{len(causes)} weights are left as they are: {text.format(details)}{helps}"


def _worded(message: Message) -> str:
    """Return a message with options for arguments, but for those of a rule, which has keys."""
    if message.place:
        return f"{message.place}: {''.join(map(_as_key, message.parts))}"
    return "".join(map(_as_option, message.parts))


def _as_option(part: str | Argument | Value) -> str:
    match part:
        case Argument(name, None | Value(True)):
            return _option(name)
        case Argument(name, Value(value)):
            return f"{_option(name)} {_plain(value)}"
        case Value(None):
            return "left out"
        case _:
            return _as_key(part)


def _as_key(part: str | Argument | Value) -> str:
    match part:
        case Argument(name, Value(value)):
            return f"{name}={_plain(value)}"
        case Value(value):
            return _plain(value)
        case _:
            return str(part)


def _option(name: str) -> str:
    return _OPTIONS.get(name) or option_of(name)


def _plain(value: object) -> str:
    return value.value if isinstance(value, StrEnum) else repr(value)
