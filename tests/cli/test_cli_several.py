"""Several assets with an output folder, and words wherever they are typed."""

import shutil
from pathlib import Path

import pytest

from coreai_opt.program import assets

from ..support.command import MODEL, contents, failed, run
from ..support.programs import all_stored

COMMANDS = {
    "quantize": ("--dtype", "int8"),
    "palettize": ("--n-bits", 2),
    "sparsify": ("--target-sparsity", 0.5),
    "dequantize": (),
}
INT8 = COMMANDS["quantize"]


def stored(asset: Path) -> object:
    return all_stored(assets.load_asset(asset).program)


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    return [shutil.copytree(MODEL, tmp_path / f"{name}.aimodel") for name in ("one", "two")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_gets_what_becomes_of_each(command, sources, folder, tmp_path):
    options = COMMANDS[command]
    result = run(command, *sources, "-o", folder, *options)
    assert result.returncode == 0, result
    alone = tmp_path / "alone.aimodel"
    assert run(command, MODEL, alone, *options).returncode == 0
    assert {path.name for path in folder.iterdir()} == {path.name for path in sources}
    expected = stored(alone)
    for source in sources:
        assert stored(folder / source.name) == expected
        assert f"{source}\n" in result.stdout
        assert f"wrote    {folder / source.name}" in result.stdout


def test_one_that_fails_does_not_keep_the_others_from_being_written(sources, folder, tmp_path):
    missing = tmp_path / "missing.aimodel"
    result = run("quantize", sources[0], missing, sources[1], "--output", folder, *INT8)
    assert result.returncode == 2
    assert {path.name for path in folder.iterdir()} == {path.name for path in sources}
    first, last = result.stderr.splitlines()
    assert first.startswith(f"coreai-opt: error: {missing} does not exist")
    assert last == "coreai-opt: error: 1 of 3 assets failed; the others are done"


def test_the_error_of_one_names_it(sources, folder):
    (damaged := sources[1] / "main.mlirb").write_bytes(damaged.read_bytes()[:1000])
    result = run("quantize", *sources, "-o", folder, *INT8)
    assert result.returncode == 2
    assert result.stderr.startswith(f"coreai-opt: error: {sources[1]}")
    assert [path.name for path in folder.iterdir()] == [sources[0].name]


def test_weights_that_are_left_are_exit_code_1_after_the_last(sources, folder):
    options = ("--dtype", "int4", "--granularity", "per_block", "--fail-on-skip")
    result = run("quantize", *sources, "-o", folder, *options)
    assert result.returncode == 1
    assert len(list(folder.iterdir())) == 2
    lines = [line for line in result.stderr.splitlines() if "error" in line]
    for source, line in zip(sources, lines[:-1], strict=True):
        assert line.startswith(f"coreai-opt: error: {source}: 4 weights")
    assert lines[-1] == "coreai-opt: error: 2 of 2 assets are not as they should be"


@pytest.mark.parametrize("name", ["one.aimodel", "One.aimodel"])
def test_assets_of_one_name_are_refused_before_any_is_written(name, sources, folder, tmp_path):
    (other := tmp_path / "other").mkdir()
    twin = shutil.copytree(MODEL, other / name)
    message = failed(run("quantize", *sources, twin, "-o", folder, "--force", *INT8))
    assert message == f"{sources[0]} and {twin} would both be written to {folder / name}"
    assert not folder.exists()


def test_an_output_that_exists_is_refused_before_any_is_written(sources, folder):
    folder.mkdir()
    shutil.copytree(MODEL, there := folder / sources[1].name)
    message = failed(run("quantize", *sources, "-o", folder, *INT8))
    assert message == f"{there} exists; use --force to replace it"
    assert [path.name for path in folder.iterdir()] == [there.name]
    assert run("quantize", *sources, "-o", folder, *INT8, "--force").returncode == 0
    assert contents(there) != contents(MODEL)


def test_what_is_wrong_with_the_options_is_said_once(sources, folder):
    message = failed(
        run("quantize", *sources, "-o", folder, *INT8, "--plan-out", "plan.toml", "-q")
    )
    assert "--plan-out is a file about one asset" in message
    refused = run("quantize", *sources, "-o", folder, *INT8, "--block-size", 32, "-q")
    assert failed(refused) == "--block-size needs --granularity per_block"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "options", [("--report", "a.html"), ("--calibration", "c"), ("--plan-out", "p.toml")]
)
def test_files_about_one_asset_are_refused_for_several(options, sources, folder):
    message = failed(run("quantize", *sources, "-o", folder, *INT8, *options))
    assert message.startswith(f"{options[0]} is a file about one asset")
    assert not folder.exists()


def test_folders_that_lead_to_the_folder_are_made(tmp_path):
    folder = tmp_path / "a" / "b"
    assert run("quantize", MODEL, "-o", folder, *INT8).returncode == 0
    assert [path.name for path in folder.iterdir()] == [MODEL.name]


def test_the_folder_must_be_one(sources, tmp_path):
    (file := tmp_path / "file").write_text("")
    assert (
        failed(run("dequantize", *sources, "-o", file)) == f"-o must be a folder; {file} is a file"
    )
    asset = tmp_path / "out.aimodel"
    message = f"-o must be a folder where several assets are given; got {asset}"
    assert failed(run("dequantize", *sources, "-o", asset)) == message


def test_a_dry_run_of_several_writes_nothing(sources, folder):
    result = run("quantize", *sources, "-o", folder, *INT8, "--dry-run")
    assert result.returncode == 0
    assert result.stdout.count("7 quantized") == 2
    assert not folder.exists()


def test_one_asset_with_its_path_or_a_folder_as_output(sources, folder, tmp_path):
    path = tmp_path / "out.aimodel"
    assert run("quantize", sources[0], "-o", path, *INT8).returncode == 0
    assert run("quantize", "-o", folder, sources[0], *INT8).returncode == 0
    assert stored(folder / sources[0].name) == stored(path)


def test_words_may_come_after_options(sources, tmp_path):
    path = tmp_path / "out.aimodel"
    assert run("quantize", sources[0], "--dtype", "int8", path).returncode == 0
    assert path.exists()
    message = failed(run("quantize", sources[0], "--dtype", "int8", path, "more"))
    assert message == "there is one argument too many: more; several assets need -o FOLDER"
    message = failed(run("quantize", sources[0], "--dtipe", "int8", path))
    assert message.startswith("unknown option --dtipe (did you mean --dtype?)")


def test_an_output_is_needed(sources):
    needed = "OUT.aimodel or -o FOLDER is needed"
    assert failed(run("dequantize", sources[0])) == needed
    assert failed(run("quantize", sources[0], *INT8)) == f"{needed}, or --dry-run to write nothing"
