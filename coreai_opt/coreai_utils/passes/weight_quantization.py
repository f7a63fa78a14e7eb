"""``quantize_weights``: quantize the weights of a whole Core AI program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.arrays.importance import check_observer
from coreai_opt.coreai_utils.compressing import (
    checked_among,
    compress_weights,
    parse_calibration,
)
from coreai_opt.exceptions import ArgumentError
from coreai_opt.settings.checked import AnySettings, CheckedSettings, check_settings
from coreai_opt.settings.enums import (
    CompressionGranularity,
    DType,
    DTypeName,
    GranularityName,
    Indivisible,
    IndivisibleName,
    Observer,
    ObserverName,
    QScheme,
    QSchemeName,
    Rounding,
    RoundingName,
)
from coreai_opt.settings.rules import parse_rules
from coreai_opt.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from coreai_opt.calibration.calibration import Calibration
    from coreai_opt.program.ir import AIModelAsset, AIProgram
    from coreai_opt.reports.records import WeightRecord
    from coreai_opt.settings.rules import Rule
    from coreai_opt.settings.targets import Target, TargetName


def quantize_weights(  # noqa: PLR0917  # the documented signature
    coreai_program: AIProgram | AIModelAsset,
    dtype: DType | DTypeName | None,
    qscheme: QScheme | QSchemeName = QScheme.SYMMETRIC,
    granularity: CompressionGranularity | GranularityName = CompressionGranularity.PER_CHANNEL,
    block_size: int = 32,
    weight_num_threshold: int = 1024,
    scale_dtype: DType | DTypeName | None = None,
    in_place: bool = False,
    *,
    observer: Observer | ObserverName | None = None,
    rounding: Rounding | RoundingName | None = None,
    calibration: Calibration | None = None,
    importance: Mapping[str, npt.NDArray[np.floating]] | None = None,
    indivisible: Indivisible | IndivisibleName = Indivisible.SKIP,
    overrides: Sequence[Rule | Mapping[str, Any]] | None = None,
    target: Target | TargetName | None = None,
    backend: str = "auto",
    num_threads: int | None = None,
    progress: Callable[[WeightRecord], None] | None = None,
) -> AIProgram:
    """Quantize the weights of a Core AI program.

    Every weight becomes a ``coreai.blockwise_shift_scale`` of constants. Weights are the float32,
    float16 and bfloat16 constants that matmuls, convolutions, gathers and transposes use as their
    weight and nothing uses otherwise. One that cannot be quantized (a block size that does not
    divide its axis, a NaN or infinity) is left as it is, with one warning on the logger
    ``coreai_opt``.

    Block sizes by granularity, 0 standing for the whole axis:

    ===============  ==================  ======================
    granularity      linear ``[O, I]``   conv ``[O, I, KH, KW]``
    ===============  ==================  ======================
    PER_TENSOR       ``[0, 0]``          ``[0, 0, 0, 0]``
    PER_CHANNEL      ``[1, 0]``          ``[1, 0, 0, 0]``
    PER_BLOCK (32)   ``[1, 32]``         ``[1, 32, 0, 0]``
    ===============  ==================  ======================

    Enums may be given as their values: ``"int4"``, ``"per_block"``.

    When this raises, Ctrl-C and memory that runs out included, ``coreai_program`` is as it was, or
    with ``in_place`` each of its weights is either as it was or quantized.

    A copy and the program it is made from share a Core AI context: what the copy holds is freed
    with the last of both. For many results of one model, give the asset: then each has a context
    of its own, and is freed alone.

    Args:
        coreai_program: the program, or an asset, whose program is loaded for this. With
            ``in_place`` no other thread may use the program meanwhile; without it, several may
            quantize it at the same time.
        dtype: format of the codes; every ``DType`` but FP8_E8M0FNU. None, with ``overrides``: only
            weights that a rule matches are quantized.
        qscheme: SYMMETRIC or ASYMMETRIC; floating-point formats are symmetric.
        granularity: which elements share a scale: PER_TENSOR, PER_CHANNEL or PER_BLOCK.
        block_size: input channels that share a scale, with PER_BLOCK.
        weight_num_threshold: only constants with more elements than this are weights.
        scale_dtype: for FP8, None (the weight's dtype) or FP8_E8M0FNU; else None. FP4 always has
            E8M0 scales, and needs PER_BLOCK with a block size of 32.
        in_place: change ``coreai_program`` itself instead of a copy.
        observer: how scales are found: MINMAX, or MSE for the least squared error (slower; scales
            of symmetric integers of 2 and 4 bits may be negative). None is MINMAX, or with a
            calibration MSE.
        rounding: how codes are chosen: NEAREST, or GPTQ, by which input channels make up for each
            other's errors on the inputs of the calibration. None is GPTQ for weights that the
            calibration has seen, else NEAREST.
        calibration: what the weights were multiplied with, see :func:`calibrate`. A weight of
            which the outputs would be no better on these inputs than with NEAREST is rounded so.
        importance: with MSE, what squared errors count: from names of weights, as ``coreai-opt
            inspect`` shows them, to one floating-point number per input channel (per index of the
            weight's input axis), finite and >= 0, such as the second moment of its activation. A
            weight that is not named is quantized without. A calibration has importances of its own,
            which count where none is given.
        indivisible: what becomes of weights whose input channels ``block_size`` does not divide:
            SKIP leaves them as they are; FIT takes the largest block size below that divides them,
            or PER_CHANNEL where that is 1.
        overrides: other settings for some weights: :class:`~coreai_opt.Rule` objects, or
            mappings with their attributes. The last rule that matches a weight counts.
        target: what the program will run on: "gpu", "neural-engine" or "cpu". Settings that are
            reported not to work there are an error that names others.
        backend: "auto", "native", "reference" or "validate" (run both, compare every byte).
        num_threads: threads that the native backend may use; None means one per processor.
        progress: called with a :class:`~coreai_opt.WeightRecord` of each weight when it is
            done, in the order of the program. The error of every weight is measured for it, which
            takes time. What it raises ends the call.

    Returns:
        The quantized program: a copy, or with ``in_place`` the program that was given. Of an asset
        its program, loaded anew; the asset is not changed.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been touched then.
        CalibrationError: the calibration is of another program; nothing has been touched then.
        ImportError: Core AI, or with ``backend="native"`` the native module, is not there.
        BackendMismatchError: ``backend="validate"`` found a difference.
        UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
        RuntimeError: another thread is at work on ``coreai_program``.
    """
    if observer is None:
        observer = Observer.MINMAX if calibration is None else Observer.MSE
    call = Settings(
        dtype=dtype,
        qscheme=qscheme,
        granularity=granularity,
        block_size=block_size,
        scale_dtype=scale_dtype,
        observer=observer,
        rounding=rounding,
        indivisible=indivisible,
    )
    settings = None if dtype is None and overrides is not None else check_settings(call)
    rules = [] if overrides is None else parse_rules(overrides, call)
    checked = checked_among(settings, rules)
    look_up = parse_calibration(calibration)
    if look_up is None:
        _check_rounding(checked)
    check_observer(importance, is_used=any(one.uses_importance for one in checked))
    return compress_weights(
        coreai_program,
        settings,
        rules,
        weight_num_threshold=weight_num_threshold,
        in_place=in_place,
        target=target,
        importance=importance,
        look_up=look_up,
        backend=backend,
        num_threads=num_threads,
        progress=progress,
    )


def _check_rounding(settings: Sequence[AnySettings]) -> None:
    """Raise an error where GPTQ is asked for, which needs a calibration."""
    codes = (one for one in settings if isinstance(one, CheckedSettings))
    if any(one.rounding is Rounding.GPTQ for one in codes):
        raise ArgumentError("rounding", 'rounding "gptq" needs a calibration')
