"""Compare plans by the errors of weights with plans by what these do to outputs.

For each budget a plan of both kinds is carried out, to nearest and with a calibration, and the SQNR
of the saved asset's outputs on held-out samples is printed; see ``evaluate.py``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from evaluate import outputs_of, quality
from rich.console import Console

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.cli.console import print_table
from coreai_opt.coreai_utils import calibrate, quantize_weights
from coreai_opt.coreai_utils.format_planning import measure_weights
from coreai_opt.planning.plan import PlannedWeight, make_plan
from coreai_opt.program.assets import load_asset
from coreai_opt.program.inputs import split_samples
from coreai_opt.program.ir import AIProgram
from coreai_opt.program.weights import find_weights

BITS = (2.5, 3, 3.5, 4, 4.5, 5, 6, 7)
"""Budgets: bits that a weight may take on average, with its scales."""


def main() -> None:
    """Print a table: a row for each budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="asset with float weights (.aimodel)")
    parser.add_argument("calibration", type=Path, help="samples to calibrate and plan on (.npz)")
    parser.add_argument("held_out", type=Path, help="samples to measure on (.npz)")
    parser.add_argument("--bits", nargs="*", type=float, default=BITS)
    parser.add_argument("--samples", type=int, default=32, help="to calibrate on, the first")
    parser.add_argument("--plan-samples", type=int, default=4, help="of these, to plan with")
    arguments = parser.parse_args()

    asset = load_asset(arguments.model)
    samples, _ = split_samples(asset.program, load_arrays(arguments.calibration))
    held_out, _ = split_samples(asset.program, load_arrays(arguments.held_out))
    expected = outputs_of(asset, held_out)
    calibration = calibrate(asset.program, samples[: arguments.samples])
    chosen = samples[: arguments.plan_samples]
    inputs = {name: np.stack([one[name] for one in chosen]) for name in chosen[0]}
    elements = sum(int(np.prod(weight.shape)) for weight in find_weights(asset.program, 1024))
    ways = [_measured(asset.program, by) for by in (None, inputs)]
    rows = []
    for bits in arguments.bits:
        found = []
        for given in (None, calibration):
            for weights in ways:
                plan = make_plan(weights, target_bytes=int(elements * bits / 8), min_sqnr=None)
                result = quantize_weights(asset, None, overrides=plan.rules, calibration=given)
                with tempfile.TemporaryDirectory() as folder:
                    saved = result.save_asset(Path(folder, "planned.aimodel"))
                    found.append(quality(expected, outputs_of(saved, held_out)))
        print(bits, *found, sep="\n    ", flush=True)
        rows.append((f"{bits:g}", *(f"{one.sqnr_db:.2f} dB, {one.cosine:.4f}" for one in found)))
    print_table(
        Console(highlight=False, width=120),
        f"{arguments.model.name}: SQNR and mean cosine of outputs on {len(held_out)} samples",
        (">bits", ">nearest, by weights", ">by inputs", ">calibrated, by weights", ">by inputs"),
        rows,
    )


def _measured(program: AIProgram, inputs: dict[str, np.ndarray] | None) -> list[PlannedWeight]:
    """Return what ``plan_quantization`` chooses from, which is the same for all budgets."""
    return measure_weights(
        program,
        inputs=inputs,
        function=None,
        target=None,
        weight_num_threshold=1024,
        backend="auto",
        num_threads=None,
        sampled=True,
        progress=None,
    )


if __name__ == "__main__":
    main()
