"""What quantizing leaves as error: by hand, and against the formulas in exact fractions."""

import dataclasses
import math
import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from coreai_opt import PalettizedArray, QuantizedArray, palettize_array
from coreai_opt.evaluation import weight_error
from coreai_opt.evaluation.weight_error import WeightError, measure_error
from coreai_opt.settings.enums import DType

from ..support.corpus import F16, F32, SPECS, WEIGHT_DTYPES, Array, DTypeLike, Layout, Spec

LAYOUTS = (
    Layout((33,), (0,)),
    Layout((96,), (32,)),
    Layout((1, 64), (1, 32)),
    Layout((13, 7), (0, 0)),
    Layout((13, 7), (1, 0)),
    Layout((5, 64), (1, 32)),
    Layout((64, 3), (32, 1)),
    Layout((64, 3), (0, 1)),
    Layout((3, 32, 5), (1, 16, 1)),
    Layout((6, 3, 3, 3), (0, 1, 0, 0)),
)


def stored(codes: list[int], scale: float = 1, dtype: DTypeLike = F32) -> QuantizedArray:
    """INT8 codes with one scale."""
    return QuantizedArray(
        packed=np.array(codes, np.int8).view(np.uint8),
        shape=(len(codes),),
        dtype=DType.INT8,
        weight_dtype=dtype,
        scale=np.array([scale], dtype),
        zero_point=np.zeros(1, np.int8),
    )


def counts(**bins: int) -> tuple[int, ...]:
    """A histogram of which only these bins are not 0; ``_15`` is the one from 2**-15 on."""
    edges = {"under": 0, "one": 16} | {f"_{15 - k}": k + 1 for k in range(15)}
    histogram = [0] * 17
    for name, count in bins.items():
        histogram[edges[name]] = count
    return tuple(histogram)


def exact(
    weight: Array, quantized: QuantizedArray | PalettizedArray
) -> tuple[Fraction, Fraction, Fraction, Any]:
    """The definitions in :class:`WeightError`, word for word."""
    w = [Fraction(float(x)) for x in weight.reshape(-1)]
    errors = [
        abs(Fraction(float(d)) - x)
        for x, d in zip(w, quantized.dequantize().reshape(-1), strict=True)
    ]
    signal = sum((x * x for x in w), Fraction())
    histogram = [0] * 17
    for error in errors:
        relative = error * error / (signal / len(w))
        histogram[sum(relative >= Fraction(4) ** k for k in range(-15, 1))] += 1
    return signal, sum((e * e for e in errors), Fraction()), max(errors), tuple(histogram)


def test_by_hand() -> None:
    weight = np.array([3, -3, 3, 3, -3, -3, -3, 3], F32)
    codes = [0, -3, 3, 2, -4, -3, -3, 4]
    error = measure_error(weight, stored(codes), num_threads=1)
    assert error == WeightError(72, 12, 3, counts(under=4, _2=3, one=1))
    assert error.sqnr_db == pytest.approx(7.7815, abs=1e-4)


def test_edges_of_the_histogram() -> None:
    """Errors that are a power of two of the root of the mean square belong to the bin above."""
    for rms in (1, 7):
        weight = np.full(17, rms, F32)
        for k in range(17):
            for nudge, bin in ((1, 16 - k), (1 - 2**-5, max(15 - k, 0))):
                quantized = stored([1] * 17, rms * (1 - nudge * 2.0**-k))
                error = measure_error(weight, quantized, num_threads=1)
                assert error.histogram == tuple(17 * (number == bin) for number in range(17))


def test_a_perfect_copy_has_no_noise() -> None:
    error = measure_error(np.array([1, 2, -3], F16), stored([1, 2, -3], 1, F16), num_threads=1)
    assert error == WeightError(14, 0, 0, counts(under=3))
    assert error.sqnr_db == math.inf


def test_a_weight_of_zeros() -> None:
    zeros = np.zeros(3, F32)
    error = measure_error(zeros, stored([0, 0, 0]), num_threads=1)
    assert error == WeightError(0, 0, 0, counts(under=3))
    assert error.sqnr_db == math.inf
    for scale in (2.0**-149, 2.0**120):
        error = measure_error(zeros, stored([0, -1, 0], scale), num_threads=1)
        assert error == WeightError(0, scale**2, scale, counts(under=2, one=1))
        assert error.sqnr_db == -math.inf


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_definitions(layout: Layout, dtype: DTypeLike, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every format, and with runs so small that these weights have several."""
    monkeypatch.setattr(weight_error, "_RUN", 32)
    weight = np.random.default_rng(0).normal(0, 0.1, layout.shape).astype(dtype)
    for spec in SPECS:
        quantized = spec.quantize(weight, layout.block_sizes, "auto")
        error = measure_error(weight, quantized, num_threads=2)
        signal, noise, largest, histogram = exact(weight, quantized)
        assert error.signal == pytest.approx(float(signal), rel=1e-14)
        assert error.noise == pytest.approx(float(noise), rel=1e-13)
        assert error.largest == float(largest)
        assert error.histogram == histogram


@pytest.mark.parametrize(
    ("axis", "blocks"), [(0, None), (1, None), (0, (8, 0)), (1, (0, 6))], ids=str
)
@pytest.mark.parametrize("bits", [3, 8])
def test_runs_of_vectors(
    axis: int, blocks: tuple[int, int] | None, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_error, "_RUN", 40)
    weight = np.random.default_rng(0).standard_normal((48, 18), F32)
    palettized = palettize_array(weight, bits, block_sizes=blocks, cluster_dim=2, cluster_axis=axis)
    assert len(list(weight_error._runs(palettized))) > 1
    measured = measure_error(weight, palettized, num_threads=1)
    signal, noise, largest, _ = exact(weight, palettized)
    assert measured.signal == pytest.approx(float(signal), rel=1e-12)
    assert measured.noise == pytest.approx(float(noise), rel=1e-12)
    assert measured.largest == float(largest)


def test_the_same_in_any_number_of_threads() -> None:
    weight = np.random.default_rng(1).standard_normal((1024, 1056), dtype=F32)
    quantized = Spec("int4").quantize(weight, (1, 32), "auto")
    one = measure_error(weight, quantized, num_threads=1)
    assert sum(one.histogram) == weight.size
    assert all(measure_error(weight, quantized, num_threads=n) == one for n in (2, 3, 7, 100))


def test_a_weight_that_is_not_contiguous() -> None:
    weight = np.random.default_rng(1).standard_normal((64, 48), dtype=F32)
    quantized = Spec("int4").quantize(weight.T, (1, 32), "auto")
    want = measure_error(np.ascontiguousarray(weight.T), quantized, num_threads=1)
    assert measure_error(weight.T, quantized, num_threads=1) == want


def test_memory() -> None:
    """Neither the decoded weight nor its errors are ever held as a whole."""
    weight = np.random.default_rng(1).standard_normal((4096, 1024), dtype=F32)
    quantized = Spec("int4").quantize(weight, (1, 32), "auto")
    measure_error(weight[:1], Spec("int4").quantize(weight[:1], (1, 32), "auto"), num_threads=1)
    tracemalloc.start()
    try:
        measure_error(weight, quantized, num_threads=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < weight.nbytes / 4


def test_what_cannot_be_compared() -> None:
    weight = np.array([1, 2], F32)
    with pytest.raises(ValueError, match=r"weight is of shape \(2,\), quantized of \(3,\)"):
        measure_error(weight, stored([1, 2, 3]), num_threads=1)
    for number in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="weight holds a NaN or infinity"):
            measure_error(np.array([number, 1], F32), stored([1, 1]), num_threads=1)
        broken = dataclasses.replace(stored([1, 1]), scale=np.array([number], F32))
        with pytest.raises(ValueError, match="quantized decodes to a NaN or infinity"):
            measure_error(weight, broken, num_threads=1)
