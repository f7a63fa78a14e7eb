"""Constants replaced by what decodes a compressed array, and the way back."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from coreai_opt.program import ir
from coreai_opt.program.forms import form_of_array
from coreai_opt.program.ir import Builder, Op, Parts, Value


def replace_constants(constants: Sequence[Op], array: object, parts: Parts | None = None) -> None:
    """Replace constants of one value by ops that decode a compressed array.

    Everything is built and verified before the program is changed, so if building raises the
    program is as it was. It is valid after every constant that is replaced.

    Args:
        constants: the ops to replace; they are erased.
        array: their compressed value, of which the program keeps the memory, once.
        parts: what other weights of the program were made of; it grows.
    """
    form = form_of_array(array)
    _replace(constants, lambda build: form.build(build, array), parts)


def replace_decoders(decoders: Sequence[Op], array: npt.NDArray[Any]) -> None:
    """Replace ops that decode one value by constants.

    If building raises, the program is as it was.

    Args:
        decoders: the ops to replace; they are erased, and so are the constants that only they use.
        array: what they decode, of its shape and dtype; the program keeps it, once.
    """
    element = ir.element_type(array.dtype)
    _replace(decoders, lambda build: build.constant(array, array.shape, element), None)


def _replace(ops: Sequence[Op], make: Callable[[Builder], Value], parts: Parts | None) -> None:
    """Replace each of ``ops`` by what ``make`` makes, at its place and with its location."""
    builders = [Builder(op, parts) for op in ops]
    first, *others = builders
    try:
        value = make(first)
        values = [value, *(build.copy(value.owner) for build in others)]
    except BaseException:  # Ctrl-C as well
        for build in builders:
            build.erase()
        raise
    for op, value in zip(ops, values, strict=True):
        ir.replace(op, value)
