"""``sparsify_weights``: sparse weights for a whole Core AI program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.coreai_utils.compressing import compress_weights
from coreai_opt.settings.pruning import check_pruning
from coreai_opt.settings.rules import parse_rules
from coreai_opt.settings.settings import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from coreai_opt.program.ir import AIModelAsset, AIProgram
    from coreai_opt.reports.records import WeightRecord
    from coreai_opt.settings.enums import DType, DTypeName
    from coreai_opt.settings.rules import Rule
    from coreai_opt.settings.targets import Target, TargetName


def sparsify_weights(  # noqa: PLR0917  # the documented signature
    coreai_program: AIProgram | AIModelAsset,
    target_sparsity: float | None = 0.5,
    block_size: int | None = None,
    n_m_ratio: tuple[int, int] | None = None,
    quantize_dtype: DType | DTypeName | None = None,
    palettize_nbits: int | None = None,
    weight_num_threshold: int = 1024,
    in_place: bool = False,
    *,
    overrides: Sequence[Rule | Mapping[str, Any]] | None = None,
    target: Target | TargetName | None = None,
    backend: str = "auto",
    num_threads: int | None = None,
    progress: Callable[[WeightRecord], None] | None = None,
) -> AIProgram:
    """Set the least elements of each weight to zero, and store only the others.

    Every weight becomes a ``coreai.sparse_with_bitmask_to_dense`` of constants. With
    ``quantize_dtype`` a ``coreai.blockwise_shift_scale`` decodes that, or with UINT8 the values
    before; with ``palettize_nbits`` a ``coreai.lut_to_dense`` the values. Which constants are
    weights is as for :func:`~coreai_opt.coreai_utils.quantize_weights`. One whose channels do not
    fit, or that has a NaN or infinity, is left as it is, with one warning on the logger
    ``coreai_opt``.

    When this raises, Ctrl-C and memory that runs out included, ``coreai_program`` is as it was, or
    with ``in_place`` each of its weights is either as it was or sparse.

    Args:
        coreai_program: the program, or an asset, as for ``quantize_weights``. With ``in_place`` no
            other thread may use the program meanwhile.
        target_sparsity: what part of the elements becomes zero, from 0 to 1: the
            ``floor(size * target_sparsity)`` of least magnitude. None with ``n_m_ratio``.
        block_size: let whole blocks become zero, so many neighbours along the output channels, by
            their Euclidean norm; above 1. Where it does not divide these, the last block has fewer.
            None for single elements. It has no effect beside ``n_m_ratio``, as in coreai-opt.
        n_m_ratio: ``(n, m)``: of every m neighbours along the input channels the n of least
            magnitude become zero; those that the last m lack count among the n.
            ``target_sparsity`` must be None then.
        quantize_dtype: store elements as INT8, FP8_E4M3FN or FP8_E5M2, with a scale per output
            channel, or as UINT8 with one for all; None for the weight's dtype.
        palettize_nbits: store elements as indices into a look-up table, the best there is for
            them, of 1, 2, 3, 4, 6 or 8 bits; None for no table.
        weight_num_threshold: only constants with more elements than this are weights.
        in_place: change ``coreai_program`` itself instead of a copy.
        overrides: other settings for some weights, as for ``quantize_weights``: a rule with
            ``dtype`` has codes and scales, one with ``n_bits`` look-up tables, both without zeros
            of their own; one with ``keep`` keeps the weight.
        target: what the program will run on, as for ``quantize_weights``.
        backend, num_threads: as for ``quantize_weights``, for codes and tables; numpy finds what is
            sparse.
        progress: called with a :class:`~coreai_opt.WeightRecord` of each weight when it is done, as
            for ``quantize_weights``.

    Returns:
        The program with sparse weights: a copy, or with ``in_place`` the program that was given. Of
        an asset its program, loaded anew; the asset is not changed.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been touched then.
        ImportError: Core AI, or with ``backend="native"`` the native module, is not there.
        BackendMismatchError: ``backend="validate"`` found a difference.
        UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
        RuntimeError: another thread is at work on ``coreai_program``.
    """
    settings = check_pruning(
        target_sparsity, block_size, n_m_ratio, quantize_dtype, palettize_nbits
    )
    rules = [] if overrides is None else parse_rules(overrides, DEFAULTS)
    return compress_weights(
        coreai_program,
        settings,
        rules,
        weight_num_threshold=weight_num_threshold,
        in_place=in_place,
        target=target,
        importance=None,
        look_up=None,
        backend=backend,
        num_threads=num_threads,
        progress=progress,
    )
