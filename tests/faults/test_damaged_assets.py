"""Assets with flipped bits or missing ends, in every file: one line, and nothing is written.

Arrays that come from files, too.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreai_opt.program import assets, inputs
from coreai_opt.program.weights import find_weights

MODEL = Path(__file__).parents[2] / "examples" / "crepe_tiny_f16.aimodel"
COMMAND = Path(sys.executable).with_name("coreai-opt")


@pytest.fixture
def asset(tmp_path: Path) -> Path:
    return shutil.copytree(MODEL, tmp_path / "in.aimodel")


def damaged(whole: bytes, step: int) -> Iterator[bytes]:
    """The bytes with one bit flipped, and cut short, at every ``step``-th bit and byte."""
    for bit in range(0, 8 * len(whole), step):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
    for length in range(0, len(whole), step):
        yield whole[:length]


@pytest.mark.parametrize(("name", "step"), [("main.mlirb", 50_021), ("main.hash", 1)])
def test_any_damage_to_the_program_or_its_digest_is_found(
    asset: Path, name: str, step: int, long: bool
) -> None:
    """Before Core AI sees it, which would end the process."""
    file = asset / name
    for data in damaged(file.read_bytes(), step // 50 if long and step > 50 else step):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=rf"{asset} is damaged: main.mlirb "):
            assets.load_asset(asset)


def test_damage_to_the_metadata_is_found_or_harmless(asset: Path, long: bool) -> None:
    """A letter may be another letter; the program is not touched by that."""
    file, loaded = asset / "metadata.json", 0
    for data in damaged(file.read_bytes(), 1 if long else 5):
        file.write_bytes(data)
        try:
            program = assets.load_asset(asset).program
        except ValueError as error:
            assert str(error).startswith(f"{asset} is damaged: its metadata")  # noqa: PT017
        else:
            loaded += 1
            assert len(find_weights(program, 1024)) == 7
    assert loaded > 50


@pytest.mark.parametrize("name", ["main.mlirb", "metadata.json"])
def test_a_folder_in_the_place_of_a_file(asset: Path, name: str) -> None:
    (asset / name).unlink()
    (asset / name).mkdir()
    with pytest.raises(ValueError, match=str(asset)):
        assets.load_asset(asset)


def test_damage_that_the_digest_agrees_with_does_not_reach_the_output(
    asset: Path, long: bool
) -> None:
    """Core AI ends the process where it cannot parse; elsewhere a weight is another number."""
    file, output = asset / "main.mlirb", asset.with_name("out.aimodel")
    whole, ended = file.read_bytes(), 0
    command = [COMMAND, "quantize", asset, output, "--dtype", "int8", "--force"]
    flips_and_cuts = damaged(whole, len(whole) // 50 if long else 2 * len(whole))
    for data in (*flips_and_cuts, whole[:-1]):
        file.write_bytes(data)
        (asset / "main.hash").write_bytes(hashlib.sha256(data).digest())
        shutil.copytree(MODEL, output)
        run = subprocess.run(command, capture_output=True, check=False)
        if run.returncode == 0:
            assert assets.load_asset(output).program is not None
        else:
            ended += 1
            assert contents(output) == contents(MODEL)
        shutil.rmtree(output)
    assert ended > 0


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::UserWarning")  # numpy's, of headers
def test_damage_to_a_file_of_arrays(tmp_path: Path, save: Any, long: bool) -> None:
    """It is told, or the arrays may be others: not every byte is under a checksum."""
    file = tmp_path / "arrays.npz"
    save(file, x=np.arange(24, dtype=np.float32).reshape(3, 8), y=np.arange(5))
    told = 0
    for data in damaged(file.read_bytes(), 1 if long else 3):
        file.write_bytes(data)
        try:
            inputs.load_arrays(file)
        except ValueError as error:
            told += 1
            assert str(error).startswith(f"{file} is no .npz file of arrays (")  # noqa: PT017
    assert told > 500


def contents(asset: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in asset.iterdir()}
