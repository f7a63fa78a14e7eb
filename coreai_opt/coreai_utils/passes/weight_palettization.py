"""``palettize_weights``: look-up tables for the weights of a whole Core AI program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.arrays.importance import check_observer
from coreai_opt.coreai_utils.compressing import checked_among, compress_weights
from coreai_opt.settings.arguments import parse_int
from coreai_opt.settings.enums import CompressionGranularity, DType, Observer
from coreai_opt.settings.rules import parse_rules
from coreai_opt.settings.settings import Settings
from coreai_opt.settings.tables import check_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from coreai_opt.program.ir import AIModelAsset, AIProgram
    from coreai_opt.reports.records import WeightRecord
    from coreai_opt.settings.enums import DTypeName, GranularityName, ObserverName
    from coreai_opt.settings.rules import Rule
    from coreai_opt.settings.targets import Target, TargetName


def palettize_weights(  # noqa: PLR0917  # the documented signature
    coreai_program: AIProgram | AIModelAsset,
    lut_dtype: DType | DTypeName | None,
    n_bits: int = 4,
    granularity: CompressionGranularity | GranularityName = CompressionGranularity.PER_TENSOR,
    group_size: int = 32,
    cluster_dim: int = 1,
    enable_per_channel_scale: bool = False,
    weight_num_threshold: int = 1024,
    num_kmeans_workers: int = 4,
    enable_fast_kmeans_mode: bool = True,  # noqa: ARG001  # there is no other mode
    rounding_precision: int = 4,
    in_place: bool = False,
    *,
    scale_block_size: int | None = None,
    observer: Observer | ObserverName = Observer.MINMAX,
    importance: Mapping[str, npt.NDArray[np.floating]] | None = None,
    overrides: Sequence[Rule | Mapping[str, Any]] | None = None,
    target: Target | TargetName | None = None,
    backend: str = "auto",
    num_threads: int | None = None,
    progress: Callable[[WeightRecord], None] | None = None,
) -> AIProgram:
    """Replace the weights of a Core AI program by indices into look-up tables.

    Every weight becomes a ``coreai.lut_to_dense`` of constants, and where there are scales a
    ``coreai.blockwise_shift_scale`` of that. Tables are the best there are, unless they are of
    vectors: no others of so many entries leave less squared error. Which constants are weights is
    as for :func:`~coreai_opt.coreai_utils.quantize_weights`. One that cannot have such tables (a
    group size that does not divide its output channels, a NaN or infinity) is left as it is, with
    one warning on the logger ``coreai_opt``.

    When this raises, Ctrl-C and memory that runs out included, ``coreai_program`` is as it was, or
    with ``in_place`` each of its weights is either as it was or palettized.

    Args:
        coreai_program: the program, or an asset, as for ``quantize_weights``. With ``in_place`` no
            other thread may use the program meanwhile.
        lut_dtype: what entries of a table are: None (the weight's dtype), INT8, UINT8, FP8_E4M3FN
            or FP8_E5M2, each of them with a scale per table.
        n_bits: bits of an index: 1, 2, 3, 4, 6 or 8.
        granularity: which elements share a table: PER_TENSOR all, PER_CHANNEL those of an output
            channel, PER_GROUPED_CHANNEL those of ``group_size`` output channels.
        group_size: output channels that share a table, with PER_GROUPED_CHANNEL.
        cluster_dim: how many neighbours along the output channels share an index, 1 to 256: entries
            of a table are vectors of so many numbers then, good ones but not the best there are. It
            must divide the output channels that share a table, or the weight is left. Not with
            scales.
        enable_per_channel_scale: divide each output channel by its largest magnitude before tables
            are found, and store that as a scale.
        weight_num_threshold: only constants with more elements than this are weights.
        num_kmeans_workers, enable_fast_kmeans_mode, rounding_precision: accepted, and not needed:
            tables are found exactly, without rounding weights first, by ``num_threads`` threads.
        in_place: change ``coreai_program`` itself instead of a copy.
        scale_block_size: input channels of an output channel that share a scale, their largest
            magnitude: so few bits reach further than with a table alone. None for no such scales.
        observer: how the scales of channels or blocks are found: MINMAX for the largest magnitude,
            or MSE for less squared error, which takes several times as long: scales and tables are
            fitted to each other in turns, and scales may be negative. Not with ``lut_dtype``.
        importance: what squared errors count, as for ``quantize_weights``.
        overrides: other settings for some weights, as for ``quantize_weights``: a rule with
            ``dtype`` has codes and scales instead of tables, one with ``keep`` keeps the weight.
        target: what the program will run on, as for ``quantize_weights``.
        backend: "auto", "native", "reference" or "validate" (run both, compare every byte).
        num_threads: threads that the native backend may use; None means one per processor.
        progress: called with a :class:`~coreai_opt.WeightRecord` of each weight when it is done, as
            for ``quantize_weights``.

    Returns:
        The palettized program: a copy, or with ``in_place`` the program that was given. Of an asset
        its program, loaded anew; the asset is not changed.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been touched then.
        ImportError: Core AI, or with ``backend="native"`` the native module, is not there.
        BackendMismatchError: ``backend="validate"`` found a difference.
        UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
        RuntimeError: another thread is at work on ``coreai_program``.
    """
    for argument, value in (
        ("num_kmeans_workers", num_kmeans_workers),
        ("rounding_precision", rounding_precision),
    ):
        parse_int(argument, value, least=1)
    call = Settings(
        n_bits=n_bits,
        lut_dtype=lut_dtype,
        granularity=granularity,
        group_size=group_size,
        cluster_dim=cluster_dim,
        enable_per_channel_scale=enable_per_channel_scale,
        scale_block_size=scale_block_size,
        observer=observer,
    )
    settings = check_tables(call)
    rules = [] if overrides is None else parse_rules(overrides, call)
    is_used = any(one.uses_importance for one in checked_among(settings, rules))
    check_observer(importance, is_used=is_used)
    return compress_weights(
        coreai_program,
        settings,
        rules,
        weight_num_threshold=weight_num_threshold,
        in_place=in_place,
        target=target,
        importance=importance,
        look_up=None,
        backend=backend,
        num_threads=num_threads,
        progress=progress,
    )
