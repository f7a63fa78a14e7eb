"""``QuantizationSpec``: what codes and scales an array is turned into."""

from dataclasses import dataclass

from coreai_opt.exceptions import Argument, ArgumentError, Value
from coreai_opt.reference.formats import FORMATS, Format
from coreai_opt.settings.arguments import parse_member
from coreai_opt.settings.enums import DType, Observer, QScheme
from coreai_opt.settings.settings import Settings


@dataclass(frozen=True)
class QuantizationSpec:
    """Codes and scales to turn an array into. Blocks are given with each array, not here.

    Attributes:
        format: the format of the codes.
        symmetric: whether the scheme is symmetric (always so for floating-point formats).
        e8m0_scale: whether scales are stored as powers of two (E8M0), not in the weight's dtype.
        observer: how scales are found.
    """

    format: Format
    symmetric: bool
    e8m0_scale: bool
    observer: Observer


def parse_spec(settings: Settings) -> QuantizationSpec:
    """Check the settings that an array has, and return what they ask for.

    The messages open as coreai-opt's do, because programs written for it match them.

    Raises:
        ArgumentError: a value that is not supported, alone or in this combination.
        ArgumentTypeError: a value of another type than the enum or ``str``.
    """
    dtype = parse_member(DType, "dtype", settings.dtype, "Unsupported weight dtype")
    scheme = parse_member(QScheme, "qscheme", settings.qscheme)
    said = Observer.MINMAX if settings.observer is None else settings.observer
    observer = parse_member(Observer, "observer", said)
    if dtype not in FORMATS:
        raise ArgumentError(
            "dtype",
            "Unsupported weight dtype ",
            Value(dtype),
            f". Valid weight dtypes: {sorted(FORMATS)}.",
        )
    if scheme is QScheme.ASYMMETRIC and not dtype.is_int():
        raise ArgumentError(
            "qscheme",
            "Asymmetric quantization is not supported for FP dtype ",
            Value(dtype),
            ". ",
            Argument("qscheme"),
            " must be ",
            Value(QScheme.SYMMETRIC, "QScheme.SYMMETRIC"),
            " for floating-point dtypes.",
        )
    # The dtype decides what is allowed, so an unknown spelling is reported against that.
    if settings.scale_dtype is not None:
        _check_scale_dtype(dtype, settings.scale_dtype)
    return QuantizationSpec(
        format=FORMATS[dtype],
        symmetric=scheme is QScheme.SYMMETRIC,
        e8m0_scale=settings.scale_dtype is not None or dtype is DType.FP4_E2M1FN,
        observer=observer,
    )


def _check_scale_dtype(dtype: DType, scale_dtype: object) -> None:
    must_be_none = (Argument("scale_dtype"), " must be ", Value(None), " for ")
    if dtype.is_int():
        raise ArgumentError(
            "scale_dtype",
            *must_be_none,
            "integer dtype ",
            Value(dtype),
            ", got ",
            Value(scale_dtype),
            ".",
        )
    if dtype is DType.FP4_E2M1FN:
        raise ArgumentError(
            "scale_dtype",
            *must_be_none,
            "FP4 dtype ",
            Value(dtype),
            " (its scales are always E8M0), got ",
            Value(scale_dtype),
            ".",
        )
    scale = parse_member(DType, "scale_dtype", scale_dtype)
    if scale is not DType.FP8_E8M0FNU:
        raise ArgumentError(
            "scale_dtype",
            "Invalid scale_dtype ",
            Value(scale),
            " for FP8 weight dtype ",
            Value(dtype),
            ". Valid scale dtypes: None (the weight's own), ",
            Value(DType.FP8_E8M0FNU, "DType.FP8_E8M0FNU"),
            ".",
        )
