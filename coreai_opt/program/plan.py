"""Measure what every candidate would make of every weight of a program."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from coreai_opt.array import quantize_parsed
from coreai_opt.backends import Backend
from coreai_opt.coreai_utils.weight_quantization import quantize_weights
from coreai_opt.errors import WeightError, measure_error
from coreai_opt.plan import Candidate, PlannedWeight
from coreai_opt.program.candidates import Weight, find_weights
from coreai_opt.program.channel_axes import weight_blocks
from coreai_opt.program.coreai_ir import AIProgram, Buffer, read_constant
from coreai_opt.program.inputs import split_samples
from coreai_opt.program.quantize import alone_with
from coreai_opt.program.rewrite import saved_bytes
from coreai_opt.program.runtime import run_samples
from coreai_opt.rules import Rule
from coreai_opt.settings import Settings

Array = npt.NDArray[Any]
Format = tuple[Mapping[str, Any], Settings]
"""What a candidate is: its settings as a rule has them, and checked."""

_PROBE = "int4"
"""What a weight is quantized to, per channel, to see what its error does to the outputs: coarse, so
that the effect is well above rounding, and possible for every weight."""


class _Measured(NamedTuple):
    """What one candidate makes of a weight."""

    settings: Mapping[str, Any]
    nbytes: int
    error: WeightError


def measure_candidates(
    program: AIProgram,
    weight_num_threshold: int,
    formats: Sequence[Format],
    inputs: Mapping[str, Array] | None,
    *,
    backend: Backend,
    num_threads: int,
) -> list[PlannedWeight]:
    """Quantize every weight of ``program`` to every format, and return what that takes and costs.

    A format that a weight cannot have is no candidate for it.

    Args:
        program: the program, which is not changed.
        weight_num_threshold: only constants with more elements than this are weights.
        formats: the formats.
        inputs: what to run the program on to see how much each weight matters; None for all alike.
        backend, num_threads: what quantizes.

    Raises:
        ValueError: ``inputs`` are not the program's, or its outputs on them are not finite.
        RuntimeError: another thread is at work on the program.
    """
    with alone_with(program):
        weights, buffer = find_weights(program, weight_num_threshold), Buffer()
        if not weights:
            return []
        if inputs is None:
            sensitivities = _shares(weights)
        else:
            sensitivities = _sensitivities(program, weights, inputs)
        planned = []
        for weight, sensitivity in zip(weights, sensitivities, strict=True):
            array = read_constant(weight.op, buffer, weight.tensor)
            measured = _measure(weight, array, formats, backend, num_threads)
            planned.append(_describe(weight, measured, sensitivity))
        return planned


def _measure(
    weight: Weight, array: Array, formats: Sequence[Format], backend: Backend, num_threads: int
) -> Iterator[_Measured]:
    for given, settings in formats:
        try:
            blocks = weight_blocks(
                weight, settings.granularity, settings.block_size, fit=settings.fit
            )
            quantized = quantize_parsed(
                array, settings.spec, blocks.sizes, backend, num_threads, importance=None
            )
        except ValueError:
            continue  # a block size that does not divide, or a weight that is not finite
        error = measure_error(array, quantized, num_threads=num_threads)
        yield _Measured(given, saved_bytes(quantized), error)


def _describe(weight: Weight, measured: Iterator[_Measured], sensitivity: float) -> PlannedWeight:
    kept = Candidate(Rule(name=weight.name, keep=True), weight.nbytes, math.inf, 0.0)
    others = (
        Candidate(
            Rule(name=weight.name, **m.settings),
            m.nbytes,
            m.error.sqnr_db,
            sensitivity * _relative(m.error),
        )
        for m in measured
    )
    return PlannedWeight(weight.name, weight.shape, (kept, *others))


def _relative(error: WeightError) -> float:
    return error.noise / error.signal if error.signal else 0.0  # of zeros all formats are exact


def _shares(weights: Sequence[Weight]) -> list[float]:
    """Return by how much the noise of each weight counts: the square root of its elements.

    On the sentence embeddings of docs/whole-models.md that is better than elements, and much better
    than all alike.
    """
    roots = [math.sqrt(weight.tensor.size) for weight in weights]
    return [root / sum(roots) for root in roots]


def _sensitivities(
    program: AIProgram, weights: Sequence[Weight], inputs: Mapping[str, Array]
) -> list[float]:
    """Return noise / signal of the outputs per noise / signal of each weight."""
    samples = split_samples(program, inputs)
    outputs = run_samples(program, samples)
    if not all(np.isfinite(y).all() for run in outputs for y in run.values()):
        raise ValueError("the program's outputs on inputs hold a NaN or infinity")
    return [_sensitivity(program, weight, samples, outputs) for weight in weights]


def _sensitivity(
    program: AIProgram,
    weight: Weight,
    samples: Sequence[Mapping[str, Array]],
    outputs: Sequence[Mapping[str, Array]],
) -> float:
    noise: list[float] = []
    probed = quantize_weights(
        program,
        None,
        weight_num_threshold=0,
        overrides=[Rule(name=weight.name, dtype=_PROBE)],
        progress=_collect(noise),
    )
    if not sum(noise):
        return 0.0
    return _output_noise(outputs, run_samples(probed, samples)) / sum(noise)


def _collect(noise: list[float]) -> Callable[[Any], None]:
    return lambda record: noise.append(_relative(record.error)) if record.error else None


def _output_noise(
    outputs: Sequence[Mapping[str, Array]], probed: Sequence[Mapping[str, Array]]
) -> float:
    """Return Σ (y' - y)² / Σ y² of each output, all samples together, and of that the mean."""
    ratios = []
    for name in outputs[0]:
        signal = [np.asarray(run[name], np.float64) for run in outputs]
        noise = [
            np.asarray(run[name], np.float64) - y for run, y in zip(probed, signal, strict=True)
        ]
        energy = sum(float(np.sum(y * y)) for y in signal)
        ratios.append(sum(float(np.sum(e * e)) for e in noise) / energy if energy else 0.0)
    return float(np.mean(ratios))
