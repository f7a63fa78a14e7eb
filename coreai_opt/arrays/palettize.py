"""The array API: replace the elements of one numpy array by entries of look-up tables."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import memory
from coreai_opt.arrays.backends import Backend, parse_backend
from coreai_opt.arrays.importance import parse_importance
from coreai_opt.arrays.palette_spec import PaletteSpec
from coreai_opt.arrays.palettized_array import PalettizedArray
from coreai_opt.arrays.quantize import parse_block_sizes, parse_weight, quantize_array
from coreai_opt.arrays.slices import slices_of
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.exceptions import ArgumentError, WeightChangedError
from coreai_opt.reference import FORMATS, Cluster
from coreai_opt.reference.blocks import scale_shape, split_axes
from coreai_opt.reference.minmax import round_scales
from coreai_opt.reference.quantize import check_finite
from coreai_opt.settings.arguments import parse_int, parse_member
from coreai_opt.settings.enums import DType, DTypeName, Observer, ObserverName
from coreai_opt.settings.tables import MOST_CLUSTER_DIM, parse_index_bits, parse_lut_dtype


def palettize_array(
    weight: npt.NDArray[Any],
    n_bits: int,
    *,
    block_sizes: Sequence[int] | None = None,
    lut_dtype: DType | DTypeName | None = None,
    cluster_dim: int = 1,
    cluster_axis: int = 0,
    scale_block_sizes: Sequence[int] | None = None,
    observer: Observer | ObserverName = Observer.MINMAX,
    importance: npt.NDArray[Any] | None = None,
    backend: str = "auto",
    num_threads: int | None = None,
) -> PalettizedArray:
    """Replace each element of an array by the nearest entry of a look-up table.

    Tables are the best there are: no others of so many entries leave less squared error. (Tables of
    8-bit entries are the best ones rounded; with scales, tables are the best for these scales. Of
    vectors they are good ones, found by k-means with seeds that do not depend on chance.)

    Args:
        weight: array of rank >= 1, not empty, of dtype float32, float16 or bfloat16; it need not be
            contiguous. Every element must be finite, and none may change before this returns:
            indices and tables are unspecified then, or it raises WeightChangedError.
        n_bits: bits of an index: 1, 2, 3, 4, 6 or 8. A table has ``2**n_bits`` entries.
        block_sizes: a block's length along each axis, which must divide it; 0 stands for the whole
            axis. Elements of one block share a table: with ``(32, 0)`` those of 32 output channels.
            None: one table for all.
        lut_dtype: what entries are: None (the weight's dtype), INT8, UINT8, FP8_E4M3FN or FP8_E5M2.
        cluster_dim: how many elements share an index: entries are vectors of so many numbers, 1 to
            256. It divides ``cluster_axis``, and what ``block_sizes`` has along it.
        cluster_axis: the axis along which the elements of a vector are neighbours; that of output
            channels. Where blocks are shorter than the axis along several axes, those before the
            last two of these cannot have vectors.
        scale_block_sizes: elements of one of these blocks share a scale; tables are found for the
            elements divided by it. E.g. ``(1, 0)`` for a scale per output channel. None: no scales,
            or with ``lut_dtype`` one for each table, which is also what there is where weights are
            too small for scales of blocks. Not with ``cluster_dim`` above 1.
        observer: how these scales are found: MINMAX for the largest magnitude of a block, or MSE
            for less squared error: scales and tables are fitted to each other in turns, and scales
            may be negative (see ``reference/table_scales.py``). Where a scale would be too small to
            be stored, or an entry times a scale could be infinite in the weight's dtype, scales are
            those of MINMAX. MSE needs blocks that lie
            within those that share a table, and no ``lut_dtype``.
        importance: what the squared error of each element counts, such as the second moment of the
            activation it is multiplied by: a floating-point array of the weight's rank, along each
            axis as long as that or 1; finite and >= 0. Only ratios within a table's elements count;
            importances that are all 0 there are taken as equal. A vector counts what its elements
            count in all. None: all count alike.
        backend: "auto", "native", "reference" or "validate" (run both, compare every byte, return
            the native result).
        num_threads: threads that the native backend may use for this array; None means one per
            processor.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been computed then.
        ValueError: a NaN or infinity in ``weight``; the message has the first index.
        BackendMismatchError: ``backend="validate"`` found a difference.
        UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
    """
    weight = parse_weight(weight)
    bits = parse_index_bits(n_bits)
    lut = parse_lut_dtype(lut_dtype)
    whole = (0,) * weight.ndim
    sizes = whole if block_sizes is None else parse_block_sizes(block_sizes, weight.shape)
    scale_sizes = None
    if scale_block_sizes is not None:
        scale_sizes = parse_block_sizes(scale_block_sizes, weight.shape, "scale_block_sizes")
    cluster = _parse_cluster(cluster_dim, cluster_axis, weight.shape, sizes)
    if cluster is not None and scale_sizes is not None:
        raise ArgumentError(
            "scale_block_sizes",
            f"scale_block_sizes must be None with cluster_dim above 1; got {scale_sizes}",
        )
    how = parse_member(Observer, "observer", observer)
    if how is Observer.MSE:
        _check_search(weight.shape, sizes, lut, scale_sizes)
    if importance is not None:
        importance = parse_importance(importance, weight.shape)
    spec = PaletteSpec(bits, sizes, lut, scale_sizes, how, cluster)
    chosen, threads = parse_backend(backend), parse_num_threads(num_threads)
    return palettize_parsed(weight, spec, chosen, threads, importance=importance)


def palettize_parsed(
    weight: npt.NDArray[Any],
    spec: PaletteSpec,
    backend: Backend,
    num_threads: int,
    *,
    importance: npt.NDArray[np.float32] | None = None,
) -> PalettizedArray:
    """Do what :func:`palettize_array` does, for arguments that have been checked."""
    scale: npt.NDArray[Any] | None = None
    if spec.scale_block_sizes is not None:
        check_finite(weight)
        scale = _largest(weight, scale_shape(weight.shape, spec.scale_block_sizes))
        if spec.observer is Observer.MSE:
            scale = _search(weight, scale, spec, importance, backend, num_threads)
        else:
            least = _least_scale(spec.lut_dtype, weight.dtype)
            scale = np.maximum(np.abs(scale), least)
        table = _find_scaled_tables(weight, scale, spec, importance, backend, num_threads)
    else:
        table = backend.find_tables(weight, spec, importance, num_threads)
    if spec.observer is Observer.MSE and _is_at_an_end(scale, table, weight.dtype):
        plain = replace(spec, observer=Observer.MINMAX)
        return palettize_parsed(weight, plain, backend, num_threads, importance=importance)
    zero_point = 0
    if spec.lut_dtype is not None:
        # With scales of blocks already, all tables have one scale, which goes into these.
        shared = (0,) * weight.ndim if scale is not None else (1,) * weight.ndim
        whole = (0,) * (table.ndim - weight.ndim)
        quantized = quantize_array(
            table, spec.lut_dtype, block_sizes=(*shared, *whole), backend="reference", num_threads=1
        )
        own = quantized.scale.reshape(quantized.scale.shape[: weight.ndim])
        if scale is not None and (scale * own).min() < 0.75 * _least_scale(None, weight.dtype):
            one = replace(spec, scale_block_sizes=None)
            return palettize_parsed(weight, one, backend, num_threads, importance=importance)
        table, zero_point = quantized.codes(), int(quantized.zero_point.flat[0])
        scale = own if scale is None else scale * own
    if scale is None:
        packed = backend.encode_table(weight, table, spec.cluster, num_threads)
    else:
        table = table if spec.lut_dtype is not None else table.astype(weight.dtype)
        entries = table.astype(np.float32) - np.float32(zero_point)
        scale = _round(scale.astype(np.float32), np.abs(entries).max(), weight.dtype)
        packed = _encode_scaled(weight, scale, entries, spec, backend, num_threads)
    return PalettizedArray(
        packed=packed,
        shape=weight.shape,
        weight_dtype=weight.dtype,
        table=table,
        scale=scale,
        zero_point=zero_point,
        cluster_axis=None if spec.cluster is None else spec.cluster.axis,
    )


_ROUNDS = 2
"""How often a search fits tables to scales and scales to tables."""


_LARGEST_QUOTIENT = np.float32(1e38)
"""The largest element of a block divided by its scale, about: such numbers are finite."""


def _search(  # noqa: PLR0917  # the arguments of palettize_parsed
    weight: npt.NDArray[Any],
    scale: npt.NDArray[np.float32],
    spec: PaletteSpec,
    importance: npt.NDArray[np.float32] | None,
    backend: Backend,
    num_threads: int,
) -> npt.NDArray[Any]:
    """Return scales that leave less error than ``scale``, the largest element of each block."""
    least = np.abs(scale) / _LARGEST_QUOTIENT
    fitted: npt.NDArray[Any] = scale
    for _ in range(_ROUNDS):
        tables = _find_scaled_tables(weight, fitted, spec, importance, backend, num_threads)
        fitted = backend.fit_scales(weight, tables, scale.shape, importance, num_threads)
        # Elements that do not count may be far larger than the others, and than their scale.
        longer = np.copysign(least, fitted.astype(np.float32)).astype(fitted.dtype)
        fitted = np.where(np.abs(fitted) < least, longer, fitted)
    return fitted


def _is_at_an_end(
    scale: npt.NDArray[Any] | None, table: npt.NDArray[Any], dtype: np.dtype[Any]
) -> bool:
    """Whether a scale is too small to be stored, or an entry times a scale may be infinite."""
    assert scale is not None
    magnitudes = np.abs(scale).astype(np.float64)
    largest = magnitudes.max() * np.abs(table).max().astype(np.float64)
    too_small = magnitudes.min() < _least_scale(None, dtype)
    return bool(too_small or largest > float(ml_dtypes.finfo(dtype).max))


def _round(
    scale: npt.NDArray[np.float32], largest: np.float32, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Round scales to a dtype, down where the largest entry times one would be infinite."""
    rounded = round_scales(np.abs(scale), dtype)
    with np.errstate(over="ignore"):
        is_infinite = np.isinf((rounded.astype(np.float32) * largest).astype(dtype))
    rounded = np.where(is_infinite, np.nextafter(rounded, dtype.type(0)), rounded)
    return np.where(scale < 0, -rounded, rounded)


def _least_scale(lut_dtype: DType | None, dtype: np.dtype[Any]) -> np.float32:
    """Return the least number that blocks are divided by, so that their scales can be stored.

    With ``lut_dtype`` what is stored is as many times smaller as the largest code is large, or a
    few times as often, where the largest entry is the mean of smaller numbers.
    """
    smallest = np.float32(round_scales(np.zeros((), np.float32), dtype))
    if lut_dtype is None:
        return smallest
    format = FORMATS[lut_dtype]
    largest_code = format.symmetric_max if format.is_int else format.float_max
    return np.float32(4 * smallest * largest_code)


def _parse_cluster(
    cluster_dim: object, cluster_axis: object, shape: tuple[int, ...], block_sizes: tuple[int, ...]
) -> Cluster | None:
    """Return which elements share an index, None if each has its own.

    Raises:
        ArgumentTypeError, ArgumentError: they do not fit the shape or the blocks.
    """
    length, axis = (
        parse_int("cluster_dim", cluster_dim, least=1),
        parse_int("cluster_axis", cluster_axis, least=0),
    )
    if axis >= len(shape):
        raise ArgumentError(
            "cluster_axis", f"cluster_axis must be below the rank {len(shape)}; got {axis}"
        )
    slices = slices_of(shape, scale_shape(shape, block_sizes))
    if length > 1 and slices is not None and axis < slices.axis:
        raise ArgumentError(
            "cluster_axis",
            f"cluster_axis must be {slices.axis} or more with block_sizes {block_sizes}; "
            f"got {axis}",
        )
    block = block_sizes[axis] or shape[axis]
    if length > MOST_CLUSTER_DIM or block % length:
        raise ArgumentError(
            "cluster_dim",
            f"cluster_dim must be at most {MOST_CLUSTER_DIM} and divide {block}, the elements "
            f"along axis {axis} that share a table; got {length}",
        )
    return None if length == 1 else Cluster(length, axis)


def _check_search(
    shape: tuple[int, ...],
    block_sizes: tuple[int, ...],
    lut_dtype: DType | None,
    scale_block_sizes: tuple[int, ...] | None,
) -> None:
    """Raise ArgumentError if the observer MSE cannot look for such scales."""
    if scale_block_sizes is None or lut_dtype is not None:
        raise ArgumentError(
            "observer",
            'observer must be "minmax" unless there are scale_block_sizes and no lut_dtype: '
            f"got {scale_block_sizes} and {lut_dtype}",
        )
    for length, table, scale in zip(shape, block_sizes, scale_block_sizes, strict=True):
        if (table or length) % (scale or length):
            raise ArgumentError(
                "scale_block_sizes",
                "scale_block_sizes must divide block_sizes with observer "
                f'"mse": got {scale_block_sizes} and {block_sizes}',
            )


def _largest(weight: npt.NDArray[Any], blocks: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return the element of largest magnitude of each block, 1 where all elements are zero."""
    split = split_axes(weight, blocks)
    inner = tuple(range(1, split.ndim, 2))
    low, high = (f(axis=inner).astype(np.float32) for f in (split.min, split.max))
    largest = np.where(high >= -low, high, low)
    return np.where(largest == 0, np.float32(1), largest)


AT_ONCE = 1 << 21
"""About so many quotients of elements and scales are held at once, if tables allow."""


def _find_scaled_tables(  # noqa: PLR0917  # the arguments of palettize_parsed
    weight: npt.NDArray[Any],
    scale: npt.NDArray[Any],
    spec: PaletteSpec,
    importance: npt.NDArray[np.float32] | None,
    backend: Backend,
    num_threads: int,
) -> npt.NDArray[Any]:
    """Find tables for a weight divided by the scales of its blocks, of dtype float32.

    What shares a table is divided as a whole.

    Raises:
        WeightChangedError: the weight that the scales were found for is not finite any more.
    """
    if not np.isfinite(scale).all():
        raise WeightChangedError
    squares = _squares(scale)
    blocks = scale_shape(weight.shape, spec.block_sizes)
    found = []
    for slab in _slabs(weight.shape, weight.shape[0] // blocks[0], _shared_rows(weight, scale)):
        part = weight[slab]
        own, own_squares = (_of_slab(each, slab, weight) for each in (scale, squares))
        counted = None if importance is None else _of_slab(importance, slab, weight)
        views = _views(part.shape, own.shape, spec.block_sizes)
        counts = [count for count, _, _ in views]
        pairs = [n for count, length, _ in views for n in (count, length)]
        sizes = tuple(size for _, _, pair in views for size in pair)
        divided = _divide(part, own).reshape(pairs)
        weighed = _scaled_importance(counted, own_squares, counts, part.shape)
        of_slab = backend.find_tables(
            divided, replace(spec, block_sizes=sizes), weighed, num_threads
        )
        found.append(of_slab.reshape(*scale_shape(part.shape, spec.block_sizes), -1))
    return np.concatenate(found)


def _encode_scaled(  # noqa: PLR0917  # the arguments of palettize_parsed, and what it found
    weight: npt.NDArray[Any],
    scale: npt.NDArray[Any],
    entries: npt.NDArray[np.float32],
    spec: PaletteSpec,
    backend: Backend,
    num_threads: int,
) -> npt.NDArray[np.uint8]:
    """Return the packed indices of the entries nearest to a weight divided by its scales."""
    if spec.cluster is not None:  # vectors may reach over rows
        return backend.encode_table(_divide(weight, scale), entries, spec.cluster, num_threads)
    packed = memory.empty(-(-weight.size * spec.bits // 8), np.uint8)
    per_row = weight.size // len(weight)
    whole_bytes = 8 // math.gcd(8, per_row)
    shared = (_shared_rows(weight, each) for each in (scale, entries))
    for slab in _slabs(weight.shape, whole_bytes, *shared):
        own, tables = (_of_slab(each, slab, weight) for each in (scale, entries))
        part = backend.encode_table(_divide(weight[slab], own), tables, None, num_threads)
        start = slab.start * per_row * spec.bits // 8
        packed[start : start + part.size] = part
    return packed


def _slabs(shape: tuple[int, ...], *rows: int) -> Iterator[slice]:
    """Cut the first axis into parts of about ``AT_ONCE`` elements.

    Args:
        shape: of the weight.
        rows: numbers of rows that each part but the last is a multiple of.
    """
    together = math.lcm(*rows)
    per_row = math.prod(shape[1:])
    step = max(1, AT_ONCE // (together * per_row)) * together
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def _shared_rows(weight: npt.NDArray[Any], of_blocks: npt.NDArray[Any]) -> int:
    """Return how many rows of the weight a part must have so as to cut no block.

    1 where all rows share what blocks have, which so applies to each part.
    """
    return 1 if len(of_blocks) == 1 else len(weight) // len(of_blocks)


def _of_slab(
    of_blocks: npt.NDArray[Any], slab: slice, weight: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Return what the blocks of a part of the weight have."""
    if len(of_blocks) == 1:
        return of_blocks
    rows = len(weight) // len(of_blocks)
    return of_blocks[slab.start // rows : slab.stop // rows]


def _views(
    shape: tuple[int, ...], blocks: tuple[int, ...], table_sizes: tuple[int, ...]
) -> list[tuple[int, int, tuple[int, int]]]:
    """Say how each axis is seen as two, so that what blocks have need not be repeated.

    Args:
        shape: of a weight.
        blocks: how many blocks of scales it has along each axis.
        table_sizes: the block sizes of tables.

    Returns:
        the lengths of both axes, and the block sizes of tables along them. Where a table has less
        than a block of scales along an axis with several of these, the first is the axis as it is.
    """
    views = []
    for length, count, size in zip(shape, blocks, table_sizes, strict=True):
        seen = count if count == 1 or size % (length // count) == 0 else length
        inner = length // seen
        views.append((seen, inner, (0, size) if seen == 1 else (size // inner, 0)))
    return views


def _squares(scale: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the squares of scales as parts of the largest, so that none overflows."""
    parts = np.abs(scale.astype(np.float32))
    return np.square(parts / parts.max())


def _scaled_importance(
    importance: npt.NDArray[np.float32] | None,
    squares: npt.NDArray[np.float32],
    counts: list[int],
    shape: tuple[int, ...],
) -> npt.NDArray[np.float32]:
    """Return the importance of elements that were divided by their scales.

    The scale multiplies the error of such an element, so its square multiplies the importance.

    Args:
        importance: along each axis as long as ``shape`` or 1, or None.
        squares: of scales, one for each block.
        counts: blocks that each axis is seen as.
        shape: of the elements.

    Returns:
        an array with two axes for each one of ``shape``, as long as these or 1.
    """
    for axis, (count, length) in enumerate(zip(counts, shape, strict=True)):
        if squares.shape[axis] not in {1, count}:
            squares = np.repeat(squares, length // squares.shape[axis], axis)
    counted = squares.reshape([n for count in squares.shape for n in (count, 1)])
    if importance is not None:
        own = zip(importance.shape, counts, shape, strict=True)
        pairs = [(1, 1) if n == 1 else (count, length // count) for n, count, length in own]
        counted = counted * importance.reshape([n for pair in pairs for n in pair])
    return np.ascontiguousarray(counted)


def _divide(weight: npt.NDArray[Any], scale: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the weight divided by the scales of its blocks, in float32."""
    per_block = [n for count in scale.shape for n in (count, 1)]
    out = memory.empty(weight.shape, np.float32)
    with np.errstate(over="ignore"):  # what was scaled may have been changed by another thread
        np.divide(
            split_axes(weight, scale.shape),
            scale.astype(np.float32).reshape(per_block),
            out=split_axes(out, scale.shape),
            dtype=np.float32,
        )
    return out
