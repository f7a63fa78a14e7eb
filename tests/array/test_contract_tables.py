"""Each format on a handful of numbers, worked out by hand, down to the stored bytes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest

from ..support.corpus import (
    BF16,
    E4M3_E8M0,
    E5M2_E8M0,
    E8M0_SPECS,
    F16,
    F32,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Spec,
)


class Row(NamedTuple):
    """One block of weights and what must be stored for it.

    Attributes:
        codes: the stored codes as bit patterns of the format, 2, 4 or 8 bits wide.
        packed: the bytes, in hexadecimal.
        dtypes: the weight dtypes of which the row holds; of these, those that hold its weights.
    """

    spec: Spec
    weights: list[float]
    scale: float
    zero_point: int
    codes: list[int]
    packed: str
    dtypes: tuple[DTypeLike, ...] = WEIGHT_DTYPES

    def arrays(self) -> Iterator[Array]:
        """The weights in each dtype that holds them exactly; float32 or the row's only one does."""
        arrays = [np.array(self.weights, dtype) for dtype in self.dtypes]
        assert (arrays[0].astype(float) == self.weights).all()
        return (array for array in arrays if (array.astype(float) == self.weights).all())


# Symmetric: scale = absmax / Q. w·r is 7, -7, 0.5, 1.5, 2.5, -0.5, -1.5; halves go to even.
INT4_WEIGHTS = [7, -7, 0.5, 1.5, 2.5, -0.5, -1.5]
# scale 381 / 127 = 3; w·r is 127, -127, 0.5, 1.5, -2.5, 2.
INT8_WEIGHTS = [381, -381, 1.5, 4.5, -7.5, 6]
# Asymmetric: scale = (2 - -1) / 3 = 1, zero point 1. The product is rounded before the zero point
# is added: 0.5 -> 0 -> 1, where 0.5 + 1 would go to 2.
UINT2_WEIGHTS = [-1, 0, 2, 0.5, 1.5]
# scale (13 - -2) / 15 = 1, zero point 2: 0.5 -> 0 -> 2, 4.5 -> 4 -> 6.
UINT4_WEIGHTS = [-2, 13, 0, 0.5, 4.5]
# scale (1739.5 - -45.5) / 255 = 7, zero point 45.5 / 7 = 6.5 -> 6. But r = f32(1/7) is above 1/7 by
# 4.5e-8 of it: 45.5·r = 6.5000005 -> 7, and 7 + 6 = 13; -45.5 -> -7 + 6, clipped to 0;
# 1739.5 -> 249 + 6 = 255.
UINT8_WEIGHTS = [-45.5, 1739.5, 0, 45.5]
# All but the first two are halfway between two E2M1 codes (0 .5 1 1.5 2 3 4 6): to the even code.
FP4_WEIGHTS = [6, -6, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, -0.0, -0.25]
# Twice: the largest, 1, the ties 1.0625 (1, 1.125) and 1.1875 (1.125, 1.25), -0, the smallest
# subnormal 2^-9, the ties 2^-10 (0, 2^-9) and 3·2^-10 (2^-9, 2^-8).
E4M3_WEIGHTS = [896, -896, 2, 2.125, 2.375, -0.0, 2**-8, 2**-9, 3 * 2**-9]
E4M3_CODES = [0x7E, 0xFE, 0x38, 0x38, 0x3A, 0x80, 0x01, 0x00, 0x02]
# The largest, 1, the ties 1.125 (1, 1.25) and 1.375 (1.25, 1.5), -0, the smallest subnormal 2^-16,
# the tie 2^-17 (0, 2^-16).
E5M2_WEIGHTS = [57344, -57344, 1, 1.125, 1.375, -0.0, 2**-16, 2**-17]
E5M2_CODES = [0x7B, 0xFB, 0x3C, 0x3C, 0x3E, 0x80, 0x01, 0x00]

ROWS = [
    # Q = 1, scale 2: w·r is 1, 0.5, -0.5, -1, 0.75.
    Row(Spec("int2"), [2, 1, -1, -2, 1.5], 2, 0, [1, 0, 0, 3, 1], "c101"),
    Row(Spec("uint2"), [2, 1, -1, -2, 1.5], 2, 1, [2, 1, 1, 0, 2], "1602"),
    Row(Spec("int4"), INT4_WEIGHTS, 1, 0, [7, 9, 0, 2, 2, 0, 14], "9720020e"),
    Row(Spec("uint4"), INT4_WEIGHTS, 1, 7, [14, 0, 7, 9, 9, 7, 5], "0e977905"),
    Row(Spec("int8"), INT8_WEIGHTS, 3, 0, [127, 129, 0, 2, 254, 2], "7f810002fe02"),
    Row(Spec("uint8"), INT8_WEIGHTS, 3, 127, [254, 0, 127, 129, 125, 129], "fe007f817d81"),
    Row(Spec("uint2", "asymmetric"), UINT2_WEIGHTS, 1, 1, [0, 1, 3, 1, 3], "7403"),
    # INT is UINT - 2^(n-1): -2, -1, 1, -1, 1.
    Row(Spec("int2", "asymmetric"), UINT2_WEIGHTS, 1, -1, [2, 3, 1, 3, 1], "de01"),
    Row(Spec("uint4", "asymmetric"), UINT4_WEIGHTS, 1, 2, [0, 15, 2, 2, 6], "f02206"),
    # -8, 7, -6, -6, -2.
    Row(Spec("int4", "asymmetric"), UINT4_WEIGHTS, 1, -6, [8, 7, 10, 10, 14], "78aa0e"),
    Row(Spec("uint8", "asymmetric"), UINT8_WEIGHTS, 7, 6, [0, 255, 6, 13], "00ff060d"),
    # -128, 127, -122, -115.
    Row(Spec("int8", "asymmetric"), UINT8_WEIGHTS, 7, -122, [128, 127, 134, 141], "807f868d"),
    # The range always includes 0: all positive (7.5 -> 8) and all negative.
    Row(Spec("uint4", "asymmetric"), [15, 7.5, 1], 1, 0, [15, 8, 1], "8f01"),
    Row(Spec("uint4", "asymmetric"), [-15, -7.5, -1], 1, 15, [0, 7, 14], "700e"),
    # absmax 6 = 1.5·2^2: exponent 2 - emax 2 = 0.
    Row(Spec("fp4_e2m1fn"), FP4_WEIGHTS, 1, 0, [7, 15, 0, 2, 2, 4, 4, 6, 6, 8, 8], "f72042648608"),
    # 1.75 and 1.8125 = 29/16 times 2^2 stay at that exponent and saturate, 1.875·2^2 does not.
    Row(Spec("fp4_e2m1fn"), [7, -7], 1, 0, [7, 15], "f7"),
    Row(Spec("fp4_e2m1fn"), [7.25, -7.25], 1, 0, [7, 15], "f7"),
    Row(Spec("fp4_e2m1fn"), [7.5, -7.5], 2, 0, [6, 14], "e6"),
    Row(Spec("fp8_e4m3fn"), E4M3_WEIGHTS, 2, 0, E4M3_CODES, bytes(E4M3_CODES).hex()),
    # 896 = 1.75·2^9: exponent 9 - 8.
    Row(E4M3_E8M0, E4M3_WEIGHTS, 2, 0, E4M3_CODES, bytes(E4M3_CODES).hex()),
    Row(Spec("fp8_e5m2"), E5M2_WEIGHTS, 1, 0, E5M2_CODES, bytes(E5M2_CODES).hex(), (F32, BF16)),
    # 57344 = 1.75·2^15: exponent 15 - 15.
    Row(E5M2_E8M0, E5M2_WEIGHTS, 1, 0, E5M2_CODES, bytes(E5M2_CODES).hex()),
    # float16 scales aim at 57344 / 16 = 3584 = 1.75·2^11, code 26·4 + 3; others at 57344.
    Row(Spec("fp8_e5m2"), [3584, 1, -1], 1, 0, [0x6B, 0x3C, 0xBC], "6b3cbc", (F16,)),
    Row(Spec("fp8_e5m2"), [3584, 1, -1], 2**-4, 0, [0x7B, 0x4C, 0xCC], "7b4ccc", (F32, BF16)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.spec}-{row.weights[0]}")
def test_table(row: Row, backend: str) -> None:
    for weight in row.arrays():
        result = row.spec.quantize(weight, [0], backend)
        assert result.packed.tobytes().hex() == row.packed
        assert result.scale.astype(float).tolist() == [row.scale]
        assert result.zero_point.astype(float).tolist() == [row.zero_point]
        bits = 8 // (-(-len(row.codes) // len(result.packed)))
        stored = result.codes().view(np.uint8) & ((1 << bits) - 1)
        assert stored.tolist() == row.codes


DTYPES_OF_CODES = {
    **dict.fromkeys(("int2", "int4", "int8"), "int8"),
    **dict.fromkeys(("uint2", "uint4", "uint8"), "uint8"),
    "fp4_e2m1fn": "float4_e2m1fn",
    "fp8_e4m3fn": "float8_e4m3fn",
    "fp8_e5m2": "float8_e5m2",
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.spec}-{row.weights[0]}")
def test_dtypes_of_the_parts(row: Row, backend: str) -> None:
    for weight in row.arrays():
        result = row.spec.quantize(weight, [0], backend)
        e8m0 = row.spec in E8M0_SPECS
        assert result.scale.dtype.name == ("float8_e8m0fnu" if e8m0 else weight.dtype.name)
        assert result.zero_point.dtype.name == DTYPES_OF_CODES[row.spec.dtype]
        assert result.codes().dtype.name == DTYPES_OF_CODES[row.spec.dtype]
        assert result.packed.dtype == np.uint8
        assert result.nbytes == len(row.packed) // 2 + result.scale.itemsize
        assert result.dequantize().dtype == result.weight_dtype == weight.dtype


def test_which_elements_share_a_scale(backend: str) -> None:
    # As INT4 a block of which c is the largest has the scale c / 7.
    weight = np.float32(7) * np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    for block_sizes, scales in (
        ((1, 0), [[4], [8]]),
        ((0, 1), [[5, 6, 7, 8]]),
        ((1, 2), [[2, 4], [6, 8]]),
        ((2, 2), [[6, 8]]),
        ((0, 0), [[8]]),
        ((1, 1), [[1, 2, 3, 4], [5, 6, 7, 8]]),
    ):
        result = Spec("int4").quantize(weight, block_sizes, backend)
        assert result.scale.tolist() == scales
        assert result.zero_point.shape == result.scale.shape


def test_the_stored_scale_is_what_codes_are_computed_from(backend: str) -> None:
    # 1/127 is stored in float16 as 1032·2^-17. 1153/2048 is 71.4995 times the one and 71.5039 times
    # the other.
    weight = np.array([1, 1153 / 2048], np.float16)
    result = Spec("int8").quantize(weight, [0], backend)
    assert result.scale.astype(float).tolist() == [1032 * 2.0**-17]
    assert result.codes().tolist() == [127, 72]


def test_multiplies_with_the_rounded_reciprocal(backend: str) -> None:
    # scale 889 / 127 = 7. 45.5 / 7 is exactly 6.5, which goes to 6; times f32(1/7), which lies
    # above 1/7 by 4.5e-8 of it, it is 6.5000005.
    result = Spec("int8").quantize(np.array([889, 45.5], np.float32), [0], backend)
    assert result.codes().tolist() == [127, 7]


def test_the_product_is_rounded_before_it_is_rounded_to_an_integer(backend: str) -> None:
    # f32(1/3) lies above 1/3 by 2^-25 of it: 1.5·r and 7.5·r are just above 0.5 and 2.5, but in
    # float32 they are 0.5 and 2.5. A fused multiply-add with a rounding constant gives 1 and 3.
    result = Spec("int8").quantize(np.array([381, 1.5, 7.5], np.float32), [0], backend)
    assert result.codes().tolist() == [127, 0, 2]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_no_epsilon(dtype: DTypeLike, backend: str) -> None:
    for exponent in (-14 if dtype == F16 else -120, -7, 0, 7):
        weight = np.array([7 * 2.0**exponent, -(2.0**exponent)], dtype)
        result = Spec("int4").quantize(weight, [0], backend)
        assert result.scale.astype(float).tolist() == [2.0**exponent]
        assert (result.dequantize() == weight).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_every_int8_tie_goes_to_even(sign: int, backend: str) -> None:
    ties = np.arange(-127, 127) + 0.5
    weight = np.concatenate([[127], sign * ties]).astype(np.float32)
    codes = Spec("int8").quantize(weight, [0], backend).codes()[1:]
    assert (codes % 2 == 0).all()
    assert (np.abs(codes - sign * ties) == 0.5).all()
