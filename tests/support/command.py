"""The command ``coreai-opt`` as it is installed, and the asset to try it on."""

import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("coreai-opt")


MODEL = Path(__file__).parents[2] / "examples" / "crepe_tiny_f16.aimodel"


PER_BLOCK = ("--granularity", "per_block")


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def quantize(source: Path, output: Path, *options: object, **more: object):
    return run("quantize", source, output, *options, **more)


def failed(result: subprocess.CompletedProcess[str]) -> str:
    """Return the message of a command that failed as it should: one line, exit code 2."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert result.stderr.startswith("coreai-opt: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("coreai-opt: error: ").rstrip("\n")


def contents(asset: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in asset.iterdir()}
