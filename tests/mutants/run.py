"""Break one rule at a time and see that a test fails each time: ``make mutants``.

Each mutant of ``table.py`` is put into a copy of the project, only the objects that it touches are
compiled again, and its tests run until the first one fails, the one that failed last time before
all others. ``docs/mutants.md`` is the result; that no mutant survives is the exit code.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from record import VARIABLE
from table import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "mutants.md"
PARTS = (
    "coreai_opt",
    "csrc",
    "docs",
    "examples",
    "reference",
    "tests",
    "pyproject.toml",
    "Makefile",
)

EXTENSION = "coreai_opt/_native.pyx"
COMPILER = os.environ.get("CC", "cc")
# Half the time of -O3, and the bytes may not depend on it.
COMPILE = (COMPILER, "-std=c11", "-O1", "-fPIC", "-ffp-contract=off", "-Icsrc")

# Seconds for a selection of tests, of which a mutant that hangs needs more.
LONGEST = 900

NEON_COMPILER = "aarch64-linux-gnu-gcc"

# Hand-made expectations and exact arithmetic: they judge the reference by itself.
CONTRACT = (
    tuple(
        f"tests/array/test_{name}.py"
        for name in (
            "contract_tables",
            "contract_codes",
            "contract_exact",
            "contract_scales",
            "contract_extremes",
            "packing",
            "format_table",
        )
    )
    + tuple(
        f"tests/array/test_search.py::test_{name}"
        for name in (
            "examples",
            "the_zero_point_moves",
            "what_is_too_small_or_large_is_left_to_minmax",
            "powers_of_two_only_move_the_scale",
        )
    )
    + tuple(
        f"tests/array/test_importance.py::test_{name}"
        for name in (
            "example",
            "equal_importances_give_the_bytes_of_none",
            "mxfp4_takes_the_better_exponent_by_weighed_errors",
        )
    )
)
ARRAY = (
    *CONTRACT,
    "tests/array/test_differential.py",
    "tests/array/test_search.py",
    "tests/array/test_importance.py",
    "tests/array/test_dequantize.py",
    "tests/array/test_large_results.py",
    "tests/array/test_threads.py",
    "tests/array/test_quantize_array_errors.py",
    "tests/array/test_backends.py",
)
C_LIBRARY = "tests/csrc"
FIGURES = ("tests/array/test_budget.py", "tests/array/test_errors.py", "tests/test_compare.py")
FILES = (
    "tests/faults/test_output.py",
    "tests/faults/test_damaged_assets.py",
    "tests/cli/test_cli.py",
    "tests/cli/test_cli_plan.py",
)
PROGRAM = ("tests/program", "tests/faults/test_other_threads.py")
PLAN = ("tests/program/test_plan.py", "tests/faults/test_other_threads.py")
REPORTS = ("tests/test_reports.py",)

Selection = tuple[str, ...]


def selection(file: str) -> Selection:
    """Return the tests that have to notice a mutant of ``file``, the fastest first."""
    if file.startswith("reference/"):
        return CONTRACT
    if file == "csrc/kernels/neon.c":
        return (C_LIBRARY, "-k", "neon")
    if file.startswith("csrc/"):
        return (*ARRAY, C_LIBRARY, "-k", "not aarch64")
    if file.startswith(("coreai_opt/planning/knapsack", "coreai_opt/evaluation/")):
        return FIGURES
    if file.startswith("coreai_opt/planning/") or file.endswith("/format_planning.py"):
        return PLAN
    if file.startswith("coreai_opt/reports/"):
        return REPORTS
    if file.startswith(("coreai_opt/program/assets", "coreai_opt/cli/quantize")):
        return FILES
    if file.startswith(("coreai_opt/program/", "coreai_opt/settings/")):
        return PROGRAM
    return ARRAY


@cache
def processor_flags() -> frozenset[str]:
    """What Linux says that the processor has."""
    text = Path("/proc/cpuinfo").read_text()
    return frozenset(re.findall(r"\w+", next(re.finditer(r"flags.*", text)).group()))


def why_not_here(mutant: Mutant) -> str:
    """Return why a mutant cannot be tried on this machine, or nothing."""
    if mutant.file in {"csrc/kernels/avx2.c", "csrc/kernels/avx512.c"}:
        needed = "avx512bw" if "avx512" in mutant.file else "avx2"
        if platform.machine() != "x86_64" or needed not in processor_flags():
            return f"the processor lacks {needed}"
    if mutant.file == "csrc/kernels/neon.c" and shutil.which(NEON_COMPILER) is None:
        return f"{NEON_COMPILER} is not installed"
    return ""


class Tree:
    """A copy of the project, in which one mutant lives at a time."""

    def __init__(self, folder: Path) -> None:
        """Copy the project to ``folder`` and build its extension."""
        self.folder = folder
        ignored = shutil.ignore_patterns("*.so", "__pycache__", "reference")
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(
                    ROOT / part, folder / part, ignore=ignored if part == "coreai_opt" else None
                )
            else:
                shutil.copy(ROOT / part, folder)
        (folder / "coreai_opt" / "reference").symlink_to("../reference")
        sources = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.c"))
        self.objects = {source: self._compile(source) for source in (*sources, EXTENSION)}
        self._link(self.objects)

    def killer(self, mutant: Mutant | None, tests: Sequence[Selection]) -> str:
        """Apply a mutant and return the first of ``tests`` that fails, or nothing.

        Args:
            mutant: what to break; None for nothing.
            tests: selections of tests, each run only if the ones before passed.
        """
        if mutant is None:
            return self._first_failure(tests, None)
        path = self.folder / mutant.file
        text = path.read_text()
        try:
            path.write_text(mutant.apply(text))
            touched = [s for s in self.objects if mutant.file in self._depends(s)]
            self._link(self.objects | {s: self._compile(s, "mutant") for s in touched})
            return self._first_failure(tests, LONGEST)
        finally:
            path.write_text(text)

    def _first_failure(self, tests: Sequence[Selection], timeout: float | None) -> str:
        record = self.folder / "started"
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.folder}:{self.folder / 'tests' / 'mutants'}",
            "PYTHONDONTWRITEBYTECODE": "1",  # a mutant may have the size and the second of another
            VARIABLE: str(record),
        }
        pytest = [sys.executable, "-m", "pytest", "-xq", "--tb=no", "-p", "record"]
        for selected in tests:
            record.write_text("")
            command = [*pytest, "-p", "no:cacheprovider", *selected]
            try:
                done = subprocess.run(
                    command,
                    cwd=self.folder,
                    env=environment,
                    capture_output=True,
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return record.read_text()
            failed = done.returncode == 1 or done.returncode < 0  # a test, or the process died
            if failed and record.read_text():
                return record.read_text()
            if done.returncode != 0 and selected is tests[-1]:
                raise RuntimeError(done.stdout.decode() + done.stderr.decode())
        return ""

    def _compile(self, source: str, kind: str = "object") -> str:
        result = f"{source.replace('/', '_')}.{kind}.o"
        flags: tuple[str, ...] = ()
        if source == EXTENSION:
            self._run(sys.executable, "-m", "cython", "-3", source, "-o", f"{kind}.c")
            source, flags = f"{kind}.c", ("-I", sysconfig.get_path("include"))
        self._run(*COMPILE, *flags, "-c", source, "-o", result)
        return result

    def _link(self, objects: dict[str, str]) -> None:
        shared = ("-bundle", "-undefined", "dynamic_lookup")
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        self._run(
            COMPILER,
            *(shared if sys.platform == "darwin" else ("-shared",)),
            *objects.values(),
            "-o",
            f"coreai_opt/_native{suffix}",
        )

    def _depends(self, source: str) -> set[str]:
        """The files that an object is made from."""
        if source == EXTENSION:
            return {EXTENSION}
        listed = self._run(*COMPILE, "-MM", source).replace("\\\n", "").split()[1:]
        root = self.folder.resolve()
        return {str((root / file).resolve().relative_to(root)) for file in listed}

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout


def past_killers() -> dict[str, str]:
    """Return which test killed which mutant in the report of the last run."""
    rows = re.findall(
        r"^\| (\S+) \|.*\| `(.+)` \|$", REPORT.read_text() if REPORT.exists() else "", re.M
    )
    return {name: f"tests/{test}" for name, test in rows}


def report(outcomes: dict[str, str]) -> str:
    """Return the report: what killed each mutant."""
    killed = sum(outcome.startswith("`") for outcome in outcomes.values())
    lines = [
        "# Mutants",
        "",
        "`make mutants` writes this file. It breaks one rule at a time (`tests/mutants/table.py` "
        "has the edits) and runs tests until the first one fails.",
        f"Killed: {killed} of {len(outcomes)}.",
    ]
    files = dict.fromkeys(mutant.file for mutant in MUTANTS)
    for file in files:
        lines += ["", f"## {file}", "", "| mutant | rule that it breaks | killed by |"]
        lines.append("|---|---|---|")
        lines += [
            f"| {mutant.name} | {mutant.rule} | {outcomes[mutant.name]} |"
            for mutant in MUTANTS
            if mutant.file == file
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Try all mutants, or those that are named."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants; all unless told")
    parser.add_argument("--at-once", type=int, default=2, help="how many (default 2)")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if not arguments.names or m.name in arguments.names]
    past = past_killers()
    started = time.monotonic()

    with TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.at_once) as pool:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for tree in pool.map(
            Tree, [Path(folder, str(number)) for number in range(arguments.at_once)]
        ):
            trees.put(tree)

        def unharmed(tests: Selection) -> str:
            tree = trees.get()
            try:
                return tree.killer(None, [tests])
            finally:
                trees.put(tree)

        def outcome(mutant: Mutant) -> str:
            if reason := why_not_here(mutant):
                return f"not run: {reason}"
            tree = trees.get()
            try:
                first = [(past[mutant.name],)] if mutant.name in past else []
                killer = tree.killer(mutant, [*first, selection(mutant.file)])
            finally:
                trees.put(tree)
            result = f"`{killer.removeprefix('tests/')}`" if killer else "**survives**"
            print(f"{time.monotonic() - started:5.0f} s  {mutant.name}: {result}", flush=True)
            return result

        runnable = [mutant for mutant in chosen if not why_not_here(mutant)]
        for failure in pool.map(unharmed, {selection(mutant.file) for mutant in runnable}):
            if failure:
                print(f"{failure} fails without any mutant")
                return 1
        outcomes = dict(zip((m.name for m in chosen), pool.map(outcome, chosen), strict=True))

    if chosen == list(MUTANTS):
        REPORT.write_text(report(outcomes))
    for result in ("**survives**", "not run"):
        names = [name for name, outcome in outcomes.items() if outcome.startswith(result)]
        print(f"{result.strip('*')}: {len(names)} of {len(chosen)} {' '.join(names)}")
    return int("**survives**" in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
