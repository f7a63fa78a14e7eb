"""``SparseArray``: a weight of which only some elements are stored, and which those are."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.decodable import Decodable
from coreai_opt.arrays.destination import destination
from coreai_opt.arrays.palettized_array import PalettizedArray
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.exceptions import ArgumentError
from coreai_opt.reference.blocks import to_elements
from coreai_opt.reference.codes import decode


@dataclass(frozen=True, eq=False)
class SparseArray(Decodable):
    """A weight of which only some elements are stored; all others are zero.

    An element that is stored decodes to its value, or where there are scales to ``scale * value``.

    Attributes:
        values: the stored elements in C order, 1-D: an array of ``weight_dtype``, or where there
            are scales of int8 or one of FP8; or what the array of them was compressed to.
        mask: flat uint8 array of bits, one for each element in C order, the first in the lowest
            bit: 1 where an element is stored.
        shape: shape of the weight.
        weight_dtype: numpy dtype of the weight and of what it decodes to.
        scale: one scale per block, of ``weight_dtype``; its shape divides ``shape`` axis by axis.
            None where values are the weights themselves, or decode to these.
    """

    values: npt.NDArray[Any] | PalettizedArray | QuantizedArray
    mask: npt.NDArray[np.uint8]
    shape: tuple[int, ...]
    weight_dtype: np.dtype[Any]
    scale: npt.NDArray[Any] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the values, the mask and the scales, which is what a stored program grows by."""
        scales = 0 if self.scale is None else self.scale.nbytes
        return self.values.nbytes + self.mask.nbytes + scales

    def __repr__(self) -> str:
        stored = int(np.bitwise_count(self.mask).sum())
        return (
            f"SparseArray({stored:,} elements of shape {self.shape} from {self.weight_dtype}, "
            f"{self.nbytes:,} bytes)"
        )

    def is_stored(self) -> npt.NDArray[np.bool_]:
        """Return where elements are stored: a bool array of ``shape``."""
        size = math.prod(self.shape)
        bits = np.unpackbits(self.mask, bitorder="little", count=size)
        return bits.astype(np.bool_).reshape(self.shape)

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
            backend, num_threads: as for :func:`palettize_array`, for values that were compressed;
                numpy does the rest.

        Returns:
            ``out``, or the new array of ``shape``.

        Raises:
            ValueError, TypeError: a bad argument, or attributes that do not fit each other; nothing
                has been written then.
            BackendMismatchError: ``backend="validate"`` found a difference.
            UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
        """
        parse_backend(backend)
        parse_num_threads(num_threads)
        stored = self.is_stored()
        count = int(np.count_nonzero(stored))
        if self.values.shape != (count,):
            raise ArgumentError("values", f"values must be {count}; got {self.values.shape}")
        out = destination(out, dtype, self.shape, self.weight_dtype, (*self._parts(), self.mask))
        values = self.values
        if not isinstance(values, np.ndarray):
            values = values.dequantize(out.dtype, backend=backend, num_threads=num_threads)
        if self.scale is not None:
            scales = to_elements(self.scale, self.shape)[stored]
            values = decode(values, scales, np.float32(0), out.dtype)
        out[...] = 0
        with np.errstate(over="ignore"):
            out[stored] = values.astype(out.dtype)
        return out

    def _parts(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the arrays that values are kept in."""
        if isinstance(self.values, np.ndarray):
            return (self.values,)
        return tuple(part for part in vars(self.values).values() if isinstance(part, np.ndarray))
