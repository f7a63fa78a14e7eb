"""Compare plans by the errors of weights with plans by what these do to outputs.

For each budget a plan of both kinds is carried out, with a calibration or, with ``--nearest``,
rounded to nearest. What is printed are the SQNR and mean cosine of the saved assets' outputs on
held-out samples, see ``evaluate.py``, and again those of the plan of the two that
``plan_quantization`` chooses with ``inputs``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from evaluate import Array, Quality, Sample, outputs_of, quality
from rich.console import Console

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.calibration.calibration import Calibration
from coreai_opt.cli.console import print_table
from coreai_opt.coreai_utils import calibrate, quantize_weights
from coreai_opt.coreai_utils.format_planning import measure_weights
from coreai_opt.planning.choose import choose_plan
from coreai_opt.planning.plan import make_plan
from coreai_opt.program.assets import load_asset
from coreai_opt.program.inputs import split_samples
from coreai_opt.program.ir import AIModelAsset
from coreai_opt.program.weights import find_weights
from coreai_opt.settings.rules import Rule

BITS = (3, 3.5, 4, 4.5, 5, 5.5, 6, 7)
"""Budgets: bits that a weight may take on average, with its scales."""

THRESHOLD = 1024
"""Constants of at most so many elements are no weights: the default of ``quantize_weights``."""


def main() -> None:
    """Print a table: a row for each budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="asset with float weights (.aimodel)")
    parser.add_argument("calibration", type=Path, help="samples to calibrate and plan on (.npz)")
    parser.add_argument("held_out", type=Path, help="samples to measure on (.npz)")
    parser.add_argument(
        "--first", type=int, help="held-out samples to measure on; all if not given"
    )
    parser.add_argument("--bits", nargs="*", type=float, default=BITS)
    parser.add_argument("--samples", type=int, default=32, help="to calibrate on, the first")
    parser.add_argument("--plan-samples", type=int, default=4, help="of these, to plan with")
    parser.add_argument("--nearest", action="store_true", help="round to nearest instead")
    arguments = parser.parse_args()

    asset = load_asset(arguments.model)
    samples, _ = split_samples(asset.program, load_arrays(arguments.calibration))
    held_out, _ = split_samples(asset.program, load_arrays(arguments.held_out))
    held_out = held_out[: arguments.first]
    expected = outputs_of(asset, held_out)
    calibration = None
    if not arguments.nearest:
        calibration = calibrate(asset.program, samples[: arguments.samples])
    chosen = samples[: arguments.plan_samples]
    inputs = {name: np.stack([one[name] for one in chosen]) for name in chosen[0]}
    elements = sum(int(np.prod(weight.shape)) for weight in find_weights(asset.program, THRESHOLD))
    measured = measure_weights(
        asset.program,
        inputs=inputs,
        function=None,
        calibration=calibration,
        target=None,
        weight_num_threshold=THRESHOLD,
        backend="auto",
        num_threads=None,
        sampled=True,
        progress=None,
    )
    assert measured.by_weights is not None
    rows = []
    for bits in arguments.bits:
        goal: dict[str, Any] = {"target_bytes": int(elements * bits / 8), "min_sqnr": None}
        first = make_plan(measured.by_weights, **goal).rules
        second = make_plan(measured.weights, **goal).rules
        distinct = [first] if first == second else [first, second]
        qualities = [
            carried_out(asset, rules, calibration, held_out, expected) for rules in distinct
        ]
        chosen_rules = choose_plan(measured, **goal).rules
        found = [qualities[distinct.index(rules)] for rules in (first, second, chosen_rules)]
        print(bits, *found, sep="\n    ", flush=True)
        rows.append((f"{bits:g}", *(f"{one.sqnr_db:.2f} dB, {one.cosine:.4f}" for one in found)))
    print_table(
        Console(highlight=False, width=140),
        f"{arguments.model.name}: outputs on {len(held_out)} samples, "
        f"{'rounded to nearest' if calibration is None else 'calibrated'}",
        (">bits", ">by weights", ">by outputs", ">by --inputs"),
        rows,
    )


def carried_out(
    asset: AIModelAsset,
    rules: Sequence[Rule],
    calibration: Calibration | None,
    held_out: Sequence[Sample],
    expected: Sequence[Array],
) -> Quality:
    """Carry out a plan, save and run it, and return its quality."""
    result = quantize_weights(asset, None, overrides=rules, calibration=calibration)
    with tempfile.TemporaryDirectory() as folder:
        saved = result.save_asset(Path(folder, "planned.aimodel"))
        return quality(expected, outputs_of(saved, held_out))


if __name__ == "__main__":
    main()
