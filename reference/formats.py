"""The formats a weight can be stored in: the one table of bits, ranges and element types.

Everything else in the project (the reference, the Python API, the program rewriter, the command)
asks this table; the C library carries its own copy, ``csrc/formats.c``; a test compares the two.
"""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

NumpyDType = np.dtype[Any]


@dataclass(frozen=True)
class Format:
    """One format of stored codes.

    Attributes:
        name: its name in the API, e.g. ``"int4"``.
        bits: bits of one stored code: 2, 4 or 8.
        code_dtype: numpy dtype of an unpacked code: ``int8``/``uint8`` for the integer formats, the
            ``ml_dtypes`` type for the floating-point ones.
        emax: exponent of the largest normal number of a floating-point format, None for integers.
    """

    name: str
    bits: int
    code_dtype: NumpyDType
    emax: int | None = None

    @property
    def is_int(self) -> bool:
        """Whether codes are integers."""
        return self.emax is None

    @property
    def is_signed_int(self) -> bool:
        """Whether codes are two's complement integers."""
        return self.code_dtype == np.int8

    @property
    def levels(self) -> int:
        """L of the contract: steps of the full integer range, 2**bits - 1."""
        return (1 << self.bits) - 1

    @property
    def symmetric_max(self) -> int:
        """Q of the contract: the largest code of the symmetric integer range, 2**(bits-1) - 1."""
        return (1 << (self.bits - 1)) - 1

    @property
    def searched_min(self) -> int:
        """The least symmetric integer code with the observer MSE: -2**(bits-1), of 8 bits -Q."""
        return -self.symmetric_max - (self.bits < 8)

    @property
    def float_max(self) -> float:
        """The largest finite number of a floating-point format."""
        return float(ml_dtypes.finfo(self.code_dtype).max)

    @property
    def codes_per_byte(self) -> int:
        """How many codes one stored byte holds."""
        return 8 // self.bits

    def packed_size(self, count: int) -> int:
        """Bytes that ``count`` codes take when packed (the last byte is zero-filled)."""
        return -(-count // self.codes_per_byte)


_INT8, _UINT8 = np.dtype(np.int8), np.dtype(np.uint8)

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("int2", 2, _INT8),
        Format("uint2", 2, _UINT8),
        Format("int4", 4, _INT8),
        Format("uint4", 4, _UINT8),
        Format("int8", 8, _INT8),
        Format("uint8", 8, _UINT8),
        Format("fp4_e2m1fn", 4, np.dtype(ml_dtypes.float4_e2m1fn), emax=2),
        Format("fp8_e4m3fn", 8, np.dtype(ml_dtypes.float8_e4m3fn), emax=8),
        Format("fp8_e5m2", 8, np.dtype(ml_dtypes.float8_e5m2), emax=15),
    )
}
"""All formats by name."""

E8M0: NumpyDType = np.dtype(ml_dtypes.float8_e8m0fnu)
"""Dtype of power-of-two scales (OCP MX v1.0 §5.4.1): byte e stands for 2**(e - 127)."""

WEIGHT_DTYPES: tuple[NumpyDType, ...] = (
    np.dtype(np.float32),
    np.dtype(np.float16),
    np.dtype(ml_dtypes.bfloat16),
)
"""Dtypes of the weights that can be quantized."""
