"""Look-up tables by either implementation, and by both."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import choose_backend, compare_bytes
from coreai_opt.reference import tables as reference

Array = npt.NDArray[Any]
Packed = npt.NDArray[np.uint8]


class TableBackend(Protocol):
    """What ``reference/tables.py`` describes, on checked arguments and C-contiguous arrays."""

    def find_tables(
        self, weight: Array, bits: int, block_sizes: Sequence[int], num_threads: int
    ) -> Array:
        """Return the best table for each block, in the weight's dtype."""

    def encode(self, weight: Array, tables: Array, num_threads: int) -> Packed:
        """Return the packed indices of the nearest entries; tables ascend."""

    def decode(self, packed: Packed, tables: Array, out: Array, num_threads: int) -> None:
        """Decode into ``out``."""


def parse_table_backend(backend: object) -> TableBackend:
    """Return the implementation behind a backend's name.

    Raises:
        TypeError, ValueError, ImportError: see :func:`choose_backend`.
    """
    implementations = {"native": _Native, "reference": _Reference, "validate": _Validate}
    chosen: TableBackend = implementations[choose_backend(backend)]()
    return chosen


class _Reference:
    def find_tables(
        self, weight: Array, bits: int, block_sizes: Sequence[int], num_threads: int
    ) -> Array:
        return reference.find_tables(weight, bits, block_sizes)

    def encode(self, weight: Array, tables: Array, num_threads: int) -> Packed:
        return reference.encode(weight, tables)

    def decode(self, packed: Packed, tables: Array, out: Array, num_threads: int) -> None:
        out[...] = reference.decode(packed, tables, out.shape, out.dtype)


class _Native:
    def __init__(self) -> None:
        from coreai_opt import _native  # noqa: PLC0415  # it may not be there

        self._native = _native

    def find_tables(
        self, weight: Array, bits: int, block_sizes: Sequence[int], num_threads: int
    ) -> Array:
        return self._native.find_tables(weight, bits, block_sizes, num_threads=num_threads)

    def encode(self, weight: Array, tables: Array, num_threads: int) -> Packed:
        return self._native.encode_table(weight, tables, num_threads=num_threads)

    def decode(self, packed: Packed, tables: Array, out: Array, num_threads: int) -> None:
        self._native.decode_table(packed, tables, out, num_threads=num_threads)


class _Validate:
    def __init__(self) -> None:
        self._native, self._reference = _Native(), _Reference()

    def find_tables(
        self, weight: Array, bits: int, block_sizes: Sequence[int], num_threads: int
    ) -> Array:
        found = self._native.find_tables(weight, bits, block_sizes, num_threads)
        expected = self._reference.find_tables(weight, bits, block_sizes, num_threads)
        compare_bytes(f"tables of {bits} bits of a {_describe(weight)}", found, expected)
        return found

    def encode(self, weight: Array, tables: Array, num_threads: int) -> Packed:
        packed = self._native.encode(weight, tables, num_threads)
        expected = self._reference.encode(weight, tables, num_threads)
        compare_bytes(f"packed indices of a {_describe(weight)}", packed, expected)
        return packed

    def decode(self, packed: Packed, tables: Array, out: Array, num_threads: int) -> None:
        expected = np.empty_like(out)
        self._native.decode(packed, tables, out, num_threads)
        self._reference.decode(packed, tables, expected, num_threads)
        compare_bytes(f"decoded {_describe(out)}", out, expected)


def _describe(weight: Array) -> str:
    return f"{weight.dtype} weight of shape {weight.shape}"
