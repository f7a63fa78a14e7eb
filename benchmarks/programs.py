"""(b) Programs: ``quantize_weights`` of ours and of coreai-opt, each run in a fresh process."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from children import run_child
from environments import OURS, installed_peers

APPLE = "coreai_opt_apple"
SOURCES = ("float32", "float16")

run_step = partial(run_child, "program_child.py")
"""Runs a step of that script: its name and its options."""


def run_programs(folder: Path, layers: int, width: int, rounds: int, *, log: Path) -> Any:
    """Time programs of ``layers`` linear layers of ``width``, and the imports.

    Returns:
        ``imports``: median seconds by contender, and ``programs``: by source dtype and contender
        the medians of what ``program_child.quantize`` measures.
    """
    environments = [OURS, *(peer for peer in installed_peers() if peer == APPLE)]
    imports = _in_turns(environments, [("import",)], rounds, log)
    programs = {}
    for source in SOURCES:
        path = folder / f"{source}.aimodel"
        shape = ("--source", source, "--layers", layers, "--width", width)
        run_step(OURS, "build", path, *shape, log=log)
        programs[source] = _quantize(environments, path, rounds, log)
        took = (f"{name} {result['seconds']:.3f}" for name, result in programs[source].items())
        print(f"{source}, seconds: {', '.join(took)}", flush=True)
    return {
        "layers": layers,
        "width": width,
        "imports": {name: times["seconds"] for (name, *_), times in imports.items()},
        "programs": programs,
    }


def _quantize(environments: list[str], path: Path, rounds: int, log: Path) -> dict[str, Any]:
    peers = [name for name in environments if name != OURS]
    ours = [("quantize", path, "--threads", threads) for threads in (1, 2)]
    results = _in_turns([OURS], ours, rounds, log) | _in_turns(
        peers, [("quantize", path)], max(1, rounds // 2), log
    )
    return {
        f"{name}_2_threads" if step[-1] == 2 else name: result
        for (name, *step), result in results.items()
    }


def _in_turns(
    environments: Iterable[str], steps: list[tuple[Any, ...]], rounds: int, log: Path
) -> dict[tuple[Any, ...], dict[str, float]]:
    """Run steps in environments in turns, and return the median of everything they say."""
    runs = [(name, *step) for name in environments for step in steps]
    answers: dict[tuple[Any, ...], list[dict[str, float]]] = {run: [] for run in runs}
    for _ in range(rounds):
        for run in runs:
            answers[run].append(run_step(*run, log=log))
    return {
        run: {key: median(answer[key] for answer in given) for key in given[0]}
        for run, given in answers.items()
    }
