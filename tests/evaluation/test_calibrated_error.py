"""The energy of outputs by second moments: as the formula has it, of weights of any magnitude."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.evaluation.calibrated_error import output_energy

LAYOUT = MatrixLayout.of_last_axes((16, 32))


def moments() -> np.ndarray:
    x = np.random.default_rng(1).standard_normal((100, 32)).astype(np.float32)
    return (x.T @ x)[np.newaxis]


def weight() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((16, 32)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_it_is_the_formula_in_float32(dtype: Any) -> None:
    """Bit for bit: powers of two, by which it divides and multiplies, do not round."""
    rows, (square,) = weight().astype(dtype).astype(np.float32), moments()
    wanted = float((rows @ square * rows).astype(np.float64).sum())
    assert output_energy(weight().astype(dtype), LAYOUT, [moments()]) == wanted


@pytest.mark.parametrize("exponent", [-100, -70, 1, 70, 120])
def test_squares_of_weights_may_be_no_float32(exponent: int) -> None:
    once = output_energy(weight(), LAYOUT, [moments()])
    scaled = np.ldexp(weight(), exponent)
    assert output_energy(scaled, LAYOUT, [moments()]) == math.ldexp(once, 2 * exponent)


@pytest.mark.parametrize("extreme", [0.0, 2.0**-149, np.finfo(np.float32).max])
def test_the_smallest_and_the_largest_float32(extreme: float) -> None:
    """Of one element w and its moment 1 it is w²."""
    one = np.array([[extreme]], np.float32)
    layout, moment = MatrixLayout.of_last_axes((1, 1)), np.ones((1, 1, 1), np.float32)
    # The square is rounded to float32.
    assert output_energy(one, layout, [moment]) == pytest.approx(float(extreme) ** 2, rel=1e-6)
