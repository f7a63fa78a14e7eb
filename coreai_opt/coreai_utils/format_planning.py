"""``plan_quantization``: a format for each weight, by a budget of bytes or a floor of quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.coreai_utils.compressing import parse_calibration
from coreai_opt.exceptions import Argument, ArgumentError, ArgumentTypeError
from coreai_opt.planning.choose import Measured, choose_plan
from coreai_opt.planning.plan import QuantizationPlan, parse_goal
from coreai_opt.settings.arguments import did_you_mean, parse_int, parse_member
from coreai_opt.settings.checked import CheckedSettings, check_any, check_kind, check_settings
from coreai_opt.settings.enums import (
    CandidateForm,
    CandidateFormName,
    CompressionGranularity,
    DType,
    Indivisible,
    Observer,
    QScheme,
)
from coreai_opt.settings.settings import DEFAULTS, SETTINGS, TABLE_DEFAULTS, Settings
from coreai_opt.settings.targets import Target, TargetName, check_target, report_against

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import numpy.typing as npt

    from coreai_opt.calibration.calibration import Calibration
    from coreai_opt.program.ir import AIProgram
    from coreai_opt.settings.tables import TableSettings

_PER_CHANNEL = Settings(granularity=CompressionGranularity.PER_CHANNEL, observer=Observer.MSE)
_BLOCKS_OF_32 = Settings(
    granularity=CompressionGranularity.PER_BLOCK,
    block_size=32,
    observer=Observer.MSE,
    indivisible=Indivisible.FIT,
)
_BLOCKS_OF_16 = replace(_BLOCKS_OF_32, block_size=16)

CANDIDATES: tuple[Settings, ...] = (
    replace(_BLOCKS_OF_32, dtype=DType.INT2),
    replace(_BLOCKS_OF_16, dtype=DType.INT2),
    replace(_PER_CHANNEL, dtype=DType.INT4),
    replace(_BLOCKS_OF_32, dtype=DType.INT4),
    replace(_BLOCKS_OF_32, dtype=DType.UINT4, qscheme=QScheme.ASYMMETRIC),
    replace(_BLOCKS_OF_16, dtype=DType.UINT4, qscheme=QScheme.ASYMMETRIC),
    replace(_PER_CHANNEL, dtype=DType.INT8),
    replace(_BLOCKS_OF_32, dtype=DType.INT8),
)
"""Formats that are tried for each weight, unless others are given: 2, 4 and 8 bits, from coarse
scales to fine ones."""

_TABLES_OF_32 = Settings(
    granularity=CompressionGranularity.PER_GROUPED_CHANNEL,
    group_size=32,
)

_BLOCK_SCALES = Settings(observer=Observer.MSE)

TABLE_CANDIDATES: tuple[Settings, ...] = (
    replace(_TABLES_OF_32, n_bits=2),
    replace(_BLOCK_SCALES, n_bits=3, scale_block_size=64),
    replace(_BLOCK_SCALES, n_bits=3, scale_block_size=32),
    replace(_TABLES_OF_32, n_bits=4),
    replace(_BLOCK_SCALES, n_bits=4, scale_block_size=64),
    replace(_BLOCK_SCALES, n_bits=4, scale_block_size=32),
    replace(_TABLES_OF_32, n_bits=6),
    replace(_BLOCK_SCALES, n_bits=6, scale_block_size=64),
    replace(_TABLES_OF_32, n_bits=8),
)
"""Look-up tables that are tried for each weight, where these are asked for: tables of groups of
output channels, and one for the weight with a scale per block."""

_CANDIDATE_DEFAULTS = replace(DEFAULTS, observer=Observer.MINMAX)
"""What a candidate is where it does not say. It names the observer, because a plan's rules have to
mean what was measured in any call."""

_PROBES = (
    DEFAULTS.merge(Settings(dtype=DType.INT4)),
    DEFAULTS.merge(Settings(dtype=DType.INT2)),
    DEFAULTS.merge(Settings(dtype=DType.INT4, granularity=CompressionGranularity.PER_TENSOR)),
)
"""Formats that a weight is quantized to, to see what its error does to the outputs.

They are coarse, so that the effect is well above rounding. The second is for weights that are exact
in the first, or nearly; the third for those with channels of one element, which are exact in both,
and for those without channels.
"""


def plan_quantization(
    coreai_program: AIProgram,
    *,
    target_bytes: int | None = None,
    min_sqnr: float | None = None,
    candidates: Sequence[Settings | Mapping[str, Any]] = CANDIDATES,
    forms: Sequence[CandidateForm | CandidateFormName] | None = None,
    inputs: Mapping[str, npt.NDArray[Any]] | None = None,
    function: str | None = None,
    calibration: Calibration | None = None,
    target: Target | TargetName | None = None,
    weight_num_threshold: int = 1024,
    backend: str = "auto",
    num_threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> QuantizationPlan:
    """Choose a format for each weight: the best within a size, or the smallest of a quality.

    Every weight is quantized to every candidate, and its error is measured; with ``target_bytes``,
    of a weight of more than two million elements on about a million, drawn from all parts of it.
    Sizes are exact.

    A plan's noise / signal is the mean of that of its weights, in which each counts by the square
    root of its number of elements. With ``inputs`` it is an estimate for the outputs. Each weight
    in turn is quantized to INT4, or more coarsely where that leaves it nearly exact, and the
    program is run. The noise of the outputs, divided by that of the weight, tells how much the
    weight's noise counts, and the effects of all are added. A weight of which nothing is seen so,
    as of one of another function or of a branch that the inputs do not reach, counts by its own
    noise, as without inputs. With ``target_bytes`` a plan by the weights' own noise is made as
    well, both are carried out and run, and the one whose outputs have less noise is returned.
    Identical weights, which a saved program holds once, get one format.

    A plan's noise is above that of the best plan of its size by less than one weight's step to its
    next better candidate. With ``min_sqnr`` its size exceeds the smallest by less than such a step.

    ``quantize_weights(program, None, overrides=plan.rules)`` carries it out, with the same
    ``weight_num_threshold``.

    Args:
        coreai_program: the program, which is not changed.
        target_bytes: bytes that its weights may take together in a saved program. The other
            constants and the program itself come on top.
        min_sqnr: instead, the SQNR in dB, >= 0, that the weights together must have, or with
            ``inputs`` the outputs, about.
        candidates: settings: :class:`~coreai_opt.Settings`, or mappings with its attributes. What
            one does not say is as ``quantize_weights`` has it by default. That a weight is kept is
            always a candidate; one that a weight cannot have, e.g. because of its block size, is
            none for it.
        forms: instead of ``candidates``, which of those of this package are tried: "integer",
            "table" or both; None for integers. Look-up tables have sizes between those of integers,
            such as 3.5, 4.25 and 6 bits per weight.
        inputs: what to run the program on: an array for each input, by name; arrays of one axis
            more than the inputs hold one sample per index of the first. States may be given as
            well; those that are not start as zeros.
        function: the name of the function to run; None for the only one there is.
        calibration: what the plan will be rounded with, see :func:`calibrate`: of the two plans
            with ``inputs`` and ``target_bytes``, the one is returned whose outputs have less noise
            when it is rounded so. Without both it has no effect, and cannot be given.
        target: what the program will run on: "gpu", "neural-engine" or "cpu". What is reported not
            to work there is no candidate, and an error if it was given as one.
        weight_num_threshold: only constants with more elements than this are planned.
        backend, num_threads: as for ``quantize_weights``.
        progress: called with what is done ("measuring", and with ``inputs`` "running" and
            "comparing plans"), for how many weights or plans it is done, and how many there are.
            What it raises ends the call.

    Raises:
        ValueError, TypeError: a bad argument, named; or ``target_bytes`` is less than the weights
            take at least; or outputs that are not finite, on which no sensitivity can be measured.
        CalibrationError: the calibration is of another program.
        RuntimeError: another thread is at work on ``coreai_program``.
        ImportError: Core AI, or with ``backend="native"`` the native module, is not there.
    """
    size, floor = parse_goal(target_bytes, min_sqnr)
    if calibration is not None and (inputs is None or size is None):
        raise ArgumentError("calibration", "calibration needs inputs and target_bytes")
    measured = measure_weights(
        coreai_program,
        candidates=candidates,
        forms=forms,
        inputs=inputs,
        function=function,
        calibration=calibration,
        target=target,
        weight_num_threshold=weight_num_threshold,
        backend=backend,
        num_threads=num_threads,
        sampled=floor is None,
        progress=progress,
    )
    return choose_plan(measured, target_bytes=size, min_sqnr=floor, progress=progress)


def measure_weights(
    coreai_program: AIProgram,
    *,
    candidates: Sequence[Settings | Mapping[str, Any]] = CANDIDATES,
    forms: Sequence[CandidateForm | CandidateFormName] | None = None,
    inputs: Mapping[str, npt.NDArray[Any]] | None,
    function: str | None,
    calibration: Calibration | None,
    target: Target | TargetName | None,
    weight_num_threshold: int,
    backend: str,
    num_threads: int | None,
    sampled: bool,
    progress: Callable[[str, int, int], None] | None,
) -> Measured:
    """Return what ``plan_quantization``, whose arguments these are, chooses from."""
    where = None if target is None else parse_member(Target, "target", target)
    ours = candidates is CANDIDATES
    if forms is not None:
        if not ours:
            raise ArgumentError("forms", "forms must be None with candidates")
        candidates = _candidates_of(forms)
    formats = _parse_candidates(candidates, where, ours=ours)
    threshold = parse_int("weight_num_threshold", weight_num_threshold, least=0)
    run, threads = parse_backend(backend), parse_num_threads(num_threads)
    probes = [check_settings(probe) for probe in _PROBES]
    look_up = parse_calibration(calibration)

    from coreai_opt.planning import measure  # noqa: PLC0415  # imports Core AI
    from coreai_opt.program import ir, quantize  # noqa: PLC0415  # imports Core AI

    ir.check_program(coreai_program)
    work = quantize.Work(run, threads, measure=True)
    return measure.measure_candidates(
        coreai_program,
        threshold,
        formats,
        inputs,
        probes,
        function=function,
        look_up=look_up,
        sampled=sampled,
        work=work,
        progress=progress,
    )


def _candidates_of(forms: object) -> tuple[Settings, ...]:
    """Return the candidates of this package that have these forms."""
    if isinstance(forms, str) or not isinstance(forms, Sequence) or not forms:
        raise ArgumentTypeError(
            "forms",
            Argument("forms"),
            f" must be a sequence of one or more of {', '.join(CandidateForm)}; got {forms!r}",
        )
    parsed = {parse_member(CandidateForm, "forms", form) for form in forms}
    integers = CANDIDATES if CandidateForm.INTEGER in parsed else ()
    return integers + (TABLE_CANDIDATES if CandidateForm.TABLE in parsed else ())


def _parse_candidates(
    candidates: object, target: Target | None, *, ours: bool
) -> list[tuple[Settings, CheckedSettings | TableSettings]]:
    """Return each candidate in full, as a rule has it, and checked.

    Of those that nobody chose, ``ours``, what is reported not to work on the target is left out.
    """
    if isinstance(candidates, str) or not isinstance(candidates, Sequence):
        raise ArgumentTypeError(
            "candidates",
            f"candidates must be a sequence of mappings; got {type(candidates).__name__}",
        )
    parsed = []
    for number, candidate in enumerate(candidates, 1):
        given = _parse_candidate(number, candidate).with_implied()
        of_tables = given.n_bits is not None
        try:
            check_kind(given, of_tables=of_tables)
            settings = (TABLE_DEFAULTS if of_tables else _CANDIDATE_DEFAULTS).merge(given)
            checked = check_any(settings)
            if ours and report_against(checked, target) is not None:
                continue
            check_target(target, checked, ())
        except (ArgumentError, ArgumentTypeError) as error:
            raise error.within(f"candidate {number}") from None
        if checked.granularity is not CompressionGranularity.PER_BLOCK:
            settings = replace(settings, block_size=None)  # which a rule without blocks cannot have
        if checked.granularity is not CompressionGranularity.PER_GROUPED_CHANNEL:
            settings = replace(settings, group_size=None)  # which would have no effect
        parsed.append((settings, checked))
    return parsed


def _parse_candidate(number: int, candidate: object) -> Settings:
    if isinstance(candidate, Settings):
        return candidate
    if not isinstance(candidate, Mapping):
        raise ArgumentTypeError(
            "candidates", f"candidate {number} must be a mapping of settings; got {candidate!r}"
        )
    unknown = [key for key in candidate if key not in SETTINGS]
    if unknown or candidate.keys().isdisjoint({"dtype", "n_bits"}):
        wrong = f"has the unknown key {unknown[0]!r}" if unknown else "has no dtype and no n_bits"
        near = did_you_mean(unknown[0], SETTINGS) if unknown else ""
        raise ArgumentError(
            "candidates", f"candidate {number} {wrong}; keys are {', '.join(SETTINGS)}{near}"
        )
    return Settings(**candidate)
