"""``palettize_weights``: look-up tables for the weights of a whole Core AI program."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.palettize import parse_index_bits, parse_lut_dtype
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.exceptions import ArgumentError
from coreai_opt.settings.arguments import parse_int, parse_member
from coreai_opt.settings.enums import CompressionGranularity, DType

if TYPE_CHECKING:
    from coreai_opt.program.ir import AIProgram

_GRANULARITIES = (
    CompressionGranularity.PER_TENSOR,
    CompressionGranularity.PER_CHANNEL,
    CompressionGranularity.PER_GROUPED_CHANNEL,
)


def palettize_weights(  # noqa: PLR0917  # the documented signature
    coreai_program: AIProgram,
    lut_dtype: DType | str | None,
    n_bits: int = 4,
    granularity: CompressionGranularity | str = CompressionGranularity.PER_TENSOR,
    group_size: int = 32,
    cluster_dim: int = 1,
    enable_per_channel_scale: bool = False,
    weight_num_threshold: int = 1024,
    num_kmeans_workers: int = 4,
    enable_fast_kmeans_mode: bool = True,  # noqa: ARG001  # there is no other mode
    rounding_precision: int = 4,
    in_place: bool = False,
    *,
    backend: str = "auto",
    num_threads: int | None = None,
) -> AIProgram:
    """Replace the weights of a Core AI program by indices into look-up tables.

    Every weight becomes a ``coreai.lut_to_dense`` of constants, and where there are scales a
    ``coreai.blockwise_shift_scale`` of that. Tables are the best there are: no others of so many
    entries leave less squared error. Which constants are weights is as for
    :func:`~coreai_opt.coreai_utils.quantize_weights`. One that cannot have such tables (a group
    size that does not divide its output channels, a NaN or infinity) is left as it is, with one
    warning on the logger ``coreai_opt``.

    When this raises, Ctrl-C and memory that runs out included, ``coreai_program`` is as it was, or
    with ``in_place`` each of its weights is either as it was or palettized.

    Args:
        coreai_program: the program. With ``in_place`` no other thread may use it meanwhile.
        lut_dtype: what entries of a table are: None (the weight's dtype), INT8, UINT8, FP8_E4M3FN
            or FP8_E5M2, each of them with a scale per table.
        n_bits: bits of an index: 1, 2, 3, 4, 6 or 8.
        granularity: which elements share a table: PER_TENSOR all, PER_CHANNEL those of an output
            channel, PER_GROUPED_CHANNEL those of ``group_size`` output channels.
        group_size: output channels that share a table, with PER_GROUPED_CHANNEL.
        cluster_dim: 1. Tables of vectors are not supported yet.
        enable_per_channel_scale: divide each output channel by its largest magnitude before tables
            are found, and store that as a scale.
        weight_num_threshold: only constants with more elements than this are weights.
        num_kmeans_workers, enable_fast_kmeans_mode, rounding_precision: accepted, and not needed:
            tables are found exactly, without rounding weights first, by ``num_threads`` threads.
        in_place: change ``coreai_program`` itself instead of a copy.
        backend: "auto", "native", "reference" or "validate" (run both, compare every byte).
        num_threads: threads that the native backend may use; None means one per processor.

    Returns:
        The palettized program: a copy, or with ``in_place`` the program that was given.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been touched then.
        ImportError: Core AI, or with ``backend="native"`` the native module, is not there.
        BackendMismatchError: ``backend="validate"`` found a difference.
        RuntimeError: another thread is at work on ``coreai_program``.
    """
    lut, bits = parse_lut_dtype(lut_dtype), parse_index_bits(n_bits)
    shared = parse_member(
        CompressionGranularity, "granularity", granularity, "`granularity` must be one of"
    )
    if shared not in _GRANULARITIES:
        allowed = ", ".join(repr(member.value) for member in _GRANULARITIES)
        raise ArgumentError(
            "granularity", f"`granularity` must be one of {allowed}; got {shared.value!r}"
        )
    size = parse_int("group_size", group_size, least=1)
    vector = parse_int("cluster_dim", cluster_dim, least=1)
    if vector > 1 and enable_per_channel_scale:
        raise ArgumentError(
            "enable_per_channel_scale",
            "`enable_per_channel_scale=True` is not supported with `cluster_dim` above 1",
        )
    if vector > 1:
        raise ArgumentError("cluster_dim", f"cluster_dim must be 1 for now; got {cluster_dim}")
    for argument, value in (
        ("num_kmeans_workers", num_kmeans_workers),
        ("rounding_precision", rounding_precision),
    ):
        parse_int(argument, value, least=1)
    threshold = parse_int("weight_num_threshold", weight_num_threshold, least=0)
    run, threads = parse_backend(backend), parse_num_threads(num_threads)

    from coreai_opt.program import ir, palettize  # noqa: PLC0415  # imports Core AI: half a second

    ir.check_program(coreai_program)
    program = coreai_program if in_place else copy.deepcopy(coreai_program)
    tables = palettize.Tables(
        bits=bits,
        lut_dtype=lut,
        granularity=shared,
        group_size=size,
        channel_scales=bool(enable_per_channel_scale),
    )
    palettize.palettize_program(program, threshold, tables, run, threads)
    return program
