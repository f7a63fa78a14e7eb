"""The C library alone, without Python around it: built by a bare compiler, run on other processors.

Every build must give the reference's bytes. Builds for this machine run under ASan and UBSan, with
buffers allocated at their exact sizes.
"""

import itertools
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from coreai_opt import _native
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES

from ..support.c_jobs import (
    AVX2,
    AVX512,
    LAYOUTS,
    NEON,
    NOT_FINITE,
    PORTABLE,
    X86_LEVELS,
    Job,
    targets,
    weights,
)
from ..support.targets import BuildProgram

# Which target, and the level to run at.
BUILDS = {
    "host-portable": ("host, sanitized", PORTABLE),
    "host-avx2": ("host, sanitized", AVX2),
    "host-avx512": ("host, sanitized", AVX512),
    "aarch64-portable": ("aarch64", PORTABLE),
    "aarch64-neon": ("aarch64", NEON),
    "i686-portable": ("i686", PORTABLE),
}

Run = Callable[["Job"], "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module", params=BUILDS)
def run(request: pytest.FixtureRequest, build_for: BuildProgram) -> Run:
    name, level = BUILDS[request.param]
    if X86_LEVELS.get(level, "portable") not in _native.levels():
        pytest.skip(f"this processor ({platform.machine()}) lacks {X86_LEVELS[level]}")
    command = build_for(name, Path(__file__).with_name("run_job.c"))

    def run_job(job: Job) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [*command, *job.arguments(level)],
            input=job.weight.tobytes(),
            capture_output=True,
            check=False,
        )

    return run_job


def spread(shape: tuple[int, ...], seed: int) -> npt.NDArray[Any]:
    """Weights with outliers, which a search for better scales clips."""
    flat = np.random.default_rng(seed).standard_t(3, size=shape).astype(np.float32)
    return flat.astype(WEIGHT_DTYPES[seed % 3])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_target_gives_the_reference_bytes(run: Run, layout: str) -> None:
    shape, block_sizes = LAYOUTS[layout]
    for dtype, (format, symmetric, e8m0) in itertools.product(WEIGHT_DTYPES, targets()):
        job = Job(weights(shape, dtype), block_sizes, format, symmetric, e8m0)
        result = run(job)
        case = f"{dtype} {format.name} symmetric={symmetric} e8m0={e8m0}"
        assert (result.returncode, result.stderr) == (0, b""), case
        assert result.stdout == job.expected(), case


@pytest.mark.parametrize("layout", LAYOUTS)
def test_searched_scales_are_the_reference_s(run: Run, layout: str) -> None:
    shape, block_sizes = LAYOUTS[layout]
    for i, (format, symmetric, e8m0) in enumerate(targets()):
        weight = weights(shape, WEIGHT_DTYPES[i % 3]) if i % 2 else spread(shape, i)
        job = Job(weight, block_sizes, format, symmetric, e8m0, mse=True)
        result = run(job)
        case = f"{weight.dtype} {format.name} symmetric={symmetric} e8m0={e8m0}"
        assert (result.returncode, result.stderr) == (0, b""), case
        assert result.stdout == job.expected(), case


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_not_finite_weights_are_refused(run: Run, value: float) -> None:
    for dtype, (format, symmetric, e8m0) in itertools.product(WEIGHT_DTYPES, targets()):
        weight = np.ones((3, 50), dtype)
        weight[2, 49] = value
        assert run(Job(weight, (1, 0), format, symmetric, e8m0)).returncode == NOT_FINITE


@pytest.mark.parametrize("name", ["host", "i686", "cortex-m4f"])
def test_long_integers_become_floats(name: str, build_for: BuildProgram) -> None:
    command = build_for(name, Path(__file__).with_name("float_bits.c"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "69920 compared, 0 wrong\n")


def test_format_tables_agree() -> None:
    for format in FORMATS.values():
        info = _native.describe_format(format.name)
        if format.is_int:
            expected = {"bits": format.bits, "is_signed": int(format.is_signed_int)}
            assert info | expected == info
            assert info["mantissa"] == 0
            continue
        numpy_info = ml_dtypes.finfo(format.code_dtype)
        assert info == {
            "bits": format.bits,
            "is_signed": 0,
            "mantissa": numpy_info.nmant,
            "bias": 1 - numpy_info.minexp,
            "emax": format.emax,
            "largest": format.float_max,
        }
