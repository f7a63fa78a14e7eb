"""An asset that is quantized twice has equal constants both times."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from coreai.authoring import AIModelAsset

from ..support.command import MODEL
from ..support.programs import all_stored

# In a process of its own, in which no weight is too small for threads.
QUANTIZE = """
import sys
from coreai_opt import _native, cli
_native.SMALLEST_SHARE = 1
sys.exit(cli.main(sys.argv[1:]))
"""


def quantize(output: Path, run: int, options: list[str]) -> None:
    """Quantize the network with hash seeds and numbers of threads that differ from run to run."""
    arguments = ["quantize", str(MODEL), str(output), *options, "--threads", str(1 + 4 * run)]
    subprocess.run(
        [sys.executable, "-c", QUANTIZE, *arguments],
        env={**os.environ, "PYTHONHASHSEED": str(run)},
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize(
    "options",
    [
        "--dtype int4 --granularity per_block --block-size 16",
        "--dtype uint8 --qscheme asymmetric --granularity per_tensor",
        "--dtype fp8_e4m3fn",
        "--dtype fp4_e2m1fn --granularity per_block",
        "--dtype uint4 --qscheme asymmetric --granularity per_tensor --observer mse",
        "--target-size 300KB",
    ],
)
def test_the_same_asset_quantized_twice_gives_the_same_constants(
    options: str, tmp_path: Path
) -> None:
    constants = []
    for run in (0, 1):
        output = tmp_path / f"{run}.aimodel"
        quantize(output, run, options.split())
        constants.append(all_stored(AIModelAsset.load(output).program))
    assert constants[0] == constants[1] != all_stored(AIModelAsset.load(MODEL).program)
