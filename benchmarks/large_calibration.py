"""Calibrated rounding of a model as large as a language model of a billion weights: by stage.

    python benchmarks/large_calibration.py

builds the first two layers of the program of ``large_program.py``, in float16, calibrates them on
4096 rows, 128 at a time, and rounds their 14 weights to INT4 in blocks of 32. It prints what each
stage takes of the processor, and what that comes to for all 24 layers. Everything but running runs
on one thread. Inputs are random: how long it takes does not depend on them.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pool import ONE_THREAD

os.environ.update(ONE_THREAD)  # before numpy is imported

import numpy as np
from coreai.authoring import AIModelAsset

from coreai_opt.arrays.feedback import Feedback
from coreai_opt.arrays.methods import Gptq
from coreai_opt.calibration.moments import MomentSums
from coreai_opt.coreai_utils import calibrate, quantize_weights
from large_program import LAYERS, WIDTH, build

MEASURED = 2
"""Layers that are measured."""

STAGES = {
    "moments": (MomentSums, "add"),
    "factoring": (Feedback, "from_moments"),
    "scales and rounding": (Gptq, "quantize"),
}
"""What each stage calls."""

Seconds = dict[str, float]


@contextmanager
def timed(seconds: Seconds, stage: str) -> Iterator[None]:
    """Add what the processor does for this thread to a stage."""
    started = time.thread_time()
    try:
        yield
    finally:
        seconds[stage] += time.thread_time() - started


def watch(seconds: Seconds, stage: str, owner: type, name: str) -> None:
    """Time each call of a method as a stage."""
    original: Callable[..., Any] = vars(owner)[name]
    unbound = getattr(original, "__func__", original)

    def call(*arguments: Any, **more: Any) -> Any:
        with timed(seconds, stage):
            return unbound(*arguments, **more)

    setattr(owner, name, classmethod(call) if isinstance(original, classmethod) else call)


def measure(path: Path, rows: int, samples: int) -> Seconds:
    """Calibrate and round a program, and return the seconds of each stage."""
    seconds = dict.fromkeys(("running", *STAGES, "errors and all else"), 0.0)
    for stage, (owner, name) in STAGES.items():
        watch(seconds, stage, owner, name)
    program = AIModelAsset.load(path).program
    inputs = np.random.default_rng(1).standard_normal((samples, rows, WIDTH), np.float32)
    started = time.process_time()
    calibration = calibrate(program, {"x": inputs.astype(np.float16)})
    seconds["running"] = time.process_time() - started - seconds["moments"]
    started = time.process_time()
    quantize_weights(
        program,
        "int4",
        granularity="per_block",
        calibration=calibration,
        in_place=True,
        num_threads=1,
    )
    rounding = seconds["factoring"] + seconds["scales and rounding"]
    seconds["errors and all else"] = time.process_time() - started - rounding
    return seconds


def main() -> None:
    """Print a line for each stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=128, help="of a sample")
    parser.add_argument("--samples", type=int, default=32)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder, "layers.aimodel")
        build(path, MEASURED, arguments.rows)
        seconds = measure(path, arguments.rows, arguments.samples)
    print(f"seconds of the processor, load {os.getloadavg()[0]:.1f}")
    print(f"{'':24}{MEASURED:>5} layers{LAYERS:>6} layers")
    for stage, took in (seconds | {"together": sum(seconds.values())}).items():
        print(f"{stage:24}{took:12.1f}{took * LAYERS / MEASURED:13.0f}")


if __name__ == "__main__":
    main()
