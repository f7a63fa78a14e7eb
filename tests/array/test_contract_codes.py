"""How codes of different formats and schemes relate, and that every code survives a round trip."""

import numpy as np
import pytest

from ..support.corpus import (
    E4M3_E8M0,
    E5M2_E8M0,
    F16,
    WEIGHT_DTYPES,
    DTypeLike,
    Layout,
    Spec,
    corpus,
)
from ..support.exact import POSITIVE_CODES

ROWS = Layout((92, 19), (1, 0))


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize(
    ("bits", "qscheme", "shift"),
    [(2, "symmetric", 1), (4, "symmetric", 7), (8, "symmetric", 127),
     (2, "asymmetric", 2), (4, "asymmetric", 8), (8, "asymmetric", 128)],
)  # fmt: skip
def test_uint_is_int_shifted(
    bits: int, qscheme: str, shift: int, dtype: DTypeLike, backend: str
) -> None:
    """By Q in the symmetric scheme, by half the range in the asymmetric one."""
    for weight in corpus(ROWS, dtype):
        signed = Spec(f"int{bits}", qscheme).quantize(weight, ROWS.block_sizes, backend)
        unsigned = Spec(f"uint{bits}", qscheme).quantize(weight, ROWS.block_sizes, backend)
        assert (unsigned.codes().astype(int) == signed.codes().astype(int) + shift).all()
        assert (unsigned.zero_point.astype(int) == signed.zero_point.astype(int) + shift).all()
        assert unsigned.scale.tobytes() == signed.scale.tobytes()
        assert unsigned.dequantize().tobytes() == signed.dequantize().tobytes()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_symmetric_codes_stay_within_q(bits: int, dtype: DTypeLike, backend: str) -> None:
    for weight in corpus(ROWS, dtype):
        result = Spec(f"int{bits}").quantize(weight, ROWS.block_sizes, backend)
        assert np.abs(result.codes().astype(int)).max() <= 2 ** (bits - 1) - 1
        assert not result.zero_point.any()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("name", ["int2", "uint2", "int4", "uint4", "int8", "uint8"])
def test_asymmetric_zero_is_the_zero_point(name: str, dtype: DTypeLike, backend: str) -> None:
    for weight in corpus(ROWS, dtype):
        weight[:, 3] = 0
        result = Spec(name, "asymmetric").quantize(weight, ROWS.block_sizes, backend)
        assert (result.codes()[:, 3] == result.zero_point[:, 0]).all()
        assert (result.dequantize()[:, 3] == 0).all()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_symmetric_code_survives(bits: int, dtype: DTypeLike, backend: str) -> None:
    q = 2 ** (bits - 1) - 1
    codes = np.arange(-q, q + 1)
    weight = (codes * 2.0**-5).astype(dtype)
    for name, zero_point in ((f"int{bits}", 0), (f"uint{bits}", q)):
        result = Spec(name).quantize(weight, [0], backend)
        assert result.scale.astype(float).tolist() == [2.0**-5]
        assert (result.codes() == codes + zero_point).all()
        assert (result.dequantize() == weight).all()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_asymmetric_code_survives_at_every_zero_point(
    bits: int, dtype: DTypeLike, backend: str
) -> None:
    levels = 2**bits - 1
    zero_points = np.arange(levels + 1)[:, np.newaxis]
    codes = np.arange(levels + 1)
    weight = ((codes - zero_points) * 2.0**-5).astype(dtype)  # a row for each zero point
    result = Spec(f"uint{bits}", "asymmetric").quantize(weight, [1, 0], backend)
    assert (result.scale.astype(float) == 2.0**-5).all()
    assert (result.zero_point == zero_points).all()
    assert (result.codes() == codes).all()
    assert (result.dequantize() == weight).all()


def test_e2m1_values() -> None:
    assert POSITIVE_CODES["fp4_e2m1fn"].tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize(
    "spec",
    [Spec("fp4_e2m1fn"), Spec("fp8_e4m3fn"), E4M3_E8M0, Spec("fp8_e5m2"), E5M2_E8M0],
    ids=str,
)
def test_every_float_code_survives(spec: Spec, dtype: DTypeLike, backend: str) -> None:
    """Both zeros included. The block's largest weight is the format's, so the scale is 1."""
    values = POSITIVE_CODES[spec.dtype]
    if (spec, dtype) == (Spec("fp8_e5m2"), F16):
        values = values[values <= 3584]  # the target of float16 scales, 57344 / 16
    codes = np.arange(len(values), dtype=np.uint8)
    sign = 8 if spec.dtype == "fp4_e2m1fn" else 128
    weight = np.concatenate([values, -values]).astype(dtype)
    result = spec.quantize(weight, [0], backend)
    assert result.scale.astype(float).tolist() == [1]
    assert (result.codes().view(np.uint8) == np.concatenate([codes, codes | sign])).all()
    assert result.dequantize().tobytes() == weight.tobytes()
