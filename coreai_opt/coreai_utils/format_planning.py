"""``plan_quantization``: a format for each weight, by a budget of bytes or a floor of quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.planning.plan import QuantizationPlan, check_goal, make_plan
from coreai_opt.settings.arguments import parse_int
from coreai_opt.settings.enums import CompressionGranularity, DType, Indivisible, Observer, QScheme
from coreai_opt.settings.settings import SETTINGS, Settings, parse_settings

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from coreai_opt.planning.plan import PlannedWeight
    from coreai_opt.program.ir import AIProgram

_DEFAULTS = {
    "qscheme": QScheme.SYMMETRIC,
    "granularity": CompressionGranularity.PER_CHANNEL,
    "block_size": 32,
    "scale_dtype": None,
    "observer": Observer.MINMAX,
    "indivisible": Indivisible.SKIP,
}
"""The settings of ``quantize_weights`` that a candidate need not give."""

_PER_CHANNEL = {"granularity": CompressionGranularity.PER_CHANNEL, "observer": Observer.MSE}
_FINE = {
    "granularity": CompressionGranularity.PER_BLOCK,
    "observer": Observer.MSE,
    "indivisible": Indivisible.FIT,
}

CANDIDATES: tuple[Mapping[str, Any], ...] = (
    {"dtype": DType.INT2, **_FINE, "block_size": 32},
    {"dtype": DType.INT2, **_FINE, "block_size": 16},
    {"dtype": DType.INT4, **_PER_CHANNEL},
    {"dtype": DType.INT4, **_FINE, "block_size": 32},
    {"dtype": DType.UINT4, "qscheme": QScheme.ASYMMETRIC, **_FINE, "block_size": 32},
    {"dtype": DType.UINT4, "qscheme": QScheme.ASYMMETRIC, **_FINE, "block_size": 16},
    {"dtype": DType.INT8, **_PER_CHANNEL},
    {"dtype": DType.INT8, **_FINE, "block_size": 32},
)
"""What is tried for each weight unless told: 2, 4 and 8 bits, from coarse scales to fine ones."""

_PROBES = (DType.INT4, DType.INT2)
"""What a weight is quantized to, per channel, to see what its error does to the outputs: coarse, so
that the effect is well above rounding, and possible for every weight. The second is for weights
that are exact in the first."""


def plan_quantization(
    coreai_program: AIProgram,
    *,
    target_bytes: int | None = None,
    min_sqnr: float | None = None,
    candidates: Sequence[Mapping[str, Any]] = CANDIDATES,
    inputs: Mapping[str, npt.NDArray[Any]] | None = None,
    weight_num_threshold: int = 1024,
    backend: str = "auto",
    num_threads: int | None = None,
) -> QuantizationPlan:
    """Choose a format for each weight: the best within a size, or the smallest that is so good.

    Every weight is quantized to every candidate; sizes and errors are measured, not estimated. A
    plan's noise / signal is the mean of that of its weights, in which each counts by the square
    root of its number of elements. With ``inputs`` it is what the weights' errors do to the
    outputs: each weight in turn is quantized to INT4, the program is run, and the noise of the
    outputs by that of the weight tells how much its noise counts; the effects are added. Identical
    weights, which a saved program holds once, get one format.

    Its noise is above that of the best plan of its size by less than one weight's step to its next
    better candidate; with ``min_sqnr`` the same holds of its size.

    ``quantize_weights(program, None, overrides=measure.rules)`` carries it out, with the same
    ``weight_num_threshold``.

    Args:
        coreai_program: the program, which is not changed.
        target_bytes: bytes that its weights may take together in a saved program. The other
            constants and the program itself come on top.
        min_sqnr: instead, the SQNR in dB that the plan must have, >= 0.
        candidates: settings of ``quantize_weights``, as mappings from its arguments ``dtype``,
            ``qscheme``, ``granularity``, ``block_size``, ``scale_dtype``, ``observer`` and
            ``indivisible``. That a weight is kept is always a candidate; one that a weight cannot
            have, e.g. because of its block size, is none for it.
        inputs: what to run the program on: an array for each input, by name; arrays of one axis
            more than the inputs hold one sample per index of the first.
        weight_num_threshold: only constants with more elements than this are planned.
        backend, num_threads: as for ``quantize_weights``.

    Raises:
        ValueError, TypeError: a bad argument, named; or ``target_bytes`` is less than the weights
            take at least; or outputs that are not finite, on which no sensitivity can be measured.
        RuntimeError: another thread is at work on ``coreai_program``.
        ImportError: Core AI, or with ``backend="native"`` the native module, is not there.
    """
    check_goal(target_bytes, min_sqnr)
    weights = measure_weights(
        coreai_program,
        candidates=candidates,
        inputs=inputs,
        weight_num_threshold=weight_num_threshold,
        backend=backend,
        num_threads=num_threads,
    )
    return make_plan(weights, target_bytes=target_bytes, min_sqnr=min_sqnr)


def measure_weights(
    coreai_program: AIProgram,
    *,
    candidates: Sequence[Mapping[str, Any]] = CANDIDATES,
    inputs: Mapping[str, npt.NDArray[Any]] | None,
    weight_num_threshold: int,
    backend: str,
    num_threads: int | None,
) -> list[PlannedWeight]:
    """Return what ``plan_quantization``, whose arguments these are, chooses from."""
    formats = _parse_candidates(candidates)
    threshold = parse_int("weight_num_threshold", weight_num_threshold, least=0)
    run, threads = parse_backend(backend), parse_num_threads(num_threads)
    probes = [parse_settings({**_DEFAULTS, "dtype": dtype}) for dtype in _PROBES]

    from coreai_opt.planning import measure  # noqa: PLC0415  # imports Core AI
    from coreai_opt.program import ir, quantize  # noqa: PLC0415  # imports Core AI

    ir.check_program(coreai_program)
    work = quantize.Work(run, threads, measure=True)
    return measure.measure_candidates(coreai_program, threshold, formats, inputs, probes, work=work)


def _parse_candidates(candidates: object) -> list[tuple[Mapping[str, Any], Settings]]:
    if isinstance(candidates, str) or not isinstance(candidates, Sequence):
        raise TypeError(
            f"candidates must be a sequence of mappings; got {type(candidates).__name__}"
        )
    formats: list[tuple[Mapping[str, Any], Settings]] = []
    for number, candidate in enumerate(candidates, 1):
        settings = _parse_candidate(number, candidate)
        formats.append((_as_rule(candidate), settings))
    return formats


def _parse_candidate(number: int, candidate: object) -> Settings:
    if not isinstance(candidate, Mapping):
        raise TypeError(f"candidate {number} must be a mapping of settings; got {candidate!r}")
    unknown = [key for key in candidate if key not in SETTINGS]
    if unknown or "dtype" not in candidate:
        wrong = f"has the unknown key {unknown[0]!r}" if unknown else "has no dtype"
        raise ValueError(f"candidate {number} {wrong}; keys are {', '.join(SETTINGS)}")
    try:
        return parse_settings({**_DEFAULTS, **candidate})
    except (TypeError, ValueError) as error:
        raise type(error)(f"candidate {number}: {error}") from None


def _as_rule(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a candidate that matter, so that a call's do not change what it is."""
    settings = {**_DEFAULTS, **candidate}
    if settings["granularity"] != CompressionGranularity.PER_BLOCK:
        del settings["block_size"]
    return {key: value for key, value in settings.items() if value is not None}
