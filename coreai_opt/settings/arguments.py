"""Checks of single arguments. Each names the argument, what it was and what is allowed."""

import difflib
import math
import operator
from collections.abc import Iterable
from enum import StrEnum
from numbers import Real
from typing import TypeVar

import numpy as np

from coreai_opt.exceptions import Argument, ArgumentError, ArgumentTypeError, Value
from coreai_opt.settings.enums import find_spelled

_Member = TypeVar("_Member", bound=StrEnum)
_Choice = TypeVar("_Choice", bound=str)


def parse_member(
    enum: type[_Member], argument: str, value: object, complaint: str | None = None
) -> _Member:
    """Return the member of ``enum`` that ``value`` is or spells.

    Args:
        enum: one of the enums of ``enums.py``.
        argument: the name of the user's argument, for the message.
        value: a member, or a ``str`` that spells a member's value.
        complaint: how the message opens; ``Invalid <argument>`` unless told.

    Raises:
        ArgumentError: a string that is no member's value.
        ArgumentTypeError: anything else.
    """
    if isinstance(value, enum):
        return value
    # A member of another enum is a str too, but passing one is a slip, not a spelling.
    if isinstance(value, str) and not isinstance(value, StrEnum):
        try:
            return enum(value)
        except ValueError:
            pass
    allowed = ", ".join(repr(member.value) for member in enum)
    article = "an" if enum.__name__.startswith(("I", "O")) else "a"
    error = ArgumentError if isinstance(value, str) else ArgumentTypeError
    raise error(
        argument,
        f"{complaint or f'Invalid {argument}'} ",
        Value(value),
        ". ",
        Argument(argument),
        f" must be {article} {enum.__name__} or one of the strings {allowed}"
        f"{did_you_mean(value, enum)}.",
    )


def parse_choice(
    argument: str, value: object, choices: Iterable[_Choice], complaint: str | None = None
) -> _Choice:
    """Return the choice that ``value`` spells.

    Args:
        argument: the name of the user's argument, for the message.
        value: a ``str`` that spells a choice.
        choices: strings, or members of an enum of the settings.
        complaint: what the message has before the choices; ``<argument> must be one of`` unless
            told.

    Raises:
        ArgumentError: a string that spells none.
        ArgumentTypeError: anything else.
    """
    allowed = list(choices)
    found = find_spelled(value, allowed) if isinstance(value, str) else None
    if found is not None:
        return found
    listed = ", ".join(repr(str(choice)) for choice in allowed)
    got = str(value) if isinstance(value, StrEnum) else value
    error = ArgumentError if isinstance(value, str) else ArgumentTypeError
    raise error(
        argument,
        f"{complaint or f'{argument} must be one of'} {listed}; "
        f"got {got!r}{did_you_mean(value, allowed)}",
    )


def did_you_mean(value: object, allowed: Iterable[str]) -> str:
    """Return " (did you mean 'int4'?)" where a value is near to one that is allowed, or nothing."""
    near = difflib.get_close_matches(str(value).lower(), list(map(str, allowed)), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def parse_int(argument: str, value: object, *, least: int, alternative: str = "") -> int:
    """Return ``value`` as an int that is at least ``least``; numpy integers count, bool does not.

    Raises:
        ArgumentTypeError: not an integer.
        ArgumentError: an integer, but too small.
    """
    message = (Argument(argument), f" must be an int >= {least}{alternative}; got {value!r}")
    if isinstance(value, (bool, np.bool_)):
        raise ArgumentTypeError(argument, *message)
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # TypeError is what we are asking for
    except TypeError:
        raise ArgumentTypeError(argument, *message) from None
    if number < least:
        raise ArgumentError(argument, *message)
    return number


def plain_int(value: object) -> object:
    """Return a whole number of another type, such as numpy's, as an int; all else as it is."""
    if isinstance(value, bool):
        return value
    try:
        return operator.index(value)  # type: ignore[arg-type]  # TypeError is what we are asking for
    except TypeError:
        return value


def parse_real(argument: str, value: object, allowed: str, *, most: float = math.inf) -> float:
    """Return ``value`` as a finite float from 0 to ``most``.

    Any real number counts, such as numpy's and fractions; bool does not.

    Args:
        argument: the name of the user's argument, for the message.
        value: the argument.
        allowed: what it must be, for the message.
        most: the largest number that is allowed.

    Raises:
        ArgumentTypeError: no real number.
        ArgumentError: a number that is not allowed.
    """
    message = (Argument(argument), f" must be {allowed}; got {value!r}")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(argument, *message)
    try:
        number = float(value)
    except OverflowError:  # a whole number that no float is near to
        raise ArgumentError(argument, *message) from None
    if not (math.isfinite(number) and 0 <= number <= most):
        raise ArgumentError(argument, *message)
    return number
