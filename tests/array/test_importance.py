"""Importances: a worked example, what must not matter, and that the weighed error is less."""

from typing import Any

import numpy as np
import pytest

from coreai_opt import _native

from ..support.corpus import (
    F32,
    LAYOUTS,
    MSE_SPECS,
    SEARCHED_SPECS,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Layout,
    Spec,
    block_numbers,
    corpus,
    instruction_sets,
)
from ..support.optimum import FORMATS, Format, least_error
from ..support.same_bytes import assert_same_bytes, same_bytes
from ..support.searched import LONG, block_errors, spread


def uneven(shape: Any, sigma: float = 1.5, seed: int = 1) -> Array:
    """Importances over some orders of magnitude."""
    return np.exp(np.random.default_rng(seed).normal(0, sigma, shape)).astype(F32)


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_example(dtype: DTypeLike, backend: str) -> None:
    # INT2 has the codes -2 .. 1. The scale 16 leaves only the error of the 2s, 15·2² = 60. With the
    # codes -2 and -1 the best scale (16·2 + 15·2) / (2² + 15) leaves 16² + 15·2² - 62²/19 = 113.7.
    weight = np.array([16, *[2] * 15], dtype)
    spec = Spec("int2", observer="mse")
    result = spec.quantize(weight, [0], backend)
    assert result.scale.astype(float).tolist() == [16]
    # If each 2 counts 4 times as much as the 16, the scale 16 leaves 4·60 = 240; the codes -2 and
    # -1 with (16·2 + 4·15·2) / (2² + 4·15) = 2.375 leave 16² + 4·15·2² - 2.375²·64 = 135.
    result = spec.quantize(weight, [0], backend, importance=np.array([0.5, *[2.0] * 15]))
    assert result.scale.astype(float).tolist() == [-2.375]
    assert result.codes().tolist() == [-2, *[-1] * 15]


@pytest.mark.parametrize("value", [1.0, 0.3, 2.0**-149, 3e38, 0.0])
@pytest.mark.parametrize("spec", MSE_SPECS, ids=str)
def test_equal_importances_give_the_bytes_of_none(spec: Spec, value: float, backend: str) -> None:
    for layout in LAYOUTS[::7]:
        for dtype in WEIGHT_DTYPES:
            weight = spread(layout.shape, dtype)
            importance = np.full([1] * weight.ndim, value)
            got, want = (
                spec.quantize(weight, layout.block_sizes, backend, importance=h)
                for h in (importance, None)
            )
            assert_same_bytes(got, want)


@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_only_ratios_within_a_block_count(spec: Spec, backend: str) -> None:
    weight, importance = spread((20, 64), F32), uneven((20, 64))
    of_blocks = np.exp2(np.random.default_rng(1).integers(-60, 60, (20, 2))).astype(F32)
    scaled = importance * np.repeat(of_blocks, 32, axis=1)
    got, want = (
        spec.quantize(weight, (1, 32), backend, importance=h) for h in (scaled, importance)
    )
    assert_same_bytes(got, want)


@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_an_axis_of_length_1_stands_for_all_indices(spec: Spec, backend: str) -> None:
    weight = spread((6, 8, 10), F32)
    for shape in ((1, 1, 10), (1, 8, 1), (6, 1, 1), (6, 8, 1), (1, 8, 10), (6, 1, 10)):
        importance = uneven(shape)
        everywhere = np.ascontiguousarray(np.broadcast_to(importance, weight.shape))
        for sizes in ((1, 0, 1), (2, 4, 0), (0, 0, 0)):
            got, want = (
                spec.quantize(weight, sizes, backend, importance=h)
                for h in (importance, everywhere)
            )
            assert_same_bytes(got, want)


@pytest.mark.parametrize(
    "importance",
    [
        uneven((4, 6)).astype(np.float64),
        uneven((4, 6)).astype(">f4"),
        uneven((6, 4)).T,
        uneven((4, 12))[:, ::2],
    ],
    ids=["float64", "byte-swapped", "transposed", "every other"],
)
def test_memory_layout_does_not_matter(importance: Array, backend: str) -> None:
    weight = spread((4, 6), F32)
    spec = Spec("int4", observer="mse")
    plain = np.ascontiguousarray(importance, F32)
    got, want = (spec.quantize(weight, (1, 0), backend, importance=h) for h in (importance, plain))
    assert_same_bytes(got, want)


def random_importance(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Of any shape that fits, from equal ones to some that differ beyond all rounding."""
    sizes = [int(rng.choice((1, n))) for n in shape]
    importance = uneven(sizes, rng.choice((0.1, 1, 3, 20)), int(rng.integers(1 << 30)))
    return np.where(rng.random(sizes) < rng.choice((0, 0, 0.1, 0.9)), 0, importance).astype(F32)


@pytest.mark.parametrize("layout", [*LAYOUTS, *LONG], ids=str)
@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_native_equals_reference(
    spec: Spec, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng([SEARCHED_SPECS.index(spec), *layout.shape, *layout.block_sizes])
    dtype = WEIGHT_DTYPES[rng.integers(3)]
    for weight in (next(corpus(layout, dtype)), spread(layout.shape, dtype)):
        h = random_importance(rng, layout.shape)
        want = spec.quantize(weight, layout.block_sizes, "reference", importance=h)
        for level in instruction_sets():
            monkeypatch.setenv("COREAI_OPT_ISA", level)
            got = spec.quantize(weight, layout.block_sizes, "native", importance=h)
            assert_same_bytes(got, want)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_the_bytes_do_not_depend_on_threads(
    spec: Spec, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    for shape, sizes in (((61, 35), (0, 0)), ((61, 35), (1, 0)), ((7, 96), (1, 32)), ((50,), (0,))):
        weight, importance = spread(shape, F32), uneven(shape)
        got, want = (
            spec.quantize(weight, sizes, "native", n, importance=importance) for n in (threads, 1)
        )
        assert_same_bytes(got, want)


@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_never_worse_than_minmax_in_any_block(spec: Spec) -> None:
    rng = np.random.default_rng(0)
    for layout in LAYOUTS[::3]:
        numbers = block_numbers(layout)
        for dtype in WEIGHT_DTYPES:
            for weight in (*corpus(layout, dtype), spread(layout.shape, dtype)):
                h = random_importance(rng, layout.shape)
                minmax = spec._replace(observer="minmax").quantize(
                    weight, layout.block_sizes, "native"
                )
                mse = spec.quantize(weight, layout.block_sizes, "native", importance=h)
                before, after = (
                    block_errors(weight, result, numbers, h.astype(np.float64))
                    for result in (minmax, mse)
                )
                assert (after <= before).all()


def weighed_sqnr(weight: Array, errors: Array, importance: Array) -> float:
    signal = np.sum(importance * weight.astype(np.float64) ** 2)
    return float(10 * np.log10(signal / np.sum(errors)))


# How far from the optimum the weighed SQNR may be, and how much it must gain at least, in dB.
@pytest.mark.parametrize(("length", "margin", "gain"), [(32, 0.05, 0.45), (1024, 0.1, 0.05)])
@pytest.mark.parametrize("format", FORMATS[:8])  # scales that are powers of two gain nothing
def test_close_to_the_optimum_and_better_than_without(
    format: Format, length: int, margin: float, gain: float
) -> None:
    weight = np.random.default_rng(0).normal(0, 0.02, (1 << 14) // length * length)
    weight = weight.reshape(-1, length).astype(F32)
    h = uneven(weight.shape, sigma=1.0, seed=3).astype(np.float64)
    plain, weighed = (
        Spec(format.dtype, format.qscheme, observer="mse").quantize(
            weight, (1, 0), "native", importance=importance
        )
        for importance in (None, h)
    )
    without, reached = (
        weighed_sqnr(weight, h * (weight - q.dequantize().astype(np.float64)) ** 2, h)
        for q in (plain, weighed)
    )
    best = weighed_sqnr(weight, least_error(weight, format.dtype, format.qscheme, h), h)
    assert best - margin < reached
    assert without + gain < reached


def test_mxfp4_takes_the_better_exponent_by_weighed_errors(backend: str) -> None:
    # With MINMAX's scale 2, 7.5 -> 8 and 0.5 -> 0; with 1, 7.5 -> 6 and 0.5 stays: that leaves
    # h·0.25 + 9·0.25 and h·2.25, which are equal at h = 1.125.
    weight = np.array([7.5, *[0.5] * 9], F32)
    spec = Spec("fp4_e2m1fn", observer="mse")
    for first, scale in ((1.1, 1), (1.15, 2)):
        importance = np.array([first, *[1.0] * 9])
        result = spec.quantize(weight, [0], backend, importance=importance)
        assert result.scale.astype(float).tolist() == [scale]


def test_a_block_of_unimportant_weights_is_searched_as_without(backend: str) -> None:
    weight, importance = spread((4, 64), F32), uneven((4, 64))
    importance[2, 32:] = 0
    spec = Spec("int4", observer="mse")
    got, plain = (spec.quantize(weight, (1, 32), backend, importance=h) for h in (importance, None))
    assert got.scale[2, 1] == plain.scale[2, 1]
    assert not same_bytes(got, plain)
