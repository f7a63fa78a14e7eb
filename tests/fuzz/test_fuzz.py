"""Differential fuzzing: native at every level answers what the reference does, byte for byte.

Without more: a round of random cases, the same each time, and the cases in regressions.txt.
``make fuzz`` goes on for FUZZ_TIME seconds, round after round, from the seed FUZZ_SEED on. What
fails is made small and printed as the command that replays it, for regressions.txt to keep.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from coreai_opt import _native

from .case import Case
from .generate import random_case
from .simplify import smallest

REGRESSIONS = [
    line
    for line in (Path(__file__).parent / "regressions.txt").read_text().splitlines()
    if not line.startswith("#")
]
ROUND = 3000
"""Cases to a seed."""


@pytest.fixture(autouse=True)
def every_element_is_worth_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)


@pytest.mark.parametrize(
    "line", [os.environ["FUZZ_CASE"]] if "FUZZ_CASE" in os.environ else REGRESSIONS
)
def test_regressions(line: str) -> None:
    check(Case.parse(line))


def test_random_cases(capsys: pytest.CaptureFixture[str]) -> None:
    end = time.monotonic() + float(os.environ.get("FUZZ_TIME", "0"))
    seed = int(os.environ.get("FUZZ_SEED", "0"))
    while True:
        with capsys.disabled():  # to be seen even if the process dies
            print(f"\nFUZZ_SEED={seed}", end=" ", flush=True)
        rng = np.random.default_rng(seed)
        for _ in range(ROUND):
            case = random_case(rng)
            if case.differences():
                check(smallest(case, lambda one: bool(one.differences())))
        if time.monotonic() >= end:
            return
        seed += 1


def check(case: Case) -> None:
    assert case.differences() == "", f"to replay: make fuzz FUZZ_CASE='{case!r}'"
