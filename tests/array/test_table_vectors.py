"""Look-up tables of vectors: by hand, against the reference at every level, and their quality."""

import functools
import hashlib
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import PalettizedArray, _native, palettize_array
from coreai_opt.reference import Cluster, table_vectors

from ..support.corpus import BF16, F16, F32, WEIGHT_DTYPES, Array, DTypeLike
from ..support.same_bytes import assert_same_tables

F64 = np.float64
INDEX_BITS = (1, 2, 3, 4, 6, 8)


# By hand.

PAIRS = np.array([[1, 4, 1, -2, 4], [2, 5, 2, -3, 5]], np.float32)
"""Columns are vectors along axis 0: (1, 2), (4, 5), (1, 2), (-2, -3), (4, 5)."""


def test_vectors_lie_along_an_axis_and_entries_ascend(backend: str) -> None:
    found = palettize_array(PAIRS, 2, cluster_dim=2, backend=backend)
    assert found.table.tolist() == [[[[-2, -3], [1, 2], [4, 5], [4, 5]]]]
    assert found.indices().tolist() == [[1, 2, 1, 0, 2]]
    assert found.packed.tolist() == [1 | 2 << 2 | 1 << 4 | 0 << 6, 2]
    assert (found.cluster_dim, found.cluster_axis, found.index_shape) == (2, 0, (1, 5))
    assert found.nbytes == 2 + 4 * 2 * 4
    assert found.dequantize(backend=backend).tobytes() == PAIRS.tobytes()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("length", [2, 3, 6])
def test_index_i_stands_for_the_vector_that_begins_at_i_times_its_length(
    length: int, axis: int, backend: str
) -> None:
    weight = np.arange(6 * 6 * 6, dtype=np.float32).reshape(6, 6, 6) % 11
    found = palettize_array(weight, 8, cluster_dim=length, cluster_axis=axis, backend=backend)
    decoded = found.dequantize(backend=backend)
    indices, table = found.indices(), found.table.reshape(-1, length)
    assert indices.shape == found.index_shape
    for place in np.ndindex(indices.shape):
        begin = tuple(n * length if a == axis else n for a, n in enumerate(place))
        for v in range(length):
            element = tuple(n + v if a == axis else n for a, n in enumerate(begin))
            assert decoded[element] == table[indices[place], v] == weight[element]


def test_entries_are_ordered_by_their_first_number_and_then_by_the_next(backend: str) -> None:
    weight = np.array([[2, 1, 1, 2], [1, 5, 3, 0], [7, 8, 8, 7]], np.float32)
    found = palettize_array(weight, 2, cluster_dim=3, backend=backend)
    assert found.table.reshape(4, 3).tolist() == [[1, 3, 8], [1, 5, 8], [2, 0, 7], [2, 1, 7]]


def test_entries_are_means_of_the_vectors_that_are_nearest(backend: str) -> None:
    weight = np.array([[0, 1, 8, 9, 9], [0, 2, 8, 8, 11]], np.float32)
    found = palettize_array(weight, 1, cluster_dim=2, backend=backend)
    assert found.table.reshape(2, 2).tolist() == [[0.5, 1], [np.float32(26 / 3), 9]]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("bits", INDEX_BITS)
def test_fewer_vectors_than_entries_have_one_each_and_the_last_is_repeated(
    bits: int, dtype: DTypeLike, backend: str
) -> None:
    weight = np.array([[0.5, -0.25, 0.5], [1, 3, 1]], dtype)
    found = palettize_array(weight, bits, cluster_dim=2, backend=backend)
    assert found.table.reshape(-1, 2).tolist() == [[-0.25, 3]] + [[0.5, 1]] * (2**bits - 1)
    assert found.dequantize(backend=backend).tobytes() == weight.tobytes()


@pytest.mark.parametrize("bits", INDEX_BITS)
def test_as_many_vectors_as_entries_come_back_exactly(bits: int, backend: str) -> None:
    rng = np.random.default_rng(bits)
    vectors = rng.standard_normal((4, 2**bits), np.float32)
    weight = rng.permutation(np.tile(vectors, 5), axis=1)
    found = palettize_array(weight, bits, cluster_dim=4, backend=backend)
    assert found.dequantize(backend=backend).tobytes() == weight.tobytes()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_zeros_of_both_signs_and_a_constant_are_one_entry(dtype: DTypeLike, backend: str) -> None:
    for weight in (np.array([[0.0, -0.0], [-0.0, 0.0]], dtype), np.full((2, 3), 1.5, dtype)):
        found = palettize_array(weight, 3, cluster_dim=2, backend=backend)
        assert (found.table == abs(weight[0, 0])).all()
        assert not np.signbit(found.table.astype(F32)).any()
        assert not found.indices().any()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_both_ends_of_the_range_keep_their_values(dtype: DTypeLike, backend: str) -> None:
    largest = ml_dtypes.finfo(dtype).max
    smallest = np.array(ml_dtypes.finfo(dtype).smallest_subnormal, dtype)
    for weight in (
        np.array([[largest, -largest, largest / 2], [-largest, -largest, largest]], dtype),
        np.array([[smallest, 0, -smallest], [3 * smallest, smallest, 0]], dtype),
    ):
        found = palettize_array(weight, 2, cluster_dim=2, backend=backend)
        assert found.dequantize(backend=backend).tobytes() == weight.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_what_is_not_finite_is_refused_with_its_place(
    bad: float, dtype: DTypeLike, backend: str
) -> None:
    weight = np.zeros((4, 7), dtype)
    weight[3, 5] = bad
    with pytest.raises(ValueError, match=r"at index \(3, 5\); it must be finite"):
        palettize_array(weight, 2, cluster_dim=2, backend=backend)
    importance = np.array([1, 1, 1, 0], F32).reshape(4, 1)  # it must be, even if it counts nothing
    with pytest.raises(ValueError, match=r"at index \(3, 5\); it must be finite"):
        palettize_array(weight, 2, cluster_dim=2, importance=importance, backend=backend)


def test_the_nearest_entry_and_the_first_of_two_as_near(backend: str) -> None:
    table = np.array([[[[0, 0], [0, 2], [2, 0], [2, 2]]]], F32)
    weight = np.array([[1, 0, 1, 2, 1.5], [1, 1, 0, 1, 1.25]], F32)
    cluster = table_vectors.Cluster(2, 0)
    if backend == "reference":
        packed = table_vectors.encode(weight, table, 0)
    else:
        packed = _native.encode_table(weight, table, cluster=cluster, num_threads=1)
    assert packed.tolist() == [0 | 0 << 2 | 0 << 4 | 2 << 6, 3]


def test_weights_far_above_a_table_have_some_entry_and_no_overflow(backend: str) -> None:
    weight = np.array([[1e-30, 2e-30, 3e-30, 3e38], [0, 1e-30, -1e-30, -3e38]], F32)
    importance = np.array([[1, 1, 1, 0]], F32)
    found = palettize_array(weight, 2, cluster_dim=2, importance=importance, backend=backend)
    decoded = found.dequantize(backend=backend)
    assert decoded[:, :3].tobytes() == weight[:, :3].tobytes()
    assert found.indices()[0, 3] == 0


def test_a_table_of_8_bit_entries_has_one_scale(backend: str) -> None:
    weight = np.random.default_rng(0).standard_normal((8, 64)).astype(F16)
    found = palettize_array(
        weight, 4, cluster_dim=2, block_sizes=(4, 0), lut_dtype="int8", backend=backend
    )
    assert found.table.shape == (2, 1, 16, 2)
    assert found.table.dtype == np.int8
    assert found.scale is not None
    assert found.scale.shape == (2, 1)
    plain = palettize_array(weight, 4, cluster_dim=2, block_sizes=(4, 0), backend=backend)
    entries = found.table.astype(F32) * found.scale.astype(F32)[..., np.newaxis, np.newaxis]
    step = found.scale.astype(F32)[..., np.newaxis, np.newaxis]
    assert (np.abs(entries - plain.table.astype(F32)) <= step * 0.51).all()
    decoded = found.dequantize(backend=backend).astype(F32)
    assert np.square(decoded - weight).sum() < 0.5 * np.square(weight.astype(F32)).sum()


# Importance.


def test_vectors_count_what_their_elements_count_in_all(backend: str) -> None:
    weight = np.array([[0, 4, 100], [0, 4, 100]], F32)
    importance = np.array([[1, 2, 1], [2, 7, 0]], F32)  # 3, 9 and 1
    found = palettize_array(weight, 1, cluster_dim=2, importance=importance, backend=backend)
    assert found.table.reshape(2, 2).tolist() == [[3, 3], [100, 100]]


def test_vectors_that_count_nothing_do_not_take_part(backend: str) -> None:
    weight = np.array([[1, 2, 1e30, 3], [1, 2, 1e30, 3]], F32)
    importance = np.array([[1, 1, 0, 0]], F32)
    found = palettize_array(weight, 1, cluster_dim=2, importance=importance, backend=backend)
    assert found.table.reshape(2, 2).tolist() == [[1, 1], [2, 2]]


def test_importances_that_are_all_0_count_alike(backend: str) -> None:
    weight = np.random.default_rng(0).standard_normal((6, 40)).astype(F32)
    zeros = palettize_array(
        weight, 2, cluster_dim=3, importance=np.zeros((1, 40), F32), backend=backend
    )
    assert_same_tables(zeros, palettize_array(weight, 2, cluster_dim=3, backend=backend))


# Native and reference.

# Shape, length and axis of vectors, blocks, shape of the importance.
Layout = tuple[tuple[int, ...], int, int, tuple[int, ...] | None, tuple[int, ...] | None]
LAYOUTS: tuple[Layout, ...] = (
    ((2,), 2, 0, None, None),
    ((600,), 3, 0, (60,), (600,)),
    ((64, 70), 2, 0, None, None),
    ((64, 70), 4, 0, (16, 0), (1, 70)),
    ((64, 70), 2, 1, (0, 14), (64, 1)),
    ((16, 70), 5, 1, (8, 0), (16, 70)),
    ((64, 66), 8, 0, (0, 33), (1, 66)),
    ((12, 8, 5, 3), 4, 0, (4, 0, 0, 0), (1, 8, 1, 1)),
    ((6, 8, 5, 3), 2, 1, None, (6, 1, 5, 3)),
    ((2, 8, 5, 30), 2, 1, (0, 0, 0, 10), None),
    ((512, 3), 256, 0, None, (512, 1)),
    ((3, 512), 256, 1, None, (1, 512)),
    ((3, 8, 21), 2, 1, (1, 4, 0), (3, 1, 21)),
    ((3, 7, 12), 2, 2, (1, 0, 4), (1, 7, 1)),
    ((2, 6, 3, 10), 3, 1, (0, 3, 0, 5), None),
)


def scaled(rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Numbers of every kind: of many magnitudes, few values, zeros, both ends of the range."""
    weight = rng.standard_normal(shape)
    kind = rng.integers(6)
    if kind == 1:
        weight = np.round(weight)
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
def by_reference(
    layout: Layout, dtype: DTypeLike, bits: int
) -> tuple[Array, dict[str, Any], PalettizedArray]:
    shape, length, axis, block_sizes, varying = layout
    rng = np.random.default_rng([bits, *shape])
    weight = scaled(rng, shape, dtype)
    importance = None
    if varying is not None:
        importance = (rng.random(varying) ** 8 * (rng.random(varying) < 0.8)).astype(F32)
    arguments: dict[str, Any] = {
        "cluster_dim": length,
        "cluster_axis": axis,
        "block_sizes": block_sizes,
        "importance": importance,
    }
    return weight, arguments, palettize_array(weight, bits, **arguments, backend="reference")


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_every_level_gives_the_references_bytes(
    layout: Layout, dtype: DTypeLike, level: str
) -> None:
    for bits in INDEX_BITS:
        weight, arguments, expected = by_reference(layout, dtype, bits)
        found = palettize_array(weight, bits, **arguments, backend="native")
        assert_same_tables(found, expected)
        for target in WEIGHT_DTYPES:
            outs = [np.empty(weight.shape, target) for _ in range(2)]
            found.dequantize(out=outs[0], backend="native", num_threads=1)
            found.dequantize(out=outs[1], backend="reference")
            assert outs[0].tobytes() == outs[1].tobytes()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("block_sizes", [(0, 0), (4, 0), (0, 3)], ids=str)
def test_any_number_of_threads(
    block_sizes: tuple[int, int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    weight = np.random.default_rng(0).standard_normal((44, 51), np.float32)
    arguments: dict[str, Any] = {"block_sizes": block_sizes, "cluster_dim": 4}
    found = palettize_array(weight, 3, **arguments, backend="native", num_threads=threads)
    assert_same_tables(found, palettize_array(weight, 3, **arguments, backend="reference"))
    decoded = found.dequantize(backend="native", num_threads=threads)
    assert decoded.tobytes() == found.dequantize(backend="reference").tobytes()


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
@pytest.mark.parametrize("bits", [1, 4])
def test_every_number_of_16_bits_has_the_nearest_center(
    bits: int, dtype: DTypeLike, level: str
) -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    with np.errstate(invalid="ignore"):  # ml_dtypes flags the question for a signaling NaN
        finite = patterns[np.isfinite(patterns)]
    rng = np.random.default_rng(bits)
    near_one = finite[(np.abs(finite.astype(F32)) < 64) & (np.abs(finite.astype(F32)) > 2**-6)]
    for beside in (rng.permutation(finite), rng.choice(near_one, len(finite))):
        weight = np.stack([finite, beside], axis=1)
        far_apart = rng.choice(weight, 1 << bits, replace=False)
        of_a_cloud = rng.choice(near_one, (1 << bits, 2))
        for table in (far_apart, of_a_cloud):
            found = table.astype(F32).reshape(1, 1, -1, 2)
            packed = _native.encode_table(weight, found, cluster=Cluster(2, 1), num_threads=1)
            assert packed.tobytes() == table_vectors.encode(weight, found, 1).tobytes()


@pytest.mark.parametrize("weighed", [False, True])
def test_more_vectors_than_are_looked_at_one_by_one(weighed: bool) -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4, 263_000), np.float32)
    importance = rng.random((1, 263_000), np.float32) if weighed else None
    palettize_array(weight, 2, cluster_dim=4, importance=importance, backend="validate")


def test_weights_in_any_memory(backend: str) -> None:
    data = bytearray(4 * 600 + 1)
    weight = np.frombuffer(data, np.float32, 600, 1).reshape(20, 30)
    weight[...] = np.random.default_rng(0).standard_normal(weight.shape)
    assert weight.ctypes.data % 4
    expected = palettize_array(weight.copy(), 3, cluster_dim=2, backend=backend)
    assert_same_tables(palettize_array(weight, 3, cluster_dim=2, backend=backend), expected)
    strided = np.asfortranarray(weight)
    assert_same_tables(palettize_array(strided, 3, cluster_dim=2, backend=backend), expected)


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cluster_dim": 0}, "cluster_dim"),
        ({"cluster_dim": 3}, "divide 8, the elements along axis 0 that share a table; got 3"),
        ({"cluster_dim": 4, "block_sizes": (2, 0)}, "divide 2, the elements along axis 0"),
        ({"cluster_dim": 512}, "at most 256"),
        ({"cluster_dim": 2, "cluster_axis": 2}, "cluster_axis must be below the rank 2; got 2"),
        ({"cluster_dim": 2, "cluster_axis": -1}, "cluster_axis"),
        ({"cluster_dim": 2, "scale_block_sizes": (1, 0)}, "scale_block_sizes must be None"),
        ({"cluster_dim": 2, "observer": "mse"}, "observer"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str, backend: str) -> None:
    weight = np.ones((8, 512), np.float32)
    with pytest.raises(ValueError, match=message):
        palettize_array(weight, 2, **arguments, backend=backend)


def test_vectors_lie_along_none_but_the_last_axes_that_are_cut(backend: str) -> None:
    weight = np.ones((4, 2, 5, 2), np.float32)
    blocks = (0, 1, 0, 1)
    with pytest.raises(ValueError, match="cluster_axis must be 1 or more with block_sizes"):
        palettize_array(weight, 2, block_sizes=blocks, cluster_dim=2, backend=backend)
    table, packed = np.ones((1, 2, 1, 2, 4, 2), np.float32), np.zeros(10, np.uint8)
    array = PalettizedArray(packed, weight.shape, weight.dtype, table, cluster_axis=0)
    with pytest.raises(ValueError, match="cluster_axis must be 1 or more with tables of shape"):
        array.dequantize(backend=backend)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("table", np.ones((1, 1, 4), np.float32)),
        ("table", np.ones((1, 1, 5, 2), np.float32)),
        ("table", np.ones((1, 1, 4, 3), np.float32)),
        ("table", np.ones((1, 1, 4, 1), np.float32)),
        ("table", np.ones((4, 1, 4, 2), np.float32)),
        ("cluster_axis", 2),
        ("cluster_axis", -1),
        ("packed", np.ones(4, np.uint8)),
    ],
)
def test_parts_that_do_not_fit_each_other_are_named(part: str, value: object, backend: str) -> None:
    whole = {
        "packed": np.zeros(2, np.uint8),
        "shape": (4, 4),
        "weight_dtype": np.dtype(np.float32),
        "table": np.ones((1, 1, 4, 2), np.float32),
        "cluster_axis": 0,
    }
    right = PalettizedArray(**whole)  # type: ignore[arg-type]  # parts of several types
    assert right.dequantize(backend=backend).shape == (4, 4)
    with pytest.raises(ValueError, match=f"^{part} "):
        PalettizedArray(**whole | {part: value}).dequantize(backend=backend)  # type: ignore[arg-type]  # likewise


def test_without_vectors_nothing_changes() -> None:
    weight = np.random.default_rng(0).standard_normal((8, 64)).astype(F16)
    assert_same_tables(palettize_array(weight, 4, cluster_dim=1), palettize_array(weight, 4))
    assert palettize_array(weight, 4, cluster_axis=1).cluster_axis is None


# How good they are.


def by_chance(vectors: Array, entries: int, rng: np.random.Generator) -> float:
    """Return the error of k-means from seeds by chance, k-means++, until nothing moves."""
    centers = vectors[rng.integers(len(vectors), size=1)]
    while len(centers) < entries:
        least = np.square(vectors[:, np.newaxis] - centers).sum(axis=2).min(axis=1)
        chosen = rng.choice(len(vectors), p=least / least.sum())
        centers = np.concatenate([centers, vectors[chosen : chosen + 1]])
    nearest = np.full(len(vectors), -1)
    while True:
        before, distances = nearest, np.square(vectors[:, np.newaxis] - centers).sum(axis=2)
        nearest = distances.argmin(axis=1)
        if (nearest == before).all():
            return float(distances.min(axis=1).sum())
        for k in np.unique(nearest):
            centers[k] = vectors[nearest == k].mean(axis=0)


@pytest.mark.parametrize("length", [2, 4])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_starts_by_chance_leave_more_error(bits: int, length: int) -> None:
    """In the mean over six starts for each of four tensors, and none leaves much less."""
    ratios = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        numbers = rng.standard_t(5, (32, 128)) if seed % 2 else rng.standard_normal((32, 128))
        found = palettize_array(numbers.astype(F32), bits, cluster_dim=length)
        error = float(np.square(found.dequantize().astype(F64) - numbers).sum())
        vectors = numbers.reshape(-1, length, 128).transpose(0, 2, 1).reshape(-1, length)
        others = [by_chance(vectors, 1 << bits, rng) for _ in range(6)]
        assert error <= min(others) * 1.03
        ratios.append(error / np.mean(others))
    assert np.mean(ratios) <= 1, ratios


GOLDEN = {
    "float32-1": "ae50d42ad7336aba",
    "float32-2": "d0297a722aad6ab7",
    "float32-3": "9ccbbbaaa250eebf",
    "float32-4": "a0519f877d68bef6",
    "float32-6": "b9abb7e8f97bdf13",
    "float32-8": "21b0271c5bd74989",
    "float16-1": "19853cbe5219ca1f",
    "float16-2": "53b5a274c9db526a",
    "float16-3": "364c542402ae153c",
    "float16-4": "b3b465bcf389b144",
    "float16-6": "719d7a01a0eb98ac",
    "float16-8": "e6678d0f25901444",
    "bfloat16-1": "a42f47273b098db5",
    "bfloat16-2": "102ca7b285053605",
    "bfloat16-3": "02bdbcd4da2ac3bc",
    "bfloat16-4": "d589a826e58ae179",
    "bfloat16-6": "ba6db8d72d2aee5f",
    "bfloat16-8": "73934596b8042257",
}


def digest(dtype: DTypeLike, bits: int) -> str:
    """Digest of what weights become that integers alone make: the same on every machine."""
    numbers = (np.arange(6000, dtype=np.uint64) * 2654435761 % 65536).astype(np.int64) - 32768
    weight = (numbers * np.abs(numbers)).astype(F64) * 2.0**-31
    found = palettize_array(
        weight.astype(dtype).reshape(60, 100), bits, block_sizes=(20, 0), cluster_dim=2
    )
    return hashlib.sha256(found.packed.tobytes() + found.table.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("bits", INDEX_BITS)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_golden_digests(dtype: DTypeLike, bits: int, level: str) -> None:
    assert digest(dtype, bits) == GOLDEN[f"{dtype}-{bits}"]
