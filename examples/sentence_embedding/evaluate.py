"""Quantize a network in several formats and to a budget, and print what is left of its quality.

The quality is the cosine similarity of the vectors that it computes, along the last axis of its
outputs, with those that it should. Of sentence embeddings (see ``convert.py``) nothing else counts:
sentences are compared by the angle between their vectors. ``make example-sentences`` runs this.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.cli.console import print_table
from coreai_opt.coreai_utils import plan_quantization, quantize_weights
from coreai_opt.program.assets import asset_bytes, load_asset
from coreai_opt.program.inputs import split_samples
from coreai_opt.program.inventory import Inventory
from coreai_opt.program.ir import AIProgram
from coreai_opt.program.runtime import run_samples

Arrays = Mapping[str, npt.NDArray[Any]]

BLOCKS = {"granularity": "per_block", "block_size": 32}
INT4 = {"dtype": "int4", **BLOCKS}
UINT4 = {"dtype": "uint4", "qscheme": "asymmetric", **BLOCKS}

FORMATS: dict[str, dict[str, Any]] = {
    "INT8 per channel": {"dtype": "int8"},
    "E4M3 with E8M0 scales": {"dtype": "fp8_e4m3fn", "scale_dtype": "fp8_e8m0fnu", **BLOCKS},
    "UINT4 asymmetric": UINT4,
    "UINT4 asymmetric, mse": {**UINT4, "observer": "mse"},
    "INT4": INT4,
    "INT4, mse": {**INT4, "observer": "mse"},
    "MXFP4": {"dtype": "fp4_e2m1fn", **BLOCKS},
}
"""Blocks, where there are any, are of 32."""

BUDGET = "INT4"
"""The format whose bytes plans may take."""

THRESHOLD = 1024
"""Constants of at most so many elements are no weights: the default of ``quantize_weights``."""


def main() -> int:
    """Print the table; return 1 if a vector has no cosine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="asset with float weights (.aimodel)")
    parser.add_argument("samples", type=Path, help="inputs to measure the quality on (.npz)")
    parser.add_argument("expected", type=Path, help="outputs that they should have (.npz)")
    parser.add_argument("calibration", type=Path, help="other inputs, to plan with (.npz)")
    arguments = parser.parse_args()

    program = load_asset(arguments.model).program
    samples, _ = split_samples(program, load_arrays(arguments.samples))
    expected = load_arrays(arguments.expected)
    console, rows = Console(highlight=False, width=110), []
    for name, variant, seconds in variants(program, load_arrays(arguments.calibration)):
        console.print(f"running: {name}", style="dim")
        nbytes, outputs = save_and_run(variant, samples)
        quality = cosines(expected, outputs)
        if not np.isfinite(quality).all():
            print(f"{name}: a vector is not finite, or zero throughout", file=sys.stderr)
            return 1
        weights = Inventory(variant, THRESHOLD).counts
        done = f"{weights.quantized} of {weights.quantized + weights.weights}"
        mean, least = f"{quality.mean():.4f}", f"{quality.min():.4f}"
        rows.append((name, done, nbytes, mean, least, f"{seconds:.1f}"))
    print_table(
        console,
        f"{arguments.model.name}: cosine similarity of {quality.size} vectors with those expected",
        ("format", ">weights", ">bytes of file", ">mean", ">least", ">seconds"),
        rows,
    )
    return 0


def variants(program: AIProgram, calibration: Arrays) -> Iterator[tuple[str, AIProgram, float]]:
    """Yield a program and what is made of it: a name, the result, and the seconds that took."""
    yield "original", program, 0.0
    sizes = {}
    for name, settings in FORMATS.items():
        started = time.perf_counter()
        quantized = quantize_weights(program, **settings)
        yield name, quantized, time.perf_counter() - started
        sizes[name] = Inventory(quantized, THRESHOLD).counts.nbytes
    for name, inputs in (("plan", None), ("plan with inputs", calibration)):
        started = time.perf_counter()
        plan = plan_quantization(program, target_bytes=sizes[BUDGET], inputs=inputs)
        quantized = quantize_weights(program, None, overrides=plan.rules)
        yield f"{name}, no larger than {BUDGET}", quantized, time.perf_counter() - started


def save_and_run(
    program: AIProgram, samples: Sequence[Arrays]
) -> tuple[int, list[dict[str, npt.NDArray[Any]]]]:
    """Return the bytes that a program takes as a file, and its outputs for each sample."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "quantized.aimodel")
        asset = program.save_asset(path)
        return asset_bytes(path), run_samples(asset, samples)


def cosines(expected: Arrays, outputs: Sequence[Arrays]) -> npt.NDArray[np.float64]:
    """Return the cosine similarities of vectors with what they should be.

    Args:
        expected: arrays of vectors by name, those of all samples together.
        outputs: a program's outputs for each sample, by name.

    Returns:
        float64, one per vector; NaN for those that are not finite, or zero throughout.
    """
    found = []
    for name, wanted in expected.items():
        r = wanted.astype(np.float64).reshape(-1, wanted.shape[-1])
        y = np.stack([sample[name] for sample in outputs]).astype(np.float64).reshape(r.shape)
        with np.errstate(invalid="ignore"):
            norms = np.linalg.norm(r, axis=-1) * np.linalg.norm(y, axis=-1)
            found.append(np.sum(r * y, axis=-1) / norms)
    return np.concatenate(found)


if __name__ == "__main__":
    sys.exit(main())
