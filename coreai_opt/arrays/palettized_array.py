"""``PalettizedArray``: a weight as indices into look-up tables, without its program."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import memory
from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.decodable import Decodable
from coreai_opt.arrays.destination import destination
from coreai_opt.arrays.slices import slices_of
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.exceptions import ArgumentError
from coreai_opt.reference import Cluster, tables
from coreai_opt.reference.blocks import split_axes
from coreai_opt.reference.codes import decode
from coreai_opt.settings.tables import INDEX_BITS, MOST_CLUSTER_DIM


@dataclass(frozen=True, eq=False)
class PalettizedArray(Decodable):
    """A weight that is stored as indices into look-up tables, in the bytes that Core AI stores.

    An element decodes to its entry, or where there are scales to ``scale * (entry - zero_point)``.

    Attributes:
        packed: flat uint8 array of the indices, in C order over ``index_shape``, first index in the
            lowest bits. Indices of 3 and 6 bits cross bytes; only the last byte is padded.
        shape: shape of the weight.
        weight_dtype: numpy dtype of the weight and of what it decodes to.
        table: the tables, of shape ``(*blocks, 2**n_bits)``, or of vectors ``(*blocks, 2**n_bits,
            cluster_dim)``, where the counts of blocks divide ``index_shape`` axis by axis. Their
            dtype is ``weight_dtype``, int8, uint8 or one of FP8.
        scale: one scale per block, of ``weight_dtype``; its shape divides ``shape`` axis by axis.
            None where tables hold the weights themselves.
        zero_point: what is taken off every entry of a uint8 table: 127; else 0.
        cluster_axis: the axis along which the elements of a vector are neighbours; None where each
            element has its own index.
    """

    packed: npt.NDArray[np.uint8]
    shape: tuple[int, ...]
    weight_dtype: np.dtype[Any]
    table: npt.NDArray[Any]
    scale: npt.NDArray[Any] | None = None
    zero_point: int = 0
    cluster_axis: int | None = None

    @property
    def n_bits(self) -> int:
        """Bits of an index."""
        return self.table.shape[len(self.shape)].bit_length() - 1

    @property
    def cluster_dim(self) -> int:
        """How many elements share an index."""
        return 1 if self.cluster_axis is None else self.table.shape[-1]

    @property
    def index_shape(self) -> tuple[int, ...]:
        """The shape of the indices: that of the weight, shorter along ``cluster_axis``."""
        return tuple(
            n // self.cluster_dim if axis == self.cluster_axis else n
            for axis, n in enumerate(self.shape)
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the indices, tables and scales, which is what a stored program grows by."""
        scales = 0 if self.scale is None else self.scale.nbytes
        return self.packed.nbytes + self.table.nbytes + scales

    def __repr__(self) -> str:
        return (
            f"PalettizedArray(indices of {self.n_bits} bits of shape {self.shape} from "
            f"{self.weight_dtype}, {self.table.dtype} tables of shape {self.table.shape}, "
            f"{self.nbytes:,} bytes)"
        )

    def indices(self) -> npt.NDArray[np.uint8]:
        """Return the indices, unpacked: a uint8 array of ``index_shape``."""
        return tables.unpack(self.packed, self.n_bits, self.index_shape)

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
        axis = self.cluster_axis
        cluster = None if axis is None else Cluster(self.cluster_dim, axis)
        if self.scale is None:
            chosen.decode_table(packed, table, out, cluster, threads)
            return out
        entries = memory.empty(self.shape, np.float32)
        chosen.decode_table(packed, table, entries, cluster, threads)
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
        rank = len(self.shape)
        blocks, entries = self.table.shape[:rank], self.table.shape[rank:]
        if len(entries) != (1 if self.cluster_axis is None else 2) or entries[0] not in _ENTRIES:
            raise ArgumentError(
                "table",
                "table must have 2, 4, 8, 16, 64 or 256 entries, and with a cluster_axis one more "
                f"axis; got {self.table.shape}",
            )
        if self.cluster_axis is not None:
            self._check_cluster(self.cluster_axis, self.cluster_dim)
        _check_blocks("table", blocks, self.index_shape)
        slices = slices_of(self.shape, blocks)
        if slices is not None and self.cluster_axis is not None and self.cluster_axis < slices.axis:
            raise ArgumentError(
                "cluster_axis",
                f"cluster_axis must be {slices.axis} or more with tables of shape "
                f"{self.table.shape}; got {self.cluster_axis}",
            )
        if self.scale is not None:
            _check_blocks("scale", self.scale.shape, self.shape)
        size = (-(-math.prod(self.index_shape) * self.n_bits // 8),)
        if self.packed.dtype != np.uint8 or self.packed.shape != size:
            raise ArgumentError(
                "packed",
                f"packed must be uint8 of shape {size}; "
                f"got {self.packed.dtype} of {self.packed.shape}",
            )

    def _check_cluster(self, axis: int, length: int) -> None:
        """Raise ArgumentError if there are no such vectors."""
        if not 0 <= axis < len(self.shape):
            raise ArgumentError(
                "cluster_axis", f"cluster_axis must be an axis of {self.shape}; got {axis}"
            )
        if not 2 <= length <= MOST_CLUSTER_DIM or self.shape[axis] % length:
            raise ArgumentError(
                "table",
                f"table must have entries of 2 to {MOST_CLUSTER_DIM} numbers, as many as divide "
                f"axis {axis} of {self.shape}; got {length}",
            )


_ENTRIES = {1 << bits for bits in INDEX_BITS}


def _check_blocks(name: str, blocks: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if len(blocks) != len(shape) or any(
        count < 1 or n < 1 or n % count for n, count in zip(shape, blocks, strict=True)
    ):
        raise ArgumentError(
            name, f"{name} must have counts of blocks that divide {shape}; got {blocks}"
        )
