"""Second moments against sums in float64; rows that are zero or not finite; chunks; merging."""

import numpy as np
import pytest

from coreai_opt.calibration import moments as module
from coreai_opt.calibration.moments import Moments, MomentSums, chunk_sizes, moments_nbytes


def expected(rows: np.ndarray) -> np.ndarray:
    """The mean of x·xᵀ / ‖x‖ over rows that are not zero, in float64."""
    x = rows.astype(np.float64)
    x = x[np.linalg.norm(x, axis=1) > 0]
    return sum(np.outer(row, row) / np.linalg.norm(row) for row in x) / len(x)


def test_moments_by_hand() -> None:
    """Rows (3, 4) and (0, 2): (x·xᵀ/5 + x·xᵀ/2) / 2."""
    sums = MomentSums(1, 2)
    sums.add(0, np.array([[3, 4], [0, 2]], np.float32))
    moments = sums.moments()
    np.testing.assert_allclose(moments.matrices[0][0], [[0.9, 1.2], [1.2, 2.6]], rtol=1e-6)
    assert moments.rows.tolist() == [2]
    np.testing.assert_allclose(moments.diagonal(), [[0.9, 2.6]], rtol=1e-6)


def test_moments_are_means_in_float64_to_rounding() -> None:
    rows = np.random.default_rng(0).standard_normal((300, 7)).astype(np.float32)
    rows[0] *= 1000
    sums = MomentSums(2, 7)
    for part in np.array_split(rows, 9):
        sums.add(1, part)
    moments = sums.moments()
    np.testing.assert_allclose(moments.matrices[0][1], expected(rows), rtol=1e-4, atol=1e-5)
    assert not moments.matrices[0][0].any()
    assert moments.rows.tolist() == [0, 300]
    assert (moments.groups, moments.columns) == (2, 7)


def test_a_long_row_counts_by_its_length_not_by_its_square() -> None:
    rows = np.eye(2, dtype=np.float32) * np.array([[100], [1]], np.float32)
    sums = MomentSums(1, 2)
    sums.add(0, rows)
    np.testing.assert_allclose(sums.moments().diagonal(), [[50, 0.5]], rtol=1e-6)


def test_rows_of_zeros_do_not_count() -> None:
    rows = np.array([[0, 0], [3, 4], [0, 0]], np.float32)
    sums = MomentSums(1, 2)
    sums.add(0, rows)
    assert sums.moments().rows.tolist() == [1]


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e30])
def test_a_number_that_cannot_be_squared_is_an_error(number: float) -> None:
    sums = MomentSums(1, 2)
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match="holds a NaN, an infinity or huge"),
    ):
        sums.add(0, np.array([[1, 1], [number, 1]], np.float32))


def test_many_columns_are_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk is what it would be of the whole: rows are divided by their whole length."""
    monkeypatch.setattr(module, "LONGEST_CHUNK", 4)
    rows = np.random.default_rng(1).standard_normal((20, 10)).astype(np.float32)
    sums = MomentSums(1, 10)
    sums.add(0, rows)
    moments = sums.moments()
    whole, start = expected(rows), 0
    assert [chunk.shape for chunk in moments.matrices] == [(1, 3, 3), (1, 3, 3), (1, 4, 4)]
    for chunk in moments.matrices:
        end = start + chunk.shape[-1]
        np.testing.assert_allclose(chunk[0], whole[start:end, start:end], rtol=1e-4, atol=1e-6)
        start = end
    assert moments.columns == 10
    np.testing.assert_allclose(moments.diagonal()[0], np.diag(whole), rtol=1e-4)


def test_chunks_are_at_most_4096_columns_and_even() -> None:
    assert chunk_sizes(4096) == [4096]
    assert chunk_sizes(4097) == [2048, 2049]
    assert chunk_sizes(8192) == [4096, 4096]
    assert chunk_sizes(1) == [1]
    assert moments_nbytes(3, 8192) == 3 * 2 * 4096**2 * 4


def test_merging_weighs_by_rows() -> None:
    rows = np.random.default_rng(2).standard_normal((30, 5)).astype(np.float32)
    parts = []
    for part in (rows[:10], rows[10:]):
        sums = MomentSums(1, 5)
        sums.add(0, part)
        parts.append(sums.moments())
    merged = parts[0].merge(parts[1])
    np.testing.assert_allclose(merged.matrices[0][0], expected(rows), rtol=1e-4, atol=1e-5)
    assert merged.rows.tolist() == [30]


def test_a_group_without_rows_merges_to_the_other() -> None:
    filled = MomentSums(2, 2)
    filled.add(0, np.array([[3, 4]], np.float32))
    merged = filled.moments().merge(MomentSums(2, 2).moments())
    np.testing.assert_allclose(merged.matrices[0][0], [[1.8, 2.4], [2.4, 3.2]], rtol=1e-6)
    assert merged.rows.tolist() == [1, 0]
    assert not merged.matrices[0][1].any()


def test_moments_of_other_shapes_do_not_merge() -> None:
    with pytest.raises(ValueError, match="1 groups and 2 columns"):
        MomentSums(1, 2).moments().merge(MomentSums(1, 3).moments())


def test_moments_are_frozen() -> None:
    moments = Moments((np.ones((1, 1, 1), np.float32),), np.ones(1, np.int64))
    with pytest.raises(AttributeError):
        moments.rows = np.zeros(1, np.int64)  # type: ignore[misc]  # the error to test
