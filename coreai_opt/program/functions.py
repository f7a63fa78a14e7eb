"""The functions of a program: which one is meant, what it takes, and how long it is."""

from collections.abc import Mapping, Sequence

import numpy as np

from coreai_opt.exceptions import Argument, ArgumentError, ArgumentTypeError, InputError
from coreai_opt.program import ir
from coreai_opt.program.ir import AIProgram, Port, Signature
from coreai_opt.settings.arguments import did_you_mean

__all__ = ["Sizes", "check_same_signature", "find_function", "fixed_shape"]

Sizes = Mapping[str, int | Sequence[int]]
"""Of inputs and states by name the length of every dimension that is not fixed: one number for all
of them, or one for each."""

_DEFAULT_SIZE = 32
"""Length of a dimension that is not fixed, where nobody gives one."""


def find_function(program: AIProgram, function: str | None) -> tuple[str, Signature]:
    """Return the name of a function of a program, and what it takes and returns.

    Args:
        program: the program.
        function: its name; None for the only one there is.

    Raises:
        InputError: there is no such function, or there are several and none is named; the message
            lists them.
        TypeError: ``function`` is no string.
    """
    found = ir.functions(program)
    if function is None and len(found) == 1:
        return next(iter(found.items()))
    if function is not None and not isinstance(function, str):
        raise ArgumentTypeError(
            "function", Argument("function"), f" must be the name of a function; got {function!r}"
        )
    if function in found:
        return function, found[function]
    if not found:
        raise InputError("the program has no function that can be run")
    names = ", ".join(map(repr, found))
    if function is None:
        raise ArgumentError(
            "function",
            Argument("function"),
            f" must be given, because the program has several: {names}",
        )
    raise ArgumentError(
        "function",
        Argument("function"),
        f" must be one of {names}; got {function!r}{did_you_mean(function, found)}",
    )


def check_same_signature(reference: AIProgram, other: AIProgram, function: str | None) -> None:
    """Raise InputError where names or shapes differ of what a function takes or returns.

    Args:
        reference: a program.
        other: another one.
        function: as for :func:`find_function`, of both.
    """
    name, ours = find_function(reference, function)
    _, theirs = find_function(other, name)
    for what, ports, others in zip(Signature._fields, ours, theirs, strict=True):
        if _shapes(ports) != _shapes(others):
            listed = (", ".join(map(str, of)) or "none" for of in (ports, others))
            raise InputError(f"the {what} of the two programs differ: {' and '.join(listed)}")


def _shapes(ports: Sequence[Port]) -> dict[str, tuple[int | None, ...]]:
    return {port.name: port.shape for port in ports}


def check_sizes(signature: Signature, sizes: Sizes | None) -> None:
    """Raise InputError or TypeError where ``sizes`` are not those of a function's dimensions."""
    ports = {port.name: port for port in (*signature.inputs, *signature.states)}
    for name, given in (sizes or {}).items():
        if name not in ports:
            raise ArgumentError(
                "sizes",
                Argument("sizes"),
                f" must be of inputs or states, {', '.join(map(repr, ports)) or 'of none'}; "
                f"got {name!r}",
            )
        _sizes_of(ports[name], given)


def fixed_shape(port: Port, sizes: Sizes | None) -> tuple[int, ...]:
    """Return the shape of an input or state, with lengths for dimensions that are not fixed.

    Args:
        port: the input or state.
        sizes: the lengths; 32 where there is none.

    Raises:
        ValueError, TypeError: the sizes are not those of its dimensions.
    """
    lengths = iter(_sizes_of(port, (sizes or {}).get(port.name, _DEFAULT_SIZE)))
    return tuple(next(lengths) if size is None else size for size in port.shape)


def _sizes_of(port: Port, given: int | Sequence[int]) -> list[int]:
    free = port.shape.count(None)
    lengths = list(given) if isinstance(given, Sequence) else [given] * free
    if not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in lengths):
        raise ArgumentTypeError(
            "sizes", f"size of {port.name!r} must be a whole number or several; got {given!r}"
        )
    if len(lengths) != free or any(n < 1 for n in lengths):
        raise ArgumentError(
            "sizes",
            f"size of {port.name!r}, which is {port}, must be one number >= 1 or one for each of "
            f"its {free} dimensions that are not fixed; got {given!r}",
        )
    return [int(n) for n in lengths]
