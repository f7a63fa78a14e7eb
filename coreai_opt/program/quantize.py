"""The weights of a program, one after the other: find, read, quantize, write back."""

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any, NoReturn

import numpy.typing as npt

from coreai_opt.array import QuantizedArray, quantize_parsed
from coreai_opt.backends import Backend, BackendMismatchError
from coreai_opt.common import CompressionGranularity
from coreai_opt.program.candidates import Weight, find_weights
from coreai_opt.program.channel_axes import weight_block_sizes
from coreai_opt.program.coreai_ir import AIProgram, Buffer, read_constant
from coreai_opt.program.rewrite import replace_constant
from coreai_opt.spec import QuantizationSpec
from coreai_opt.workers import Task, start

logger = logging.getLogger("coreai_opt")


@dataclass(frozen=True)
class Settings:
    """How to quantize a weight; the arguments of ``quantize_weights``, checked."""

    spec: QuantizationSpec
    granularity: CompressionGranularity
    block_size: int
    backend: Backend
    num_threads: int


def check_program(program: object, argument: str = "coreai_program") -> None:
    """Raise TypeError if ``program``, the argument ``argument``, is no Core AI program."""
    if not isinstance(program, AIProgram):
        raise TypeError(
            f"{argument} must be a coreai.authoring.AIProgram, such as "
            f"AIModelAsset.load(path).program; got {type(program).__name__}"
        )


def quantize_program(
    program: AIProgram,
    weight_num_threshold: int,
    settings: Settings,
    progress: Callable[[int, int, str], None] | None,
) -> None:
    """Quantize the weights of ``program`` in place.

    The program is valid after every weight, so it is when this raises.

    Args:
        program: the program.
        weight_num_threshold: only constants with more elements than this are weights.
        settings: how.
        progress: called before each weight and once at the end; see ``quantize_weights``.

    Raises:
        RuntimeError: another thread is quantizing it.
        BackendMismatchError: the backends differ; the message names the weight.
    """
    with alone_with(program):
        _quantize_alone(program, weight_num_threshold, settings, progress)


_owners: dict[int, int] = {}
"""The programs that are being changed, by id, and the threads that do it."""


@contextmanager
def alone_with(program: AIProgram) -> Iterator[None]:
    """Keep two threads from rewriting one program: Core AI would follow freed pointers.

    An entry that Ctrl-C leaves behind does not hinder the thread that was interrupted.
    """
    this_thread = threading.get_ident()
    if _owners.setdefault(id(program), this_thread) != this_thread:
        raise RuntimeError("the program is being changed already, by another thread")
    try:
        yield
    finally:
        _owners.pop(id(program), None)


def _quantize_alone(
    program: AIProgram,
    weight_num_threshold: int,
    settings: Settings,
    progress: Callable[[int, int, str], None] | None,
) -> None:
    weights = find_weights(program, weight_num_threshold)
    take = _overlapped if settings.num_threads > 1 else _one_by_one
    with closing(take(weights, settings)) as outcomes:  # no thread is left behind when this raises
        for done, (weight, outcome) in enumerate(outcomes):
            if progress is not None:
                progress(done, len(weights), str(weight))
            try:
                quantized = outcome()
            except ValueError as reason:
                logger.warning("%s is left as it is: %s", weight, reason)
            except BackendMismatchError as error:
                raise BackendMismatchError(f"{weight}: {error}") from error
            else:
                replace_constant(weight.op, quantized)
    if progress is not None:
        progress(len(weights), len(weights), "")


Outcome = tuple[Weight, Callable[[], QuantizedArray]]
"""A weight, and a function that returns what it became or raises why it cannot be quantized."""


def _one_by_one(weights: list[Weight], settings: Settings) -> Generator[Outcome]:
    buffer = Buffer()
    for weight in weights:
        yield weight, partial(_quantize_weight, weight, settings, buffer)


def _overlapped(weights: list[Weight], settings: Settings) -> Generator[Outcome]:
    """Quantize one weight in another thread while the next one is read in this one.

    Only this thread touches the program. A buffer is free again when the weight before the last
    has been written back, so two are enough.
    """
    buffers = cycle((Buffer(), Buffer()))
    kernels = replace(settings, num_threads=settings.num_threads - 1)
    task: Task | None = None
    try:
        ahead: list[Outcome] = []
        for weight, buffer in zip(weights, buffers, strict=False):
            try:
                array, sizes = _read_weight(weight, settings, buffer)
            except ValueError as reason:
                ahead.append((weight, partial(_refuse, reason)))
            else:
                if task is not None:
                    task.join()
                task = start(_quantize_array, array, sizes, kernels)
                ahead.append((weight, task.result))
            if len(ahead) > 1:
                yield ahead.pop(0)
        yield from ahead
    finally:
        if task is not None:  # when this is not used to its end
            task.join()


def _refuse(reason: ValueError) -> NoReturn:
    raise reason


def _quantize_weight(weight: Weight, settings: Settings, buffer: Buffer) -> QuantizedArray:
    return _quantize_array(*_read_weight(weight, settings, buffer), settings)


def _read_weight(
    weight: Weight, settings: Settings, buffer: Buffer
) -> tuple[npt.NDArray[Any], tuple[int, ...]]:
    sizes = weight_block_sizes(weight, settings.granularity, settings.block_size)
    return read_constant(weight.op, buffer, weight.tensor), sizes


def _quantize_array(
    array: npt.NDArray[Any], sizes: tuple[int, ...], settings: Settings
) -> QuantizedArray:
    return quantize_parsed(array, settings.spec, sizes, settings.backend, settings.num_threads)
