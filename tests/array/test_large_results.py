"""Results so large that kernels write them past the caches, whole vectors at a time."""

import numpy as np
import pytest

from coreai_opt import quantize_array
from coreai_opt._native import LEVEL_VARIABLE, levels
from coreai_opt.reference import WEIGHT_DTYPES

FORMATS = {
    "int2": {"dtype": "int2"},
    "uint4": {"dtype": "uint4", "qscheme": "asymmetric"},
    "int8": {"dtype": "int8"},
    "e4m3": {"dtype": "fp8_e4m3fn"},
    "e5m2": {"dtype": "fp8_e5m2"},
    "mxfp4": {"dtype": "fp4_e2m1fn"},
}


# Rows of whole vectors; with something behind the last whole step; and odd ones.
@pytest.mark.parametrize("columns", [4096, 4192, 4159])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("format", FORMATS)
def test_levels_agree(
    format: str, dtype: np.dtype, axis: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (1056, columns)  # more than a MiB of codes of 2 bits
    if axis == 1 and columns % 32:
        shape = shape[::-1]
    weight = np.random.default_rng(0).standard_normal(shape, np.float32).astype(dtype)
    blocks = (32, 1) if axis == 0 and shape[0] % 32 == 0 else (1, 32)
    stored, decoded = {}, {}
    for level in levels():
        monkeypatch.setenv(LEVEL_VARIABLE, level)
        quantized = quantize_array(weight, block_sizes=blocks, **FORMATS[format], num_threads=1)
        arrays = quantized.packed, quantized.scale, quantized.zero_point, quantized.dequantize()
        stored[level] = [array.tobytes() for array in arrays]
        decoded[level] = quantized.dequantize(out=odd_place(shape, dtype)).tobytes()
    for level in levels():
        assert stored[level] == stored["portable"], level
        assert decoded[level] == stored["portable"][-1], level


def odd_place(shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """An array that starts where no vector does."""
    count = shape[0] * shape[1]
    return np.empty(count + 1, dtype)[1:].reshape(shape)
