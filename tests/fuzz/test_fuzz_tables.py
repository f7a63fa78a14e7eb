"""Differential fuzzing of look-up tables: native at every level answers what the reference does.

A round of random cases, the same each time; ``make fuzz`` goes on for FUZZ_TIME seconds from the
seed FUZZ_SEED on. A case that fails is named by its seed and number.
"""

import os
import time
from typing import Any

import numpy as np
import pytest

from coreai_opt import _native, palettize_array

from ..support.corpus import WEIGHT_DTYPES, Array, instruction_sets
from .generate import Layout, random_importance, random_weight

ROUND = 150
"""Cases to a seed."""

INDEX_BITS = (1, 2, 3, 4, 6, 8)


@pytest.fixture(autouse=True)
def every_element_is_worth_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)


def divisor(rng: np.random.Generator, n: int) -> int:
    """Any number that divides another."""
    return int(rng.choice([d for d in range(1, n + 1) if n % d == 0]))


def random_arguments(
    rng: np.random.Generator, shape: tuple[int, ...]
) -> tuple[int, dict[str, Any]]:
    """Bits of an index, and other arguments of ``palettize_array``."""
    blocks = [divisor(rng, n) if rng.random() < 0.4 else 0 for n in shape]
    arguments: dict[str, Any] = {"block_sizes": tuple(blocks)}
    if rng.random() < 0.5:
        axis = int(rng.integers(len(shape)))
        arguments["cluster_axis"] = axis
        length = divisor(rng, blocks[axis] or shape[axis])
        arguments["cluster_dim"] = length if length <= 256 else 1
    if rng.random() < 0.4:
        arguments["importance"] = random_importance(rng, shape)
    return int(rng.choice(INDEX_BITS)), arguments


def random_shape(rng: np.random.Generator) -> tuple[int, ...]:
    """Any shape of 1 to 4 axes."""
    rank = int(rng.integers(1, 5))
    return tuple(int(n) for n in rng.integers(1, 2 + 200 ** (1 / rank) * 2, rank))


def answer(weight: Array, bits: int, arguments: dict[str, Any], backend: str) -> tuple[str, ...]:
    """What a backend makes of a weight: all bytes, or what it says against it."""
    try:
        found = palettize_array(weight, bits, **arguments, backend=backend, num_threads=2)
    except ValueError as error:
        return (str(error),)
    decoded = found.dequantize(backend=backend, num_threads=2)
    return tuple(part.tobytes().hex() for part in (found.table, found.packed, decoded))


def test_random_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    end = time.monotonic() + float(os.environ.get("FUZZ_TIME", "0"))
    seed = int(os.environ.get("FUZZ_SEED", "0"))
    while True:
        rng = np.random.default_rng(seed)
        for number in range(ROUND):
            shape = random_shape(rng)
            dtype = WEIGHT_DTYPES[rng.integers(len(WEIGHT_DTYPES))]
            weight = random_weight(rng, Layout(shape, ()), dtype)
            bits, arguments = random_arguments(rng, shape)
            expected = answer(weight, bits, arguments, "reference")
            for level in instruction_sets():
                monkeypatch.setenv(_native.LEVEL_VARIABLE, level)
                found = answer(weight, bits, arguments, "native")
                assert found == expected, f"FUZZ_SEED={seed}, case {number}, {level}"
        seed += 1
        if time.monotonic() > end:
            return
