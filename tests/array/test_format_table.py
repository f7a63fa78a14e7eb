"""The table of formats against ml_dtypes and the numbers of the specifications."""

import ml_dtypes
import numpy as np
import pytest

from coreai_opt.reference.formats import E8M0, FORMATS, WEIGHT_DTYPES
from coreai_opt.settings.enums import DType

# name: bits, lowest and highest code of the full range, Q, L
INTEGERS = {
    "int2": (2, -2, 1, 1, 3),
    "uint2": (2, 0, 3, 1, 3),
    "int4": (4, -8, 7, 7, 15),
    "uint4": (4, 0, 15, 7, 15),
    "int8": (8, -128, 127, 127, 255),
    "uint8": (8, 0, 255, 127, 255),
}

# name: bits, largest number, its exponent (OCP MX v1.0 §5.3)
FLOATS = {
    "fp4_e2m1fn": (4, 6.0, 2),
    "fp8_e4m3fn": (8, 448.0, 8),
    "fp8_e5m2": (8, 57344.0, 15),
}


def test_every_weight_dtype_of_the_api_is_there() -> None:
    assert set(FORMATS) == {dtype.value for dtype in DType} - {"fp8_e8m0fnu"}
    assert set(FORMATS) == set(INTEGERS) | set(FLOATS)
    assert all(entry.name == name for name, entry in FORMATS.items())


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name: str) -> None:
    bits, lowest, highest, q, levels = INTEGERS[name]
    entry = FORMATS[name]
    assert entry.is_int
    assert DType(name).is_int()
    assert entry.is_signed_int == (lowest < 0)
    assert (entry.bits, entry.symmetric_max, entry.levels) == (bits, q, levels)
    assert highest - lowest == levels
    info = np.iinfo(name) if bits == 8 else ml_dtypes.iinfo(getattr(ml_dtypes, name))
    assert (info.min, info.max) == (lowest, highest)
    assert np.iinfo(entry.code_dtype).min <= lowest
    assert highest <= np.iinfo(entry.code_dtype).max


@pytest.mark.parametrize("name", FLOATS)
def test_floats(name: str) -> None:
    bits, largest, emax = FLOATS[name]
    entry = FORMATS[name]
    info = ml_dtypes.finfo(entry.code_dtype)
    assert not entry.is_int
    assert not entry.is_signed_int
    assert not DType(name).is_int()
    assert (entry.bits, entry.float_max, entry.emax) == (bits, largest, emax)
    assert (info.bits, float(info.max), np.frexp(float(info.max))[1] - 1) == (bits, largest, emax)
    assert entry.code_dtype.itemsize == 1, "unpacked, even FP4 takes a byte"


@pytest.mark.parametrize("name", FORMATS)
def test_packed_size(name: str) -> None:
    entry = FORMATS[name]
    for count in range(1, 20):
        assert entry.packed_size(count) == (count * entry.bits + 7) // 8
    assert entry.codes_per_byte * entry.bits == 8


def test_e8m0_is_a_power_of_two_with_bias_127() -> None:
    codes = np.arange(255, dtype=np.uint8)  # 255 is NaN
    assert (codes.view(E8M0).astype(np.float64) == np.ldexp(1.0, codes.astype(int) - 127)).all()


def test_weight_dtypes() -> None:
    assert [dtype.name for dtype in WEIGHT_DTYPES] == ["float32", "float16", "bfloat16"]
