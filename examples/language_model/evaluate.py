"""Quantize a language model with and without a calibration, and print its perplexity.

Everything runs on Core AI's runtime, from saved assets, on text that the calibration has not seen;
see ``convert.py``.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.coreai_utils import calibrate, quantize_weights
from coreai_opt.program.assets import asset_bytes, load_asset
from coreai_opt.program.ir import AIModelAsset, AIProgram
from coreai_opt.program.runtime import run_each

Array = npt.NDArray[Any]

FORMATS: dict[str, dict[str, Any]] = {
    "int4-32": {"dtype": "int4", "granularity": "per_block", "block_size": 32},
    "int4": {"dtype": "int4"},
    "mxfp4": {"dtype": "fp4_e2m1fn", "granularity": "per_block"},
    "int2-16": {"dtype": "int2", "granularity": "per_block", "block_size": 16},
    "int8": {"dtype": "int8"},
}
"""Blocks are of the number after the dash; without one there is a scale for each channel."""


def measure(
    program: AIProgram | AIModelAsset, windows: Sequence[Mapping[str, Array]]
) -> tuple[float, Array]:
    """Return the perplexity of windows of tokens, and the most likely word at each place."""
    losses: list[float] = []
    words: list[Array] = []

    def take(outputs: Mapping[str, Array]) -> None:
        logits = outputs["logits"][0].astype(np.float64)
        tokens = windows[len(words)]["input_ids"][0]
        words.append(logits.argmax(axis=-1))
        largest = logits.max(axis=-1)
        total = largest + np.log(np.exp(logits - largest[:, np.newaxis]).sum(axis=-1))
        losses.extend((total[:-1] - logits[np.arange(len(tokens) - 1), tokens[1:]]).tolist())

    run_each(program, windows, take)
    return float(np.exp(np.mean(losses))), np.concatenate(words)


def main() -> None:
    """Print a table: bytes, perplexity, and how often the most likely word is the original's."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where convert.py wrote")
    parser.add_argument("formats", nargs="*", default=[], help=f"of {', '.join(FORMATS)}")
    parser.add_argument("--windows", type=int, help="to calibrate on, the first; all if not given")
    parser.add_argument("--first", type=int, help="to measure on, likewise")
    arguments = parser.parse_args()

    asset = load_asset(arguments.folder / "smollm2.aimodel")
    with np.load(arguments.folder / "held_out.npz") as arrays:
        held_out = [{"input_ids": tokens} for tokens in arrays["input_ids"][: arguments.first]]
    with np.load(arguments.folder / "calibration.npz") as arrays:
        samples = {"input_ids": arrays["input_ids"][: arguments.windows]}
    perplexity, words = measure(asset, held_out)
    print(f"float32                 {asset_bytes(asset.path):>11,} bytes  {perplexity:8.2f}")
    started = time.perf_counter()
    calibration = calibrate(asset.program, samples)
    print(f"calibrated in {time.perf_counter() - started:.0f} s", flush=True)
    for name in arguments.formats or FORMATS:
        for how, more in (("nearest", {"observer": "mse"}), ("calibrated", {})):
            started = time.perf_counter()
            given = None if how == "nearest" else calibration
            quantized = quantize_weights(asset, **FORMATS[name], **more, calibration=given)
            seconds = time.perf_counter() - started
            with tempfile.TemporaryDirectory() as folder:
                saved = quantized.save_asset(Path(folder, "quantized.aimodel"))
                size = asset_bytes(saved.path)
                found, likely = measure(saved, held_out)
            change, same = 100 * (found / perplexity - 1), float(np.mean(likely == words))
            print(
                f"{name:<10} {how:<12} {size:>11,} bytes  {found:8.2f}  {change:+7.1f} %  "
                f"top-1 {same:.3f}  {seconds:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
