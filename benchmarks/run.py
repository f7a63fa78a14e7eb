"""Run the benchmarks, print the tables, write the results.

Run in our own environment, after ``environments.py``: ``make bench`` does both.
"""

import argparse
import datetime
import json
import os
import platform
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from arrays import run_arrays
from children import run_each
from coreai_opt.arrays.threads import processors
from environments import ALL_PEERS, CALIBRATED_PEERS, HERE, PALETTIZING_PEERS, installed_peers
from growth import run_growth
from programs import run_programs
from tables import all_tables

PARTS = ("arrays", "programs", "growth", "search", "palettize", "calibrated")
SEARCHING_PEERS = ("ggml", "torchao")


def main() -> None:
    """Run what was asked for."""
    arguments = _parse_arguments()
    missing = sorted(set(ALL_PEERS) - set(installed_peers()))
    results: dict[str, Any] = {"machine": _machine(), "quick": arguments.quick}
    with TemporaryDirectory() as folder:
        for part in arguments.parts:
            print(f"== {part}", flush=True)
            results[part] = _run(part, Path(folder), quick=arguments.quick)
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    _print(results, missing)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and few: does it run at all?")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path, default=HERE / "results.json", help="where to write")
    return parser.parse_args()


def _run(part: str, folder: Path, *, quick: bool) -> dict[str, Any]:
    log = folder / "children.log"
    if part == "arrays":
        size, rounds = (512, 2) if quick else (4096, 5)
        return run_arrays((size, size), rounds, quick=quick, logs=folder)
    if part == "programs":
        layers, width, rounds = (2, 512, 1) if quick else (12, 4096, 5)
        return run_programs(folder, layers, width, rounds, log=log)
    if part == "search":
        return run_each("search_child.py", SEARCHING_PEERS, 512 if quick else 2048, log=log)
    if part == "palettize":
        sizes = (256, 512) if quick else (1024, 4096)
        return run_each("palettize_child.py", PALETTIZING_PEERS, *sizes, log=log)
    if part == "calibrated":
        return run_each("calibrated_child.py", CALIBRATED_PEERS, 256 if quick else 2048, log=log)
    largest, rounds, small = (4, 2, 100) if quick else (400, 5, 10_000)
    return run_growth(largest, rounds, small, folder, log=log)


def _machine() -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "processor": _processor(),
        "processors": processors(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _print(results: dict[str, Any], missing: list[str]) -> None:
    console = Console(width=None if os.isatty(1) else 160)
    console.print(results["machine"])
    for contender, versions in results.get("arrays", {}).get("versions", {}).items():
        console.print(contender, versions)
    for table in all_tables(results):
        console.print(table)
    if missing:
        console.print(
            f"*** NOT INSTALLED, AND LEFT OUT: {', '.join(missing)} ***", style="bold red"
        )


if __name__ == "__main__":
    main()
