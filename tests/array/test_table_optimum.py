"""Look-up tables leave the least squared error there is: compared with all ways to cluster."""

import numpy as np
import pytest

from coreai_opt import palettize_array

from ..support.clusters import error_of
from ..support.corpus import WEIGHT_DTYPES, Array, DTypeLike
from ..support.distributions import DISTRIBUTIONS
from ..support.optimum import crepe

F64 = np.float64


def least_error(weight: Array, entries: int) -> float:
    """Return the least sum of squared errors, by trying every last cluster for every end.

    In float64 about the mean of each cluster, with no shortcut that the library takes.
    """
    values = np.sort(weight.astype(F64))
    values -= values.mean()
    count = len(values)
    sums, squares = (np.concatenate([[0], np.cumsum(v)]) for v in (values, values**2))
    first, end = np.meshgrid(np.arange(count), np.arange(1, count + 1), indexing="ij")
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = (squares[end] - squares[first]) - (sums[end] - sums[first]) ** 2 / (end - first)
    cost[first >= end] = np.inf
    least = cost[0]
    for _ in range(1, min(entries, count)):
        least = np.minimum(least, (least[:-1, np.newaxis] + cost[1:]).min(axis=0))
    return max(float(least[-1]), 0.0)  # differences of sums may be a little below


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_no_table_leaves_less_error(name: str, dtype: DTypeLike) -> None:
    for seed, bits in enumerate((1, 2, 3, 4, 4, 6, 6, 8, 8, 8)):
        rng = np.random.default_rng(seed)
        weight = DISTRIBUTIONS[name](rng, 300 + 50 * seed).astype(dtype)
        found = palettize_array(weight, bits)
        # Entries of float32, so that rounding them adds no error to speak of.
        wide = palettize_array(weight.astype(np.float32), bits).table
        optimum = least_error(weight, 1 << bits)
        rounding = 1e-14 * float((weight.astype(F64) ** 2).sum())
        assert error_of(weight, wide) <= optimum * (1 + 1e-6) + rounding
        assert found.table.tobytes() == wide.astype(dtype).tobytes()


def test_no_table_leaves_less_error_on_parts_of_a_real_network() -> None:
    pytest.importorskip("coreai", reason="the network is stored as a Core AI program")
    parts = crepe(1 << 20).reshape(-1, 512)
    assert len(parts) > 200
    for number, weight in enumerate(parts[::2]):
        bits = (2, 3, 4, 6)[number % 4]
        optimum = least_error(weight, 1 << bits)
        table = palettize_array(weight, bits).table
        rounding = 1e-14 * float((weight.astype(F64) ** 2).sum())
        assert error_of(weight, table) <= optimum * (1 + 1e-6) + rounding


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_small_weights_have_as_good_a_table_as_large_ones(dtype: DTypeLike) -> None:
    """Rounded to four decimals before they are clustered, these would have less than 25 dB."""
    weight = (0.0005 * np.random.default_rng(0).standard_normal(1 << 16)).astype(dtype)
    error = error_of(weight, palettize_array(weight, 6).table)
    assert 10 * np.log10(np.square(weight.astype(F64)).sum() / error) > 31.0  # dB


@pytest.mark.parametrize("count", [257, 700, 1000, 4000])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
def test_equally_spaced_numbers_are_shared_out_evenly(bits: int, count: int) -> None:
    """Runs of q and of q + 1 numbers, in any order, are best: many tables are as good.

    No price has just so many clusters then, since the error falls by as much with each cluster
    more. A run of q whole numbers has an error of q (q² - 1) / 12.
    """
    found = palettize_array(np.arange(count, dtype=np.float32), bits)
    sizes = np.bincount(found.indices(), minlength=1 << bits)
    assert set(sizes) <= {count >> bits, -(-count >> bits)}
    error = float((sizes * (sizes**2 - 1) / 12).sum())
    assert error_of(np.arange(count, dtype=np.float32), found.table) == error


@pytest.mark.parametrize("bits", [3, 4])
def test_numbers_far_away_have_entries_of_their_own(bits: int) -> None:
    """Between clusters far from each other there are few numbers, and steps of the search short."""
    rng = np.random.default_rng(bits)
    weight = (rng.standard_normal((1 << bits, 90)) * 0.01).astype(np.float32)
    weight += 2.0 ** np.arange(1 << bits, dtype=np.float32)[:, np.newaxis]
    found = palettize_array(weight, bits)
    assert (found.indices().reshape(weight.shape) == np.arange(1 << bits)[:, np.newaxis]).all()


@pytest.mark.parametrize("bits", [2, 4])
def test_no_move_of_a_boundary_makes_a_large_table_better(bits: int) -> None:
    """More numbers than are looked at one by one: what is found is where no cluster can be better.

    One step of Lloyd's iteration on all weights leaves an optimum as it is.
    """
    weight = np.random.default_rng(bits).standard_normal(100_000, np.float32)
    table = palettize_array(weight, bits).table.reshape(-1).astype(F64)
    nearest = np.abs(weight[:, np.newaxis] - table).argmin(axis=1)
    means = np.bincount(nearest, weight.astype(F64)) / np.bincount(nearest)
    before, after = error_of(weight, table), error_of(weight, means)
    assert before <= after * (1 + 1e-7)
