"""Where large arrays begin, which decides whether kernels may write past the caches."""

import numpy as np
import pytest

from coreai_opt import QuantizedArray, quantize_array
from coreai_opt.arrays import memory


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
@pytest.mark.parametrize("shape", [0, (), (3, 5), memory.LARGE - 1, memory.LARGE, (257, 256)])
def test_it_is_what_numpy_returns(shape: int | tuple[int, ...], dtype: type) -> None:
    array, plain = memory.empty(shape, dtype), np.empty(shape, dtype)
    assert (array.shape, array.dtype, array.strides) == (plain.shape, plain.dtype, plain.strides)
    assert array.flags.writeable
    if array.nbytes >= memory.LARGE:
        assert address(array) % memory.ALIGNMENT == 0


@pytest.fixture
def large() -> QuantizedArray:
    weight = np.random.default_rng(0).standard_normal((256, 1024), np.float32)
    return quantize_array(weight, "int8", block_sizes=(1, 32), backend="native")


def test_codes_and_scales_of_large_arrays_are_aligned(large: QuantizedArray) -> None:
    assert address(large.packed) % memory.ALIGNMENT == 0
    assert address(large.scale) % memory.ALIGNMENT == 0


def test_large_arrays_are_decoded_to_an_aligned_one(large: QuantizedArray) -> None:
    assert address(large.dequantize()) % memory.ALIGNMENT == 0


def test_large_arrays_begin_where_the_longest_vector_does() -> None:
    arrays = [memory.empty(memory.LARGE + number % 2, np.uint8) for number in range(40)]
    assert [address(array) % 64 for array in arrays] == [0] * 40
