"""Parts of a tensor, in the C library alone: decoded from any element on, quantized row by row."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from coreai_opt import _native, reference
from coreai_opt.reference import E8M0, FORMATS, WEIGHT_DTYPES, Format
from coreai_opt.reference.blocks import scale_shape

from ..support.c_jobs import (
    FORMAT_NAMES,
    LAYOUTS,
    NEON,
    NOT_FINITE,
    PORTABLE,
    X86_LEVELS,
    Job,
    weights,
)
from ..support.c_jobs import targets as quantization_targets
from ..support.targets import BuildProgram

HERE = Path(__file__).parent
PROGRAMS = ("decode_job", "stream_rows")
HOST_LEVELS = [PORTABLE, *(n for n, name in X86_LEVELS.items() if name in _native.levels())]
LEVELS = {"host, sanitized": HOST_LEVELS, "aarch64": [PORTABLE, NEON], "i686": [PORTABLE]}

Commands = dict[str, list[list[str]]]
"""Of each program, the command that runs it at each level."""


@pytest.fixture(scope="module", params=LEVELS)
def commands(request: pytest.FixtureRequest, build_for: BuildProgram) -> Commands:
    target, levels = request.param, LEVELS[request.param]
    built = {name: build_for(target, HERE / f"{name}.c") for name in PROGRAMS}
    return {name: [[*run, str(level)] for level in levels] for name, run in built.items()}


def targets() -> list[tuple[int, Format, bool]]:
    """All (source, format, e8m0_scale) that are allowed."""
    return [
        (source, format, e8m0)
        for source in range(len(WEIGHT_DTYPES))
        for format in FORMATS.values()
        for e8m0 in (False, True)
        if (not e8m0 if format.is_int else e8m0 or format.bits == 8)
    ]


def assert_same(got: bytes, want: npt.NDArray[Any], case: object) -> None:
    weight = np.frombuffer(got, want.dtype).reshape(want.shape)
    nan = np.isnan(weight) & np.isnan(want)  # which NaN is not specified
    bits = f"u{want.dtype.itemsize}"
    assert ((weight.view(bits) == want.view(bits)) | nan).all(), case


@pytest.mark.parametrize("layout", list(LAYOUTS)[1::2])
def test_runs_decode_to_the_reference_bytes(commands: Commands, layout: str) -> None:
    shape, sizes = LAYOUTS[layout]
    blocks, count = scale_shape(shape, sizes), int(np.prod(shape))
    rng = np.random.default_rng(11)
    half = list(LAYOUTS).index(layout) // 2 % 2  # of the targets; the other layouts take the rest
    for source, format, e8m0 in targets()[half::2]:
        scale_dtype = E8M0 if e8m0 else WEIGHT_DTYPES[source]
        packed = rng.integers(0, 256, format.packed_size(count), np.uint8)
        scale = rng.integers(0, 256, int(np.prod(blocks)) * scale_dtype.itemsize, np.uint8)
        scale = scale.view(scale_dtype).reshape(blocks)
        some = rng.integers(0, 256, format.packed_size(scale.size), np.uint8)
        zero_point = reference.unpack(some, format, blocks)
        stored = b"".join(part.tobytes() for part in (packed, scale, zero_point))
        numbers = [source, FORMAT_NAMES.index(format.name), int(e8m0), len(shape), *shape, *sizes]
        wanted = [
            reference.dequantize(packed, scale, zero_point, format, shape, dtype)
            for dtype in WEIGHT_DTYPES
        ]
        for command in commands["decode_job"]:
            done = subprocess.run(
                [*command, *map(str, numbers)], input=stored, capture_output=True, check=False
            )
            assert (done.returncode, done.stderr) == (0, b""), (command, numbers)
            for want in wanted:
                assert_same(done.stdout[: want.nbytes], want, (command, numbers, want.dtype))
                done.stdout = done.stdout[want.nbytes :]
            assert not done.stdout


# Rows, columns, block sizes, rows at a time.
STREAMS = {
    "channels": ((10, 37), (1, 0), 4),
    "blocks of the last axis": ((7, 96), (1, 32), 2),
    "blocks of rows": ((96, 33), (32, 1), 32),
    "columns": ((19, 129), (0, 1), 3),
    "columns, row by row": ((64, 7), (0, 1), 1),
    "blocks that end between chunks": ((24, 35), (8, 5), 3),
    "one scale": ((13, 17), (0, 0), 5),
}


def stream(
    command: list[str], job: Job, chunk: int, folder: Path
) -> "subprocess.CompletedProcess[bytes]":
    (folder / "matrix").write_bytes(job.weight.tobytes())
    # run_job's arguments but for the observer and the rank, which is 2
    arguments = job.arguments(0)[1:]
    del arguments[4:6]
    return subprocess.run(
        [*command, *arguments, str(chunk), str(folder / "matrix")], capture_output=True, check=False
    )


@pytest.mark.parametrize("layout", STREAMS)
def test_a_matrix_is_quantized_a_few_rows_at_a_time(
    commands: Commands, layout: str, tmp_path: Path
) -> None:
    shape, sizes, chunk = STREAMS[layout]
    first = list(STREAMS).index(layout)  # each target with each dtype, for one layout or another
    for turn, (format, symmetric, e8m0) in enumerate(quantization_targets(), first):
        dtype = WEIGHT_DTYPES[turn % len(WEIGHT_DTYPES)]
        job = Job(weights(shape, dtype), sizes, format, symmetric, e8m0)
        for command in commands["stream_rows"]:
            done = stream(command, job, chunk, tmp_path)
            assert (done.returncode, done.stderr) == (0, b""), (command, job)
            assert done.stdout == job.expected(), (command, job)


@pytest.mark.parametrize("layout", STREAMS)
def test_a_nan_in_any_row_is_found(commands: Commands, layout: str, tmp_path: Path) -> None:
    shape, sizes, chunk = STREAMS[layout]
    weight = np.ones(shape, np.float32)
    weight[-1, -1] = np.nan
    for command in commands["stream_rows"]:
        for symmetric in (True, False):
            done = stream(
                command, Job(weight, sizes, FORMATS["uint4"], symmetric, False), chunk, tmp_path
            )
            assert done.returncode == NOT_FINITE
            assert done.stderr == b"the weight has a NaN or an infinity"
