"""What `make prove` gives to CBMC, run with random numbers: it holds, and can fail."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ..support.targets import CSRC, HOST_CC

HERE = Path(__file__).parent / "proofs"
PLACES = ("job.c", "geometry.c", "formats.c")
SOURCES = {
    "sizes": PLACES,
    "places": PLACES,
    "packing": ("packing.c", "formats.c", "kernels/portable.c"),
}


def build(program: str, csrc: Path, folder: Path) -> str:
    built = str(folder / program)
    checks = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    names = ["-DCAQ_TILE_BLOCKS=8", "-DCAQ_PORTABLE_ONLY=1", "-DRANK=3", "-DFORMAT=CAQ_INT2"]
    sources = [str(csrc / name) for name in SOURCES[program]]
    command = [HOST_CC, "-std=c11", *checks, *names, f"-I{csrc}", str(HERE / f"{program}.c")]
    subprocess.run([*command, *sources, "-o", built], check=True)
    return built


@pytest.mark.parametrize("program", SOURCES)
def test_what_is_proved_holds_for_random_numbers(program: str, tmp_path: Path) -> None:
    command = [build(program, CSRC, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > 5_000


@pytest.mark.parametrize(
    ("program", "source", "rule", "broken", "notice"),
    [
        ("sizes", "job.c", "SIZE_MAX / sizeof(float) / shape[axis]", "SIZE_MAX", "addressed"),
        ("places", "geometry.c", "smaller(count / length, CAQ_TILE_BLOCKS)", "8", "range"),
        ("packing", "packing.c", "(*byte & ~mask)", "0", "codes come back"),
    ],
)
def test_a_broken_rule_is_noticed(
    program: str, source: str, rule: str, broken: str, notice: str, tmp_path: Path
) -> None:
    csrc = tmp_path / "csrc"
    shutil.copytree(CSRC, csrc)
    text = (csrc / source).read_text()
    assert rule in text
    (csrc / source).write_text(text.replace(rule, broken))
    command = [build(program, csrc, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert notice in done.stdout
