"""``sparsify_weights``: sparse weights for a whole Core AI program."""

from __future__ import annotations

import copy
import math
from numbers import Real
from typing import TYPE_CHECKING

from coreai_opt.exceptions import ArgumentError, ArgumentTypeError
from coreai_opt.settings.arguments import parse_int, parse_member
from coreai_opt.settings.enums import DType

if TYPE_CHECKING:
    from coreai_opt.program.ir import AIProgram

_VALUE_DTYPES = (DType.INT8, DType.FP8_E4M3FN, DType.FP8_E5M2)


def sparsify_weights(  # noqa: PLR0917  # the documented signature
    coreai_program: AIProgram,
    target_sparsity: float | None = 0.5,
    block_size: int | None = None,
    n_m_ratio: tuple[int, int] | None = None,
    quantize_dtype: DType | str | None = None,
    palettize_nbits: int | None = None,
    weight_num_threshold: int = 1024,
    in_place: bool = False,
) -> AIProgram:
    """Set the least elements of each weight to zero, and store only the others.

    Every weight becomes a ``coreai.sparse_with_bitmask_to_dense`` of constants, and with
    ``quantize_dtype`` a ``coreai.blockwise_shift_scale`` of that. Which constants are weights is as
    for :func:`~coreai_opt.coreai_utils.quantize_weights`. One whose channels do not fit, or that
    has a NaN or infinity, is left as it is, with one warning on the logger ``coreai_opt``.

    When this raises, Ctrl-C and memory that runs out included, ``coreai_program`` is as it was, or
    with ``in_place`` each of its weights is either as it was or sparse.

    Args:
        coreai_program: the program. With ``in_place`` no other thread may use it meanwhile.
        target_sparsity: what part of the elements becomes zero, from 0 to 1: the
            ``floor(size * target_sparsity)`` of least magnitude. None with ``n_m_ratio``.
        block_size: let whole blocks become zero, so many neighbours along the output channels, by
            their Euclidean norm; above 1. None for single elements.
        n_m_ratio: ``(n, m)``: of every m neighbours along the input channels the n of least
            magnitude become zero. ``target_sparsity`` must be None then.
        quantize_dtype: store elements as INT8, FP8_E4M3FN or FP8_E5M2, with a scale per output
            channel; None for the weight's dtype.
        palettize_nbits: None. Sparse look-up tables are not supported yet.
        weight_num_threshold: only constants with more elements than this are weights.
        in_place: change ``coreai_program`` itself instead of a copy.

    Returns:
        The program with sparse weights: a copy, or with ``in_place`` the program that was given.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been touched then.
        ImportError: Core AI is not there.
        RuntimeError: another thread is at work on ``coreai_program``.
    """
    sparsity, zeros_of = _parse_amount(target_sparsity, n_m_ratio)
    if quantize_dtype is not None and palettize_nbits is not None:
        raise ArgumentError(
            "palettize_nbits", "`quantize_dtype` and `palettize_nbits` cannot both be set"
        )
    dtype = None if quantize_dtype is None else _parse_dtype(quantize_dtype)
    if palettize_nbits is not None:
        raise ArgumentError(
            "palettize_nbits",
            f"Invalid palettize_nbits {palettize_nbits!r}. palettize_nbits must be None for now",
        )
    if block_size is not None and parse_int("block_size", block_size, least=0) <= 1:
        raise ArgumentError("block_size", "`block_size` must be greater than 1")
    threshold = parse_int("weight_num_threshold", weight_num_threshold, least=0)

    from coreai_opt.program import ir, sparsify  # noqa: PLC0415  # imports Core AI: half a second

    ir.check_program(coreai_program)
    program = coreai_program if in_place else copy.deepcopy(coreai_program)
    pruning = sparsify.Pruning(sparsity, block_size, zeros_of, dtype)
    sparsify.sparsify_program(program, threshold, pruning)
    return program


def _parse_amount(
    target_sparsity: object, n_m_ratio: object
) -> tuple[float | None, tuple[int, int] | None]:
    """Return what part becomes zero, or how many of how many."""
    if target_sparsity is not None and n_m_ratio is not None:
        raise ArgumentError("n_m_ratio", "`target_sparsity` and `n_m_ratio` cannot both be set")
    if n_m_ratio is not None:
        return None, _parse_ratio(n_m_ratio)
    if target_sparsity is None:
        raise ArgumentError(
            "target_sparsity", "One of `target_sparsity` or `n_m_ratio` must be set"
        )
    message = f"target_sparsity must be a number from 0 to 1; got {target_sparsity!r}"
    if isinstance(target_sparsity, bool) or not isinstance(target_sparsity, Real):
        raise ArgumentTypeError("target_sparsity", message)
    sparsity = float(target_sparsity)
    if math.isnan(sparsity) or not 0 <= sparsity <= 1:
        raise ArgumentError("target_sparsity", message)
    return sparsity, None


def _parse_ratio(n_m_ratio: object) -> tuple[int, int]:
    if not isinstance(n_m_ratio, tuple) or len(n_m_ratio) != 2:
        raise ArgumentError("n_m_ratio", "`n_m_ratio` must be a tuple of length 2")
    if any(isinstance(number, bool) or not isinstance(number, int) for number in n_m_ratio):
        raise ArgumentError("n_m_ratio", "`n_m_ratio` must contain integers")
    zeros, of = n_m_ratio
    if of <= 0:
        raise ArgumentError("n_m_ratio", "`n_m_ratio` requires m > 0")
    if not 0 <= zeros <= of:
        raise ArgumentError("n_m_ratio", "`n_m_ratio` requires 0 <= n <= m")
    return zeros, of


def _parse_dtype(quantize_dtype: object) -> DType:
    dtype = parse_member(DType, "quantize_dtype", quantize_dtype)
    if dtype not in _VALUE_DTYPES:
        allowed = ", ".join(repr(member.value) for member in _VALUE_DTYPES)
        raise ArgumentError(
            "quantize_dtype",
            f"Invalid quantize_dtype {dtype.value!r}. quantize_dtype must be one of {allowed}",
        )
    return dtype
