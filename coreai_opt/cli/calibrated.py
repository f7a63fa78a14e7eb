"""``quantize`` with a calibration, from a file or made on the way, and a check of its use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.calibration.calibration import Calibration
from coreai_opt.cli.console import print_table, sample_bar, stdout, steps_bar
from coreai_opt.cli.running import Compared
from coreai_opt.coreai_utils import calibrate
from coreai_opt.evaluation.output_comparison import Array, compare_outputs
from coreai_opt.evaluation.weight_error import decibels

if TYPE_CHECKING:
    from coreai_opt.program.functions import Sizes
    from coreai_opt.program.ir import AIModelAsset, AIProgram

logger = logging.getLogger("coreai_opt")

KEPT_BACK = 8
"""One sample of so many is kept back: it does not calibrate but judges."""


class Calibrated(NamedTuple):
    """A calibration, and samples that it was not made of.

    Attributes:
        calibration: the calibration.
        kept: samples to judge on; empty where there are none.
        states: what states start as.
        function, sizes: what is run, as in ``calibrate``.
    """

    calibration: Calibration
    kept: Sequence[Mapping[str, Array]] = ()
    states: Mapping[str, Array] | None = None
    function: str | None = None
    sizes: Sizes | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what ``coreai-opt calibrate`` wrote; it has no samples."""
        return cls(Calibration.load(path))

    def outputs(
        self, program: AIModelAsset | AIProgram, tell: Callable[[], None]
    ) -> dict[str, Array]:
        """Return what a program computes from the samples that were kept back.

        Args:
            program: the program.
            tell: called after each sample, in another thread.
        """
        from coreai_opt.program.runtime import run_samples  # noqa: PLC0415  # imports Core AI

        found = run_samples(
            program,
            self.kept,
            function=self.function,
            states=self.states,
            sizes=self.sizes,
            tell=tell,
        )
        return {name: np.stack([outputs[name] for outputs in found]) for name in found[0]}


def calibrate_here(
    program: AIProgram,
    inputs: Path,
    *,
    function: str | None,
    sizes: Sizes,
    mask: str | None,
    threshold: int,
) -> Calibrated:
    """Calibrate a program on a file of samples, and keep every eighth back, or the last of fewer.

    Args:
        program: the program.
        inputs: an ``.npz`` file of samples.
        function, sizes, mask: as in ``calibrate``.
        threshold: ``weight_num_threshold``.
    """
    from coreai_opt.program.inputs import split_samples  # noqa: PLC0415  # imports Core AI

    samples, states = split_samples(program, load_arrays(inputs), function=function)
    kept = samples[KEPT_BACK - 1 :: KEPT_BACK] or samples[1:][-1:]
    used = [sample for sample in samples if not any(sample is one for one in kept)]
    with sample_bar(len(used)) as progress:
        calibration = calibrate(
            program,
            used,
            function=function,
            states=states,
            sizes=sizes,
            mask=mask,
            weight_num_threshold=threshold,
            progress=progress,
        )
    return Calibrated(calibration, kept, states, function, sizes)


class Judged(NamedTuple):
    """Whether a calibration was of use, and how far the better outputs are from the original's."""

    calibrated_is_better: bool
    compared: Compared


def judge(
    original: AIModelAsset, calibrated: Calibrated, rounded: AIProgram, nearest: AIProgram
) -> Judged:
    """Compare outputs with those of the original on the samples that were kept back; print both.

    Args:
        original: the asset that was quantized.
        calibrated: what it was calibrated with; it has samples.
        rounded: the program that the calibration helped to round.
        nearest: the program without it.

    Returns:
        whether the outputs of ``rounded`` are as near or nearer, see :func:`_nearness`, and those
        of the better one.
    """
    wanted, *outputs = _run(calibrated, (original, rounded, nearest))
    found = [compare_outputs(wanted, of_one) for of_one in outputs]
    on = f"{len(calibrated.kept)} samples that were kept back"
    print_table(
        stdout(),
        f"Outputs on {on}",
        ("output", ">SQNR calibrated", ">SQNR not calibrated"),
        (
            (with_.name, decibels(with_.sqnr_db, 2), decibels(without.sqnr_db, 2))
            for with_, without in zip(*found, strict=True)
        ),
    )
    sqnrs = np.array([[one.sqnr_db for one in comparisons] for comparisons in found])
    ours, theirs = map(_nearness, sqnrs, sqnrs[::-1])
    better = ours >= theirs
    return Judged(better, Compared(on, found[0 if better else 1]))


def _nearness(sqnrs: Array, others: Array) -> tuple[int, float, int]:
    """Return how near a program's outputs are to the original's, to be compared with another's.

    What counts first is that outputs are finite, then the mean SQNR in dB, then how many are exact.
    The mean is over outputs that have a finite SQNR in both programs: beside infinity no other
    output would count. An output that is not finite in the original is not in either.

    Args:
        sqnrs: SQNR in dB of each output.
        others: those of the other program.
    """
    of_both = sqnrs[np.isfinite(sqnrs) & np.isfinite(others)]
    mean = float(np.mean(of_both)) if of_both.size else 0.0
    return -int(np.isnan(sqnrs).sum()), mean, int(np.isposinf(sqnrs).sum())


def _run(
    calibrated: Calibrated, programs: Sequence[AIModelAsset | AIProgram]
) -> list[dict[str, Array]]:
    """Return what each program computes from the samples that were kept back, with progress."""
    done = count(1)
    with steps_bar("running") as progress:

        def tell() -> None:
            if progress is not None:
                progress("running", next(done), len(programs) * len(calibrated.kept))

        return [calibrated.outputs(program, tell) for program in programs]
