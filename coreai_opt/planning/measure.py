"""Measure the size and the error of every candidate for every weight of a program."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.compressed_array import CompressedArray
from coreai_opt.arrays.methods import nearest
from coreai_opt.evaluation.weight_error import WeightError, measure_error, shares_of
from coreai_opt.exceptions import InputError
from coreai_opt.planning.choose import Measured
from coreai_opt.planning.plan import Candidate, PlannedWeight, QuantizationPlan
from coreai_opt.planning.sample import Sample, take_sample, whole
from coreai_opt.program.channel_axes import (
    Blocks,
    IndivisibleError,
    MixedAxesError,
    UnfitError,
    warn_of_disagreement,
    weight_blocks,
)
from coreai_opt.program.exclusive import alone_with
from coreai_opt.program.forms.replacing import replace_constants
from coreai_opt.program.inputs import split_samples
from coreai_opt.program.ir import AIProgram, Buffer, read_constant
from coreai_opt.program.palettize import TableBlocks, palettize, table_blocks
from coreai_opt.program.quantize import LookUp, Work, quantize_program
from coreai_opt.program.runtime import run_samples
from coreai_opt.program.sites import find_sites
from coreai_opt.program.weights import Weight, find_weights
from coreai_opt.reference import NotFiniteError
from coreai_opt.settings.checked import CheckedSettings
from coreai_opt.settings.enums import CompressionGranularity
from coreai_opt.settings.rules import parse_rules
from coreai_opt.settings.settings import DEFAULTS, Settings
from coreai_opt.settings.tables import TableSettings

Array = npt.NDArray[Any]
Format = tuple[Settings, CheckedSettings | TableSettings]
"""The settings of a candidate, as a rule has them and checked."""


class _Item(NamedTuple):
    """A weight, and what candidates make of it."""

    weight: Weight
    measured: list[tuple[Settings, int, WeightError]]


def measure_candidates(
    program: AIProgram,
    weight_num_threshold: int,
    formats: Sequence[Format],
    inputs: Mapping[str, Array] | None,
    probes: Sequence[CheckedSettings],
    *,
    function: str | None,
    look_up: LookUp | None,
    sampled: bool,
    work: Work,
    progress: Callable[[str, int, int], None] | None = None,
) -> Measured:
    """Quantize every weight of ``program`` to every format, and return sizes and errors.

    A format that a weight cannot have is no candidate for it.

    Args:
        program: the program, which is not changed.
        weight_num_threshold: only constants with more elements than this are weights.
        formats: the formats.
        inputs: what to run the program on to see how much each weight matters; None for all alike.
        probes: formats that a weight is quantized to for that: the first with a coarse error.
        function: the function to run; None for the only one there is.
        look_up: what a calibration has seen of the weights, with which a plan is carried out when
            it is run on ``inputs``; None if there is none.
        sampled: whether the errors of large weights are measured on samples of them.
        work: how to do it.
        progress: called after each weight, and before the first that is run, with what is done,
            how many are done, and of how many.

    Raises:
        InputError: ``inputs`` are not the program's, or its outputs on them are not finite.
        RuntimeError: another thread is at work on the program.
    """
    with alone_with(program):
        runs = None if inputs is None else _Runs(program, inputs, function)
        weights = find_weights(program, weight_num_threshold)
        told = progress or _nothing
        items = _measure(weights, formats, work, sampled=sampled, progress=told)
        own = _shares(items)
        by_weights = _describe(items, own)
        if runs is None:
            return Measured(by_weights)
        shares = []
        told("running", 0, len(items))
        for number, (item, share) in enumerate(zip(items, own, strict=True), 1):
            shares.append(_sensitivity(runs, item, share, probes, work))
            told("running", number, len(items))
        noise = partial(_outputs_noise, runs, look_up, work)
        return Measured(_describe(items, shares), by_weights, noise)


def _nothing(what: str, done: int, total: int) -> None:
    """Show no progress."""


def _measure(
    weights: Sequence[Weight],
    formats: Sequence[Format],
    work: Work,
    *,
    sampled: bool,
    progress: Callable[[str, int, int], None],
) -> list[_Item]:
    items = []
    buffer = Buffer()
    need_channels = any(settings.needs_channels for _, settings in formats)
    for number, weight in enumerate(weights, 1):
        if need_channels:
            warn_of_disagreement(weight)
        array = read_constant(weight.op, buffer, weight.tensor)
        blocks = [_blocks(weight, settings) for _, settings in formats]
        sizes = [size for found in blocks if found is not None for size in _block_sizes(found)]
        sample = take_sample(array, sizes) if sampled else whole(array)
        items.append(_Item(weight, list(_candidates(sample, formats, blocks, work))))
        progress("measuring", number, len(weights))
    return items


def _blocks(
    weight: Weight, settings: CheckedSettings | TableSettings
) -> Blocks | TableBlocks | None:
    try:
        if isinstance(settings, TableSettings):
            return table_blocks(weight, settings)
        return weight_blocks(weight, settings.granularity, settings.block_size, fit=settings.fit)
    except (IndivisibleError, MixedAxesError, UnfitError):
        return None


def _block_sizes(blocks: Blocks | TableBlocks) -> list[tuple[int, ...]]:
    """Return the sizes of blocks that a sample must not cut.

    A look-up table of all elements is found from a part of them as well.
    """
    if isinstance(blocks, Blocks):
        return [blocks.sizes]
    of_all = blocks.tables.granularity is CompressionGranularity.PER_TENSOR
    tables = [] if of_all else [blocks.tables.sizes]
    return tables if blocks.scales is None else [*tables, blocks.scales]


def _candidates(
    sample: Sample,
    formats: Sequence[Format],
    blocks: Sequence[Blocks | TableBlocks | None],
    work: Work,
) -> Iterator[tuple[Settings, int, WeightError]]:
    for (given, settings), found in zip(formats, blocks, strict=True):
        if found is None:
            continue
        try:
            compressed = _compress(sample.array, settings, found, work)
        except NotFiniteError:
            return
        error = measure_error(sample.array, compressed, num_threads=work.num_threads)
        yield given, sample.saved_bytes(compressed), error


def _compress(
    array: Array,
    settings: CheckedSettings | TableSettings,
    blocks: Blocks | TableBlocks,
    work: Work,
) -> CompressedArray:
    how = work.backend, work.num_threads
    if isinstance(settings, TableSettings):
        assert isinstance(blocks, TableBlocks)
        return palettize(array, settings, blocks, *how, importance=None)
    assert isinstance(blocks, Blocks)
    return nearest.quantize(array, settings.spec, blocks.sizes, *how, importance=None)


def _describe(items: Sequence[_Item], shares: Sequence[float]) -> list[PlannedWeight]:
    return [_planned(item, share) for item, share in zip(items, shares, strict=True)]


def _planned(item: _Item, share: float) -> PlannedWeight:
    weight = item.weight
    kept = Candidate(None, weight.nbytes, math.inf, 0.0)
    others = (
        Candidate(given, nbytes, error.sqnr_db, share * error.relative)
        for given, nbytes, error in item.measured
    )
    return PlannedWeight(weight.name, weight.shape, (kept, *others))


def _shares(items: Sequence[_Item]) -> list[float]:
    """Return the share of each item in the noise."""
    return shares_of([math.sqrt(item.weight.tensor.size) for item in items])


class _Runs:
    """Runs of a program on samples, to compare the outputs of changed programs with.

    Raises:
        InputError: the samples are not the program's, or its outputs on them are not finite.
    """

    def __init__(
        self, program: AIProgram, inputs: Mapping[str, Array], function: str | None
    ) -> None:
        self.program = program
        self._function = function
        self._samples, self._states = split_samples(program, inputs, function=function)
        self._outputs = self._run(program)
        if not all(np.isfinite(y).all() for run in self._outputs for y in run.values()):
            raise InputError("the program's outputs on inputs hold a NaN or infinity")

    def _run(self, program: AIProgram) -> list[dict[str, Array]]:
        return run_samples(program, self._samples, function=self._function, states=self._states)

    def noise(self, program: AIProgram) -> float:
        """Return Σ (y' - y)² / Σ y² of each output, all samples together, and of that the mean."""
        probed = self._run(program)
        ratios = []
        for name in self._outputs[0]:
            signal = [np.asarray(run[name], np.float64) for run in self._outputs]
            noise = [
                np.asarray(run[name], np.float64) - y for run, y in zip(probed, signal, strict=True)
            ]
            energy = sum(float(np.sum(y * y)) for y in signal)
            ratios.append(sum(float(np.sum(e * e)) for e in noise) / energy if energy else 0.0)
        return float(np.mean(ratios))


_COARSE = 1e-4
"""Noise / signal, -40 dB, that a probe leaves in a weight at least.

The effect on the outputs is then well above that of rounding them to float16 or bfloat16.
"""


def _sensitivity(
    runs: _Runs, item: _Item, share: float, probes: Sequence[CheckedSettings], work: Work
) -> float:
    """Return noise / signal of the outputs per noise / signal of a weight.

    Where that cannot be seen, it is ``share``, as without inputs: where nothing happens to the
    outputs, because the function or the branch that uses the weight is not run, and where no probe
    leaves an error to speak of. That the weight does not matter is not known then.
    """
    if not item.measured:
        return share  # it is kept
    probe = _probe(item.weight, probes, work)
    if probe is None:
        return share
    compressed, error = probe
    probed = copy.deepcopy(runs.program)
    replace_constants(find_sites(probed)[item.weight.number].ops, compressed)
    noise = runs.noise(probed)
    if not math.isfinite(noise):
        raise InputError(
            f"the outputs on inputs hold a NaN or infinity when {item.weight.name} is quantized, "
            "so there is no telling how much it matters: give other inputs"
        )
    return noise / error or share


def _probe(
    weight: Weight, probes: Sequence[CheckedSettings], work: Work
) -> tuple[CompressedArray, float] | None:
    """Return a weight as the first probe that leaves a coarse error makes it, and noise / signal.

    It is not asked whether that takes fewer bytes, because nobody stores it. None if no probe does.
    """
    array = read_constant(weight.op, Buffer(), weight.tensor)
    for settings in probes:
        blocks = _blocks(weight, settings)
        if blocks is None:
            continue
        try:
            compressed = _compress(array, settings, blocks, work)
        except NotFiniteError:  # in a part that is not in the sample
            return None
        error = measure_error(array, compressed, num_threads=work.num_threads).relative
        if error >= _COARSE:
            return compressed, error
    return None


def _outputs_noise(
    runs: _Runs, look_up: LookUp | None, work: Work, plan: QuantizationPlan
) -> float:
    """Return noise / signal of the outputs with a plan carried out; infinity if there is none."""
    with alone_with(runs.program):
        planned = copy.deepcopy(runs.program)
        rules = parse_rules(plan.rules, DEFAULTS)
        quiet = replace(work, measure=False, quiet=True)
        quantize_program(planned, 0, None, rules, None, look_up=look_up, work=quiet, progress=None)
        noise = runs.noise(planned)
    return noise if math.isfinite(noise) else math.inf
