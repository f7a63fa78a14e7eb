"""``PalettizedArray``: a weight as indices into look-up tables, without its program."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import memory
from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.destination import destination
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.exceptions import ArgumentError
from coreai_opt.reference import tables
from coreai_opt.reference.blocks import split_axes
from coreai_opt.reference.codes import decode


@dataclass(frozen=True, eq=False)
class PalettizedArray:
    """A weight that is stored as indices into look-up tables, in the bytes that Core AI stores.

    An element decodes to its entry, or where there are scales to ``scale * (entry - zero_point)``.

    Attributes:
        packed: flat uint8 array of the indices, in C order over the whole array, first index in the
            lowest bits. Indices of 3 and 6 bits cross bytes; only the last byte is padded.
        shape: shape of the weight.
        weight_dtype: numpy dtype of the weight and of what it decodes to.
        table: the tables, of shape ``(*blocks, 2**n_bits)``, where the counts of blocks divide
            ``shape`` axis by axis. Their dtype is ``weight_dtype``, int8, uint8 or one of FP8.
        scale: one scale per block, of ``weight_dtype``; its shape divides ``shape`` axis by axis.
            None where tables hold the weights themselves.
        zero_point: what is taken off every entry of a uint8 table: 128; else 0.
    """

    packed: npt.NDArray[np.uint8]
    shape: tuple[int, ...]
    weight_dtype: np.dtype[Any]
    table: npt.NDArray[Any]
    scale: npt.NDArray[Any] | None = None
    zero_point: int = 0

    @property
    def n_bits(self) -> int:
        """Bits of an index."""
        return self.table.shape[-1].bit_length() - 1

    @property
    def nbytes(self) -> int:
        """Bytes of the indices, tables and scales, which is what a stored program grows by."""
        scales = 0 if self.scale is None else self.scale.nbytes
        return self.packed.nbytes + self.table.nbytes + scales

    def indices(self) -> npt.NDArray[np.uint8]:
        """Return the indices, unpacked: a uint8 array of ``shape``."""
        return tables.unpack(self.packed, self.n_bits, self.shape)

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
            backend, num_threads: as for :func:`palettize_array`.

        Returns:
            ``out``, or the new array of ``shape``.

        Raises:
            ValueError, TypeError: a bad argument, or attributes that do not fit each other; nothing
                has been written then.
            BackendMismatchError: ``backend="validate"`` found a difference.
            UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
        """
        self._check()
        chosen, threads = parse_backend(backend), parse_num_threads(num_threads)
        packed, table = np.ascontiguousarray(self.packed), np.ascontiguousarray(self.table)
        parts = (packed, table) if self.scale is None else (packed, table, self.scale)
        out = destination(out, dtype, self.shape, self.weight_dtype, parts)
        if self.scale is None:
            chosen.decode_table(packed, table, out, threads)
            return out
        entries = memory.empty(self.shape, np.float32)
        chosen.decode_table(packed, table, entries, threads)
        blocks = self.scale.shape
        per_block = [n for count in blocks for n in (count, 1)]
        scaled = decode(
            split_axes(entries, blocks),
            self.scale.reshape(per_block),
            np.array(self.zero_point, np.float32),
            out.dtype,
        )
        out[...] = scaled.reshape(self.shape)
        return out

    def _check(self) -> None:
        """Raise ArgumentError naming the first attribute that does not fit the shape."""
        *blocks, entries = self.table.shape
        _check_blocks("table", tuple(blocks), self.shape)
        if entries not in {2, 4, 8, 16, 64, 256}:
            raise ArgumentError(
                "table",
                f"table must have 2, 4, 8, 16, 64 or 256 entries; got {self.table.shape}",
            )
        if self.scale is not None:
            _check_blocks("scale", self.scale.shape, self.shape)
        size = (-(-math.prod(self.shape) * self.n_bits // 8),)
        if self.packed.dtype != np.uint8 or self.packed.shape != size:
            raise ArgumentError(
                "packed",
                f"packed must be uint8 of shape {size}; "
                f"got {self.packed.dtype} of {self.packed.shape}",
            )


def _check_blocks(name: str, blocks: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if len(blocks) != len(shape) or any(
        count < 1 or n < 1 or n % count for n, count in zip(shape, blocks, strict=True)
    ):
        raise ArgumentError(
            name, f"{name} must have counts of blocks that divide {shape}; got {blocks}"
        )
