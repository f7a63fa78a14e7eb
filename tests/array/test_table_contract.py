"""Look-up tables by hand: what is in them, which entry is nearest, how indices are packed."""

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import palettize_array
from coreai_opt.reference import tables

from ..support.corpus import BF16, F16, F32, WEIGHT_DTYPES, DTypeLike

INDEX_BITS = (1, 2, 3, 4, 6, 8)


def table_of(weight: list[float], bits: int, backend: str, dtype: DTypeLike = F32) -> list[float]:
    palettized = palettize_array(np.array(weight, dtype), bits, backend=backend)
    return palettized.table.astype(np.float64).reshape(-1).tolist()


def test_entries_are_the_means_of_the_best_clusters(backend: str) -> None:
    # {-3}, {0, 1} would leave 0.5; {-3, 0}, {1} leaves 4.5.
    assert table_of([1.0, -3.0, 0.0], 1, backend) == [-3.0, 0.5]
    # Of three equal clusters, those of the ends: 0 1 | 10 11 | 20 21 | 30 31.
    weight = [31.0, 0.0, 21.0, 1.0, 20.0, 10.0, 30.0, 11.0]
    assert table_of(weight, 2, backend) == [0.5, 10.5, 20.5, 30.5]


def test_weights_that_are_many_pull_their_entry(backend: str) -> None:
    assert table_of([0.0, 0.0, 0.0, 4.0, 100.0], 1, backend) == [1.0, 100.0]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("bits", INDEX_BITS)
def test_fewer_numbers_than_entries_have_one_each_and_the_last_is_repeated(
    bits: int, dtype: DTypeLike, backend: str
) -> None:
    weight = np.array([0.5, -0.25, 0.5, 0.5, -0.25], dtype)
    palettized = palettize_array(weight, bits, backend=backend)
    assert palettized.table.reshape(-1).tolist() == [-0.25] + [0.5] * (2**bits - 1)
    assert palettized.indices().tolist() == [1, 0, 1, 1, 0]
    assert palettized.dequantize(backend=backend).tobytes() == weight.tobytes()


@pytest.mark.parametrize("bits", INDEX_BITS)
def test_as_many_numbers_as_entries_come_back_exactly(bits: int, backend: str) -> None:
    rng = np.random.default_rng(bits)
    numbers = rng.standard_normal(2**bits, np.float32)
    weight = rng.permutation(np.repeat(numbers, 5)).reshape(5, -1)
    palettized = palettize_array(weight, bits, backend=backend)
    assert palettized.table.reshape(-1).tolist() == sorted(numbers.tolist())
    assert palettized.dequantize(backend=backend).tobytes() == weight.tobytes()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_zeros_and_their_signs_are_one_number(dtype: DTypeLike, backend: str) -> None:
    weight = np.array([0.0, -0.0, -0.0, 0.0], dtype)
    palettized = palettize_array(weight, 2, backend=backend)
    assert not palettized.table.astype(np.float32).view(np.uint32).any()
    assert palettized.indices().tolist() == [0, 0, 0, 0]


def test_zero_has_no_entry_of_its_own_unless_it_is_a_cluster(backend: str) -> None:
    assert table_of([0.0, 0.0, 0.25, 8.0, 8.0, 8.5], 1, backend) == [
        np.float32(1 / 12),
        np.float32(49 / 6),
    ]
    assert table_of([0.0, 0.0, 0.0, 1.0, -1.0, -1.0], 2, backend)[1] == 0.0


def test_an_entry_is_rounded_once_to_float32_and_then_to_the_weights_dtype(backend: str) -> None:
    # The mean is 2 + 2**-12 + 2**-24 ... in float16 nearest to 2.
    assert table_of([2.0, 2.0, 2.001953125], 1, backend, F16) == [2.0, 2.001953125]
    third = [1.0, 1.0, 2.0, 100.0]
    assert table_of(third, 1, backend, F16) == [float(np.float16(np.float32(4 / 3))), 100.0]
    assert table_of(third, 1, backend, BF16) == [
        float(np.float32(4 / 3).astype(ml_dtypes.bfloat16)),
        100.0,
    ]


def test_the_nearest_entry_and_the_lower_of_two_as_near() -> None:
    table = np.array([-1.0, 0.0, 0.0, 1.0], np.float32)
    weight = np.array([-2.0, -0.5, -0.4999, 0.0, 0.5, 0.5001, 3.0], np.float32)
    assert tables.nearest(weight, table).tolist() == [0, 0, 1, 1, 1, 3, 3]


def test_a_threshold_between_two_numbers_of_float32_is_rounded_down() -> None:
    below, above = np.float32(1), np.nextafter(np.float32(1), np.float32(2))
    table = np.array([below, above], np.float32)
    assert tables.nearest(np.array([below, above]), table).tolist() == [0, 1]
    negative = np.array([-above, -below], np.float32)
    assert tables.nearest(negative, negative).tolist() == [0, 1]


PACKED = {
    # Indices 1 0 1 1 0 0 1 0 1: the first in the lowest bit.
    1: ([1, 0, 1, 1, 0, 0, 1, 0, 1], "4d01"),
    2: ([1, 2, 3, 0, 2], "3902"),
    # 5 = 101, 1 = 001, 6 = 110: bits 0 to 2, 3 to 5, and 6 to 8, across two bytes.
    3: ([5, 1, 6, 7], "8d0f"),
    4: ([1, 15, 8], "f108"),
    # 33 = 100001, 62 = 111110: bits 0 to 5, and 6 to 11.
    6: ([33, 62, 1], "a11f00"),
    8: ([7, 255], "07ff"),
}


@pytest.mark.parametrize("bits", INDEX_BITS)
def test_indices_are_packed_flat_with_the_first_in_the_lowest_bits(bits: int) -> None:
    indices, expected = PACKED[bits]
    packed = tables.pack(np.array(indices, np.uint8), bits)
    if bits == 6:
        expected = (33 | 62 << 6 | 1 << 12).to_bytes(3, "little").hex()
    assert packed.tobytes().hex() == expected
    assert tables.unpack(packed, bits, (len(indices),)).tolist() == indices


@pytest.mark.parametrize("bits", INDEX_BITS)
@pytest.mark.parametrize("size", range(1, 20))
def test_every_end_of_packed_indices_is_zeros(size: int, bits: int, backend: str) -> None:
    weight = np.arange(1, size + 1, dtype=np.float32)
    weight[-1] = 1e6  # has the last index that there is
    palettized = palettize_array(weight, bits, backend=backend)
    number = int.from_bytes(palettized.packed.tobytes(), "little")
    assert len(palettized.packed) == -(-size * bits // 8)
    assert number >> (size * bits) == 0
    assert number >> ((size - 1) * bits) == palettized.indices()[-1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("size", [7, 70_000])
def test_what_is_not_finite_is_refused_with_its_place(
    bad: float, size: int, dtype: DTypeLike, backend: str
) -> None:
    weight = np.zeros((1, size), dtype)
    weight[0, 5] = bad
    with pytest.raises(ValueError, match=r"at index \(0, 5\); it must be finite"):
        palettize_array(weight, 2, backend=backend)


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_the_largest_and_the_smallest_numbers_keep_their_values(
    dtype: DTypeLike, backend: str
) -> None:
    largest = ml_dtypes.finfo(dtype).max
    smallest = np.array(ml_dtypes.finfo(dtype).smallest_subnormal, dtype)
    weight = np.array([largest, -largest, largest / 2], dtype)
    assert palettize_array(weight, 2, backend=backend).dequantize().tobytes() == weight.tobytes()
    tiny = np.array([smallest, 0, -smallest, 3 * smallest], dtype)
    assert palettize_array(tiny, 2, backend=backend).dequantize().tobytes() == tiny.tobytes()


def test_weights_far_below_the_largest_count_as_zero(backend: str) -> None:
    table = table_of([1.0, 1e-30, -1e-30, 2e-30], 3, backend)
    assert table == [0.0] + [1.0] * 7


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("observer", ["minmax", "mse"])
def test_scales_are_in_the_weights_dtype(observer: str, dtype: DTypeLike) -> None:
    weight = np.random.default_rng(0).standard_normal((8, 64)).astype(dtype)
    found = palettize_array(weight, 4, scale_block_sizes=(1, 32), observer=observer)
    assert found.scale is not None
    assert found.scale.dtype == dtype
