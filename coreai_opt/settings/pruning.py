"""``PruningSettings``: which elements of a weight become zero, and how the others are stored."""

from dataclasses import dataclass

from coreai_opt.exceptions import Argument, ArgumentError
from coreai_opt.settings.arguments import parse_choice, parse_int, parse_real, plain_int
from coreai_opt.settings.enums import EIGHT_BIT_DTYPES, DType
from coreai_opt.settings.tables import INDEX_BITS

__all__ = ["PruningSettings", "check_pruning"]

_TARGET_SPARSITY, _BLOCK_SIZE, _N_M_RATIO, _QUANTIZE_DTYPE, _PALETTIZE_NBITS = (
    Argument(name, quoted=True)
    for name in ("target_sparsity", "block_size", "n_m_ratio", "quantize_dtype", "palettize_nbits")
)


@dataclass(frozen=True)
class PruningSettings:
    """Which elements of a weight become zero, and how the others are stored.

    Attributes:
        sparsity: what part of the elements, or of the blocks, becomes zero; None with ``zeros_of``.
        block_size: neighbours along the output channels that are a block; None for elements.
        zeros_of: (n, m): the n least of every m elements along the input channels; None with
            ``sparsity``.
        dtype: format of the values, with a scale per output channel, or of UINT8 one for all; None
            for the weight's dtype.
        bits: of an index into a look-up table of the values; None for none.
    """

    sparsity: float | None
    block_size: int | None
    zeros_of: tuple[int, int] | None
    dtype: DType | None
    bits: int | None

    @property
    def has_channel_scales(self) -> bool:
        """Whether each output channel has a scale of its own."""
        return self.dtype is not None and self.dtype is not DType.UINT8

    @property
    def needs_channels(self) -> bool:
        """Whether it matters which axes of a weight are its channels."""
        return self.has_channel_scales or self.zeros_of is not None or self.block_size is not None

    @property
    def uses_importance(self) -> bool:
        """Whether it matters how much each element's error counts."""
        return False


def check_pruning(
    target_sparsity: object,
    block_size: object,
    n_m_ratio: object,
    quantize_dtype: object,
    palettize_nbits: object,
) -> PruningSettings:
    """Check arguments of ``sparsify_weights``, and return what they ask for.

    The messages open as coreai-opt's do, because programs written for it match them.

    Raises:
        ArgumentError, ArgumentTypeError: one is not supported, alone or in this combination.
    """
    sparsity, zeros_of = _parse_amount(target_sparsity, n_m_ratio)
    if quantize_dtype is not None and palettize_nbits is not None:
        raise ArgumentError(
            "palettize_nbits", _QUANTIZE_DTYPE, " and ", _PALETTIZE_NBITS, " cannot both be set"
        )
    dtype = None if quantize_dtype is None else _parse_dtype(quantize_dtype)
    bits = None if palettize_nbits is None else _parse_bits(palettize_nbits)
    size = None if block_size is None else parse_int("block_size", block_size, least=0)
    if size is not None and size <= 1:
        raise ArgumentError("block_size", _BLOCK_SIZE, " must be greater than 1")
    return PruningSettings(sparsity, size, zeros_of, dtype, bits)


def _parse_amount(
    target_sparsity: object, n_m_ratio: object
) -> tuple[float | None, tuple[int, int] | None]:
    """Return what part becomes zero, or how many of how many."""
    if target_sparsity is not None and n_m_ratio is not None:
        raise ArgumentError(
            "n_m_ratio", _TARGET_SPARSITY, " and ", _N_M_RATIO, " cannot both be set"
        )
    if n_m_ratio is not None:
        return None, _parse_ratio(n_m_ratio)
    if target_sparsity is None:
        raise ArgumentError(
            "target_sparsity", "One of ", _TARGET_SPARSITY, " or ", _N_M_RATIO, " must be set"
        )
    return parse_real("target_sparsity", target_sparsity, "a number from 0 to 1", most=1), None


def _parse_ratio(n_m_ratio: object) -> tuple[int, int]:
    if not isinstance(n_m_ratio, tuple) or len(n_m_ratio) != 2:
        raise ArgumentError("n_m_ratio", _N_M_RATIO, " must be a tuple of length 2")
    zeros, of = map(plain_int, n_m_ratio)
    if not (type(zeros) is type(of) is int):  # a bool is none
        raise ArgumentError("n_m_ratio", _N_M_RATIO, " must contain integers")
    if of <= 0:
        raise ArgumentError("n_m_ratio", _N_M_RATIO, " requires m > 0")
    if not 0 <= zeros <= of:
        raise ArgumentError("n_m_ratio", _N_M_RATIO, " requires 0 <= n <= m")
    return zeros, of


def _parse_bits(palettize_nbits: object) -> int:
    bits = parse_int("palettize_nbits", palettize_nbits, least=0)
    if bits not in INDEX_BITS:
        allowed = ", ".join(map(str, INDEX_BITS))
        raise ArgumentError(
            "palettize_nbits",
            "Invalid ",
            Argument("palettize_nbits"),
            f" {palettize_nbits!r}. It must be one of {allowed}",
        )
    return bits


def _parse_dtype(quantize_dtype: object) -> DType:
    complaint = "Invalid quantize_dtype: it must be one of"
    return parse_choice("quantize_dtype", quantize_dtype, EIGHT_BIT_DTYPES, complaint)
