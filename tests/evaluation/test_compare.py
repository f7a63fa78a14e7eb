"""Errors by C: the bits of the reference at every level; the reference by the definitions."""

import math
from fractions import Fraction

import numpy as np
import pytest

from coreai_opt import _native, reference
from coreai_opt.arrays.backends import NativeBackend, ReferenceBackend, ValidatingBackend
from coreai_opt.exceptions import BackendMismatchError
from coreai_opt.reference.errors import Differences

from ..support.corpus import F16, F32, WEIGHT_DTYPES, Array, DTypeLike

SIZES = (1, 7, 15, 16, 17, 511, 512, 513, 1029, 5000)


def pair(size: int, dtype: DTypeLike, seed: int = 0) -> tuple[Array, Array]:
    """Weights, and numbers near them, of which some are equal and some far off."""
    generator = np.random.default_rng(seed)
    weight = generator.normal(0, 0.1, size).astype(dtype)
    relative = np.exp2(generator.uniform(-18, 2, size)) * generator.choice([-1, 0, 1], size)
    return weight, (weight.astype(np.float64) + 0.1 * relative).astype(dtype)


@pytest.mark.parametrize("level", _native.levels())
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_c_gives_the_bits_of_the_reference(
    level: str, dtype: DTypeLike, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_native.LEVEL_VARIABLE, level)
    for size in SIZES:
        weight, decoded = pair(size, dtype, size)
        signal = reference.errors.sum_squares(weight)
        assert _native.sum_squares(weight) == signal
        for mean_square in (signal / size, 2.0**-300, 0.01):
            want = reference.errors.compare(weight, decoded, mean_square)
            assert _native.compare(weight, decoded, mean_square) == want


@pytest.mark.parametrize("level", _native.levels())
def test_any_alignment(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_native.LEVEL_VARIABLE, level)
    for dtype in (F16, F32):
        weight, decoded = pair(700, dtype)
        want = reference.errors.compare(weight, decoded, 0.01)
        for shift in (1, 2, 3):
            moved = [
                np.frombuffer(bytes(shift) + a.tobytes(), np.uint8)[shift:]
                for a in pair(700, dtype)
            ]
            assert _native.compare(*(a.view(dtype) for a in moved), 0.01) == want


def test_the_reference_is_what_is_defined() -> None:
    """In fractions: sums to the last places, the largest and the counts exactly."""
    weight, decoded = pair(1029, F16)
    found = reference.errors.compare(weight, decoded, 0.01)
    errors = [
        abs(Fraction(float(d)) - Fraction(float(w))) for w, d in zip(weight, decoded, strict=True)
    ]
    assert found.noise == pytest.approx(float(sum(e * e for e in errors)), rel=1e-13)
    assert found.largest == float(max(errors))
    histogram = [0] * 17
    for error in errors:
        relative = error * error / Fraction(0.01)
        histogram[sum(relative >= Fraction(4) ** k for k in range(-15, 1))] += 1
    assert found.histogram == tuple(histogram)
    assert min(histogram[1:]) > 0


def test_sums_run_side_by_side() -> None:
    """By hand: 16 sums, of which the first alone keeps its ones, as 2**53 takes none."""
    numbers = np.zeros(48, F32)
    numbers[[1, 17, 33]] = 2.0**26.5, 1, 1  # one sum: neither 1 is left of 2**53 + 1
    numbers[[0, 16]] = 1, 1  # another sum: 2
    first = float(numbers[1]) ** 2
    one, two = (first + 1) + 1, 2.0
    assert reference.errors.sum_squares(numbers) == two + one
    assert _native.sum_squares(numbers) == two + one


@pytest.mark.parametrize("level", _native.levels())
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_seen(
    level: str, bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_native.LEVEL_VARIABLE, level)
    for at in (0, 300, 699):
        weight, decoded = pair(700, F32)
        decoded[at] = bad
        assert not math.isfinite(_native.compare(weight, decoded, 0.01)[0])
        assert not math.isfinite(_native.compare(decoded, weight, 0.01)[0])
        assert not math.isfinite(_native.sum_squares(decoded))


class _Off(ReferenceBackend):
    """A backend that is off by the last place."""

    def sum_squares(self, numbers: Array) -> float:
        return math.nextafter(super().sum_squares(numbers), math.inf)

    def compare(self, weight: Array, decoded: Array, mean_square: float) -> Differences:
        found = super().compare(weight, decoded, mean_square)
        return found._replace(noise=math.nextafter(found.noise, math.inf))


def test_backends_that_differ_are_noticed() -> None:
    weight, decoded = pair(100, F32)
    same = ValidatingBackend(NativeBackend(), ReferenceBackend())
    assert same.compare(weight, decoded, 0.01) == reference.errors.compare(weight, decoded, 0.01)
    assert same.sum_squares(weight) == reference.errors.sum_squares(weight)
    off = ValidatingBackend(NativeBackend(), _Off())
    with pytest.raises(BackendMismatchError, match="errors of a float32 weight"):
        off.compare(weight, decoded, 0.01)
    with pytest.raises(BackendMismatchError, match="sums of squares of a float32 weight"):
        off.sum_squares(weight)
