"""Run programs on Core AI's runtime: arrays in, arrays out, by name."""

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.exceptions import CoreAIError, InputError
from coreai_opt.program import ir
from coreai_opt.program.functions import Sizes, check_sizes, find_function, fixed_shape
from coreai_opt.program.ir import AIModelAsset, AIProgram, NDArray, Port, Signature
from coreai_opt.program.temporary import temporary_folder
from coreai_opt.reference import WEIGHT_DTYPES

__all__ = ["program_of", "run_each", "run_program", "run_samples"]

Array = npt.NDArray[Any]

_FLOATS = (*WEIGHT_DTYPES, np.dtype(np.float64))


def run_program(
    program: AIProgram | AIModelAsset,
    inputs: Mapping[str, Array],
    *,
    function: str | None = None,
    states: Mapping[str, Array] | None = None,
    sizes: Sizes | None = None,
) -> dict[str, Array]:
    """Run a function of a program once on Core AI's runtime; see :func:`run_samples`."""
    return run_samples(program, [inputs], function=function, states=states, sizes=sizes)[0]


def run_samples(
    program: AIProgram | AIModelAsset,
    samples: Sequence[Mapping[str, Array]],
    *,
    function: str | None = None,
    states: Mapping[str, Array] | None = None,
    sizes: Sizes | None = None,
    tell: Callable[[], None] | None = None,
) -> list[dict[str, Array]]:
    """Run a function of a program on Core AI's runtime, once for each sample.

    Each run starts from the given states: changes that a run makes to them are dropped. What native
    code writes to stderr while the function is loaded is dropped, too: the runtime logs it.

    Args:
        program: a program, which is saved to a temporary folder for this, or an asset.
        samples: of each, one array per input, by name, of its shape. Other dtypes are converted:
            floats to floats, rounded, and integers to integers where they fit.
        function: the name of the function; None for the only one there is.
        states: what states start as, by name, like inputs; those that are not given are zeros.
        sizes: of states that are zeros the length of each dimension that is not fixed, by name; 32
            where it is not given.
        tell: called after each sample, in another thread.

    Returns:
        of each sample the outputs by name, sorted; copies.

    Raises:
        InputError: a function, inputs, states or sizes that the program does not take as they are,
            or a function that takes or returns what this cannot give or read; the message names it.
        CoreAIError: what the runtime says when it fails, e.g. of an index out of range.
    """
    _, signature = _runnable(program, function, sizes)
    arrays = [_matching("input", signature.inputs, sample) for sample in samples]
    results: list[dict[str, Array]] = []

    def take(outputs: dict[str, Array]) -> None:
        results.append(outputs)
        if tell is not None:
            tell()

    run_each(program, arrays, take, function=function, states=states, sizes=sizes)
    return results


def run_each(
    program: AIProgram | AIModelAsset,
    samples: Iterable[Mapping[str, Array]],
    take: Callable[[dict[str, Array]], None],
    *,
    function: str | None = None,
    states: Mapping[str, Array] | None = None,
    sizes: Sizes | None = None,
) -> None:
    """Run a function of a program on Core AI's runtime, once for each sample, as they come.

    Args:
        program, function, states, sizes: as for :func:`run_samples`.
        samples: as for :func:`run_samples`; one is asked for when the one before has been run.
        take: called with the outputs of each sample, in another thread. What it raises ends the
            call, and no further sample is run.

    Raises:
        InputError, CoreAIError: as :func:`run_samples`; the samples before have been run.
    """
    name, signature = _runnable(program, function, sizes)
    arrays = (_matching("input", signature.inputs, sample) for sample in samples)
    started = _started(signature.states, states or {}, sizes)
    _wait_at_exit()
    stop = threading.Event()
    with _saved(program) as asset, ThreadPoolExecutor(max_workers=1) as thread:
        # In a thread of its own, because this one may be running an event loop, as Jupyter's does.
        run = _run(asset, name, arrays, started, take=take, stop=stop)
        running = thread.submit(lambda: asyncio.run(run))
        try:
            running.result()
        finally:
            stop.set()  # Ctrl-C comes while this thread waits


def _runnable(
    program: AIProgram | AIModelAsset, function: str | None, sizes: Sizes | None
) -> tuple[str, Signature]:
    """Return the name of a function and what it takes, if it can be run with such sizes."""
    name, signature = find_function(program_of(program), function)
    _check_can_be_run(signature)
    check_sizes(signature, sizes)
    return name, signature


def program_of(program: AIProgram | AIModelAsset) -> AIProgram:
    """Return the program itself, given it or an asset."""
    return program.program if isinstance(program, AIModelAsset) else program


@contextmanager
def _saved(program: AIProgram | AIModelAsset) -> Iterator[AIModelAsset]:
    if isinstance(program, AIModelAsset):
        yield program
        return
    with temporary_folder(Path(gettempdir()), "coreai-opt-") as folder:
        yield ir.save(program, folder / "program.aimodel")


@cache
def _wait_at_exit() -> None:
    """Have the process wait for Core AI's threads before it ends.

    A thread that has told the event loop of a result takes the GIL once more, to release what it
    held. If the interpreter is shutting down by then, CPython up to 3.13 ends the thread, and Swift
    ends the process because of that: the work was done, but the exit code is that of SIGABRT.
    Nothing tells when the threads are through; it takes microseconds where processors are free.
    """
    atexit.register(time.sleep, 0.2)


async def _run(
    asset: AIModelAsset,
    name: str,
    samples: Iterable[Mapping[str, Array]],
    states: Mapping[str, Array],
    *,
    take: Callable[[dict[str, Array]], None],
    stop: threading.Event,
) -> None:
    async with AsyncExitStack() as stack:
        with _quiet_stderr(), _told_by_core_ai():
            model = await stack.enter_async_context(asset.executable())
            function = model.load_function(name)
        for sample in samples:
            if stop.is_set():
                return
            # Core AI copies arrays, so a state that the function changes is still the same here.
            inputs = {name: NDArray(array) for name, array in sample.items()}
            kept = {name: NDArray(array) for name, array in states.items()}
            with _told_by_core_ai():
                outputs = await function(inputs, kept)
            # Copied before the next run, which may use their memory.
            take({name: ir.read_output(y) for name, y in sorted(outputs.items())})


@contextmanager
def _told_by_core_ai() -> Iterator[None]:
    """Turn exceptions of Core AI into CoreAIError."""
    try:
        yield
    except RuntimeError as error:
        raise CoreAIError(str(error)) from error


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    own = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


def _check_can_be_run(signature: Signature) -> None:
    """Raise InputError for what this package cannot give the runtime, or read of it."""
    kinds = ("input", "state", "output")
    ports = [(k, port) for k, of in zip(kinds, signature, strict=True) for port in of]
    for kind, port in ports:
        if port.dtype is None:
            raise InputError(
                f"{kind} {port.name!r} of the program is no array of numbers: {port.type}"
            )
        if port.is_interleaved:
            raise InputError(
                f"{kind} {port.name!r} of the program, {port.type}, is interleaved in memory: Core "
                "AI's runtime takes an array for it that it made itself, but has no way to fill one"
            )
        if not port.shape and kind != "output":
            raise InputError(
                f"{kind} {port.name!r} of the program has no dimensions; Core AI 1.0.0b3 ends the "
                "process when it is given one"
            )


def _matching(kind: str, ports: Sequence[Port], given: Mapping[str, Array]) -> dict[str, Array]:
    """Return ``given`` as the runtime takes it; on some other arrays it would end the process."""
    arrays = _known(kind, ports, given)
    for port in ports:
        if port.name not in arrays:
            raise InputError(f"there is no array for {kind} {port.name!r}{_takes(kind, ports)}")
    return {port.name: _converted(kind, port, arrays[port.name]) for port in ports}


def _started(
    ports: Sequence[Port], given: Mapping[str, Array], sizes: Sizes | None
) -> dict[str, Array]:
    """Return the arrays that states start as: zeros for those that are not given."""
    arrays = _known("state", ports, given)
    return {
        port.name: _converted("state", port, arrays[port.name])
        if port.name in arrays
        else np.zeros(fixed_shape(port, sizes), port.dtype)
        for port in ports
    }


def _known(kind: str, ports: Sequence[Port], given: Mapping[str, Array]) -> dict[str, Array]:
    unknown = given.keys() - {port.name for port in ports}
    if unknown:
        raise InputError(f"the program has no {kind} {min(unknown)!r}{_takes(kind, ports)}")
    return {name: np.asarray(array) for name, array in given.items()}


def _takes(kind: str, ports: Sequence[Port]) -> str:
    return f"; the program takes {', '.join(map(str, ports)) or f'no {kind}'}"


def _converted(kind: str, port: Port, array: Array) -> Array:
    fits = len(array.shape) == len(port.shape) and all(
        wanted in {None, size} for size, wanted in zip(array.shape, port.shape, strict=True)
    )
    converted = _cast(array, port.dtype) if fits else None
    if converted is None:
        raise InputError(
            f"{kind} {port.name!r} must be an array {port}; got {array.dtype} {list(array.shape)}"
        )
    if converted.dtype in _FLOATS and converted is not array:
        _check_range(kind, port, array, converted)
    return np.ascontiguousarray(converted)


def _check_range(kind: str, port: Port, array: Array, converted: Array) -> None:
    """Raise InputError for a finite number that became infinite."""
    lost = np.isinf(converted) & np.isfinite(array)
    if lost.any():
        index = tuple(map(int, np.unravel_index(np.argmax(lost), lost.shape)))
        raise InputError(
            f"{kind} {port.name!r} holds {array[index]} at {list(index)}, which is too large for "
            f"{converted.dtype}"
        )


def _cast(array: Array, dtype: np.dtype[Any] | None) -> Array | None:
    """Return ``array`` as ``dtype``, None where that is another kind of number or does not fit."""
    if array.dtype == dtype:
        return array
    if array.dtype in _FLOATS and dtype in _FLOATS:
        with np.errstate(over="ignore"):  # _check_range tells of it, by name
            return array.astype(dtype)
    if np.issubdtype(array.dtype, np.integer) and np.issubdtype(dtype, np.integer):
        cast = array.astype(dtype)
        return cast if np.array_equal(cast, array) else None
    return None
