"""(c) Growth: what a weight costs in ever larger arrays, and what ten thousand small ones cost.

Run in our own environment, by ``run.py``.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from cases import Case
from contenders import floor
from coreai_opt import quantize_array
from environments import OURS
from programs import run_step
from weights import make_weight

SIZES = (1, 2, 4, 10, 40, 100, 400)
"""In millions of weights."""

ROW = 4000
SMALL = 64

SMALL_IN_A_PROGRAM = 1000
"""Small weights in a program, which is quantized several times."""


def run_growth(largest: int, rounds: int, small: int, folder: Path, *, log: Path) -> dict[str, Any]:
    """Time INT4 in blocks of 32.

    Args:
        largest: millions of weights of the largest array.
        rounds: how many times each is timed.
        small: how many small weights.
        folder: where the program of small weights is made.
        log: where its messages go.

    Returns:
        ``arrays``: by source, millions of weights and threads, the seconds, and those of the
        streaming floor of that size with one thread; ``small``: the seconds for each small weight,
        in an array call, and those of the processor in a program, ours and of Core AI's own calls.
    """
    sizes = [size for size in SIZES if size <= largest]
    return {
        "arrays": {source: _grow(source, sizes, rounds) for source in ("float32", "float16")},
        "small": {
            "count": small,
            "weights": SMALL * SMALL,
            "array_call": _small_arrays(small),
            "program": _small_program(min(small, SMALL_IN_A_PROGRAM), folder, log),
        },
    }


def _grow(source: str, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    weight = np.resize(make_weight(source, (2500, ROW)), (sizes[-1] * 1_000_000 // ROW, ROW))
    parts = {size: weight[: size * 1_000_000 // ROW] for size in sizes}
    floors = {size: floor.prepare(_case(source, part), part, 1) for size, part in parts.items()}
    times: dict[tuple[int, int], list[float]] = {(n, t): [] for n in sizes for t in (1, 2)}
    floor_times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for (size, threads), seconds in times.items():
            seconds.append(_seconds(partial(_quantize, parts[size], threads)))
        for size, seconds in floor_times.items():
            seconds.append(_seconds(floors[size]))
    return [
        {
            "millions": size,
            "threads": threads,
            "seconds": median(seconds),
            "floor": median(floor_times[size]),
        }
        for (size, threads), seconds in times.items()
    ]


def _case(source: str, weight: np.ndarray) -> Case:
    return Case("INT4 block 32", source, "int4", False, "block", False, 1, weight.shape)


def _quantize(weight: np.ndarray, threads: int) -> Any:
    return quantize_array(weight, "int4", block_sizes=(1, 32), num_threads=threads)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _small_arrays(count: int) -> float:
    weight = make_weight("float32", (SMALL, SMALL))
    start = time.perf_counter()
    for _ in range(count):
        quantize_array(weight, "int4", block_sizes=(1, 32), num_threads=1)
    return (time.perf_counter() - start) / count


def _small_program(count: int, folder: Path, log: Path) -> dict[str, float]:
    path = folder / "small.aimodel"
    run_step(OURS, "build", path, "--layers", count, "--width", SMALL, log=log)
    taken: dict[str, float] = run_step(OURS, "small", path, log=log)
    return taken
