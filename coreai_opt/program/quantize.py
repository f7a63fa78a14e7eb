"""The weights of a program, one after the other: find, read, compress, write back."""

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle
from typing import Any, NamedTuple

import numpy.typing as npt

from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.methods import nearest
from coreai_opt.arrays.threads import Task, start
from coreai_opt.evaluation.weight_error import measure_error
from coreai_opt.exceptions import (
    Argument,
    ArgumentError,
    BackendMismatchError,
    Cause,
    Message,
    Value,
)
from coreai_opt.program.calibrated import Feedbacks, Rounded, Seen, quantize_seen
from coreai_opt.program.channel_axes import (
    Blocks,
    IndivisibleError,
    MixedAxesError,
    UnfitError,
    warn_of_disagreement,
    weight_blocks,
)
from coreai_opt.program.exclusive import alone_with
from coreai_opt.program.forms import form_of_array
from coreai_opt.program.forms.replacing import replace_constants
from coreai_opt.program.ir import AIProgram, Buffer, Parts, read_constant
from coreai_opt.program.jobs import Job, make_jobs
from coreai_opt.program.outcomes import Left, Quantized, make_record
from coreai_opt.program.palettize import TableBlocks, palettize, table_blocks
from coreai_opt.program.sparsify import sparse_blocks, sparsify
from coreai_opt.program.weights import Weight, find_weights
from coreai_opt.reference import NotFiniteError
from coreai_opt.reports.records import Status, WeightRecord
from coreai_opt.settings.checked import AnySettings, CheckedSettings
from coreai_opt.settings.enums import DType, Indivisible, Rounding
from coreai_opt.settings.pruning import PruningSettings
from coreai_opt.settings.rules import ParsedRule
from coreai_opt.settings.tables import TableSettings

logger = logging.getLogger("coreai_opt")


@dataclass(frozen=True)
class Work:
    """How to do the work, for all weights of a program.

    Attributes:
        backend: what quantizes.
        num_threads: threads that it may use.
        measure: whether to measure the error that quantizing leaves.
        quiet: whether to log nothing of weights, as of a program that nobody gets.
        feedbacks: feedback of moments that weights share.
    """

    backend: Backend
    num_threads: int
    measure: bool
    quiet: bool = False
    feedbacks: Feedbacks = field(default_factory=Feedbacks)


Progress = Callable[[WeightRecord], None]
LookUp = Callable[[AIProgram, Sequence[Weight]], Mapping[str, Seen]]
"""Returns what a calibration has seen of the weights of a program, by name."""

WORTH_A_THREAD = 1 << 20
"""Elements of a weight that another thread quantizes while the next one is read.

With fewer, handing it over takes longer than that saves: of 64 x 64 elements several times as long
as all else about them.
"""


def quantize_program(
    program: AIProgram,
    weight_num_threshold: int,
    settings: AnySettings | None,
    rules: Sequence[ParsedRule],
    importance: object,
    *,
    look_up: LookUp | None = None,
    work: Work,
    progress: Progress | None,
) -> None:
    """Compress the weights of ``program`` in place.

    The program is valid after every weight, also when this raises.

    Args:
        program: the program.
        weight_num_threshold: only constants with more elements than this are weights.
        settings: what to turn weights into that no rule matches; None keeps them.
        rules: settings for some of them.
        importance: the argument of ``quantize_weights``.
        look_up: what a calibration has seen of the weights; None if there is none.
        work: how to do it.
        progress: called after each weight, with its record.

    Raises:
        TypeError, ValueError: ``rules``, ``importance`` or the calibration do not fit the program,
            which is as it was.
        RuntimeError: another thread is at work on it.
        BackendMismatchError: the backends differ; the message names the weight.
    """
    with alone_with(program):
        weights = find_weights(program, weight_num_threshold)
        seen = {} if look_up is None else look_up(program, weights)
        _run(make_jobs(weights, settings, rules, importance, seen), work, progress)


Outcome = tuple[Job, Callable[[], Quantized | Left]]
"""A job, and a function that returns what its weight became."""


def _run(jobs: list[Job], work: Work, progress: Progress | None) -> None:
    take = _overlapped if work.num_threads > 1 else _one_by_one
    parts: Parts = {}
    with closing(take(jobs, work)) as outcomes:  # no thread is left behind when this raises
        for job, outcome in outcomes:
            became = _wait_for(job.weight, outcome)
            if not work.quiet:
                _warn(job, became)
            # The record describes the constant, which is gone after the next lines.
            record = make_record(job, became) if progress is not None else None
            if isinstance(became, Quantized):
                replace_constants(job.weight.ops, became.array, parts)
            if progress is not None and record is not None:
                progress(record)


def _wait_for(weight: Weight, outcome: Callable[[], Quantized | Left]) -> Quantized | Left:
    try:
        return outcome()
    except BackendMismatchError as error:
        raise BackendMismatchError(f"{weight}: {error}") from error


def _warn(job: Job, became: Quantized | Left) -> None:
    """Log what is to be known of a weight: that it is left, or that its channels are a choice."""
    if isinstance(became, Quantized):
        if job.settings is not None and job.settings.needs_channels:
            warn_of_disagreement(job.weight)
    elif became.status is Status.SKIPPED:
        cause = became.cause or Cause(became.reason, advice=became.advice)
        logger.warning(
            "%s is left as it is: %s%s",
            job.weight,
            became.reason,
            became.advice or "",
            extra={"cause": cause},
        )


def _one_by_one(jobs: list[Job], work: Work) -> Generator[Outcome]:
    buffer = Buffer()
    for job in jobs:
        yield job, partial(_read_and_quantize, job, work, buffer)


def _overlapped(jobs: list[Job], work: Work) -> Generator[Outcome]:
    """Quantize one weight in another thread while the next one is read in this one.

    A small weight is quantized in this thread, too, when its outcome is asked for.

    Only this thread touches the program. A buffer is free again when the weight before the last
    has been written back, so two are enough.
    """
    buffers = cycle((Buffer(), Buffer()))
    task: Task | None = None
    try:
        ahead: list[Outcome] = []
        for job, buffer in zip(jobs, buffers, strict=False):
            read = _read(job, buffer)
            if isinstance(read, Left):
                ahead.append((job, partial(_same, read)))
            elif read.array.size < WORTH_A_THREAD:
                ahead.append((job, partial(_quantize, read, work, work.num_threads)))
            else:
                if task is not None:
                    task.join()
                # All threads measure: by then the next weight has been read.
                task = start(_quantize, read, work, work.num_threads - 1)
                task.wait_until_busy()  # Core AI copies constants without releasing the GIL
                ahead.append((job, task.result))
            if len(ahead) > 1:
                yield ahead.pop(0)
        yield from ahead
    finally:
        if task is not None:  # where the caller stops before the last weight
            task.join()


def _same(left: Left) -> Left:
    return left


Compress = Callable[[npt.NDArray[Any], Work], Rounded]
"""Compresses a weight, given its elements and how to do the work."""


class _Read(NamedTuple):
    """A weight that was read.

    Attributes:
        array: its elements.
        blocks: its blocks.
        compress: compresses it.
        smaller: what takes fewer bytes, in words.
        seconds: how long reading took.
    """

    array: npt.NDArray[Any]
    blocks: Blocks
    compress: Compress
    smaller: str
    seconds: float


def _read_and_quantize(job: Job, work: Work, buffer: Buffer) -> Quantized | Left:
    read = _read(job, buffer)
    return read if isinstance(read, Left) else _quantize(read, work, work.num_threads)


def _read(job: Job, buffer: Buffer) -> _Read | Left:
    started = time.perf_counter()
    if job.settings is None:
        return Left(Status.KEPT, job.why_kept())
    try:
        blocks, compress = _prepare(job, job.settings)
    except IndivisibleError as error:
        return _indivisible(error, job.settings)
    except MixedAxesError as error:
        return Left(Status.SKIPPED, str(error), Message("; per_tensor needs no channels"))
    except UnfitError as error:
        return Left(Status.SKIPPED, str(error))
    array = read_constant(job.weight.op, buffer, job.weight.tensor)
    smaller = _SMALLER[type(job.settings)]
    return _Read(array, blocks, compress, smaller, time.perf_counter() - started)


_SMALLER = {
    CheckedSettings: "fewer scales take less",
    TableSettings: "fewer look-up tables take less",
    PruningSettings: "more zeros take less",
}
"""What makes a weight smaller, by the kind of its settings."""


def _prepare(job: Job, settings: AnySettings) -> tuple[Blocks, Compress]:
    """Return the blocks of a weight, and what compresses it.

    Raises:
        MixedAxesError, IndivisibleError, UnfitError: there are no such blocks, and why.
    """
    if isinstance(settings, TableSettings):
        shared = table_blocks(job.weight, settings)
        return shared.tables, partial(_palettize, job, settings, shared)
    if isinstance(settings, PruningSettings):
        blocks = sparse_blocks(job.weight, settings)
        return blocks, partial(_sparsify, job, settings, blocks)
    blocks = weight_blocks(job.weight, settings.granularity, settings.block_size, fit=settings.fit)
    return blocks, partial(_round, job, settings, blocks)


def _indivisible(error: IndivisibleError, settings: AnySettings) -> Left:
    if not isinstance(settings, CheckedSettings):
        return Left(Status.SKIPPED, str(error))
    text = f"block size {settings.block_size} does not divide their input channels, {{}}"
    if settings.spec.format.name == DType.FP4_E2M1FN:
        advice = Message("; MXFP4 has no other blocks, a rule can give it another format")
        return Left(Status.SKIPPED, str(error), advice, Cause(text, f"{error.channels:,}", advice))
    fit = Argument("indivisible", Value(Indivisible.FIT, '"fit"'))
    advice = Message("; ", fit, f" takes {error.fitting}")
    them_all = Message("; ", fit, " takes smaller ones that do")
    return Left(Status.SKIPPED, str(error), advice, Cause(text, f"{error.channels:,}", them_all))


def _quantize(read: _Read, work: Work, num_threads: int) -> Quantized | Left:
    started = time.perf_counter()
    try:
        # Another one is made only where it differs, which takes 2 us.
        same = num_threads == work.num_threads
        how = work if same else replace(work, num_threads=num_threads)
        array, rounding, output_error, reason = read.compress(read.array, how)
    except (NotFiniteError, UnfitError) as why:
        return Left(Status.SKIPPED, str(why))
    nbytes = form_of_array(array).saved_bytes(array)
    if nbytes >= read.array.nbytes:
        larger = f"it would take {nbytes:,} bytes, and takes {read.array.nbytes:,} as it is"
        advice = Message(f"; {read.smaller}")
        cause = Cause("they would take more bytes than they do as they are", advice=advice)
        return Left(Status.SKIPPED, larger, advice, cause)
    seconds = read.seconds + time.perf_counter() - started
    error = measure_error(read.array, array, num_threads=work.num_threads) if work.measure else None
    return Quantized(array, read.blocks, rounding, reason, error, output_error, seconds)


def _palettize(
    job: Job,
    settings: TableSettings,
    blocks: TableBlocks,
    array: npt.NDArray[Any],
    work: Work,
) -> Rounded:
    importance = job.importance
    found = palettize(
        array, settings, blocks, work.backend, work.num_threads, importance=importance
    )
    return Rounded(found, None, None, "")


def _sparsify(
    job: Job,
    settings: PruningSettings,
    blocks: Blocks,
    array: npt.NDArray[Any],
    work: Work,
) -> Rounded:
    found = sparsify(array, job.weight, settings, blocks, work.backend, work.num_threads)
    return Rounded(found, None, None, "")


def _round(
    job: Job,
    settings: CheckedSettings,
    blocks: Blocks,
    array: npt.NDArray[Any],
    work: Work,
) -> Rounded:
    arguments = array, settings.spec, blocks.sizes, work.backend, work.num_threads
    reason = ""
    if job.seen is not None:
        try:
            feedback = work.feedbacks.of(job.seen.moments)
        except ArgumentError as error:
            reason = f"rounded to nearest: {error}"
        else:
            return quantize_seen(
                *arguments, importance=job.importance, seen=job.seen, feedback=feedback
            )
    quantized = nearest.quantize(*arguments, importance=job.importance)
    return Rounded(quantized, Rounding.NEAREST, None, reason)
