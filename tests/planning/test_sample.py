"""Plans of large weights, measured on a part of each."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from coreai.authoring import AIProgram
from coreai.authoring.constant import constant

from coreai_opt import quantize_array
from coreai_opt.coreai_utils import plan_quantization, quantize_weights
from coreai_opt.planning import sample
from coreai_opt.planning.sample import take_sample
from coreai_opt.program.forms.blockwise import saved_bytes
from coreai_opt.reference import WEIGHT_DTYPES

from ..support.programs import F32, linear, make_program, random_weight


@pytest.fixture
def small_samples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Samples of 4096 elements, so that weights of tests are large."""
    monkeypatch.setattr(sample, "ELEMENTS", 4096)
    return None


WEIGHT = random_weight((1024, 96)) * np.linspace(0.1, 3, 1024, dtype=F32)[:, None]
BLOCKS = {"channel": (1, 0), "block": (1, 32)}


def test_small_weights_are_measured_whole() -> None:
    assert take_sample(WEIGHT, [(1, 32)]).array is WEIGHT


@pytest.mark.usefixtures("small_samples")
def test_a_sample_has_rows_from_everywhere() -> None:
    """One from each of 64 runs of 16; they do not repeat with any period."""
    weight = np.repeat(np.arange(1024, dtype=F32)[:, None], 96, axis=1)
    found = take_sample(weight, [(1, 32), (1, 0)])
    rows = found.array[:, 0].astype(int)
    assert found.array.shape == (64, 96)
    assert (rows // 16).tolist() == list(range(64))
    assert len(set(rows % 16)) > 8
    assert (rows == take_sample(weight, [(1, 32)]).array[:, 0]).all()


@pytest.mark.usefixtures("small_samples")
def test_slices_are_taken_where_no_block_is_longer() -> None:
    assert take_sample(WEIGHT, [(32, 1)]).array is WEIGHT  # 96 columns are too few
    assert take_sample(WEIGHT.T, [(32, 1), (0, 1)]).array.shape == (96, 64)
    assert take_sample(WEIGHT, [(1, 32), (0, 0)]).array is WEIGHT
    assert take_sample(WEIGHT, []).array is WEIGHT


@pytest.mark.usefixtures("small_samples")
@pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("dtype", ["int2", "uint4", "int8", "fp8_e4m3fn"])
@pytest.mark.parametrize("qscheme", ["symmetric", "asymmetric"])
def test_sizes_are_those_of_the_whole_weight(
    dtype: str, qscheme: str, blocks: tuple[int, int]
) -> None:
    if qscheme == "asymmetric" and "int" not in dtype:
        return  # floating-point formats are symmetric
    options: dict[str, Any] = {"dtype": dtype, "qscheme": qscheme, "block_sizes": blocks}
    found = take_sample(WEIGHT, [blocks])
    assert found.array.size < WEIGHT.size
    whole = quantize_array(WEIGHT, **options)
    assert found.saved_bytes(quantize_array(found.array, **options)) == saved_bytes(whole)


def program(*weights: Any) -> AIProgram:
    """``y = x`` times one weight after the other."""

    def body(x: Any) -> Any:
        for weight in weights:
            x = linear(x, constant(weight))
        return (x,)

    dtype = weights[0].dtype
    return make_program(body, {"x": ((2, 96), dtype)}, {"y": ((2, weights[-1].shape[0]), dtype)})


@pytest.mark.usefixtures("small_samples")
def test_a_plan_of_samples_is_as_good_as_one_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    tail = rng.standard_t(3, (96, 1024)).astype(F32)
    model, size = program(WEIGHT, tail), 90_000
    sampled = plan_quantization(model, target_bytes=size)
    monkeypatch.setattr(sample, "ELEMENTS", 1 << 30)
    whole = plan_quantization(model, target_bytes=size)
    assert sampled.nbytes == whole.nbytes <= size
    assert sampled.rules == whole.rules
    assert abs(sampled.sqnr_db - whole.sqnr_db) < 0.3
    assert sampled.sqnr_db != whole.sqnr_db


@pytest.mark.usefixtures("small_samples")
def test_a_least_quality_is_measured_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model = program(WEIGHT)
    first = plan_quantization(model, min_sqnr=30)
    monkeypatch.setattr(sample, "ELEMENTS", 1 << 30)
    assert plan_quantization(model, min_sqnr=30) == first
    records: list[Any] = []
    quantize_weights(model, None, overrides=first.rules, progress=records.append)
    assert records[0].error.sqnr_db == pytest.approx(first.sqnr_db, abs=1e-9)


@pytest.mark.usefixtures("small_samples")
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_anywhere_is_kept(dtype: Any, number: float) -> None:
    weight = WEIGHT.astype(dtype)
    inside = {row.tobytes() for row in take_sample(weight, [(1, 32)]).array}
    row = next(i for i, row in enumerate(weight) if row.tobytes() not in inside)
    weight[row, 95] = number
    assert take_sample(weight, [(1, 32)]).array is weight
    plan = plan_quantization(program(weight), target_bytes=weight.nbytes)
    assert [choice.rule.keep for choice in plan.choices] == [True]


@pytest.mark.usefixtures("small_samples")
def test_weights_that_differ_outside_their_samples_are_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = WEIGHT.copy()
    inside = {row.tobytes() for row in take_sample(WEIGHT, [(1, 32)]).array}
    row = next(i for i, row in enumerate(WEIGHT) if row.tobytes() not in inside)
    other[row, 3] += 1

    def body(x: Any) -> Any:
        return tuple(linear(x, constant(weight)) for weight in (WEIGHT, other, WEIGHT.copy()))

    outputs = dict.fromkeys(("a", "b", "c"), ((2, 1024), F32))
    model = make_program(body, {"x": ((2, 96), F32)}, outputs)
    both = plan_quantization(model, target_bytes=10**9).nbytes
    assert both == 2 * WEIGHT.nbytes
