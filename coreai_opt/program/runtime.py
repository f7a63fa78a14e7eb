"""Run programs on Core AI's runtime: arrays in, arrays out, by name."""

import asyncio
import atexit
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.program.ir import (
    AIModelAsset,
    AIProgram,
    NDArray,
    Port,
    Signature,
    read_output,
    signature,
)
from coreai_opt.reference import WEIGHT_DTYPES

__all__ = ["GRAPH", "check_same_signature", "program_of", "run_program", "run_samples"]

Array = npt.NDArray[Any]

GRAPH = "main"
"""The graph that is run: the one that converted programs have."""
_FLOATS = (*WEIGHT_DTYPES, np.dtype(np.float64))


def run_program(program: AIProgram | AIModelAsset, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run a program's graph ``main`` once on Core AI's runtime; see :func:`run_samples`."""
    return run_samples(program, [inputs])[0]


def run_samples(
    program: AIProgram | AIModelAsset, samples: Sequence[Mapping[str, Array]]
) -> list[dict[str, Array]]:
    """Run a program's graph ``main`` on Core AI's runtime, once for each sample.

    What native code writes to stderr while the graph is loaded is dropped: the runtime logs it.

    Args:
        program: a program, which is saved to a temporary folder for this, or an asset.
        samples: of each, one array per input, by name, of its shape. Other dtypes are converted:
            floats to floats, rounded, and integers to integers where they fit.

    Returns:
        of each sample the outputs by name, sorted; copies.

    Raises:
        ValueError: inputs that the program does not take as they are, or a program that has some
            the runtime cannot be given; the message names the input.
        RuntimeError: what the runtime says when it fails, e.g. of an index out of range.
    """
    ports = signature(program_of(program), GRAPH).inputs
    arrays = [_matching(ports, sample) for sample in samples]
    _wait_at_exit()
    with _saved(program) as asset, ThreadPoolExecutor(max_workers=1) as thread:
        # In a thread of its own, because this one may be running an event loop, as Jupyter's does.
        return thread.submit(lambda: asyncio.run(_run(asset, arrays))).result()


def program_of(program: AIProgram | AIModelAsset) -> AIProgram:
    """Return the program itself, given it or an asset."""
    return program.program if isinstance(program, AIModelAsset) else program


def check_same_signature(reference: AIProgram, other: AIProgram) -> None:
    """Raise ValueError where names or shapes of inputs or outputs of the graph ``main`` differ."""
    signatures = signature(reference, GRAPH), signature(other, GRAPH)
    for what, ports, others in zip(Signature._fields, *signatures, strict=True):
        if _shapes(ports) != _shapes(others):
            raise ValueError(
                f"the {what} of the two programs differ: "
                f"{', '.join(map(str, ports))} and {', '.join(map(str, others))}"
            )


def _shapes(ports: tuple[Port, ...]) -> dict[str, tuple[int | None, ...]]:
    return {port.name: port.shape for port in ports}


@contextmanager
def _saved(program: AIProgram | AIModelAsset) -> Iterator[AIModelAsset]:
    if isinstance(program, AIModelAsset):
        yield program
        return
    with TemporaryDirectory() as folder:
        yield program.save_asset(Path(folder, "program.aimodel"))


@cache
def _wait_at_exit() -> None:
    """Have the process wait for Core AI's threads before it ends.

    One that has told the event loop of a result takes the GIL once more, to let go of what it held.
    If the interpreter is shutting down by then, CPython up to 3.13 ends the thread, and Swift the
    process because of that: all was done, and the exit code is SIGABRT's. Nothing tells when they
    are through, which takes them microseconds where processors are free.
    """
    atexit.register(time.sleep, 0.2)


async def _run(
    asset: AIModelAsset, samples: Sequence[Mapping[str, Array]]
) -> list[dict[str, Array]]:
    async with asset.executable() as model:
        with _quiet_stderr():
            function = model.load_function(GRAPH)
        results = []
        for sample in samples:
            outputs = await function({name: NDArray(array) for name, array in sample.items()})
            # Copied before the next run, which may use their memory.
            results.append({name: read_output(y) for name, y in sorted(outputs.items())})
        return results


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    own = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


def _matching(ports: tuple[Port, ...], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return what the runtime takes for ``inputs``: it would end the process on some arrays."""
    takes = "; the program takes " + ", ".join(map(str, ports))
    for name in inputs.keys() - {port.name for port in ports}:
        raise ValueError(f"the program has no input {name!r}{takes}")
    for port in ports:
        if port.name not in inputs:
            raise ValueError(f"there is no array for input {port.name!r}{takes}")
    return {port.name: _converted(port, np.asarray(inputs[port.name])) for port in ports}


def _converted(port: Port, array: Array) -> Array:
    _check_can_be_given(port)
    fits = len(array.shape) == len(port.shape) and all(
        wanted in {None, size} for size, wanted in zip(array.shape, port.shape, strict=True)
    )
    converted = _cast(array, port.dtype) if fits else None
    if converted is None:
        raise ValueError(
            f"input {port.name!r} must be an array {port}; got {array.dtype} {list(array.shape)}"
        )
    return np.ascontiguousarray(converted)


def _check_can_be_given(port: Port) -> None:
    """Raise ValueError for an input that this package cannot give the runtime."""
    if port.dtype is None:
        raise ValueError(f"input {port.name!r} of the program is no array of numbers: {port.type}")
    if not port.shape:
        raise ValueError(
            f"input {port.name!r} of the program has no dimensions; Core AI 1.0.0b3 ends the "
            "process when it is given one"
        )


def _cast(array: Array, dtype: np.dtype[Any] | None) -> Array | None:
    """Return ``array`` as ``dtype``, None where that is another kind of number or does not fit."""
    if array.dtype == dtype:
        return array
    if array.dtype in _FLOATS and dtype in _FLOATS:
        return array.astype(dtype)
    if np.issubdtype(array.dtype, np.integer) and np.issubdtype(dtype, np.integer):
        cast = array.astype(dtype)
        return cast if np.array_equal(cast, array) else None
    return None
