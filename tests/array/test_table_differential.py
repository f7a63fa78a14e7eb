"""Look-up tables in C at every level, in any number of threads, are the reference's bytes."""

import functools
import hashlib
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import PalettizedArray, _native, palettize_array
from coreai_opt.reference import tables

from ..support.corpus import BF16, F16, F32, WEIGHT_DTYPES, Array, DTypeLike
from ..support.same_bytes import assert_same_tables

INDEX_BITS = (1, 2, 3, 4, 6, 8)


Layout = tuple[tuple[int, ...], tuple[int, ...] | None]
LAYOUTS: tuple[Layout, ...] = (
    ((1,), None),
    ((5,), None),
    ((3001,), None),
    ((64, 70), (0, 0)),
    ((64, 70), (32, 0)),
    ((64, 33), (1, 0)),
    ((20, 70), (0, 10)),
    ((31, 8), (0, 1)),
    ((4, 6, 5, 3), (0, 3, 0, 0)),
    ((2, 1000), (1, 0)),
    ((16, 9, 1, 1), (4, 0, 0, 0)),
    # Cut along several axes: as along one, ...
    ((4, 6, 21), (1, 1, 0)),
    ((4, 6, 1, 21), (1, 3, 0, 0)),
    ((5, 3, 14), (1, 1, 7)),
    # ... and otherwise, in slices that end between bytes and where they do.
    ((3, 5, 7), (1, 0, 1)),
    ((2, 24, 8), (1, 0, 4)),
    ((6, 35), (3, 5)),
    ((3, 2, 5, 6), (0, 1, 0, 2)),
    ((4, 3, 2, 3, 2), (2, 0, 1, 0, 1)),
)


def scaled(rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Numbers of every kind: of many magnitudes, rounded ones, zeros of both signs."""
    weight = rng.standard_normal(shape)
    kind = rng.integers(6)
    if kind == 1:
        weight = np.round(weight * 4) / 4
    elif kind == 2:
        weight *= rng.random(shape) < 0.2
    elif kind == 3:
        weight = np.exp2(rng.uniform(-20, 14, shape)) * np.sign(weight)
    elif kind == 4:
        weight = weight * (ml_dtypes.finfo(dtype).smallest_subnormal * 50)
    elif kind == 5:
        weight = np.clip(weight / 4, -1, 1) * float(ml_dtypes.finfo(dtype).max)
    return weight.astype(dtype)


@functools.cache  # for all levels
def by_reference(layout: Layout, dtype: DTypeLike, bits: int) -> tuple[Array, PalettizedArray]:
    shape, block_sizes = layout
    rng = np.random.default_rng([bits, *shape])
    weight = scaled(rng, shape, dtype)
    return weight, palettize_array(weight, bits, block_sizes=block_sizes, backend="reference")


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_tables_and_indices(layout: Layout, dtype: DTypeLike, level: str) -> None:
    shape, block_sizes = layout
    for bits in INDEX_BITS:
        weight, expected = by_reference(layout, dtype, bits)
        found = palettize_array(weight, bits, block_sizes=block_sizes, backend="native")
        assert_same_tables(found, expected)
        for target in WEIGHT_DTYPES:
            outs = [np.empty(shape, target) for _ in range(2)]
            found.dequantize(out=outs[0], backend="native", num_threads=1)
            found.dequantize(out=outs[1], backend="reference")
            assert outs[0].tobytes() == outs[1].tobytes()


LARGE: dict[str, Callable[[], Array]] = {
    "sorted or counted, 16 bits": lambda: np.random.default_rng(0).standard_normal(20_000),
    "more points than edges": lambda: np.random.default_rng(1).standard_normal(70_000),
    "told apart by their first digits": lambda: np.random.default_rng(2).standard_t(3, 1_100_000),
}


@functools.cache
def large_by_reference(name: str, dtype: DTypeLike, bits: int) -> tuple[Array, PalettizedArray]:
    weight = LARGE[name]().astype(dtype)
    return weight, palettize_array(weight, bits, backend="reference")


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("bits", [1, 3, 4])
def test_large_groups(name: str, bits: int, dtype: DTypeLike, level: str) -> None:
    weight, expected = large_by_reference(name, dtype, bits)
    assert_same_tables(palettize_array(weight, bits, backend="native"), expected)


def finite_numbers(dtype: DTypeLike) -> Array:
    """Every number of a dtype of 16 bits."""
    patterns = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    with np.errstate(invalid="ignore"):  # ml_dtypes flags the question for a signaling NaN
        return patterns[np.isfinite(patterns)]


@functools.cache  # for all levels
def table_of_every_number(dtype: DTypeLike) -> PalettizedArray:
    return palettize_array(finite_numbers(dtype), 3, backend="reference")


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
def test_a_table_of_every_number_of_16_bits(dtype: DTypeLike, level: str) -> None:
    found = palettize_array(finite_numbers(dtype), 3, backend="native")
    assert_same_tables(found, table_of_every_number(dtype))


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
@pytest.mark.parametrize("bits", INDEX_BITS)
def test_every_number_of_16_bits_has_the_nearest_entry(
    bits: int, dtype: DTypeLike, level: str
) -> None:
    finite = finite_numbers(dtype)
    near_one = np.abs(finite.astype(F32)) < 2**10
    near_one &= np.abs(finite.astype(F32)) > 2**-10
    rng = np.random.default_rng(bits)
    for entries in (finite[near_one], finite[near_one][::2]):
        table = np.sort(rng.choice(entries.astype(F32), 1 << bits, replace=False))
        half_way = (table[1:].astype(np.float64) + table[:-1]) / 2  # exact
        expected = (finite.astype(np.float64)[:, np.newaxis] > half_way).sum(axis=1)
        for weight in (finite, finite.reshape(-1, 64)):
            packed = _native.encode_table(
                weight, table.reshape([1] * weight.ndim + [-1]), num_threads=1
            )
            assert (tables.unpack(packed, bits, finite.shape) == expected).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("block_sizes", [(0, 0), (4, 0), (0, 3)], ids=str)
@pytest.mark.parametrize("bits", [3, 4])
def test_any_number_of_threads(
    bits: int, block_sizes: tuple[int, int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    weight = np.random.default_rng(0).standard_normal((44, 51), np.float32)
    arguments = {"block_sizes": block_sizes}
    found = palettize_array(weight, bits, **arguments, backend="native", num_threads=threads)
    assert_same_tables(found, palettize_array(weight, bits, **arguments, backend="reference"))
    decoded = found.dequantize(backend="native", num_threads=threads)
    assert decoded.tobytes() == found.dequantize(backend="reference").tobytes()


def test_elements_at_any_address() -> None:
    data = bytearray(4 * 333 + 1)
    weight = np.frombuffer(data, np.float32, 333, 1)
    weight[:] = np.random.default_rng(0).standard_normal(333)
    assert weight.ctypes.data % 4
    found = palettize_array(weight, 4, backend="native")
    assert_same_tables(found, palettize_array(weight.copy(), 4, backend="reference"))


@pytest.mark.parametrize("bits", [2, 3])
def test_of_clusters_that_are_as_good_the_first_is_taken(bits: int, level: str) -> None:
    """Numbers at equal distances, which can be cut at several places with the same gain."""
    for size in range(150, 400, 7):
        weight = 2.0 ** (size % 5) * np.arange(size, dtype=np.float32)
        palettize_array(weight, bits, backend="validate")


GOLDEN = {
    "float32-1": "76c4931155d3f410",
    "float32-2": "eac47b511f1ba25e",
    "float32-3": "60301721f06e7c41",
    "float32-4": "f6b3b3f3a5997fd1",
    "float32-6": "cf6395476a2119c1",
    "float32-8": "17d57436722f2fc3",
    "float16-1": "2fe1fee674e7d3f2",
    "float16-2": "6393bbf381c977c4",
    "float16-3": "91133050f4c08211",
    "float16-4": "ec78757a7a1f354a",
    "float16-6": "4f888e5adeaa451d",
    "float16-8": "bb097ed138cdf505",
    "bfloat16-1": "1ae0584803979c5a",
    "bfloat16-2": "4fc3a4bfe3f04986",
    "bfloat16-3": "294eab46e29fbaa6",
    "bfloat16-4": "7dddd17638ee025c",
    "bfloat16-6": "a152c66989790cf7",
    "bfloat16-8": "4f31ad9c060e2077",
}


def digest(dtype: DTypeLike, bits: int) -> str:
    """Digest of what weights become that integers alone make: the same on every machine."""
    numbers = (np.arange(5000, dtype=np.uint64) * 2654435761 % 65536).astype(np.int64) - 32768
    weight = (numbers * np.abs(numbers)).astype(np.float64) * 2.0**-31
    found = palettize_array(weight.astype(dtype).reshape(50, 100), bits, block_sizes=(10, 0))
    return hashlib.sha256(found.packed.tobytes() + found.table.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("bits", INDEX_BITS)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_golden_digests(dtype: DTypeLike, bits: int) -> None:
    assert digest(dtype, bits) == GOLDEN[f"{dtype}-{bits}"]
