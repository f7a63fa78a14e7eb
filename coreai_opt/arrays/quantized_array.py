"""``QuantizedArray``: a quantized weight without the program it comes from."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import backends
from coreai_opt.arrays.decodable import Decodable
from coreai_opt.arrays.destination import destination
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.exceptions import ArgumentError
from coreai_opt.reference import E8M0, Format, unpack
from coreai_opt.reference.formats import FORMATS
from coreai_opt.settings.enums import DType


@dataclass(frozen=True, eq=False)
class QuantizedArray(Decodable):
    """A quantized weight, in the bytes that Core AI stores.

    It decodes to ``scale * (code - zero_point)``, one scale and zero point per block.

    Attributes:
        packed: flat uint8 array of the codes. Codes of 2 and 4 bits are packed in C order over the
            whole array, first code in the lowest bits, rows not padded.
        shape: shape of the weight.
        dtype: format of the codes.
        weight_dtype: numpy dtype of the weight and of what it decodes to.
        scale: one scale per block, in the dtype it is stored in: the weight's, or float8_e8m0fnu.
            Its shape divides ``shape`` axis by axis.
        zero_point: one code per block, in the shape of ``scale`` and the dtype of ``codes()``.
    """

    packed: npt.NDArray[np.uint8]
    shape: tuple[int, ...]
    dtype: DType
    weight_dtype: np.dtype[Any]
    scale: npt.NDArray[Any]
    zero_point: npt.NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and the scales; a stored program has asymmetric zero points beside."""
        return self.packed.nbytes + self.scale.nbytes

    def __repr__(self) -> str:
        blocks = tuple(n // count for n, count in zip(self.shape, self.scale.shape, strict=True))
        return (
            f"QuantizedArray({self.dtype} of shape {self.shape} from {self.weight_dtype}, "
            f"{self.scale.size:,} {self.scale.dtype} scales of blocks {blocks}, "
            f"{self.nbytes:,} bytes)"
        )

    def codes(self) -> npt.NDArray[Any]:
        """Return the codes, unpacked.

        Returns:
            array of ``shape``: int8 or uint8 for the integer formats, the ``ml_dtypes`` type for
            the floating-point ones.
        """
        return unpack(self.packed, FORMATS[self.dtype], self.shape)

    def dequantize(
        self,
        dtype: npt.DTypeLike | None = None,
        *,
        out: npt.NDArray[Any] | None = None,
        backend: str = "auto",
        num_threads: int | None = None,
    ) -> npt.NDArray[Any]:
        """Decode the weight.

        Args:
            dtype: what to decode to: float32, float16 or bfloat16; None for ``weight_dtype``.
            out: where to put it: a C-contiguous array of ``shape`` and of one of these dtypes;
                None for a new one.
            backend, num_threads: as for :func:`quantize_array`.

        Returns:
            ``out``, or the new array of ``shape``.

        Raises:
            ValueError, TypeError: a bad argument, or attributes that do not fit each other; nothing
                has been written then.
            BackendMismatchError: ``backend="validate"`` found a difference.
            UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
        """
        format = FORMATS[self.dtype]
        _check_stored(self, format)
        decode = backends.parse_backend(backend).decode
        threads = parse_num_threads(num_threads)
        parts = (
            np.ascontiguousarray(self.packed),
            np.ascontiguousarray(self.scale),
            np.ascontiguousarray(self.zero_point),
        )
        out = destination(out, dtype, self.shape, self.weight_dtype, parts)
        decode(parts, format, out, threads)
        return out


def _check_stored(stored: QuantizedArray, format: Format) -> None:
    """Raise ArgumentError naming the first attribute that does not fit the shape and the format."""
    shape, blocks = stored.shape, stored.scale.shape
    if len(blocks) != len(shape) or any(
        count < 1 or n < 1 or n % count for n, count in zip(shape, blocks, strict=True)
    ):
        raise ArgumentError("scale", f"scale must have a shape that divides {shape}; got {blocks}")
    scale_dtypes = [stored.weight_dtype] if format.is_int or format.bits == 8 else []
    scale_dtypes += [] if format.is_int else [E8M0]
    size = (format.packed_size(math.prod(shape)),)
    for name, array, dtypes, wanted in (
        ("scale", stored.scale, scale_dtypes, blocks),
        ("zero_point", stored.zero_point, [format.code_dtype], blocks),
        ("packed", stored.packed, [np.dtype(np.uint8)], size),
    ):
        if array.dtype not in dtypes or array.shape != wanted:
            allowed = " or ".join(map(str, dtypes))
            raise ArgumentError(
                name,
                f"{name} must be {allowed} of shape {wanted}; got {array.dtype} of {array.shape}",
            )
