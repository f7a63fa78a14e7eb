"""Weights at the edges of what there is, in every form of look-up tables and every dtype.

Both backends give the same bytes, what is decoded is finite, and where a weight has fewer numbers
than a table has entries it comes back: exactly, or as near as entries of 8 bits can be.
"""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import palettize_array

from ..support.corpus import WEIGHT_DTYPES, Array, DTypeLike

SHAPE = (8, 16)

FORMS: dict[str, dict[str, Any]] = {
    "tensor": {},
    "groups": {"block_sizes": (4, 0)},
    "channels": {"block_sizes": (1, 0)},
    "both axes": {"block_sizes": (2, 8)},
    "vectors": {"cluster_dim": 2},
    "vectors, groups": {"cluster_dim": 4, "block_sizes": (4, 0)},
    **{name: {"lut_dtype": name} for name in ("int8", "uint8", "fp8_e4m3fn", "fp8_e5m2")},
    "int8, groups": {"lut_dtype": "int8", "block_sizes": (4, 0)},
    "uint8, channel scales": {"lut_dtype": "uint8", "scale_block_sizes": (1, 0)},
    "int8, vectors": {"lut_dtype": "int8", "cluster_dim": 2},
    "channel scales": {"scale_block_sizes": (1, 0)},
    "block scales": {"scale_block_sizes": (1, 8)},
    "searched scales": {"scale_block_sizes": (1, 8), "observer": "mse"},
    "searched scales, groups": {
        "scale_block_sizes": (1, 8),
        "observer": "mse",
        "block_sizes": (4, 0),
    },
}

# Of the smallest and the largest number of a dtype.
FEW: dict[str, Callable[[float, float], Any]] = {
    "zeros": lambda least, most: 0,
    "zeros of both signs": lambda least, most: np.tile([0.0, -0.0], 8),
    "a constant": lambda least, most: -0.3,
    "the largest": lambda least, most: most,
    "the largest of both signs": lambda least, most: np.tile([most, -most], 8),
    "the smallest": lambda least, most: least,
    "the smallest of both signs": lambda least, most: np.tile([least, -least], 8),
    "one among zeros": lambda least, most: np.eye(8, 16),
    "rows of zeros": lambda least, most: np.eye(8, 1),
    "three numbers": lambda least, most: np.tile([0.5, -1, 0.25, -1], 4),
}

MANY: dict[str, Callable[[float, float], Any]] = {
    "subnormal": lambda least, most: least * np.arange(-64, 64).reshape(SHAPE),
    "up to the largest": lambda least, most: most * np.linspace(-1, 1, 128).reshape(SHAPE),
    "of all magnitudes": lambda least, most: np.geomspace(least, most, 128).reshape(SHAPE),
}


# Scales are not below these, see docs/numerics.md.
SMALLEST_SCALE = {"float32": 2.0**-127, "bfloat16": 2.0**-127, "float16": 2.0**-24}


def weight_of(make: Callable[[float, float], Any], dtype: DTypeLike) -> Array:
    limits = ml_dtypes.finfo(dtype)
    numbers = make(float(limits.smallest_subnormal), float(limits.max))
    return np.ascontiguousarray(np.broadcast_to(np.asarray(numbers, dtype), SHAPE))


def decoded(weight: Array, form: str) -> Array:
    """What a weight comes back as, in float64."""
    found = palettize_array(weight, 3, **FORMS[form], backend="validate")
    back = found.dequantize(backend="validate").astype(np.float64)
    assert np.isfinite(back).all()
    return back


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_few_numbers_come_back(form: str, dtype: DTypeLike) -> None:
    of_8_bits = "lut_dtype" in FORMS[form]
    for name, make in FEW.items():
        weight = weight_of(make, dtype)
        exact = weight.astype(np.float64)
        error = np.abs(decoded(weight, form) - exact)
        # E5M2 has two bits behind the leading one, so that an entry is off by an eighth at most.
        limit = max(np.abs(exact).max() / 8, SMALLEST_SCALE[weight.dtype.name]) if of_8_bits else 0
        assert error.max() <= limit, name


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_many_numbers_are_nearer_than_zeros(form: str, dtype: DTypeLike) -> None:
    of_8_bits = "lut_dtype" in FORMS[form]
    for name, make in MANY.items():
        weight = weight_of(make, dtype)
        exact = weight.astype(np.float64)
        largest = np.abs(exact).max()
        error = np.square((decoded(weight, form) - exact) / largest).sum()
        # Below the smallest scale codes are all zero.
        share = 1 if of_8_bits and largest < SMALLEST_SCALE[weight.dtype.name] else 0.3
        assert error <= share * np.square(exact / largest).sum(), name


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_finite_is_refused_with_its_place(
    form: str, dtype: DTypeLike, backend: str
) -> None:
    for bad in (np.nan, np.inf, -np.inf):
        weight = weight_of(FEW["three numbers"], dtype)
        weight[5, 7] = bad
        with pytest.raises(ValueError, match=r"at index \(5, 7\)"):
            palettize_array(weight, 3, **FORMS[form], backend=backend)
