"""Floating-point environments in which the library's bytes would be others: they are refused."""

import subprocess
from pathlib import Path

import pytest

from ..support.targets import CSRC, HOST_CC, TARGETS, WARNINGS, BuildProgram

MODES = {"host": 5, "i686": 5, "aarch64": 4, "cortex-m4f": 4, "cortex-m55": 4}
"""How many ways to compute otherwise each processor has."""


@pytest.mark.parametrize("name", MODES)
def test_arithmetic_that_rounds_or_flushes_otherwise_is_refused(
    name: str, build_for: BuildProgram
) -> None:
    program = build_for(name, Path(__file__).with_name("environment.c"))
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"refused in {MODES[name]} modes\n", 0)


@pytest.mark.parametrize("compiler", [HOST_CC, "i686-linux-gnu-gcc"])
def test_arithmetic_of_the_x87_does_not_compile(compiler: str, tmp_path: Path) -> None:
    """An x87 keeps sums in 80 bits until they are stored."""
    target = TARGETS["i686"]
    if compiler != HOST_CC and (reason := target.missing()):
        pytest.skip(reason)
    flags = ["-mfpmath=387", "-mno-sse2"] if compiler != HOST_CC else ["-mfpmath=387"]
    source = CSRC / "job.c"
    command = [compiler, *WARNINGS, *flags, "-c", str(source), "-o", str(tmp_path / "object.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "without excess precision" in done.stderr
