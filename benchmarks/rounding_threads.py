"""Rounding with feedback on one thread and on two: seconds, and how busy the threads are.

    python benchmarks/rounding_threads.py

rounds a weight of 4096 x 4096 to INT4 in blocks of 32, at scales that were found before, on one
thread and on two in turns, and prints each pair, medians, and the median ratio of pairs. Processor
seconds by those on the clock are the threads that were at work on average: what two threads lack
to 2.0 is what one of them did alone or waited for, be it for another process. It runs where the
package is installed, built with optimisation.
"""

import argparse
import os
import time
from statistics import median
from typing import NamedTuple

import numpy as np

from coreai_opt import Feedback
from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.settings.checked import check_settings
from coreai_opt.settings.settings import DEFAULTS, Settings

SETTINGS = Settings(dtype="int4", granularity="per_block", block_size=32, observer="minmax")


class Took(NamedTuple):
    """Seconds on the clock, and of all processors together."""

    wall: float
    processors: float

    def __str__(self) -> str:
        return f"{self.wall:7.3f} s ({self.processors / self.wall:.2f} threads at work)"


def main() -> None:
    """Print a line for each pair, and medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096, help="rows and columns")
    parser.add_argument("--rounds", type=int, default=7, help="pairs (default: %(default)s)")
    arguments = parser.parse_args()

    size = arguments.size
    random = np.random.default_rng(0)
    weight = random.standard_normal((size, size), np.float32) * np.float32(0.02)
    # What it is multiplied by does not change how long it takes.
    coefficients = np.tril(random.standard_normal((size, size), np.float32) / size, -1)
    feedback = Feedback(
        order=random.permutation(size)[np.newaxis],
        coefficients=(coefficients[np.newaxis],),
        importance=np.ones((1, size), np.float32),
    )
    parts = feedback.parts(MatrixLayout.of_last_axes(weight.shape))
    spec = check_settings(DEFAULTS.merge(SETTINGS)).spec
    backend = parse_backend("native")
    scales = backend.find_scales(weight, spec, (1, 32), None, 1)

    def took(threads: int) -> Took:
        wall, processors = time.perf_counter(), time.process_time()
        backend.encode_with_feedback(weight, scales, spec, parts, threads)
        return Took(time.perf_counter() - wall, time.process_time() - processors)

    took(2)
    pairs = []
    for number in range(arguments.rounds):
        both = {threads: took(threads) for threads in ((1, 2) if number % 2 else (2, 1))}
        pairs.append((both[1], both[2]))
        print(f"one thread {both[1]}  two {both[2]}  load {os.getloadavg()[0]:.1f}", flush=True)
    for threads, found in zip(("one thread", "two threads"), zip(*pairs, strict=True), strict=True):
        print(f"median of {threads}: {Took(*map(median, zip(*found, strict=True)))}")
    ratios = [one.wall / two.wall for one, two in pairs]
    print(f"two threads are {median(ratios):.2f} times as fast (median of {len(ratios)} pairs)")


if __name__ == "__main__":
    main()
