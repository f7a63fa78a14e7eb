"""Look-up tables by the C library, of arrays that are cut along any axes.

An array that is not cut as along one axis is given to it slice by slice, see ``slices.py``.
Arguments and results are those of the functions of ``_native`` that have the same names.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt import _native
from coreai_opt.arrays.slices import Slices, slices_of
from coreai_opt.reference import Cluster
from coreai_opt.reference.blocks import scale_shape, to_rows
from coreai_opt.reference.quantize import check_finite

Array = npt.NDArray[Any]
Packed = npt.NDArray[np.uint8]
Importance = npt.NDArray[np.float32] | None


def find_tables(
    weight: Array,
    bits: int,
    block_sizes: Sequence[int],
    *,
    cluster: Cluster | None,
    importance: Importance,
    num_threads: int,
) -> Array:
    """Find tables."""
    blocks = scale_shape(weight.shape, block_sizes)
    slices = slices_of(weight.shape, blocks)
    if slices is None:
        return _native.find_tables(
            weight,
            bits,
            block_sizes,
            cluster=cluster,
            importance=importance,
            num_threads=num_threads,
        )
    check_finite(weight)  # whose message has the place in the array
    sizes = [n // count for n, count in zip(slices.shape, slices.own_blocks, strict=True)]
    # Slices that share tables are one array of one axis more.
    moved = None if cluster is None else Cluster(cluster.length, cluster.axis - slices.axis + 1)
    counted: Iterable[Importance] = repeat(None)
    if importance is not None:
        counted = slices.of_sets(np.broadcast_to(importance, weight.shape))
    found = [
        _native.find_tables(
            array, bits, (0, *sizes), cluster=moved, importance=counts, num_threads=num_threads
        )
        for array, counts in zip(slices.of_sets(weight), counted, strict=False)
    ]
    vector = () if cluster is None else (cluster.length,)
    return np.stack(found).reshape(*blocks, 1 << bits, *vector)


def fit_scales(
    weight: Array,
    tables: npt.NDArray[np.float32],
    blocks: Sequence[int],
    *,
    importance: Importance,
    num_threads: int,
) -> Array:
    """Find scales for given tables."""
    # Blocks in C order as an array in which each is a row along the last axis.
    shape = (*blocks[:-1], weight.size // math.prod(blocks[:-1]))
    slices = slices_of(shape, tables.shape[:-1])
    if slices is None:
        return _native.fit_scales(
            weight, tables, blocks, importance=importance, num_threads=num_threads
        )
    own_blocks = (blocks[slices.axis] // slices.blocks[slices.axis], *blocks[slices.axis + 1 :])
    counted: Iterable[Importance] = repeat(None)
    if importance is not None:
        rows = to_rows(np.broadcast_to(importance, weight.shape), blocks)
        counted = slices.each(rows.reshape(shape))
    found = [
        _native.fit_scales(array, table, own_blocks, importance=counts, num_threads=num_threads)
        for array, table, counts in zip(
            slices.each(to_rows(weight, blocks).reshape(shape)),
            slices.tables_of_each(tables),
            counted,
            strict=False,
        )
    ]
    return np.stack(found).reshape(blocks)


def encode_table(
    weight: Array, tables: Array, *, cluster: Cluster | None, num_threads: int
) -> Packed:
    """Find indices."""
    slices = slices_of(weight.shape, tables.shape[: weight.ndim])
    if slices is None:
        return _native.encode_table(weight, tables, cluster=cluster, num_threads=num_threads)
    packed = [
        _native.encode_table(
            array, table, cluster=_within(cluster, slices), num_threads=num_threads
        )
        for array, table in zip(slices.each(weight), slices.tables_of_each(tables), strict=True)
    ]
    return slices.join(packed, _bits(weight, tables), 1 if cluster is None else cluster.length)


def decode_table(
    packed: Packed, tables: Array, out: Array, *, cluster: Cluster | None, num_threads: int
) -> None:
    """Decode indices into ``out``."""
    slices = slices_of(out.shape, tables.shape[: out.ndim])
    if slices is None:
        _native.decode_table(packed, tables, out, cluster=cluster, num_threads=num_threads)
        return
    length = 1 if cluster is None else cluster.length
    for part, table, array in zip(
        slices.split(packed, _bits(out, tables), length),
        slices.tables_of_each(tables),
        slices.each(out),
        strict=True,
    ):
        _native.decode_table(
            part, table, array, cluster=_within(cluster, slices), num_threads=num_threads
        )


def _within(cluster: Cluster | None, slices: Slices) -> Cluster | None:
    """Return vectors of an array as those of its slices."""
    return None if cluster is None else Cluster(cluster.length, cluster.axis - slices.axis)


def _bits(weight: Array, tables: Array) -> int:
    return int(tables.shape[weight.ndim]).bit_length() - 1
