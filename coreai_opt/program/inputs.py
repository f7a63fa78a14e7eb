"""Inputs to run a program on: of one sample or several, given or made up."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.exceptions import InputError
from coreai_opt.program import ir
from coreai_opt.program.following import GATHER
from coreai_opt.program.functions import Sizes, check_sizes, find_function, fixed_shape
from coreai_opt.program.ir import AIProgram, Op, Port, Value

__all__ = ["random_inputs", "split_samples"]

Array = npt.NDArray[Any]

_GATHER_ALONG_AXIS = "coreai.gather_along_axis"
_GET_SHAPE = "coreai.get_shape"


def random_inputs(
    program: AIProgram,
    seed: int = 0,
    *,
    function: str | None = None,
    sizes: Sizes | None = None,
) -> dict[str, Array]:
    """Make up an array for every input of a function of a program.

    Floats are normal with standard deviation 1. Integers that select rows of a table, as the ids of
    tokens do, are uniform over its rows; other integers are 1 and booleans true, as in a mask that
    hides nothing. What a network does on such inputs is not what it does on real ones.

    Args:
        program: the program.
        seed: of the random numbers; a seed always gives the same ones.
        function: the name of the function; None for the only one there is.
        sizes: of inputs the length of each dimension that is not fixed, by name; 32 where it is not
            given.

    Raises:
        InputError: there is no such function, an input of it is no array of numbers, or sizes are
            not those of its dimensions.
    """
    name, signature = find_function(program, function)
    check_sizes(signature, sizes)
    rng = np.random.default_rng(seed)
    values = ir.function_inputs(program, name)
    return {
        port.name: _random(port, fixed_shape(port, sizes), values[port.name], rng)
        for port in signature.inputs
    }


def split_samples(
    program: AIProgram, arrays: Mapping[str, Array], *, function: str | None = None
) -> tuple[list[dict[str, Array]], dict[str, Array]]:
    """Return samples for a function of a program, and what its states start as.

    Args:
        program: the program.
        arrays: an array for each input, by name, and for states that do not start as zeros. If
            those for inputs all have one axis more than their input, they hold a sample for each
            index of the first; states are of all samples.
        function: the name of the function; None for the only one there is.

    Raises:
        InputError: they hold different numbers of samples, or none.
    """
    _, signature = find_function(program, function)
    names = {port.name for port in signature.states}
    states = {name: array for name, array in arrays.items() if name in names}
    inputs = {name: array for name, array in arrays.items() if name not in names}
    ranks = {port.name: len(port.shape) for port in signature.inputs}
    if not inputs or not all(
        array.ndim == ranks.get(name, -1) + 1 for name, array in inputs.items()
    ):
        return [inputs], states  # run_samples says what is wrong with them, if anything is
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise InputError(f"inputs must hold the same number of samples, at least 1; got {counts}")
    count = next(iter(counts.values()))
    return [{name: array[i] for name, array in inputs.items()} for i in range(count)], states


def _random(port: Port, shape: Sequence[int], value: Value, rng: np.random.Generator) -> Array:
    if port.dtype is None:
        raise InputError(f"input {port} is no array of numbers, so none can be made up")
    if np.issubdtype(port.dtype, np.integer):
        rows = min(_rows_of_tables(value), default=0)
        if not rows:
            return np.ones(shape, port.dtype)
        countable = int(np.iinfo(port.dtype).max) + 1
        return rng.integers(min(rows, countable), size=shape, dtype=port.dtype)
    if port.dtype == np.bool_:
        return np.ones(shape, port.dtype)
    return rng.standard_normal(shape).astype(port.dtype)


def _rows_of_tables(value: Value) -> Iterator[int]:
    """Yield the sizes of axes that are indexed by what integer ops make of ``value``."""
    pending, seen = [value], {value}
    while pending:
        for op, operand in ir.uses(pending.pop()):
            if operand == 1 and op.name in {GATHER, _GATHER_ALONG_AXIS}:
                yield from _indexed_axes(op)
            elif op.name != _GET_SHAPE:  # it reads no element
                results = {result for result in op.results if _is_integer(result)} - seen
                pending += results
                seen |= results


def _indexed_axes(gather: Op) -> Sequence[int]:
    table = ir.static_tensor(gather.operands[0])
    if table is None:
        return ()
    if gather.name == _GATHER_ALONG_AXIS:
        axis = ir.operand_constant(gather, 2)
        return () if axis is None else (table.shape[ir.read_integers(axis)],)
    indices = ir.port("", gather.operands[1].type).shape
    return table.shape[: indices[-1]] if indices and indices[-1] is not None else ()


def _is_integer(value: Value) -> bool:
    dtype = ir.port("", value.type).dtype
    return dtype is not None and np.issubdtype(dtype, np.integer)
