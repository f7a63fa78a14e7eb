"""(a) Arrays: every format from every source against the streaming floor and against the peers.

All contenders of a case take turns, so that a change of the machine's mood hits them alike, and
the median of their times counts.
"""

from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any

from cases import Case, all_cases
from environments import OURS, PEERS, installed_peers
from pool import Worker

TURNS = {"floor": 3, "ours": 3}
"""Turns in a round; a peer has one."""

BUDGET = 2.0
"""Seconds after which a contender that has had ``MINIMUM`` turns gets no more in a case."""

MINIMUM = 3


def run_arrays(shape: tuple[int, int], rounds: int, *, quick: bool, logs: Path) -> dict[str, Any]:
    """Time every case.

    Returns:
        ``versions`` by contender, and ``cases``: the case, its result's bytes, and for every
        contender the median seconds and how many times it was timed.
    """
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(closing(worker)) for name, worker in _start(logs).items()
        }
        cases = all_cases(shape, quick=quick)
        rows = []
        for number, case in enumerate(cases, 1):
            row = _run_case(case, workers, rounds)
            rows.append(row)
            print(f"[{number}/{len(cases)}] {_summary(row)}", flush=True)
        return {"versions": {n: w.versions for n, w in workers.items()}, "cases": rows}


def _start(logs: Path) -> dict[str, Worker]:
    peers = {peer: peer for peer in installed_peers() if peer in PEERS}
    environments = {"floor": OURS, "ours": OURS, **peers}
    workers = {}
    for name, environment in environments.items():
        try:
            workers[name] = Worker(name, environment, logs / f"{name}.log")
        except RuntimeError as error:
            print(f"*** {name} IS LEFT OUT: {error} ***")
    return workers


def _run_case(case: Case, workers: dict[str, Worker], rounds: int) -> dict[str, Any]:
    times: dict[tuple[str, int], list[float]] = {}
    for threads in (1, 2):
        for name, worker in workers.items():
            if worker.prepare(case, threads):
                times[name, threads] = []
    for _ in range(rounds):
        _run_round(workers, times)
    return {
        "label": case.label,
        "source": case.source,
        "axis": case.axis,
        "weights": case.size,
        "result_bytes": case.result_bytes,
        "seconds": {_key(*who): median(seconds) for who, seconds in times.items()},
        "turns": {_key(*who): len(seconds) for who, seconds in times.items()},
    }


def _run_round(workers: dict[str, Worker], times: dict[tuple[str, int], list[float]]) -> None:
    for turn in range(max(TURNS.values())):
        for (name, threads), seconds in times.items():
            spent = len(seconds) >= MINIMUM and sum(seconds) > BUDGET
            if turn < TURNS.get(name, 1) and not spent:
                seconds.append(workers[name].seconds(threads))


def _key(name: str, threads: int) -> str:
    return name if threads == 1 else f"{name}_{threads}_threads"


def _summary(row: dict[str, Any]) -> str:
    speeds = (f"{name} {row['weights'] / s / 1e6:.0f}" for name, s in row["seconds"].items())
    return f"{row['source']} {row['label']} axis {row['axis']}, M weights/s: {', '.join(speeds)}"
