"""A short round of the C library's fuzzer, the same each time; `make fuzz-c` runs long ones."""

import dataclasses
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from ..support.targets import HOST_CC, ROOT, TARGETS

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


MAIN = """
#include <stdint.h>
#include <stdio.h>
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int main(int count, char **paths) {
    static uint8_t bytes[512];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        size_t size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, size);
        printf("%d ", (int)size);
    }
}
"""
"""Stands for libFuzzer, which needs Clang: runs the files that are named and prints their sizes."""


def test_clusterfuzzlite_builds_it_and_gets_what_once_failed(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(MAIN)
    environment = {
        **os.environ,
        "CC": HOST_CC,
        "CFLAGS": "-O0 -g -fsanitize=address",
        "LIB_FUZZING_ENGINE": str(tmp_path / "main.c"),
        "OUT": str(tmp_path),
    }
    script = ROOT / ".clusterfuzzlite" / "build.sh"
    subprocess.run(["bash", script], cwd=ROOT, env=environment, check=True)
    with zipfile.ZipFile(tmp_path / "fuzz_api_seed_corpus.zip") as seeds:
        seeds.extractall(tmp_path / "seeds")
    paths = sorted((tmp_path / "seeds").iterdir())
    command = [tmp_path / "fuzz_api", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(path.stat().st_size) for path in paths]
    assert paths
