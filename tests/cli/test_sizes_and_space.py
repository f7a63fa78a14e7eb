"""Sizes as they are typed, and room on the disk for what a command writes."""

import argparse
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from coreai_opt import cli
from coreai_opt.cli import budget
from coreai_opt.program.assets import asset_bytes

from ..support.command import MODEL


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("25", 25),
        ("25 B", 25),
        ("3KB", 3_000),
        ("2.5MB", 2_500_000),
        ("2gb", 2_000_000_000),
        ("3KiB", 3 * 1024),
        ("1.5 MiB", 1_572_864),
        ("2GiB", 2_147_483_648),
        ("0.1KB", 100),
        ("0.0001MB", 100),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert budget._size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1e6", "1TB", "1 X", "1.MB", "0x10"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be a size such as 25MB, in B, KB"):
        budget._size(text)


@pytest.mark.parametrize("command", [["quantize", "--dtype", "int8"], ["dequantize"]])
def test_there_must_be_room_for_the_file_and_not_only_its_weights(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, output = MODEL, tmp_path / "out.aimodel"
    if command == ["dequantize"]:
        source = tmp_path / "in.aimodel"
        assert cli.main(["quantize", str(MODEL), str(source), "--dtype", "int8"]) == 0
    command = [command[0], str(source), str(output), *command[1:]]
    assert cli.main(command) == 0
    size = asset_bytes(output)
    shutil.rmtree(output)
    capsys.readouterr()

    def has(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    has(size - size // 200)  # ops and names take more than 1/200 of the file
    assert cli.main(command) == 2
    assert "bytes are free: make room" in capsys.readouterr().err
    assert not output.exists()
    has(size + size // 50)
    assert cli.main(command) == 0
