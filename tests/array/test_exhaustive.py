"""Every 16-bit weight in every format, and every code and rounding boundary of the FP formats.

Codes are recomputed in float64, where the product of a weight and a reciprocal is exact, and
rounded onto the formats by their tables. That the scales are right for every 16-bit number is in
``test_contract_scales.py``.
"""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import QuantizedArray
from coreai_opt.reference import FORMATS
from coreai_opt.settings.enums import DType

from ..support.corpus import (
    BF16,
    E8M0_SPECS,
    EMAX,
    F16,
    F32,
    FLOAT_SCALE_SPECS,
    MSE_SPECS,
    SPECS,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Spec,
    bits_of,
    from_bits,
    instruction_sets,
)
from ..support.exact import POSITIVE_CODES, nearest_codes
from ..support.same_bytes import assert_same_bytes

EVERY_PATTERN = np.arange(1 << 16)


def split_by_finiteness(dtype: DTypeLike) -> tuple[Array, Array]:
    """The finite numbers of a 16-bit dtype and the others, each by bit pattern."""
    numbers = from_bits(EVERY_PATTERN, dtype)
    exponent = int(bits_of(np.array(np.inf, dtype)))
    finite = EVERY_PATTERN & exponent != exponent
    return numbers[finite], numbers[~finite]


def binades(dtype: DTypeLike) -> Array:
    """Every finite number, those of one sign and exponent in a row."""
    return split_by_finiteness(dtype)[0].reshape(-1, 1 << ml_dtypes.finfo(dtype).nmant)


# How all the finite numbers can lie in blocks: an array, and its block sizes.
ARRANGEMENTS: dict[str, Callable[[DTypeLike], tuple[Array, tuple[int, ...]]]] = {
    "each alone": lambda dtype: (binades(dtype), (1, 1)),
    "a row for each binade": lambda dtype: (binades(dtype), (1, 0)),
    "a column for each binade": lambda dtype: (binades(dtype).T.copy(), (0, 1)),
    "all in one block": lambda dtype: (binades(dtype), (0, 0)),
}


def expected_codes(spec: Spec, weight: Array, result: QuantizedArray) -> Array:
    """The codes of a weight, as bit patterns of 8 bits, given the scales and zero points."""
    scale = result.scale.astype(np.float64)
    reciprocal = (1 / scale).astype(np.float32).astype(np.float64)
    exact = weight.astype(np.float64) * reciprocal  # 11 + 24 bits at the most
    scaled = exact.astype(np.float32).astype(np.float64)
    if spec.dtype in POSITIVE_CODES:
        return nearest_codes(scaled, spec.dtype)
    bits, unsigned = int(spec.dtype[-1]), spec.dtype.startswith("u")
    if spec.qscheme == "asymmetric":
        lowest = 0 if unsigned else -(1 << bits - 1)
        highest = lowest + (1 << bits) - 1
    else:
        largest = (1 << bits - 1) - 1
        lowest, highest = (0, 2 * largest) if unsigned else (-largest, largest)
    codes = np.rint(scaled) + result.zero_point  # np.rint rounds halves to even
    return np.clip(codes, lowest, highest).astype(np.int16).astype(np.uint8)


def expected_zero_points(spec: Spec, weight: Array, result: QuantizedArray) -> Array:
    """The zero points of a weight, given the scales."""
    bits, unsigned = int(spec.dtype[-1]), spec.dtype.startswith("u")
    if spec.qscheme == "symmetric":
        return np.full(result.scale.shape, (1 << bits - 1) - 1 if unsigned else 0)
    blocks = tuple(
        axis for axis, size in enumerate(result.scale.shape) if size != weight.shape[axis]
    )
    lowest = np.minimum(weight.astype(np.float64).min(axis=blocks, keepdims=True), 0)
    quotient = (-lowest / result.scale.astype(np.float64)).astype(np.float32)
    return np.clip(np.rint(quotient), 0, (1 << bits) - 1) - (0 if unsigned else 1 << bits - 1)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_16_bit_weight(spec: Spec, dtype: DTypeLike, arrangement: str, backend: str) -> None:
    weight, block_sizes = ARRANGEMENTS[arrangement](dtype)
    result = spec.quantize(weight, block_sizes, backend)
    if spec.dtype in POSITIVE_CODES:
        assert not result.zero_point.view(np.uint8).any()
    else:
        assert (result.zero_point == expected_zero_points(spec, weight, result)).all()
    assert (result.codes().view(np.uint8) == expected_codes(spec, weight, result)).all()


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
@pytest.mark.parametrize("spec", MSE_SPECS, ids=str)
def test_every_16_bit_weight_with_searched_scales(
    spec: Spec, dtype: DTypeLike, arrangement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the reference, whose search has tests of its own, says what is right."""
    weight, block_sizes = ARRANGEMENTS[arrangement](dtype)
    want = spec.quantize(weight, block_sizes, "reference")
    for level in instruction_sets():
        monkeypatch.setenv("COREAI_OPT_ISA", level)
        assert_same_bytes(spec.quantize(weight, block_sizes, "native"), want)


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_scale_of_a_binade_is_that_of_its_largest_number(
    spec: Spec, dtype: DTypeLike, backend: str
) -> None:
    """The scales of single numbers are checked elsewhere, all of them."""
    weight = binades(dtype)
    rows = spec.quantize(weight, [1, 0], backend).scale
    columns = spec.quantize(weight.T.copy(), [0, 1], backend).scale
    largest = spec.quantize(weight[:, -1:].copy(), [1, 1], backend).scale
    assert rows.tobytes() == columns.tobytes() == largest.tobytes()


def not_finite(dtype: DTypeLike) -> Array:
    """Every NaN and infinity of a 16-bit dtype; of float32 those with one bit of NaN, and all."""
    if dtype != F32:
        return split_by_finiteness(dtype)[1]
    mantissas = np.concatenate([[0, 0x7FFFFF], 1 << np.arange(23)])
    return from_bits(np.concatenate([0x7F800000 | mantissas, 0xFF800000 | mantissas]), F32)


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_nan_and_infinity_is_refused(spec: Spec, dtype: DTypeLike, backend: str) -> None:
    weight = np.ones((5, 67), dtype)
    for number, bad in enumerate(not_finite(dtype)):
        row, column = index = divmod(number % weight.size, 67)
        weight[index] = bad
        message = rf"weight is (nan|-?inf) at index \({row}, {column}\); it must be finite"
        with pytest.raises(ValueError, match=message):
            spec.quantize(weight, ((1, 0), (0, 1), (0, 0))[number % 3], backend)
        weight[index] = 1


# How far an E8M0 exponent goes: to where the format's largest number is still a float32, and one
# more, where E4M3 and E5M2 reach 1.875·2^127 and 1.75·2^127 with a smaller code. E2M1 does not.
HIGHEST_EXPONENT = {"fp4_e2m1fn": 125, "fp8_e4m3fn": 120, "fp8_e5m2": 113}


def boundaries(name: str) -> Array:
    """All positive numbers of a format, and all middles between two with float32's neighbours."""
    values = POSITIVE_CODES[name].astype(np.float32)
    middles = (values[1:] + values[:-1]) / 2
    around = [np.nextafter(middles, np.float32(side)) for side in (0, np.inf)]
    return np.concatenate([values, middles, *around])


@pytest.mark.parametrize("spec", E8M0_SPECS + FLOAT_SCALE_SPECS, ids=str)
def test_every_code_and_rounding_boundary_at_every_exponent(spec: Spec, backend: str) -> None:
    """Scales are 2^exponent, so boundaries stay what they are and codes decode to themselves.

    The largest weight of each block is one that gives it this scale: with E8M0 29/16 of the binade
    of the largest code, which saturates, else the largest code.
    """
    codes, emax = POSITIVE_CODES[spec.dtype], EMAX[spec.dtype]
    largest, highest = codes[-1], 127 - emax
    if spec in E8M0_SPECS:
        largest, highest = 29 / 16 * 2.0**emax, HIGHEST_EXPONENT[spec.dtype]
    numbers = np.append(boundaries(spec.dtype).astype(np.float64), largest)
    for exponent in range(-127, highest + 1):
        top = min(largest, 1.85 * 2.0 ** (127 - exponent))
        exact = np.ldexp(np.append(numbers[numbers < top], top), exponent)
        weight = exact.astype(np.float32)
        weight = weight[(weight == exact) | (exact == exact[-1])]
        assert exponent < -100 or len(weight) == len(exact)  # subnormals have fewer bits
        weight = np.concatenate([weight, -weight])
        result = spec.quantize(weight, [0], backend)
        assert result.scale.astype(np.float64).tolist() == [2.0**exponent]
        unscaled = np.ldexp(weight.astype(np.float64), -exponent)
        assert (result.codes().view(np.uint8) == nearest_codes(unscaled, spec.dtype)).all()
        is_code = np.isin(np.abs(unscaled), codes)
        assert set(np.abs(unscaled[is_code])) == set(codes[codes <= top])
        assert result.dequantize()[is_code].tobytes() == weight[is_code].tobytes()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("name", POSITIVE_CODES)
def test_every_code_decodes_at_all_255_e8m0_exponents(name: str, dtype: DTypeLike) -> None:
    values = np.concatenate([POSITIVE_CODES[name], -POSITIVE_CODES[name]])
    codes = np.tile(nearest_codes(values, name), 255)
    quantized = QuantizedArray(
        packed=codes[::2] | codes[1::2] << 4 if name == "fp4_e2m1fn" else codes,
        shape=(255, len(values)),
        dtype=DType(name),
        weight_dtype=dtype,
        scale=np.arange(255, dtype=np.uint8).view(ml_dtypes.float8_e8m0fnu)[:, np.newaxis],
        zero_point=np.zeros((255, 1), FORMATS[name].code_dtype),
    )
    exact = np.ldexp(values, np.arange(-127, 128)[:, np.newaxis])
    with np.errstate(over="ignore"):
        assert quantized.dequantize().tobytes() == exact.astype(F32).astype(dtype).tobytes()
