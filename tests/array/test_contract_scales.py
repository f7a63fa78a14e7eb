"""Scales are the nearest numbers of their dtype: for every 16-bit weight, and many of 32 bits."""

import ml_dtypes
import numpy as np
import pytest

from ..support.corpus import (
    BF16,
    E4M3_E8M0,
    E5M2_E8M0,
    EMAX,
    F16,
    F32,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Spec,
    bits_of,
    from_bits,
    largest,
    positive_finite,
)

# What the largest weight of a block is divided by, and the smallest scale that is ever stored.
DIVISORS = {"int2": 1, "int4": 7, "int8": 127, "fp8_e4m3fn": 448, "fp8_e5m2": 57344}
E5M2_DIVISOR_OF_FLOAT16 = 3584
SMALLEST = {F32: 2.0**-128 + 2.0**-149, F16: 2.0**-24, BF16: 2.0**-128 + 2.0**-133}


def magnitudes(dtype: DTypeLike) -> Array:
    """Every positive finite number of a 16-bit dtype; 100 000 of float32, with both ends."""
    if dtype != F32:
        return positive_finite(dtype)
    top = int(bits_of(np.array(largest(dtype), dtype)))
    drawn = np.random.default_rng(0).integers(1, top, 99_000)
    return from_bits(np.concatenate([drawn, np.arange(1, 501), top - np.arange(500)]), dtype)


def step_bits(numbers: Array, step: int) -> Array:
    """The numbers' neighbours in their dtype."""
    return from_bits(bits_of(numbers).astype(np.int64) + step, numbers.dtype)


def nearest_quotients(absmax: Array, divisor: float) -> Array:
    """absmax / divisor rounded once to the dtype of ``absmax``, ties to even; this is checked."""
    rounded = (absmax.astype(np.float64) / divisor).astype(F32).astype(absmax.dtype)

    def error(quotients: Array) -> Array:  # exact in float64: at most 24 + 17 bits, near each other
        return np.abs(quotients.astype(np.float64) * divisor - absmax.astype(np.float64))

    for neighbour in (step_bits(rounded, -1), step_bits(rounded, +1)):
        assert (error(rounded) <= error(neighbour)).all()
        ties = error(rounded) == error(neighbour)
        assert (bits_of(rounded)[ties] % 2 == 0).all()
    return rounded


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("name", DIVISORS)
def test_symmetric_scale_is_the_nearest_to_absmax_over_divisor(
    name: str, dtype: DTypeLike, backend: str
) -> None:
    divisor = E5M2_DIVISOR_OF_FLOAT16 if (name, dtype) == ("fp8_e5m2", F16) else DIVISORS[name]
    absmax = magnitudes(dtype)
    scale = Spec(name).quantize(absmax[:, np.newaxis], [1, 1], backend).scale.ravel()

    tiny = absmax.astype(np.float64) / divisor <= SMALLEST[dtype]
    assert (scale[tiny].astype(np.float64) == SMALLEST[dtype]).all()
    nearest = nearest_quotients(absmax[~tiny], divisor)
    with np.errstate(over="ignore"):
        infinite = np.isinf((nearest.astype(np.float64) * divisor).astype(F32).astype(dtype))
    expected = np.where(infinite, step_bits(nearest, -1), nearest)
    assert (bits_of(scale[~tiny]) == bits_of(expected)).all()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("name", ["uint2", "uint4", "uint8"])
def test_asymmetric_scale_of_one_sided_blocks(name: str, dtype: DTypeLike, backend: str) -> None:
    # hi - lo is the weight itself then, and the scale rounds to nearest as the symmetric one does.
    levels = {"uint2": 3, "uint4": 15, "uint8": 255}[name]
    absmax = magnitudes(dtype)
    normal = absmax[(absmax > levels * SMALLEST[dtype]) & (absmax < largest(dtype) / 2)]
    for signed in (normal, -normal):
        result = Spec(name, "asymmetric").quantize(signed[:, np.newaxis], [1, 1], backend)
        assert (bits_of(result.scale.ravel()) == bits_of(nearest_quotients(normal, levels))).all()


def test_asymmetric_range_that_overflows_float32(backend: str) -> None:
    # hi - lo = 3.375·2^127 does not fit; (hi/2 - lo/2) / 15 · 2 = 1.8·2^124 does.
    result = Spec("int4", "asymmetric").quantize(
        np.array([-1.5, 1.875], np.float32) * np.float32(2.0**127), [0], backend
    )
    assert result.scale.tolist() == [np.float32(1.8 * 2.0**124)]
    assert result.zero_point.tolist() == [7 - 8]  # 1.5·2^127 over it is 6.67
    assert result.codes().tolist() == [-8, 7]


def test_a_zero_point_is_a_code_where_the_scale_was_rounded_down(backend: str) -> None:
    # In units of 2^-24, the smallest float16: 21 / 15 = 1.4 -> 1, and 21 / 1 is clipped to 15.
    unit = np.float16(2.0**-24)
    weight = np.array([-21, -8, 0], np.float16) * unit
    result = Spec("uint4", "asymmetric").quantize(weight, [0], backend)
    assert result.scale.tolist() == [unit]
    assert result.zero_point.tolist() == [15]
    assert result.codes().tolist() == [0, 7, 15]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", [Spec("fp4_e2m1fn"), E4M3_E8M0, E5M2_E8M0], ids=str)
def test_e8m0_exponent(spec: Spec, dtype: DTypeLike, backend: str) -> None:
    """Every exponent of the dtype: 29/16 and below go down, what is above goes up.

    Subnormal numbers have too few bits for 29/16: there it is the nearest and its neighbours.
    """
    info = ml_dtypes.finfo(dtype)
    exponents = np.arange(info.minexp - info.nmant + 1, info.maxexp)
    tie = np.ldexp(29 / 16, exponents).astype(dtype)
    absmax = np.concatenate([tie, step_bits(tie, -1), step_bits(tie, +1), magnitudes(dtype)])
    scale = spec.quantize(absmax[:, np.newaxis], [1, 1], backend).scale.view(np.uint8).ravel()

    least = -24 if dtype == F16 else -127
    significand, exponent = np.frexp(absmax.astype(np.float64))  # significand in [0.5, 1)
    exponent = exponent - 1 - EMAX[spec.dtype] + (2 * significand > 29 / 16)
    exponent = np.maximum(exponent, least)
    top = absmax >= largest(dtype) / 2  # may have been lowered: see test_contract_extremes.py
    assert (scale[~top].astype(int) - 127 == exponent[~top]).all()
    lowered = exponent[top] - (scale[top].astype(int) - 127)
    assert set(lowered.tolist()) <= {0, 1}
