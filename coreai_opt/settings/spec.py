"""The one validated description of a quantization, shared by the array and the program API."""

from dataclasses import dataclass

from coreai_opt.reference.formats import FORMATS, Format
from coreai_opt.settings.arguments import parse_member
from coreai_opt.settings.enums import DType, Observer, QScheme


@dataclass(frozen=True)
class QuantizationSpec:
    """What to turn weights into; which elements share a scale is said apart, weight by weight.

    Attributes:
        format: the format of the codes.
        symmetric: whether the scheme is symmetric (always so for floating-point formats).
        e8m0_scale: whether scales are stored as powers of two (E8M0), not in the weight's dtype.
        mse: whether better scales than MINMAX's are searched for.
    """

    format: Format
    symmetric: bool
    e8m0_scale: bool
    mse: bool


def parse_spec(
    dtype: object, qscheme: object, scale_dtype: object, observer: object
) -> QuantizationSpec:
    """Check the user's arguments of these names and return what they ask for.

    The messages open as coreai-opt's do, because programs written for it match them.

    Raises:
        ValueError: a value that is not supported, alone or in this combination.
        TypeError: a value of another type than the enum or ``str``.
    """
    weight_dtype = parse_member(DType, "dtype", dtype, "Unsupported weight dtype")
    scheme = parse_member(QScheme, "qscheme", qscheme)
    mse = parse_member(Observer, "observer", observer) is Observer.MSE
    if weight_dtype not in FORMATS:
        raise ValueError(
            f"Unsupported weight dtype {weight_dtype!r}. Valid weight dtypes: {sorted(FORMATS)}."
        )
    if scheme is QScheme.ASYMMETRIC and not weight_dtype.is_int():
        raise ValueError(
            f"Asymmetric quantization is not supported for FP dtype {weight_dtype!r}. "
            "qscheme must be QScheme.SYMMETRIC for floating-point dtypes."
        )
    # What it may be depends on dtype, so an unknown spelling is reported against that.
    scale = None if scale_dtype is None else _parse_scale_dtype(weight_dtype, scale_dtype)
    return QuantizationSpec(
        format=FORMATS[weight_dtype],
        symmetric=scheme is QScheme.SYMMETRIC,
        e8m0_scale=scale is not None or weight_dtype is DType.FP4_E2M1FN,
        mse=mse,
    )


def _parse_scale_dtype(weight_dtype: DType, scale_dtype: object) -> DType:
    if weight_dtype.is_int():
        raise ValueError(
            f"scale_dtype must be None for integer dtype {weight_dtype!r}, got {scale_dtype!r}."
        )
    if weight_dtype is DType.FP4_E2M1FN:
        raise ValueError(
            f"scale_dtype must be None for FP4 dtype {weight_dtype!r} "
            f"(its scales are always E8M0), got {scale_dtype!r}."
        )
    scale = parse_member(DType, "scale_dtype", scale_dtype)
    if scale is not DType.FP8_E8M0FNU:
        raise ValueError(
            f"Invalid scale_dtype {scale!r} for FP8 weight dtype {weight_dtype!r}. "
            "Valid scale dtypes: None (the weight's own), DType.FP8_E8M0FNU."
        )
    return scale
