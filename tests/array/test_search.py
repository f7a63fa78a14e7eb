"""The observer MSE: worked examples, what must not matter to it, and that it never does harm."""

import numpy as np
import pytest

from coreai_opt import _native

from ..support.corpus import (
    BF16,
    E4M3_E8M0,
    E5M2_E8M0,
    F16,
    F32,
    LAYOUTS,
    MSE_SPECS,
    SEARCHED_SPECS,
    SPECS,
    WEIGHT_DTYPES,
    DTypeLike,
    Layout,
    Spec,
    block_numbers,
    corpus,
    instruction_sets,
)
from ..support.same_bytes import assert_same_bytes, same_bytes
from ..support.searched import LONG, block_errors, spread

# INT2 has the codes -2 .. 1. MINMAX's scale is absmax = 4, and all the 2s become 0.
OUTLIER_2 = [4, *[2] * 12]
# The codes -2 and -1 have the best scale (8·2 + 12·2·1) / (2² + 12) = 2.5 and leave the error
# 3² + 12·0.5² = 12, MINMAX 12·2².
OUTLIER_4 = [8, *[2] * 12]
# Here the 16 counts for more: that leaves 16² + 7·2² - 46²/11 = 92, MINMAX 7·2² = 28.
OUTLIER_8 = [16, *[2] * 7]
# Exact, and each weight has the other sign than its code.
MIXED = [4, *[-2] * 12]
# All sixteen codes of INT4.
RAMP = [*range(8, -8, -1)]
# All but exact with a larger scale than MINMAX's, which is 6/7.
SHORT_RAMP = [*range(6, -1, -1)]
# All but exact with the scale 1 alone; MINMAX's is 250/255.
LONG_RAMP = [*range(251)]
# absmax 7.5 = 1.875·2² has the scale 2: 7.5 -> 8 and 0.5 -> 0, error 0.25 + 9·0.25 = 2.5. With the
# scale 1, 7.5 -> 6 and 0.5 stays: error 2.25.
MXFP4_DOWN = [7.5, *[0.5] * 9]
# absmax 7.125 = 1.78·2² has the scale 1: 7.125 -> 6. With the scale 2 it is 8, which is closer.
MXFP4_UP = [7.125] * 10


def best_scale(codes: list[int], extent: float) -> float:
    """A/B of weights that are these codes, in units of extent/2**13."""
    x = np.rint(np.array(codes, F32) * (np.float32(2**13) / np.float32(extent)))
    a, b = x @ codes, np.square(codes).sum()
    return float(np.float32(a) / np.float32(b) * (np.float32(extent) / np.float32(2**13)))


EXAMPLES = [
    (Spec("int2"), OUTLIER_2, -2, [-2, *[-1] * 12]),
    (Spec("int2"), [-x for x in OUTLIER_2], 2, [-2, *[-1] * 12]),
    (Spec("int2"), MIXED, -2, [-2, *[1] * 12]),
    (Spec("uint2"), OUTLIER_4, -2.5, [0, *[1] * 12]),
    (Spec("int2"), OUTLIER_8, 16, [1, *[0] * 7]),
    (Spec("int4"), RAMP, -1, [*range(-8, 8)]),
    (Spec("uint4"), [-x for x in RAMP], 1, [*range(16)]),
    (Spec("int4"), SHORT_RAMP, best_scale(SHORT_RAMP, 6), SHORT_RAMP),
    (Spec("uint8", "asymmetric"), LONG_RAMP, best_scale(LONG_RAMP, 125), LONG_RAMP),
    (Spec("fp4_e2m1fn"), MXFP4_DOWN, 1, [6, *[0.5] * 9]),
    (Spec("fp4_e2m1fn"), MXFP4_UP, 2, [4] * 10),
]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize(("spec", "weights", "scale", "codes"), EXAMPLES)
def test_examples(
    spec: Spec,
    weights: list[float],
    scale: float,
    codes: list[float],
    dtype: DTypeLike,
    backend: str,
) -> None:
    weight = np.array(weights, dtype)
    assert (weight.astype(float) == weights).all()
    result = spec._replace(observer="mse").quantize(weight, [0], backend)
    assert result.scale.tolist() == [np.dtype(dtype).type(scale)]
    assert result.codes().astype(float).tolist() == codes


@pytest.mark.parametrize("spec", MSE_SPECS, ids=str)
def test_which_scales_are_negative(spec: Spec, backend: str) -> None:
    """Scales of symmetric integers of 2 and 4 bits, which have one code more on one side."""
    result = spec.quantize(spread((100, 64), F32), (1, 32), backend)
    either_sign = spec.qscheme == "symmetric" and spec.dtype.endswith(("int2", "int4"))
    negative = (result.scale.astype(F32) < 0).sum()
    assert 50 < negative < 150 if either_sign else not negative
    if spec.dtype in {"int8", "uint8"} and spec.qscheme == "symmetric":
        lowest = -127 if spec.dtype == "int8" else 0
        assert lowest <= result.codes().min()
        assert result.codes().max() == lowest + 254


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("qscheme", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_uint_decodes_to_what_int_does(
    bits: int, qscheme: str, dtype: DTypeLike, backend: str
) -> None:
    weight = spread((100, 64), dtype)
    int_, uint = (
        Spec(f"{kind}{bits}", qscheme, observer="mse").quantize(weight, (1, 32), backend)
        for kind in ("int", "uint")
    )
    assert uint.scale.tobytes() == int_.scale.tobytes()
    assert uint.dequantize().tobytes() == int_.dequantize().tobytes()
    difference = uint.zero_point.astype(int) - int_.zero_point.astype(int)
    assert (difference == (127 if bits == 8 and qscheme == "symmetric" else 2 ** (bits - 1))).all()
    assert qscheme == "asymmetric" or not int_.zero_point.any()


def test_the_zero_point_moves(backend: str) -> None:
    # UINT2 of -2 .. 6: MINMAX has the scale 8/3 and the zero point 1, from which -2 and -1 are one
    # code. With the zero point 2, all but the 6 has a code of its own, and the best scale for these
    # is Σ w·code / Σ code² = (64·(4 + 1 + 1) + 6) / (64·(4 + 1 + 1) + 1).
    weight = np.array([6, *[-2, -1, 0, 1] * 64], np.float32)
    spec = Spec("uint2", "asymmetric")
    minmax, mse = (
        spec._replace(observer=observer).quantize(weight, [0], backend)
        for observer in ("minmax", "mse")
    )
    assert minmax.zero_point.tolist() == [1]
    assert mse.zero_point.tolist() == [2]
    assert mse.scale.tolist() == [np.float32(390) / np.float32(385)]
    assert mse.codes().tolist() == [3, *[0, 1, 2, 3] * 64]


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", MSE_SPECS, ids=str)
def test_never_worse_than_minmax_in_any_block(spec: Spec, dtype: DTypeLike) -> None:
    """Of what is stored, in ordinary blocks and extreme ones; better somewhere but for E8M0 FP8."""
    better = 0
    for layout in LAYOUTS[::3]:
        numbers = block_numbers(layout)
        for weight in (*corpus(layout, dtype), spread(layout.shape, dtype)):
            minmax = spec._replace(observer="minmax").quantize(weight, layout.block_sizes, "native")
            mse = spec.quantize(weight, layout.block_sizes, "native")
            before, after = (block_errors(weight, result, numbers) for result in (minmax, mse))
            assert (after <= before).all()
            better += (after < before).sum()
    e8m0_fp8 = spec._replace(observer=None) in {E4M3_E8M0, E5M2_E8M0}
    assert better == 0 if e8m0_fp8 else better > 100


@pytest.mark.parametrize("spec", MSE_SPECS, ids=str)
def test_the_order_of_weights_does_not_matter(spec: Spec, backend: str) -> None:
    weight = spread((5, 300), F32)
    shuffled = np.random.default_rng(1).permuted(weight, axis=1)
    results = [spec.quantize(w, (1, 0), backend) for w in (weight, shuffled)]
    assert results[0].scale.tobytes() == results[1].scale.tobytes()
    assert results[0].zero_point.tobytes() == results[1].zero_point.tobytes()


@pytest.mark.parametrize("spec", MSE_SPECS, ids=str)
def test_powers_of_two_only_move_the_scale(spec: Spec, backend: str) -> None:
    weight = spread((20, 64), F32)
    want = spec.quantize(weight, (1, 32), backend)
    for exponent in (-80, 80):
        result = spec.quantize(np.ldexp(weight, exponent), (1, 32), backend)
        assert result.packed.tobytes() == want.packed.tobytes()
        assert (np.ldexp(want.scale.astype(float), exponent) == result.scale.astype(float)).all()


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_what_is_too_small_or_large_is_left_to_minmax(spec: Spec, backend: str) -> None:
    mse = spec._replace(observer="mse")
    ordinary = np.clip(spread((8, 32), F32), -4, 4) / 4
    ordinary[:, 0] = 1
    assert not same_bytes(*(s.quantize(ordinary, (0, 0), backend) for s in (spec, mse))) or (
        spec.dtype.startswith("fp")
    )
    for dtype, factor in (
        (F32, 2.0**-101),
        (F32, 2.0**127),
        (BF16, 2.0**-101),
        (BF16, 2.0**127),
        (F16, 2.0**15),
    ):
        weight = (ordinary * factor).astype(dtype)
        for sizes in ((1, 0), (0, 0)):
            got, want = (s.quantize(weight, sizes, backend) for s in (mse, spec))
            assert got.scale.tobytes() == want.scale.tobytes()
            assert got.dequantize().tobytes() == want.dequantize().tobytes()


@pytest.mark.parametrize("layout", LONG, ids=str)
@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_long_blocks(spec: Spec, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    dtype = WEIGHT_DTYPES[(SEARCHED_SPECS.index(spec) + LONG.index(layout)) % 3]
    weight = spread(layout.shape, dtype)
    want = spec.quantize(weight, layout.block_sizes, "reference")
    for level in instruction_sets():
        monkeypatch.setenv("COREAI_OPT_ISA", level)
        assert_same_bytes(spec.quantize(weight, layout.block_sizes, "native"), want)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_the_bytes_do_not_depend_on_threads(
    spec: Spec, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    for shape, sizes in (((61, 35), (0, 0)), ((61, 35), (1, 0)), ((7, 96), (1, 32)), ((5,), (0,))):
        weight = spread(shape, BF16)
        want = spec.quantize(weight, sizes, "native")
        assert_same_bytes(spec.quantize(weight, sizes, "native", threads), want)


@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_not_finite(spec: Spec, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    weight = spread((40, 50), F32)
    weight[31, 7] = np.inf
    for sizes in ((1, 0), (0, 0)):
        with pytest.raises(ValueError, match=r"inf at index \(31, 7\)"):
            spec.quantize(weight, sizes, backend, 3)
