"""Look-up tables by importance: by hand, at every level, and against all ways to cluster."""

import functools

import numpy as np
import pytest

from coreai_opt import PalettizedArray, palettize_array

from ..support.corpus import BF16, F16, F32, WEIGHT_DTYPES, Array, DTypeLike
from ..support.distributions import DISTRIBUTIONS

F64 = np.float64


def table_of(weight: Array, importance: Array | None, bits: int, backend: str) -> Array:
    return palettize_array(weight, bits, importance=importance, backend=backend).table.reshape(-1)


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_an_importance_pulls_an_entry_as_so_many_weights_do(dtype: DTypeLike, backend: str) -> None:
    weight, importance = np.array([0, 4, 100], dtype), np.array([3, 1, 1], F32)
    assert table_of(weight, importance, 1, backend).tolist() == [1, 100]
    rng = np.random.default_rng(0)
    weight = rng.integers(-50, 50, 200).astype(dtype)
    counts = rng.integers(1, 9, 200)
    for bits in (1, 2, 3, 4):
        found = table_of(weight, counts.astype(F32) / 4, bits, backend)
        assert found.tobytes() == table_of(np.repeat(weight, counts), None, bits, backend).tobytes()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_weights_of_no_importance_have_no_part_in_the_table(dtype: DTypeLike, backend: str) -> None:
    weight = np.array([60000, 1, 2, -3, -60000, 3.5], dtype)
    importance = np.array([0, 1, 1, 1, 0, 1], F32)
    palettized = palettize_array(weight, 2, importance=importance, backend=backend)
    assert palettized.table.reshape(-1).tolist() == [-3, 1, 2, 3.5]
    assert palettized.indices().tolist() == [3, 1, 2, 0, 0, 3]


def test_what_is_a_billionth_as_important_as_another_counts_as_nothing(backend: str) -> None:
    weight, importance = np.array([7, 1, 2], F32), np.array([1e-10, 1, 1e-9], F32)
    assert table_of(weight, importance, 1, backend).tolist() == [1, 2]


def test_importances_that_are_all_zero_are_as_good_as_none(backend: str) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 50), F32)
    importance = np.array([[0], [1], [0], [2]], F32)
    found = palettize_array(weight, 3, block_sizes=(1, 0), importance=importance, backend=backend)
    expected = palettize_array(weight, 3, block_sizes=(1, 0), backend=backend)
    assert found.table.tobytes() == expected.table.tobytes()


@pytest.mark.parametrize("size", [9, 20_000, 1_100_000])
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_what_is_not_finite_is_refused_whatever_its_importance(dtype: DTypeLike, size: int) -> None:
    weight, importance = np.ones(size, dtype), np.ones(size, F32)
    weight[7], importance[7] = np.inf, 0
    with pytest.raises(ValueError, match=r"at index \(7,\); it must be finite"):
        palettize_array(weight, 2, importance=importance)


@pytest.mark.parametrize(
    "importance",
    [np.array([1, -1], F32), np.array([1, np.nan], F32), np.ones(3, F32), np.ones((1, 2), F32)],
)
def test_a_bad_importance_is_named(importance: Array) -> None:
    with pytest.raises(ValueError, match="importance"):
        palettize_array(np.ones(2, F32), 2, importance=importance)


# Shape of the weight, blocks, shape of the importance.
Layout = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
LAYOUTS: tuple[Layout, ...] = (
    ((3001,), (0,), (3001,)),
    ((64, 70), (0, 0), (1, 70)),
    ((64, 70), (16, 0), (64, 1)),
    ((64, 33), (1, 0), (64, 33)),
    ((20, 70), (0, 10), (1, 70)),
    ((4, 6, 5, 3), (0, 3, 0, 0), (1, 6, 1, 1)),
    ((4, 6, 5, 3), (2, 0, 0, 0), (1, 6, 1, 3)),
    ((150, 200), (0, 0), (1, 200)),
    ((3, 4, 50), (1, 2, 0), (3, 1, 50)),
    ((3, 50, 4), (1, 0, 2), (1, 50, 1)),
    ((2, 3, 50, 4), (0, 1, 0, 2), (2, 1, 50, 1)),
)


@functools.cache  # for all levels
def by_reference(
    layout: Layout, dtype: DTypeLike, bits: int
) -> tuple[Array, Array, PalettizedArray]:
    shape, block_sizes, varying = layout
    rng = np.random.default_rng([bits, *shape])
    weight = rng.standard_t(4, shape).astype(dtype)
    importance = (rng.random(varying) ** 8 * (rng.random(varying) < 0.8)).astype(F32)
    expected = palettize_array(
        weight, bits, block_sizes=block_sizes, importance=importance, backend="reference"
    )
    return weight, importance, expected


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_every_level_gives_the_references_bytes(
    layout: Layout, dtype: DTypeLike, level: str
) -> None:
    for bits in (1, 3, 4, 8):
        weight, importance, expected = by_reference(layout, dtype, bits)
        found = palettize_array(
            weight, bits, block_sizes=layout[1], importance=importance, backend="native"
        )
        assert found.table.tobytes() == expected.table.tobytes()
        assert found.packed.tobytes() == expected.packed.tobytes()


def test_a_large_group_of_float32_gives_the_references_bytes() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_t(3, (1100, 1000)).astype(F32)
    weight[5] = 1e9  # counts nothing
    importance = rng.random((1100, 1), F32)
    importance[5] = 0
    palettize_array(weight, 4, importance=importance, backend="validate")


def least_error(weight: Array, importance: Array, entries: int) -> float:
    """Return the least Σ importance · error², by trying every last cluster for every end."""
    order = np.argsort(weight.astype(F64))
    values, counts = weight.astype(F64)[order], importance.astype(F64)[order]
    values -= np.average(values, weights=counts)
    terms = counts, counts * values, counts * values**2
    masses, sums, squares = (np.concatenate([[0], np.cumsum(term)]) for term in terms)
    first, end = np.meshgrid(np.arange(len(values)), np.arange(1, len(values) + 1), indexing="ij")
    mass, moment = masses[end] - masses[first], sums[end] - sums[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = (squares[end] - squares[first]) - moment**2 / mass
    cost[first >= end] = np.inf
    least = cost[0]
    for _ in range(1, entries):
        least = np.minimum(least, (least[:-1, np.newaxis] + cost[1:]).min(axis=0))
    return float(least[-1])


@pytest.mark.parametrize("dtype", [F32, F16, BF16], ids=str)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_no_table_leaves_less_error(name: str, dtype: DTypeLike) -> None:
    for seed, bits in enumerate((1, 2, 3, 4, 6)):
        rng = np.random.default_rng(seed)
        weight = DISTRIBUTIONS[name](rng, 300).astype(dtype)
        importance = np.exp2(rng.uniform(-12, 3, 300)).astype(F32)
        # Entries of float32, so that rounding them adds no error to speak of.
        table = table_of(weight.astype(F32), importance, bits, "auto").astype(F64)
        nearest = np.abs(weight.astype(F64)[:, np.newaxis] - table).min(axis=1)
        squares = importance * weight.astype(F64) ** 2
        optimum = least_error(weight, importance, 1 << bits)
        rounding = 1e-13 * float(squares.sum())
        assert float((importance * nearest**2).sum()) <= optimum * (1 + 1e-6) + rounding


def test_with_scales_the_error_of_the_weights_counts_and_not_of_their_quotients() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((64, 64)).astype(F32) * np.exp2(rng.uniform(-4, 4, (64, 1)))
    weight = weight.astype(F32)
    palettized = palettize_array(weight, 3, scale_block_sizes=(1, 0), backend="validate")
    error = np.sum((palettized.dequantize().astype(F64) - weight) ** 2)
    assert palettized.scale is not None
    scale = palettized.scale.astype(F64)
    entries = palettize_array((weight / scale).astype(F32), 3).dequantize().astype(F64)
    assert error < 0.99 * np.sum((scale * entries - weight) ** 2)
