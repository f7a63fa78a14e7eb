"""The errors of this package, and the messages of those that are about arguments.

A message keeps what it says of arguments and values apart from its text, so that each reader is
told in words of their own: ``block_size=32`` in Python is ``--block-size 32`` on the command line.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

__all__ = [
    "Argument",
    "ArgumentError",
    "ArgumentTypeError",
    "BackendMismatchError",
    "CalibrationError",
    "Cause",
    "CoreAIError",
    "InputError",
    "Message",
    "NotInstalledError",
    "QualityError",
    "UnreadableError",
    "UnusableArithmeticError",
    "Value",
    "WeightChangedError",
]


@dataclass(frozen=True)
class Value:
    """A value in a message.

    Attributes:
        value: the value.
        code: how Python code writes it; empty for its ``repr``.
    """

    value: object
    code: str = ""

    def __str__(self) -> str:
        return self.code or repr(self.value)


@dataclass(frozen=True)
class Argument:
    """An argument in a message, alone or with the value that it has or should have.

    Attributes:
        name: its name.
        value: the value; None for the argument alone.
        quoted: whether Python's message has it in backticks, as those of coreai-opt do.
    """

    name: str
    value: Value | None = None
    quoted: bool = False

    def __str__(self) -> str:
        text = self.name if self.value is None else f"{self.name}={self.value}"
        return f"`{text}`" if self.quoted else text


class Message:
    """Text, arguments and values in a row; ``str`` joins them in the words of Python.

    Attributes:
        parts: the row.
        place: what in a list or a file the message is about, e.g. ``"rule 2"``; or empty. Arguments
            are keys there.
    """

    def __init__(self, *parts: str | Argument | Value, place: str = "") -> None:
        self.parts, self.place = parts, place

    def __str__(self) -> str:
        text = "".join(map(str, self.parts))
        return f"{self.place}: {text}" if self.place else text


class Cause(NamedTuple):
    """Why a weight is left as it is, in words for all the weights that are left for that reason.

    Attributes:
        text: the reason, with ``{}`` in the place of what differs from weight to weight, if any.
        detail: what stands there for this weight.
        advice: what can be done about all of them; None if there is nothing.
    """

    text: str
    detail: str = ""
    advice: Message | None = None


class InputError(ValueError):
    """A file, a program or an argument cannot be used; the message says what can be done."""


class _AboutArgumentError(Exception):
    """An argument that cannot be used.

    Attributes:
        argument: its name.
        message: what is wrong with it.
    """

    def __init__(self, argument: str, *parts: str | Argument | Value, place: str = "") -> None:
        super().__init__(argument, *parts)
        self.argument = argument
        self.message = Message(*parts, place=place)

    def __str__(self) -> str:
        return str(self.message)

    def within(self, place: str) -> Self:
        """Return the error for an argument that is said in a list or a file, such as ``rule 2``."""
        inner = self.message.place
        whole = f"{place}: {inner}" if inner else place
        return type(self)(self.argument, *self.message.parts, place=whole)


class ArgumentError(_AboutArgumentError, InputError):
    """An argument has a value that is not allowed, alone or beside others."""


class ArgumentTypeError(_AboutArgumentError, TypeError):
    """An argument is of a type that is not allowed."""


class BackendMismatchError(AssertionError):
    """The native backend and the reference gave different bytes: a bug, please report it."""


class CalibrationError(InputError):
    """A calibration cannot be made, read, or used for a program."""


class CoreAIError(RuntimeError):
    """Core AI could not do what it was asked for; the message is its own."""


class NotInstalledError(ImportError):
    """Something that is needed is not installed; the message says what."""


class QualityError(Exception):
    """An output is further from its reference than it may be."""


class UnreadableError(ValueError):
    """A compressed weight of a program cannot be read; the message says why."""


class UnusableArithmeticError(FloatingPointError):
    """The calling thread computes in a way that would change the bytes of results."""


class WeightChangedError(RuntimeError):
    """Another thread wrote to an array while this was compressed; what it was before is unknown."""

    def __init__(self) -> None:
        super().__init__("weight was changed, by another thread, while it was compressed")
