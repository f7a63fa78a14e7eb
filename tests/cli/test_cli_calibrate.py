"""``coreai-opt calibrate``, run as it is installed, on the trained network of the examples."""

from pathlib import Path

import numpy as np
import pytest

from coreai_opt.calibration.calibration import Calibration
from coreai_opt.coreai_utils import calibrate
from coreai_opt.program.assets import load_asset

from ..support.command import MODEL, failed, run


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).standard_normal((2, 4, 1024)).astype(np.float16)
    np.savez(tmp_path / "x.npz", x=frames)
    return tmp_path / "x.npz"


def test_it_writes_what_calibrate_returns(inputs: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.calibration"
    result = run("calibrate", MODEL, path, "--inputs", inputs, "--max-rows", 30)
    assert result.returncode == 0, result
    assert result.stderr == ""
    with np.load(inputs) as arrays:
        expected = calibrate(load_asset(MODEL).program, dict(arrays), max_rows=30)
    found = Calibration.load(path)
    assert found.samples == 2
    assert found.digests == expected.digests
    for name, moments in expected.moments.items():
        np.testing.assert_array_equal(found.moments[name].rows, moments.rows)
        for ours, theirs in zip(found.moments[name].matrices, moments.matrices, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert "samples  2\n" in result.stdout
    assert "weights  7 calibrated, 0 not\n" in result.stdout
    assert f"file     {path.stat().st_size:,} bytes\n" in result.stdout


def test_a_file_is_replaced_with_force_alone(inputs: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.calibration"
    path.write_bytes(b"old")
    arguments = ("calibrate", MODEL, path, "--inputs", inputs, "--max-rows", 5)
    assert "exists; use --force" in failed(run(*arguments))
    assert path.read_bytes() == b"old"
    assert run(*arguments, "--force").returncode == 0
    assert Calibration.load(path).samples == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.aimodel", "m.calibration", "--inputs", "x.npz"), "does not exist"),
        ((MODEL, "m.calibration", "--inputs", "nothing.npz"), "nothing.npz"),
        ((MODEL, "m.calibration"), "--inputs"),
        ((MODEL, "m.aimodel", "--inputs", "x.npz"), "must end in .calibration"),
        ((MODEL, "no/m.calibration", "--inputs", "x.npz"), "there is no folder no"),
        ((MODEL, "m.calibration", "--inputs", "x.npz", "--max-rows", "0"), "--max-rows"),
        ((MODEL, "m.calibration", "--inputs", "x.npz", "--function", "other"), "'main'"),
        ((MODEL, "m.calibration", "--inputs", "nan.npz"), "sample 0, weight main/"),
    ],
)
def test_errors_are_one_line(
    arguments: tuple[object, ...], words: str, inputs: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "nan.npz", x=np.full((1, 4, 1024), np.nan, np.float16))
    before = sorted(path.name for path in tmp_path.iterdir())
    assert words in failed(run("calibrate", *arguments, cwd=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
