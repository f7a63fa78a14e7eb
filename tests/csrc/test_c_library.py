"""The C library alone, without Python around it: built by a bare compiler, run on other processors.

Every build must give the reference's bytes. Builds for this machine run under ASan and UBSan, with
buffers allocated at their exact sizes.
"""

import functools
import itertools
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from coreai_opt import _native, reference
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, Format

from ..support.targets import TARGETS, statuses

# In the order of coreai_quant.h.
FORMAT_NAMES = list(FORMATS)
PORTABLE, NEON, AVX2, AVX512 = range(4)
X86_LEVELS = {AVX2: "avx2", AVX512: "avx512"}
NOT_FINITE = statuses().index("CAQ_NOT_FINITE")


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


@dataclass(frozen=True)
class Job:
    """One quantization: a weight, its blocks and its target."""

    weight: npt.NDArray[Any]
    block_sizes: tuple[int, ...]
    format: Format
    symmetric: bool
    e8m0_scale: bool
    mse: bool = False

    def expected(self) -> bytes:
        parts = reference.quantize(
            self.weight,
            self.format,
            symmetric=self.symmetric,
            block_sizes=self.block_sizes,
            e8m0_scale=self.e8m0_scale,
            observer="mse" if self.mse else "minmax",
        )
        return b"".join(part.tobytes() for part in parts)

    def arguments(self, level: int) -> list[str]:
        numbers = [
            level,
            WEIGHT_DTYPES.index(self.weight.dtype),
            FORMAT_NAMES.index(self.format.name),
            0 if self.symmetric else 1,
            1 if self.e8m0_scale else 0,
            1 if self.mse else 0,
            self.weight.ndim,
            *self.weight.shape,
            *self.block_sizes,
        ]
        return [str(number) for number in numbers]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Builds run_job for a target, once, and returns the command that runs it."""
    source = Path(__file__).with_name("run_job.c")
    return functools.cache(
        lambda name: TARGETS[name].build(source, tmp_path_factory.mktemp("csrc"))
    )


@pytest.fixture(scope="module", params=BUILDS)
def run(request: pytest.FixtureRequest, build: Callable[[str], list[str]]) -> Run:
    name, level = BUILDS[request.param]
    if reason := TARGETS[name].missing():
        pytest.skip(reason)
    if X86_LEVELS.get(level, "portable") not in _native.levels():
        pytest.skip(f"this processor ({platform.machine()}) lacks {X86_LEVELS[level]}")
    command = build(name)

    def run_job(job: Job) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [*command, *job.arguments(level)],
            input=job.weight.tobytes(),
            capture_output=True,
            check=False,
        )

    return run_job


def targets() -> list[tuple[Format, bool, bool]]:
    """All (format, symmetric, e8m0_scale) that are allowed."""
    integers = [f for f in FORMATS.values() if f.is_int]
    floats = [f for f in FORMATS.values() if not f.is_int]
    return [
        *((f, symmetric, False) for f in integers for symmetric in (True, False)),
        *((f, True, e8m0) for f in floats for e8m0 in (False, True) if e8m0 or f.bits == 8),
    ]


def weights(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Normal weights, with a zero, a huge, a tiny and a negative-zero run among them."""
    rng = np.random.default_rng(7)
    flat = rng.standard_normal(int(np.prod(shape))).astype(np.float32) * np.float32(0.02)
    flat[3::17] = 0.0
    flat[5::19] = -0.0
    flat = flat.astype(dtype)
    info = ml_dtypes.finfo(dtype)
    for value, place in ((info.max, 0.25), (info.smallest_subnormal, 0.5), (-info.max, 0.75)):
        flat[int(flat.size * place)] = value
    return flat.reshape(shape)


def spread(shape: tuple[int, ...], seed: int) -> npt.NDArray[Any]:
    """Weights with outliers, which a search for better scales clips."""
    flat = np.random.default_rng(seed).standard_t(3, size=shape).astype(np.float32)
    return flat.astype(WEIGHT_DTYPES[seed % 3])


LAYOUTS = {
    "one row": ((37,), (0,)),
    "blocks of the last axis": ((6, 96), (1, 32)),
    "odd rows": ((5, 7), (1, 0)),
    "a block longer than the packing buffer": ((2, 2500), (1, 0)),
    "many short rows": ((1200, 3), (1, 0)),
    "blocks of an earlier axis": ((64, 35), (32, 1)),
    "bands that end inside a byte": ((21, 35), (3, 1)),
    "columns": ((19, 1037), (0, 1)),
    "heads": ((3, 32, 9), (1, 32, 1)),
    "transposed convolution": ((8, 5, 3, 3), (0, 1, 0, 0)),
    "general": ((4, 6, 6, 4), (2, 3, 2, 2)),
}


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
def test_long_integers_become_floats(name: str, tmp_path: Path) -> None:
    if reason := TARGETS[name].missing():
        pytest.skip(reason)
    command = TARGETS[name].build(Path(__file__).with_name("float_bits.c"), tmp_path)
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
