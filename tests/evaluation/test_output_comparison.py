"""The figures that say how far one output is from another."""

import math
import re

import ml_dtypes
import numpy as np
import pytest

from coreai_opt.evaluation.output_comparison import (
    OutputComparison,
    check_quality,
    compare_outputs,
    sqnr_db,
)
from coreai_opt.evaluation.weight_error import decibels
from coreai_opt.exceptions import QualityError


def compare(reference: object, output: object) -> OutputComparison:
    (comparison,) = compare_outputs({"y": np.asarray(reference)}, {"y": np.asarray(output)})
    return comparison


def test_sqnr() -> None:
    assert sqnr_db(np.array([6.0, 8.0]), np.array([6.0, 7.0])) == 20  # 100 over 1
    assert sqnr_db(np.ones(3), np.ones(3)) == math.inf
    assert sqnr_db(np.zeros(3), np.zeros(3)) == math.inf
    assert sqnr_db(np.zeros(3), np.ones(3)) == -math.inf
    assert math.isnan(sqnr_db(np.array([1.0, np.nan]), np.ones(2)))
    assert math.isnan(sqnr_db(np.array([1.0, np.inf]), np.array([1.0, np.inf])))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_sqnr_is_computed_in_float64(dtype: type) -> None:
    loud = np.full(4, 2.0**15, dtype)  # its squares are too much for float16
    assert sqnr_db(loud, loud / dtype(2)) == 10 * math.log10(4)


def test_all_figures_of_an_output() -> None:
    found = compare([[3.0, 4.0], [0.0, 0.0]], [[4.0, 3.0], [0.0, 0.0]])
    assert found.name == "y"
    assert found.shape == (2, 2)
    assert found.sqnr_db == 10 * math.log10(25 / 2)
    assert found.cosine == 24 / 25
    assert found.max_abs_error == 1
    assert found.top1 == 0.5  # the largest moved in the first row; of equal ones the first counts


def test_outputs_come_by_name() -> None:
    a, b = np.zeros(2), np.ones(3)
    assert [c.name for c in compare_outputs({"b": b, "a": a}, {"a": a, "b": b})] == ["a", "b"]


@pytest.mark.parametrize(
    ("shape", "has"), [((), False), ((5,), True), ((5, 1), False), ((1, 2), True), ((0, 2), False)]
)
def test_top1_is_of_rows_with_a_choice(shape: tuple[int, ...], has: bool) -> None:
    assert compare(np.zeros(shape), np.zeros(shape)).top1 == (1.0 if has else None)


def test_top1_is_along_the_last_axis() -> None:
    reference = np.zeros((2, 3, 4))
    output = reference.copy()
    output[1, 2, 3] = 1
    assert compare(reference, output).top1 == 5 / 6


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_not_finite_has_no_figures(odd: float) -> None:
    found = compare([1.0, 2.0], [1.0, odd])
    assert all(
        math.isnan(figure)
        for figure in (found.sqnr_db, found.cosine, found.max_abs_error, found.top1)
    )


def test_cosine_with_zeros_is_not_a_number() -> None:
    assert math.isnan(compare(np.ones(2), np.zeros(2)).cosine)


def test_integers_and_booleans_are_compared_as_numbers() -> None:
    assert compare([True, True], [True, False]).max_abs_error == 1
    assert compare(np.array([0], np.uint8), np.array([255], np.uint8)).max_abs_error == 255


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"z": np.zeros(2)}, "outputs differ: ['y'] and ['z']"),
        ({}, "outputs differ: ['y'] and []"),
        ({"y": np.zeros((2, 1))}, "shapes of output 'y' differ: (2,), (2, 1)"),
    ],
)
def test_other_names_and_shapes_are_errors(outputs: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        compare_outputs({"y": np.zeros(2)}, outputs)  # type: ignore[arg-type]  # any object


def test_figures_of_what_is_not_finite_are_told_in_words() -> None:
    nan = compare([[6.0, 8.0]], [[math.nan, 8]])
    assert nan.top1_in_percent == ""
    assert compare([[6.0, 8.0]], [[6.0, 8.0]]).top1_in_percent == "100.0 %"
    assert [decibels(sqnr) for sqnr in (nan.sqnr_db, math.inf, -math.inf, 12.345)] == [
        "not finite",
        "exact",
        "-inf dB",
        "12.3 dB",
    ]
    assert decibels(12.345, 2) == "12.35 dB"


def test_too_little_quality_is_an_error_that_names_the_outputs() -> None:
    good, bad, nan = (compare([6.0, 8.0], output) for output in ([6, 7], [5, 6], [math.nan, 8]))
    check_quality([good], 20)
    for low in (bad, nan):
        with pytest.raises(QualityError, match=r"less SQNR than 20 dB: y: (not finite|13\.0 dB)"):
            check_quality([good, low], 20)
