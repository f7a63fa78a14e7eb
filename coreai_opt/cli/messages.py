"""Errors and warnings in the words of the command line.

The API says ``qscheme must be QScheme.SYMMETRIC``; who typed ``--qscheme asymmetric`` should read
``--qscheme must be symmetric``.
"""

import logging
from enum import StrEnum

from coreai_opt.cli.parser import option_of
from coreai_opt.exceptions import Argument, ArgumentError, ArgumentTypeError, Message, Value

__all__ = ["of_error", "of_record"]


def of_error(error: BaseException) -> str:
    """Return what an error has to say to who typed a command."""
    if isinstance(error, (ArgumentError, ArgumentTypeError)):
        return _worded(error.message)
    if isinstance(error, OSError) and error.filename is not None and error.filename2 is None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def of_record(record: logging.LogRecord) -> str:
    """Return what a warning has to say to who typed a command."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    worded = (_worded(a) if isinstance(a, Message) else a for a in arguments)
    return str(record.msg) % tuple(worded)


def _worded(message: Message) -> str:
    """Return a message with options for arguments, but for those of a rule, which has keys."""
    if message.place:
        return f"{message.place}: {''.join(map(_as_key, message.parts))}"
    return "".join(map(_as_option, message.parts))


def _as_option(part: str | Argument | Value) -> str:
    match part:
        case Argument(name, None):
            return option_of(name)
        case Argument(name, Value(value)):
            return f"{option_of(name)} {_plain(value)}"
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


def _plain(value: object) -> str:
    return value.value if isinstance(value, StrEnum) else repr(value)
