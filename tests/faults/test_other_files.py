"""What is at or in a path that is written to: nothing but the asset that is replaced is lost."""

import shutil
import subprocess
from pathlib import Path

import pytest

from coreai_opt.program import assets

from ..support.command import COMMAND, MODEL


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(argument) for argument in (COMMAND, *arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(folder: Path, *arguments: object) -> str:
    """The one line of a command that must fail and leave ``folder`` as it is."""
    before = tree(folder)
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert tree(folder) == before
    return done.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return shutil.copytree(MODEL, tmp_path / "in.aimodel")


def test_a_folder_that_holds_the_input_is_not_replaced(tmp_path: Path) -> None:
    outer = tmp_path / "box.aimodel"
    inner = shutil.copytree(MODEL, outer / "in.aimodel")
    message = refused(tmp_path, "quantize", inner, outer, "--dtype", "int8", "--force")
    assert f"{outer} holds in.aimodel, which is no part of a model asset" in message
    refused(tmp_path, "dequantize", inner, outer, "--force")


def test_other_files_in_an_asset_are_not_removed(tmp_path: Path, model: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt"):
        (model / name).write_text("mine")
    message = refused(tmp_path, "quantize", model, model, "--dtype", "int8", "--force")
    assert "holds a.txt, b.txt, c.txt and 2 more, which is no part" in message


def test_what_core_ai_derived_from_the_old_program_goes_with_it(model: Path) -> None:
    (model / "main-universal.odix").write_text("compiled")
    assert run("quantize", model, model, "--dtype", "int8", "--force").returncode == 0
    assert sorted(file.name for file in model.iterdir()) == [
        "main.hash",
        "main.mlirb",
        "metadata.json",
    ]


def test_of_a_link_only_the_link_is_replaced(tmp_path: Path, model: Path) -> None:
    (model / "notes.txt").write_text("mine")
    link = tmp_path / "link.aimodel"
    link.symlink_to(model)
    before = tree(model)
    assert run("quantize", model, link, "--dtype", "int8", "--force").returncode == 0
    assert tree(model) == before
    assert not link.is_symlink()


def test_files_that_come_while_the_asset_is_written_are_kept(tmp_path: Path, model: Path) -> None:
    before = tree(model)
    replacing = assets.replacing(model, force=True)
    shutil.copytree(MODEL, replacing.__enter__())
    (model / "late.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds late\.txt"):
        replacing.__exit__(None, None, None)
    assert tree(model) == {**before, "late.txt": b"mine"}
    assert list(tmp_path.iterdir()) == [model]


@pytest.mark.parametrize("option", ["--report", "--plan-out"])
def test_reports_and_plans_are_not_written_into_assets(
    tmp_path: Path, model: Path, option: str
) -> None:
    """Into the input's ``metadata.json``, say, or into an output that is about to be replaced."""
    output = shutil.copytree(MODEL, tmp_path / "out.aimodel")
    name = {"--report": "metadata.json", "--plan-out": "plan.toml"}[option]
    for asset in (model, output):
        message = refused(
            tmp_path,
            *("quantize", model, output, "--target-size", "400KB", "--force"),
            *(option, asset / name),
        )
        assert f"{option} must not be in a model asset" in message
