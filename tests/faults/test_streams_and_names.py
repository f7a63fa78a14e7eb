"""Streams that are closed or full, paths that are not UTF-8, files from editors on Windows.

What cannot work is told in one line. What was written before output failed is told as well.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from coreai_opt.program import assets
from coreai_opt.program.weights import find_quantized

from ..support.command import COMMAND, MODEL

NOT_UTF8 = os.fsdecode(b"n\xff")


def shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script in a folder; ``$C`` is the command, ``$IN`` a model."""
    names = {"C": str(COMMAND), "IN": str(MODEL), "LC_ALL": "C.UTF-8", **variables}
    environment = os.environ | names
    environment.pop("PYTHONUNBUFFERED", None)  # which would have errors come earlier
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, check=False
    )


def is_quantized(asset: Path) -> bool:
    weights = find_quantized(assets.load_asset(asset).program)
    return [weight.format for weight in weights] == ["int8"] * 7


@pytest.mark.parametrize("suffix", [".html", ".json", ".md"])
def test_names_that_are_not_utf8_are_spelled_in_reports(tmp_path: Path, suffix: str) -> None:
    np.savez(tmp_path / f"{NOT_UTF8}.npz", x=np.zeros((4, 1024), np.float16))
    script = f'"$C" quantize "$IN" o.aimodel --dtype int8 --report "$N{suffix}" --inputs "$N.npz"'
    done = shell(script, tmp_path, N=NOT_UTF8)
    assert (done.returncode, done.stderr) == (0, b"")
    assert is_quantized(tmp_path / "o.aimodel")
    report = (tmp_path / f"{NOT_UTF8}{suffix}").read_text("utf-8")
    if suffix == ".json":
        content = json.loads(report)
        report = f"{content['command']}\n{content['outputs_on']}"
    name = r"n\\udcff" if suffix == ".md" else r"n\udcff"
    assert f"{name}.npz" in report
    assert f"{name}{suffix}" in report


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not there")
def test_a_full_stdout_is_told_after_what_was_written(tmp_path: Path) -> None:
    done = shell('"$C" quantize "$IN" out.aimodel --dtype int8 >/dev/full', tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        b"coreai-opt: error: stdout: No space left on device (out.aimodel is written)\n"
    )
    assert is_quantized(tmp_path / "out.aimodel")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not there")
def test_a_full_stdout_where_nothing_is_written(tmp_path: Path) -> None:
    done = shell('"$C" inspect "$IN" >/dev/full', tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        b"coreai-opt: error: stdout: No space left on device\n",
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    """As if they were ``/dev/null``; no file of the asset takes their place."""
    done = shell(f'"$C" quantize "$IN" out.aimodel --dtype int8 --verify {closed}', tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert is_quantized(tmp_path / "out.aimodel")
    assert shell(f'"$C" inspect missing.aimodel {closed}', tmp_path).returncode == 2


NUMBERS = """
import os, sys
from coreai_opt.cli.console import open_closed_streams
open_closed_streams()
with open(sys.argv[1], "w") as file:
    print(*(os.readlink(f"/proc/self/fd/{number}") for number in range(3)), file=file)
print("dropped")
print("dropped", file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&- 2>&-", ">&-"])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path, closed: str) -> None:
    done = shell(f'"$P" -c "$CODE" numbers {closed}', tmp_path, P=sys.executable, CODE=NUMBERS)
    assert done.returncode == 0
    numbers = (tmp_path / "numbers").read_text().split()
    for number, redirection in enumerate(("<&-", ">&-", "2>&-")):
        if redirection in closed.split():
            assert numbers[number] == os.devnull


def test_a_reader_that_goes_away_ends_the_command_in_silence(tmp_path: Path) -> None:
    quantize = 'quantize "$IN" out.aimodel --dtype int8'
    for command in ('inspect "$IN"', quantize, "--help", "completion bash"):
        done = shell(f'{{ "$C" {command}; echo $? >code; }} | true', tmp_path)
        assert done.stderr == b""
        assert (tmp_path / "code").read_text() in {"0\n", "141\n"}
    assert is_quantized(tmp_path / "out.aimodel")


def test_a_stdout_that_cannot_spell_everything(tmp_path: Path) -> None:
    model = shutil.copytree(MODEL, tmp_path / "modèle.aimodel")
    script = '"$C" quantize modèle.aimodel out.aimodel --dtype int8 --dry-run && "$C" inspect "$M"'
    done = shell(script, tmp_path, PYTHONIOENCODING="ascii", M=str(model))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "command",
    [
        'inspect "$N.aimodel"',
        'compare "$IN" "$N.aimodel"',
        'quantize "$IN" "$N.aimodel" --dtype int8 --force',
        'dequantize "$N.aimodel" out.aimodel',
    ],
)
def test_paths_that_are_not_utf8(tmp_path: Path, command: str) -> None:
    """Core AI ends the process on them."""
    shutil.copytree(MODEL, tmp_path / f"{NOT_UTF8}.aimodel")
    done = shell(f'"$C" {command}', tmp_path, N=NOT_UTF8)
    assert done.returncode == 2
    assert done.stderr.startswith(b"coreai-opt: error: Core AI cannot use the path ")
    assert done.stderr.endswith(b"which is not UTF-8: rename what it goes through\n")
    assert done.stderr.count(b"\n") == 1


def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    (folder := tmp_path / NOT_UTF8).mkdir()
    shutil.copytree(MODEL, folder / "in.aimodel")
    done = shell('"$C" quantize in.aimodel out.aimodel --dtype int8', folder)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"Core AI cannot use the path" in done.stderr


def test_other_files_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / f"{NOT_UTF8}.toml").write_text('[[rule]]\nname = "*"\ndtype = "int8"\n')
    script = '"$C" quantize "$IN" out.aimodel --rules "$N.toml" --report "$N.json"'
    done = shell(script, tmp_path, N=NOT_UTF8)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / f"{NOT_UTF8}.json").is_file()


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_rules_with_a_byte_order_mark(tmp_path: Path, newline: bytes) -> None:
    lines = (b"\xef\xbb\xbf[[rule]]", b'name = "*"', b'dtype = "int8"', b"")
    (tmp_path / "rules.toml").write_bytes(newline.join(lines))
    done = shell('"$C" quantize "$IN" out.aimodel --rules rules.toml', tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert is_quantized(tmp_path / "out.aimodel")
