"""How close the observer MSE comes to the optimum of each format; docs/numerics.md has figures."""

import numpy as np
import pytest

from ..support.corpus import Spec
from ..support.optimum import (
    FORMATS,
    GRANULARITIES,
    Format,
    crepe,
    gaussian,
    laplace,
    least_error,
    measure,
    student,
)

WEIGHTS = {make.__name__: make(1 << 14) for make in (gaussian, laplace, student, crepe)}

MARGINS = {"blocks of 32": 0.05, "per channel": 0.05, "per tensor": 0.1}
"""How far from the optimum the SQNR of all blocks may be, in dB."""

CASES = [
    (format, granularity)
    for format in FORMATS
    for granularity in GRANULARITIES
    if format.name != "MXFP4" or granularity == "blocks of 32"
]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(("format", "granularity"), CASES)
def test_close_to_the_optimum(format: Format, granularity: str, weights: str) -> None:
    quality = measure(GRANULARITIES[granularity](WEIGHTS[weights]), format)
    assert quality.gap < MARGINS[granularity]


@pytest.mark.parametrize("format", FORMATS[:3], ids=lambda f: f.name)
def test_one_weight_a_hundred_standard_deviations_out(format: Format) -> None:
    weight = np.random.default_rng(3).normal(0, 0.02, (1, 1 << 16)).astype(np.float32)
    weight[0, 12345] = 100 * 0.02
    assert measure(weight, format).gap < MARGINS["per tensor"]


@pytest.mark.parametrize("deviations", [100, 104, 112])
def test_e4m3_where_one_weight_is_far_out(deviations: int) -> None:
    # The others are so small beside it that tries and errors are hard to tell apart.
    weight = np.random.default_rng(4).normal(0, 0.02, (1, 1 << 14)).astype(np.float32)
    weight[0, 12345] = deviations * 0.02
    assert measure(weight, Format("E4M3", "fp8_e4m3fn")).gap < MARGINS["per tensor"]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_mxfp4_takes_the_best_of_all_exponents(weights: str) -> None:
    weight = WEIGHTS[weights].reshape(-1, 32)
    result = Spec("fp4_e2m1fn", observer="mse").quantize(weight, (1, 0), "native")
    difference = weight - result.dequantize().astype(np.float64)
    least = least_error(weight, "fp4_e2m1fn", "symmetric")
    assert (least >= np.sum(difference**2, axis=1) * (1 - 1e-5)).all()
