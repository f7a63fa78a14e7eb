"""A short round of the C library's fuzzer, the same each time; `make fuzz-c` runs long ones."""

import dataclasses
import subprocess
from pathlib import Path

import pytest

from ..support.targets import TARGETS

HERE = Path(__file__).parent
INPUTS = 5000


@pytest.fixture(scope="module")
def fuzz_rounds(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    target = TARGETS["host, sanitized"]
    target = dataclasses.replace(target, compiler=(*target.compiler, "-DCAQ_TILE_BLOCKS=64"))
    return target.build(HERE / "fuzz_rounds.c", tmp_path_factory.mktemp("fuzz"))


def run(command: list[str], *arguments: object) -> None:
    words = [*command, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_inputs_that_once_failed(fuzz_rounds: list[str]) -> None:
    lines = (HERE / "fuzz_regressions.txt").read_text().splitlines()
    run(fuzz_rounds, 0, 0, *(line for line in lines if not line.startswith("#")))


def test_inputs_by_number(fuzz_rounds: list[str]) -> None:
    run(fuzz_rounds, 0, INPUTS)
