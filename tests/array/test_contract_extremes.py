"""Both ends of the weights' range: scales there stay usable, and decoded weights finite."""

import numpy as np
import pytest

from ..support.corpus import (
    BF16,
    E4M3_E8M0,
    E5M2_E8M0,
    F16,
    F32,
    KINDS,
    SPECS,
    WEIGHT_DTYPES,
    DTypeLike,
    Layout,
    Spec,
    corpus,
    from_bits,
    positive_finite,
)

# The top of a dtype's range. By the rule alone the scales were, in float16, 65504 / 7 -> 9360,
# / 127 -> 516, / 448 -> 146.25, / 3584 -> 18.28125, / 15 -> 4368, / 255 -> 257, and each times its
# largest code is 65520 or more, which is infinite: 65504 over the code, rounded down, is stored.
# E8M0: 65504 = 1.999·2^15 rounds up to 2^16 over 2^emax, and then to the largest power of two.
F16_TOP = [
    (Spec("int2"), 65504),
    (Spec("int4"), 9352),
    (Spec("int8"), 515.5),
    (Spec("uint4", "asymmetric"), 4364),
    (Spec("uint8", "asymmetric"), 256.75),
    (Spec("fp8_e4m3fn"), 146.125),
    (Spec("fp8_e5m2"), 18.265625),
    (Spec("fp4_e2m1fn"), 2**13),
    (E4M3_E8M0, 2**7),
    (E5M2_E8M0, 2**0),
]


@pytest.mark.parametrize(("spec", "scale"), F16_TOP, ids=str)
def test_top_of_float16_decodes_to_finite_numbers(spec: Spec, scale: float, backend: str) -> None:
    for sign in (1, -1):
        result = spec.quantize(np.array([sign * 65504, 0], np.float16), [0], backend)
        assert result.scale.astype(float).tolist() == [scale]
        assert np.isfinite(result.dequantize()).all()


# E8M0 at 3.4e38 = 1.99…·2^127 (bfloat16 3.39e38): 2^128 over 2^emax is one too much, as above.
@pytest.mark.parametrize("dtype", [F32, BF16], ids=str)
def test_top_of_float32_in_e8m0(dtype: DTypeLike, backend: str) -> None:
    largest = np.array([np.finfo(np.float32).max if dtype == F32 else 255 * 2.0**120], dtype)
    for spec, exponent in (
        (Spec("fp4_e2m1fn"), 125),
        (E4M3_E8M0, 119),
        (E5M2_E8M0, 112),
    ):
        result = spec.quantize(largest, [0], backend)
        assert result.scale.view(np.uint8).tolist() == [127 + exponent]
        assert np.isfinite(result.dequantize().astype(float)).all()


SMALLEST_SCALE_BITS = {F32: 0x00200001, F16: 0x0001, BF16: 0x0021}


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize(
    "spec",
    [Spec("int2"), Spec("int4"), Spec("uint8"), Spec("uint8", "asymmetric"), Spec("fp8_e4m3fn")],
    ids=str,
)
def test_smallest_usable_scale(spec: Spec, dtype: DTypeLike, backend: str) -> None:
    # The smallest subnormal over Q is 0 or has an infinite reciprocal; 2^-24 of float16 is usable.
    result = spec.quantize(from_bits([1, 0], dtype), [0], backend)
    assert result.scale.view(f"u{dtype.itemsize}").tolist() == [SMALLEST_SCALE_BITS[dtype]]
    assert np.isfinite(result.dequantize().astype(float)).all()


def test_smallest_usable_scale_is_where_the_reciprocal_overflows(backend: str) -> None:
    # With INT2 the scale is absmax itself. 2^-128, bits 0x00200000, has the reciprocal 2^128.
    for dtype in (F32, BF16):
        power = SMALLEST_SCALE_BITS[dtype] - 1
        with np.errstate(over="ignore"):
            reciprocals = np.float32(1) / from_bits([power, power + 1], dtype).astype(np.float32)
        assert np.isinf(reciprocals).tolist() == [True, False]
        weight = from_bits([[power - 1], [power], [power + 1], [power + 2]], dtype)
        scale = Spec("int2").quantize(weight, [1, 1], backend).scale.view(f"u{dtype.itemsize}")
        assert (scale.ravel() - power).tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_all_zero_blocks(spec: Spec, dtype: DTypeLike, backend: str) -> None:
    weight = np.array([[0.0, 0.0, 0.0], [-0.0, 0.0, -0.0], [1.0, 0.0, -2.0]], dtype)
    result = spec.quantize(weight, [1, 0], backend)
    assert result.scale.astype(float)[:2].tolist() == [[1], [1]]
    codes, zero_point = result.codes().astype(float), result.zero_point.astype(float)
    assert (codes[:2] == zero_point[:2]).all()
    assert (result.dequantize().astype(float)[:2] == 0).all()


# Asymmetric blocks with both signs, float16 as UINT4. By the rule alone the scales were 65604 / 15
# -> 4372, 92694 / 15 -> 6180, 130904 / 15 -> 8728, and the largest weights 15, 11 and 8 steps from
# zero, each an infinity: 15 * 4372 = 65580, 11 * 6180 = 67980, 8 * 8728 = 69824. They are
# 65504 / 15, / 11 and / 8 rounded down, in float16's steps of 4 there.
TWO_SIDED_TOP = [((-65504, 100), 4364), ((27190, -65504), 5952), ((-65400, 65504), 8188)]


@pytest.mark.parametrize(("weight", "scale"), TWO_SIDED_TOP, ids=str)
def test_top_of_float16_on_both_sides(
    weight: tuple[float, float], scale: float, backend: str
) -> None:
    result = Spec("uint4", "asymmetric").quantize(np.array(weight, np.float16), [0], backend)
    assert result.scale.astype(float).tolist() == [scale]
    assert np.isfinite(result.dequantize()).all()


def test_a_scale_is_lowered_until_the_largest_weight_is_finite(backend: str) -> None:
    # bfloat16 as UINT8, in units of 2^120: 255.5 and more are infinite. (255 + 94.5) / 255 is
    # stored as 175/128, which 255 is 187 steps of: 187 * 175/128 = 255.7. 255 / 187 rounded down is
    # 174/128, but of these steps it is 188: 255.6. 255 / 188 is 173/128: 189 steps, 255.4.
    weight = (np.array([-94.5, 255]) * 2.0**120).astype(BF16)
    result = Spec("uint8", "asymmetric").quantize(weight, [0], backend)
    assert result.scale.astype(float).tolist() == [173 / 128 * 2.0**120]
    assert np.isfinite(result.dequantize().astype(float)).all()


# A row for every kind of value.
EXTREME = Layout((3 * len(KINDS), 37), (1, 0))


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_scales_are_usable_and_weights_decode_to_finite_numbers(
    spec: Spec, dtype: DTypeLike, backend: str
) -> None:
    for weight in corpus(EXTREME, dtype):
        result = spec.quantize(weight, EXTREME.block_sizes, backend)
        scale = result.scale.astype(np.float32)
        assert (scale > 0).all()
        with np.errstate(over="raise", divide="raise"):
            assert np.isfinite(1 / scale).all()
        assert np.isfinite(result.dequantize().astype(float)).all()


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_weight_decodes_to_a_finite_number(
    spec: Spec, dtype: DTypeLike, backend: str
) -> None:
    weight = positive_finite(dtype)[:, np.newaxis]
    for signed in (weight, -weight):
        result = spec.quantize(signed, [1, 1], backend)
        assert np.isfinite(result.dequantize().astype(float)).all()
