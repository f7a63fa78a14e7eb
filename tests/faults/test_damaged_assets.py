"""Assets with flipped bits or missing ends, in every file: one line, and nothing is written.

Arrays that come from files, too.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.exceptions import InputError
from coreai_opt.program import assets, digest
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


@pytest.mark.parametrize("size", [1, 6, 7, 8, 21, 22])
def test_a_program_is_hashed_piece_by_piece(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "_PIECE", 7)
    (file := tmp_path / "file").write_bytes(bytes(range(size)))
    assert digest.digest_of(file) == hashlib.sha256(bytes(range(size))).digest()


def test_damage_to_the_metadata_is_found_or_harmless(asset: Path, long: bool) -> None:
    """A letter may be another letter; the program is not touched by that."""
    file, loaded = asset / "metadata.json", 0
    for data in damaged(file.read_bytes(), 1 if long else 5):
        file.write_bytes(data)
        try:
            program = assets.load_asset(asset).program
        except ValueError as error:
            assert str(error).startswith(f"{asset} is damaged: its metadata")
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


def test_a_program_that_is_cut_short_and_has_no_digest(asset: Path) -> None:
    whole = (asset / "main.mlirb").read_bytes()
    (asset / "main.hash").unlink()
    for length in (4, 100, len(whole) // 2, len(whole) - 1):
        (asset / "main.mlirb").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"Core AI cannot open {asset}, which is damaged"):
            assets.load_asset(asset)


def test_what_is_no_asset_is_said(tmp_path: Path) -> None:
    nothing, file, empty, text = (tmp_path / f"{name}.aimodel" for name in "abcd")
    file.write_bytes(b"")
    empty.mkdir()
    text.mkdir()
    (text / "main.mlirb").write_text("no program")
    for path, words in (
        (nothing, "does not exist"),
        (file, "is no folder, as a model asset is: main.mlirb and more files"),
        (empty, "is not a model asset: it holds no main.mlirb"),
        (text, "is damaged: main.mlirb is not a Core AI program; copy it"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"{path} {words}")):
            assets.load_asset(path)


def test_where_no_asset_can_be_written_is_said(tmp_path: Path) -> None:
    for path, words in (
        (
            tmp_path / "model",
            f"the output must end in .aimodel, e.g. {tmp_path}/model.aimodel; got",
        ),
        (tmp_path / "no" / "a.aimodel", f"there is no folder {tmp_path}/no to write a.aimodel to"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            assets.check_destination(path, force=True)
    assets.check_destination(tmp_path / "a.aimodel", force=False)


def test_an_asset_without_digest_or_producer_can_be_whole(asset: Path) -> None:
    (asset / "main.hash").unlink()
    (asset / "metadata.json").write_text('{"assetVersion": "2.0"}')
    assert len(find_weights(assets.load_asset(asset).program, 1024)) == 7


OLD_PROGRAM = """
    TUzvUg1NTElSMjIuMC4wZ2l0AAEZBQMHAwUFBwEHCw8TAzslBwEbEx8PDxMLCwsLDw8TCwMLCxMTExMBBxsXBwKPBQ
    MBAAVBAWgKoCYLAwcLAwkTCwMLAw0JAwMPCwELAxULAxcTCwMZAxEFExcbAwMXGwUHFxsFLRcbBwsFBQ0CAgU9AwED
    AQ0EPQUBUB0BBwQtAwEFA1AfAwcEGQMDBwMDIQAFBCMDAQYDAQUBANUVBQULBRknJSkRD2FpY29kZQBidWlsdGluAH
    NlcmlhbGl6YXRpb24uYXNzZXQAZGF0YWZsb3cuZ3JhcGhfdjEAZGF0YWZsb3cub3V0cHV0X3YxAGFpY29kZS5uYW1l
    AHgAbWFpbgB5AC0ACB0FBQEHEwUBAQ0BDwEREw==
"""
"""``y = x`` as coreai-core 1.0.0b1 saves it."""


def test_an_asset_of_the_first_beta(tmp_path: Path) -> None:
    """Core AI 1.0.0b3 ends the process on it, which has a digest that agrees."""
    (asset := tmp_path / "old.aimodel").mkdir()
    program = base64.b64decode(OLD_PROGRAM)
    (asset / "main.mlirb").write_bytes(program)
    (asset / "main.hash").write_bytes(hashlib.sha256(program).digest())
    (asset / "metadata.json").write_text('{"assetVersion": "2.0"}')
    for command in (["inspect", asset], ["quantize", asset, "out.aimodel", "--dtype", "int8"]):
        done = subprocess.run(
            [COMMAND, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"coreai-opt: error: Core AI cannot open {asset}, which is damaged or was written by "
            "coreai-core 1.0.0b1: copy it, or convert the model, once more\n"
        )
    assert list(tmp_path.iterdir()) == [asset]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::UserWarning")  # numpy's, of headers
def test_damage_to_a_file_of_arrays(tmp_path: Path, save: Any, long: bool) -> None:
    """Damage is an error, or other arrays come out: not every byte is under a checksum."""
    file = tmp_path / "arrays.npz"
    save(file, x=np.arange(24, dtype=np.float32).reshape(3, 8), y=np.arange(5))
    told = 0
    for data in damaged(file.read_bytes(), 1 if long else 3):
        file.write_bytes(data)
        try:
            load_arrays(file)
        except ValueError as error:
            told += 1
            assert str(error).startswith(f"{file} is no .npz file of arrays (")
    assert told > 500


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::UserWarning")  # numpy's, of headers
def test_damage_to_the_header_of_a_large_array(tmp_path: Path) -> None:
    """Headers of large arrays are read before their checksum is, and parsed as Python."""
    file = tmp_path / "arrays.npz"
    np.savez(file, x=np.arange(5000, dtype=np.float32))
    whole = file.read_bytes()
    told = set()
    for at in range(whole.index(b"\n", 64) + 1):
        for byte in b"\n,'([":
            file.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            try:
                load_arrays(file)
            except InputError as error:
                told.add(type(error.__cause__).__name__)
    assert told >= {"BadZipFile", "SyntaxError", "TokenError", "ValueError"}


def contents(asset: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in asset.iterdir()}
