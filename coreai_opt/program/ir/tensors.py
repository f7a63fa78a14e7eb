"""Element types and types of tensors."""

import math
import re
from functools import cache
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from coreai_opt.program.ir.core_ai import mlir

Op = Any
Type = Any
Value = Any
NumpyDType = np.dtype[Any]

_NUMPY_DTYPES: dict[str, NumpyDType] = {
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f8E8M0FNU": np.dtype(ml_dtypes.float8_e8m0fnu),
    # Core AI accepts these for permutations and group counts.
    "ui16": np.dtype(np.uint16),
    "ui32": np.dtype(np.uint32),
}
"""The element types that are read or written as numpy arrays."""

PORT_DTYPES: dict[str, NumpyDType] = {
    **{name: _NUMPY_DTYPES[name] for name in ("f32", "f16", "bf16", "ui16", "ui32")},
    "si8": np.dtype(np.int8),
    "si16": np.dtype(np.int16),
    "si32": np.dtype(np.int32),
    "ui8": np.dtype(np.uint8),
    "i1": np.dtype(np.bool_),
}
"""The element types of inputs and outputs that a program can be run with."""

_CODE_TYPES = {
    "int2": "si2",
    "uint2": "ui2",
    "int4": "si4",
    "uint4": "ui4",
    "int8": "si8",
    "uint8": "ui8",
    "fp4_e2m1fn": "f4E2M1FN",
    "fp8_e4m3fn": "f8E4M3FN",
    "fp8_e5m2": "f8E5M2",
}
"""The formats of ``reference/formats.py`` as element types."""

_FORMAT_NAMES = {element: name for name, element in _CODE_TYPES.items()}
_ELEMENT_TYPES = {dtype: element for element, dtype in _NUMPY_DTYPES.items()}


class Tensor(NamedTuple):
    """Type of a tensor whose shape is static.

    Attributes:
        shape: its shape.
        element: its element type, e.g. ``"f16"``.
    """

    shape: tuple[int, ...]
    element: str

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> NumpyDType | None:
        """The numpy dtype of its elements, None for those that are not read as arrays."""
        return _NUMPY_DTYPES.get(self.element)

    @property
    def format(self) -> str:
        """Its elements by name: ``"int4"``, ``"float16"``; as in MLIR if they have none."""
        return _FORMAT_NAMES.get(self.element) or str(self.dtype or self.element)

    @property
    def nbytes(self) -> int:
        """Bytes it takes when stored; codes of less than a byte are packed without gaps."""
        return -(-self.size * bits_of(self.element) // 8)


@cache
def bits_of(element: str) -> int:
    """Return the bits of one element; 0 where its type does not say."""
    bits = re.search(r"\d+", element)
    return int(bits.group()) if bits else 0


def element_type(name: str | NumpyDType) -> str:
    """Return the element type of a format (by its name) or of a numpy dtype."""
    return _CODE_TYPES[name] if isinstance(name, str) else _ELEMENT_TYPES[name]


def static_tensor(value: Value) -> Tensor | None:
    """Return the type of ``value``, or None when it is no tensor or its shape is not static."""
    return tensor_of(value.type)


def tensor_of(kind: Type) -> Tensor | None:
    """Return what ``kind`` says, or None when it is no tensor's or its shape is not static."""
    if not isinstance(kind, mlir.RankedTensorType) or not kind.has_static_shape:
        return None
    return Tensor(tuple(kind.shape), str(kind.element_type))


def lengths(value: Value) -> tuple[int | None, ...]:
    """Return the lengths of the axes of ``value``, a tensor; None stands for one not fixed."""
    kind = value.type
    if kind.has_static_shape:
        return tuple(kind.shape)
    return tuple(
        None if kind.is_dynamic_dim(axis) else size for axis, size in enumerate(kind.shape)
    )


def is_float(value: Value) -> bool:
    """Return whether ``value`` is a tensor of elements that weights can have."""
    kind = value.type
    return isinstance(kind, mlir.RankedTensorType) and isinstance(kind.element_type, _FLOATS)


_FLOATS = (mlir.F32Type, mlir.F16Type, mlir.BF16Type)  # to tell types by their text takes 3 us
