"""Apple's coreai-opt 0.4.0 gives the same integer codes, but for its epsilon.

It lives in an environment of its own, which ``make third-opinion`` makes.
"""

import itertools
import json
import os
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from coreai_opt import quantize_array
from coreai_opt.reference import FORMATS
from coreai_opt.reference.minmax import symmetric_scales

Array = npt.NDArray[Any]
F32 = np.dtype(np.float32)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PYTHON = runpy.run_path(str(BENCHMARKS / "environments.py"))["python_of"]("coreai_opt_apple")
Case = runpy.run_path(str(BENCHMARKS / "cases.py"))["Case"]

SHAPE = (1024, 1024)
INT_DTYPES = ("int2", "uint2", "int4", "uint4", "int8", "uint8")
GRANULARITIES = ("tensor", "channel", "block")
CASES = list(itertools.product(INT_DTYPES, ("symmetric", "asymmetric"), GRANULARITIES))
EPSILON = np.float32(1e-6)

# The share of codes that must be identical, by the weights' standard deviation.
LEAST = {0.02: 0.999, 1.0: 0.99999}


class Answers(NamedTuple):
    """What both make of the same weight; scales and zero points one per block."""

    weight: Array
    codes: Array
    zero_point: Array
    their_codes: Array
    their_scale: Array
    their_zero_point: Array


Ask = Callable[[str, str, str], Answers]


@pytest.fixture(scope="module", params=LEAST, ids=lambda sigma: f"sigma {sigma}")
def sigma(request: pytest.FixtureRequest) -> float:
    return float(request.param)


@pytest.fixture(scope="module")
def ask(sigma: float, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Both answers to one of ``CASES``."""
    if not PYTHON.exists():
        pytest.skip("coreai-opt 0.4.0 is not there: make third-opinion installs it")
    cases = [
        Case("", "float32", dtype, scheme == "asymmetric", granularity, False, 1, SHAPE)
        for dtype, scheme, granularity in CASES
    ]
    weight = np.random.default_rng(0).normal(0, sigma, SHAPE).astype(F32)
    folder = tmp_path_factory.mktemp("coreai-opt")
    np.save(folder / "weight.npy", weight)
    (folder / "cases.json").write_text(json.dumps([case.to_json() for case in cases]))
    script = Path(__file__).with_name("apple.py")
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS)}
    subprocess.run([PYTHON, script, folder], check=True, env=environment)

    def answer(dtype: str, scheme: str, granularity: str) -> Answers:
        number = CASES.index((dtype, scheme, granularity))
        sizes = cases[number].block_sizes
        ours = quantize_array(weight, dtype, qscheme=scheme, block_sizes=sizes)
        theirs = np.load(folder / f"{number}.npz")
        parts = (theirs[part] for part in ("codes", "scale", "zero_point"))
        return Answers(weight, ours.codes().astype(int), ours.zero_point.astype(int), *parts)

    return answer


@pytest.mark.parametrize(("dtype", "scheme", "granularity"), CASES)
def test_codes_of_blocks_with_the_same_zero_point(
    dtype: str, scheme: str, granularity: str, sigma: float, ask: Ask
) -> None:
    answers = ask(dtype, scheme, granularity)
    difference = np.abs(answers.codes - answers.their_codes)
    same_zero = (answers.zero_point == answers.their_zero_point).ravel()
    blocks = difference.reshape(len(same_zero), -1)
    identical = (blocks[same_zero] == 0).mean()
    print(
        f"sigma {sigma}, {dtype} {scheme} per {granularity}, in percent: {100 * identical:.4f} of"
    )
    print(f"the codes; {100 * (difference == 0).mean():.4f} with those of other zero points,")
    print(f"which are {100 * (1 - same_zero.mean()):.4f}")
    assert difference.max() <= 1
    assert identical >= LEAST[sigma]
    if scheme == "symmetric":
        assert same_zero.all()


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("dtype", INT_DTYPES)
def test_scales_differ_by_the_epsilon(dtype: str, granularity: str, ask: Ask) -> None:
    """(2 absmax + 1e-6) / 2Q is (absmax + 1e-6 / 2) / Q, in binary32 as well."""
    answers = ask(dtype, "symmetric", granularity)
    absmax = np.abs(answers.weight.reshape(answers.their_scale.size, -1)).max(axis=1)
    expected = symmetric_scales(absmax + EPSILON / 2, FORMATS[dtype], F32)
    assert answers.their_scale.tobytes() == expected.tobytes()
