"""The figures that the command and the demo print."""

import math

import ml_dtypes
import numpy as np
import pytest

from coreai_opt.report import sqnr_db


def test_sqnr() -> None:
    assert sqnr_db(np.array([6.0, 8.0]), np.array([6.0, 7.0])) == 20  # 100 over 1
    assert sqnr_db(np.ones(3), np.ones(3)) == math.inf
    assert math.isnan(sqnr_db(np.array([1.0, np.nan]), np.ones(2)))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_sqnr_is_computed_in_float64(dtype: type) -> None:
    loud = np.full(4, 2.0**15, dtype)  # its squares are too much for float16
    assert sqnr_db(loud, loud / dtype(2)) == 10 * math.log10(4)
