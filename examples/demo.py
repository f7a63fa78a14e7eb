"""Quantize a trained network with the command line, run the results, and print what changed.

The network is CREPE-tiny, a pitch tracker (see NOTICE); original and results run on the Core AI
runtime on the same four frames of sound. ``make demo`` runs this.
"""

import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from coreai_opt.cli.console import print_table
from coreai_opt.evaluation.output_comparison import sqnr_db
from coreai_opt.program.assets import asset_bytes, load_asset
from coreai_opt.program.runtime import run_program
from coreai_opt.program.weights import find_quantized

EXAMPLES = Path(__file__).parent
MODEL = EXAMPLES / "crepe_tiny_f16.aimodel"
SAMPLES = EXAMPLES / "crepe_tiny_f16.npz"

COMMAND = Path(sys.executable).with_name("coreai-opt")

# 16 divides the input channels of six of the seven weights, 32 (which MXFP4 fixes) those of three.
FORMATS = {
    "INT8 per channel": "--dtype int8",
    "INT4 per block of 16": "--dtype int4 --granularity per_block --block-size 16",
    "UINT4 asymmetric, per block of 16": (
        "--dtype uint4 --qscheme asymmetric --granularity per_block --block-size 16"
    ),
    "FP8 E4M3 per channel": "--dtype fp8_e4m3fn",
    "FP8 E4M3, E8M0 scales, per block of 16": (
        "--dtype fp8_e4m3fn --scale-dtype fp8_e8m0fnu --granularity per_block --block-size 16"
    ),
    "MXFP4": "--dtype fp4_e2m1fn --granularity per_block",
}


def main() -> int:
    """Print the table; return 1 if an output is not finite."""
    console = Console(highlight=False, width=110)
    inputs = {"x": np.load(SAMPLES)["in_x"]}
    expected = run_program(load_asset(MODEL), inputs)
    size = asset_bytes(MODEL)
    rows = [("original, float16", "", size, "", *("" for _ in expected), "")]
    with tempfile.TemporaryDirectory() as folder:
        for name, options in FORMATS.items():
            result = Path(folder, "quantized.aimodel")
            seconds = quantize(result, options, console)
            outputs = run_program(load_asset(result), inputs)
            quality = [sqnr_db(expected[output], outputs[output]) for output in expected]
            if not np.isfinite(quality).all():
                console.print(f"{name}: an output is not finite")
                return 1
            left = asset_bytes(result)
            count = len(find_quantized(load_asset(result).program))
            decibels = (f"{value:.1f} dB" for value in quality)
            rows.append(
                (name, count, left, f"{100 * left / size:.0f} %", *decibels, f"{seconds:.1f}")
            )
    console.print()
    columns = (f">SQNR of {output}" for output in expected)
    print_table(
        console,
        f"{MODEL.name}: quantized against original outputs",
        ("format", ">weights", ">bytes of file", ">left", *columns, ">seconds"),
        rows,
    )
    return 0


def quantize(result: Path, options: str, console: Console) -> float:
    """Run ``coreai-opt quantize`` and return how many seconds the whole command took."""
    console.print(
        f"$ coreai-opt quantize {MODEL.name} {result.name} {options}", style="dim", soft_wrap=True
    )
    command = [COMMAND, "quantize", MODEL, result, *shlex.split(options), "--force"]
    started = time.perf_counter()
    # What it would warn of, weights whose input channels the block size does not divide, is told
    # by the column "weights".
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # our own command
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
