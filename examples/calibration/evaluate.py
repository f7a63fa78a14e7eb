"""Quantize a network with and without a calibration, and print how far its outputs are off.

Everything is measured on saved assets, run on Core AI's runtime, on samples that the calibration
has not seen. Which samples calibrate is drawn anew for each seed; figures are means over seeds.
``samples.py`` makes samples for four networks, docs/calibration.md has what came out.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.calibration.calibration import Calibration
from coreai_opt.cli.console import print_table
from coreai_opt.coreai_utils import calibrate, quantize_weights
from coreai_opt.evaluation.output_comparison import sqnr_db
from coreai_opt.program.assets import asset_bytes, load_asset
from coreai_opt.program.inputs import split_samples
from coreai_opt.program.ir import AIModelAsset
from coreai_opt.program.runtime import run_samples

Array = npt.NDArray[Any]
Sample = Mapping[str, Array]

BLOCKS = {"granularity": "per_block", "block_size": 32}
FORMATS: dict[str, dict[str, Any]] = {
    "int4-32": {"dtype": "int4", **BLOCKS},
    "uint4-32": {"dtype": "uint4", "qscheme": "asymmetric", **BLOCKS},
    "int4": {"dtype": "int4"},
    "mxfp4": {"dtype": "fp4_e2m1fn", **BLOCKS},
    "int2-32": {"dtype": "int2", **BLOCKS},
    "int8": {"dtype": "int8"},
    "fp8": {"dtype": "fp8_e4m3fn"},
}
"""Blocks are of the number after the dash; without one there is a scale for each channel."""

MOST_VECTORS = 1000
"""Vectors of which all pairs are compared; of more, these at equal distances."""


class Quality(NamedTuple):
    """How near outputs are to those of the original.

    Attributes:
        sqnr_db: SQNR of all outputs together.
        cosine: mean cosine similarity of vectors along the last axis with the original's, of
            those that are no zeros there.
        spearman: rank correlation of the similarities of all pairs of vectors with the original's.
    """

    sqnr_db: float
    cosine: float
    spearman: float


def main() -> None:
    """Print a table: bytes of the asset, and the quality of its outputs with and without."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="asset with float weights (.aimodel)")
    parser.add_argument("calibration", type=Path, help="samples to draw from (.npz)")
    parser.add_argument("held_out", type=Path, help="samples to measure on (.npz)")
    parser.add_argument("--formats", nargs="*", default=[*FORMATS], choices=FORMATS)
    parser.add_argument("--samples", type=int, help="to calibrate on; two thirds if not given")
    parser.add_argument("--seeds", type=int, default=3, help="draws (default: %(default)s)")
    parser.add_argument(
        "--first", type=int, help="held-out samples to measure on; all if not given"
    )
    parser.add_argument("--fit", action="store_true", help='indivisible="fit"')
    arguments = parser.parse_args()

    asset = load_asset(arguments.model)
    pool, _ = split_samples(asset.program, load_arrays(arguments.calibration))
    held_out, _ = split_samples(asset.program, load_arrays(arguments.held_out))
    held_out = held_out[: arguments.first]
    expected = outputs_of(asset, held_out)
    count = arguments.samples or 2 * len(pool) // 3
    calibrations = []
    for seed in range(arguments.seeds):
        started = time.perf_counter()
        chosen = np.random.default_rng(seed).permutation(len(pool))[:count]
        calibrations.append(calibrate(asset.program, [pool[i] for i in chosen]))
        print(f"calibrated: seed {seed}, {time.perf_counter() - started:.1f} s", flush=True)
    rows = []
    for name in arguments.formats:
        settings = {**FORMATS[name], "indivisible": "fit" if arguments.fit else "skip"}
        size, nearest = measure(asset, held_out, expected, {**settings, "observer": "mse"}, None)
        found = [measure(asset, held_out, expected, settings, one)[1] for one in calibrations]
        print(name, nearest, *found, sep="\n    ", flush=True)
        means = Quality(*np.mean(found, axis=0))
        least = min(one.sqnr_db for one in found) - nearest.sqnr_db
        rows.append(
            (
                name,
                f"{size:,}",
                f"{nearest.sqnr_db:.2f}",
                f"{means.sqnr_db:.2f}",
                f"{means.sqnr_db - nearest.sqnr_db:+.2f}",
                f"{least:+.2f}",
                f"{nearest.cosine:.4f}",
                f"{means.cosine:.4f}",
                f"{nearest.spearman:.3f}",
                f"{means.spearman:.3f}",
            )
        )
    print_table(
        Console(highlight=False, width=120),
        f"{arguments.model.name}: {len(held_out)} held-out samples, {arguments.seeds} draws of "
        f"{count} to calibrate on; to nearest with observer MSE, then calibrated",
        (
            "format",
            ">bytes",
            ">SQNR of outputs",
            ">calibrated",
            ">gain",
            ">least",
            ">cosine",
            ">calibrated",
            ">Spearman",
            ">calibrated",
        ),
        rows,
    )


def measure(
    asset: AIModelAsset,
    held_out: Sequence[Sample],
    expected: Sequence[Array],
    settings: Mapping[str, Any],
    calibration: Calibration | None,
) -> tuple[int, Quality]:
    """Quantize, save and run; return the bytes of the asset and its quality."""
    quantized = quantize_weights(asset, **settings, calibration=calibration)
    with tempfile.TemporaryDirectory() as folder:
        saved = quantized.save_asset(Path(folder, "quantized.aimodel"))
        found = outputs_of(saved, held_out)
        size = asset_bytes(saved.path)
    return size, quality(expected, found)


def outputs_of(asset: AIModelAsset, samples: Sequence[Sample]) -> list[Array]:
    """Return each output for all samples, ``[vectors, length]``."""
    found = run_samples(asset, samples)
    stacked = (np.stack([one[name] for one in found]) for name in found[0])
    return [one.reshape(-1, one.shape[-1]).astype(np.float64) for one in stacked]


def quality(expected: Sequence[Array], found: Sequence[Array]) -> Quality:
    """Compare outputs with those expected; cosine and Spearman are means over outputs."""
    pairs = list(zip(expected, found, strict=True))
    return Quality(
        sqnr_db(*(np.concatenate([one.ravel() for one in side]) for side in (expected, found))),
        float(np.mean([_cosine(r, y) for r, y in pairs])),
        float(np.mean([_spearman(r, y) for r, y in pairs])),
    )


def _cosine(expected: Array, found: Array) -> float:
    """Return the mean cosine similarity of vectors, without those that are to be zeros."""
    chosen = expected.any(axis=-1)
    return float(np.mean(np.sum(_unit(expected[chosen]) * _unit(found[chosen]), axis=-1)))


def _spearman(expected: Array, found: Array) -> float:
    chosen = np.linspace(0, len(expected) - 1, min(len(expected), MOST_VECTORS)).astype(int)
    pairs = np.triu_indices(len(chosen), 1)
    ranks = [
        ((unit := _unit(one[chosen])) @ unit.T)[pairs].argsort().argsort()
        for one in (expected, found)
    ]
    return float(np.corrcoef(*ranks)[0, 1])


def _unit(vectors: Array) -> Array:
    """Return vectors of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


if __name__ == "__main__":
    main()
