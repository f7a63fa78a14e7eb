"""The string enums of the public API.

Members and values are those of Apple's ``coreai_opt.coreai_utils.common`` (coreai-opt 0.4.0), so
programs written for it run unchanged; ``Observer``, ``Rounding`` and ``Indivisible`` are this
package's own. Wherever a member is expected, a string that spells its value does as well: "int4",
"INT4", "per-block", or one of the short names below.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, Self, TypeAlias, TypeVar

__all__ = [
    "EIGHT_BIT_DTYPES",
    "CandidateForm",
    "CandidateFormName",
    "CompressionGranularity",
    "DType",
    "DTypeName",
    "GranularityName",
    "Indivisible",
    "IndivisibleName",
    "Observer",
    "ObserverName",
    "QScheme",
    "QSchemeName",
    "Rounding",
    "RoundingName",
    "Spelled",
    "find_spelled",
    "meant_by",
]

# For type checkers, which refuse other strings. tests/settings/ sees that they are the values.
DTypeName: TypeAlias = Literal[
    "int2",
    "uint2",
    "int4",
    "uint4",
    "int8",
    "uint8",
    "fp4_e2m1fn",
    "fp8_e4m3fn",
    "fp8_e5m2",
    "fp8_e8m0fnu",
    "mxfp4",
    "fp4",
    "fp8",
    "e4m3",
    "e5m2",
    "e8m0",
]
QSchemeName: TypeAlias = Literal["symmetric", "asymmetric", "sym", "asym"]
ObserverName: TypeAlias = Literal["minmax", "mse"]
RoundingName: TypeAlias = Literal["nearest", "gptq"]
GranularityName: TypeAlias = Literal[
    "per_tensor",
    "per_channel",
    "per_block",
    "per_grouped_channel",
    "tensor",
    "channel",
    "block",
    "group",
]
IndivisibleName: TypeAlias = Literal["skip", "fit"]
CandidateFormName: TypeAlias = Literal["integer", "table"]

SHORT_NAMES = {
    "mxfp4": "fp4_e2m1fn",
    "fp4": "fp4_e2m1fn",
    "fp8": "fp8_e4m3fn",
    "e4m3": "fp8_e4m3fn",
    "e5m2": "fp8_e5m2",
    "e8m0": "fp8_e8m0fnu",
    "sym": "symmetric",
    "asym": "asymmetric",
    "tensor": "per_tensor",
    "channel": "per_channel",
    "block": "per_block",
    "group": "per_grouped_channel",
}
"""What people type, and the value that they mean by it."""


def meant_by(typed: str) -> str:
    """Return the value that a text spells, or the text in the form of values if it spells none."""
    spelled = typed.lower().replace("-", "_")
    return SHORT_NAMES.get(spelled, spelled)


_Value = TypeVar("_Value", bound=str)


def find_spelled(typed: str, values: Iterable[_Value]) -> _Value | None:
    """Return the value that a text spells, in any case or in short; None if it spells none."""
    meant = meant_by(typed.strip())
    return next((value for value in values if meant_by(value) == meant), None)


class Spelled(StrEnum):
    """An enum whose members are found by what people type for them."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return find_spelled(value, cls) if isinstance(value, str) else None


class DType(Spelled):
    """Element types of quantized weights, and E8M0 as a type of scales.

    The formats themselves (ranges, bits, packing) are described in ``reference/formats.py``.
    """

    INT2 = "int2"
    UINT2 = "uint2"
    INT4 = "int4"
    UINT4 = "uint4"
    INT8 = "int8"
    UINT8 = "uint8"
    FP4_E2M1FN = "fp4_e2m1fn"
    FP8_E4M3FN = "fp8_e4m3fn"
    FP8_E5M2 = "fp8_e5m2"
    FP8_E8M0FNU = "fp8_e8m0fnu"
    """8-bit power of two (OCP MX v1.0 §5.4.1). A scale type only, never a weight type."""

    def is_int(self) -> bool:
        """Whether the type is an integer type."""
        return self.value.startswith(("int", "uint"))


EIGHT_BIT_DTYPES = (DType.INT8, DType.UINT8, DType.FP8_E4M3FN, DType.FP8_E5M2)
"""What entries of a look-up table and values of a sparse weight can be, besides numbers of the
weight's dtype."""


class QScheme(Spelled):
    """How the zero point is chosen."""

    SYMMETRIC = "symmetric"
    """Ranges are symmetric about zero; the zero point carries no information."""
    ASYMMETRIC = "asymmetric"
    """Ranges run from min(0, minimum) to max(0, maximum); integer formats only."""


class Observer(Spelled):
    """How a scale is found."""

    MINMAX = "minmax"
    """The scale follows from the smallest and the largest weight of a block."""
    MSE = "mse"
    """A search, which starts with the scale of MINMAX, finds the least squared error."""

    @property
    def uses_importance(self) -> bool:
        """Whether it looks at how much each element's error counts."""
        return self is Observer.MSE


class Rounding(Spelled):
    """How a code is chosen once there is a scale."""

    NEAREST = "nearest"
    """The code nearest to the weight."""
    GPTQ = "gptq"
    """With feedback from a calibration: input channels make up for each other's errors."""


class CompressionGranularity(Spelled):
    """Which elements of a weight share one scale."""

    PER_TENSOR = "per_tensor"
    """All elements share one."""
    PER_CHANNEL = "per_channel"
    """All elements of an output channel share one."""
    PER_BLOCK = "per_block"
    """``block_size`` neighbouring input channels of an output channel share one."""
    PER_GROUPED_CHANNEL = "per_grouped_channel"
    """Known to Core AI for palettization; quantization refuses it."""


class Indivisible(Spelled):
    """Treatment of a weight whose input channels ``block_size`` does not divide."""

    SKIP = "skip"
    """It is left as it is, with a warning."""
    FIT = "fit"
    """Its blocks are of the largest size below that divides them; where that is 1 it has one scale
    per channel. MXFP4 has blocks of 32 and no others, so those are skipped."""


class CandidateForm(Spelled):
    """Forms that a plan can choose among."""

    INTEGER = "integer"
    """Integers, with a scale for each channel or block."""
    TABLE = "table"
    """Indices into look-up tables."""
