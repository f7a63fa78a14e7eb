"""Inputs to run a program on: of one sample or several, or made up where no one gives any."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.program import ir
from coreai_opt.program.ir import AIProgram, Op, Port, Value
from coreai_opt.program.runtime import GRAPH
from coreai_opt.program.weights import GATHER

__all__ = ["random_inputs", "split_samples"]

Array = npt.NDArray[Any]


def random_inputs(program: AIProgram, seed: int = 0) -> dict[str, Array]:
    """Make up an array for every input of a program's graph ``main``.

    Floats are normal with standard deviation 1. Integers that select rows of a table, as the ids of
    tokens do, are uniform over its rows; other integers are 1 and booleans true, as in a mask that
    hides nothing. What a network does on such inputs is not what it does on real ones.

    Args:
        program: the program.
        seed: the same numbers come from the same seed.

    Raises:
        ValueError: an input has dimensions that are not fixed, or is no array of numbers.
    """
    rng = np.random.default_rng(seed)
    values = ir.graph_inputs(program, GRAPH)
    return {
        port.name: _random(port, values[port.name], rng)
        for port in ir.signature(program, GRAPH).inputs
    }


def split_samples(program: AIProgram, inputs: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Return samples for a program's graph ``main``, of inputs that hold one or several.

    Args:
        program: the program.
        inputs: an array for each input, by name. If all have one axis more than their input, they
            hold a sample for each index of the first.

    Raises:
        ValueError: they hold different numbers of samples, or none.
    """
    ranks = {port.name: len(port.shape) for port in ir.signature(program, GRAPH).inputs}
    if not all(array.ndim == ranks.get(name, -1) + 1 for name, array in inputs.items()):
        return [dict(inputs)]  # run_program says what is wrong with them, if anything is
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f"inputs must hold the same number of samples, at least 1; got {counts}")
    count = next(iter(counts.values()))
    return [{name: array[i] for name, array in inputs.items()} for i in range(count)]


def _random(port: Port, value: Value, rng: np.random.Generator) -> Array:
    if port.dtype is None or None in port.shape:
        raise ValueError(
            f"input {port} is no array of a fixed shape, so none can be made up: give inputs "
            "(--inputs FILE.npz)"
        )
    shape = [size or 0 for size in port.shape]
    if np.issubdtype(port.dtype, np.integer):
        rows = min(_rows_of_tables(value), default=0)
        fixed = np.ones(shape, port.dtype)
        return rng.integers(rows, size=shape, dtype=port.dtype) if rows else fixed
    if port.dtype == np.bool_:
        return np.ones(shape, port.dtype)
    return rng.standard_normal(shape).astype(port.dtype)


def _rows_of_tables(value: Value) -> Iterator[int]:
    """Yield the sizes of axes that are indexed by what integer ops make of ``value``."""
    pending, seen = [value], {value}
    while pending:
        for op, operand in ir.uses(pending.pop()):
            if op.name == GATHER and operand == 1:
                yield from _indexed_axes(op)
                continue
            results = {result for result in op.results if _is_integer(result)} - seen
            pending += results
            seen |= results


def _indexed_axes(gather: Op) -> Sequence[int]:
    table, indices = (ir.static_tensor(gather.operands[operand]) for operand in range(2))
    return table.shape[: indices.shape[-1]] if table and indices else ()


def _is_integer(value: Value) -> bool:
    tensor = ir.static_tensor(value)
    return tensor is not None and tensor.element.startswith(("si", "ui"))
