"""Break one rule at a time and see that a test fails each time: ``make mutants``.

Each mutant is put into a copy of the project, only the objects that it touches are compiled again,
and its area's tests run until the first one fails: a few cases of each before all of them. Which
test failed is remembered in ``killers.txt``. That test runs first the next time, then those that
noticed others of the area.
Last, all of these tests have to pass without a mutant. The exit code is 0 if no mutant survives.
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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import pytest

from .definitions import ROOT
from .few_cases import BUILDS
from .record import VARIABLE
from .table import MUTANTS, Mutant

KILLERS = Path(__file__).parent / "killers.txt"
"""The file that remembers which test noticed which mutant: a name, a space and the test a line."""

NEIGHBOURS = 12
"""How many tests that noticed others of an area are run: those that did so most often."""

PARTS = (
    *("benchmarks", "coreai_opt", "csrc", "docs", "examples", "reference", "tests"),
    *("Makefile", "pyproject.toml", "setup.py"),
)

EXTENSION = "coreai_opt/_native.pyx"
COMPILER = os.environ.get("CC", "cc")
COMPILE = (COMPILER, "-std=c11", "-fPIC", "-ffp-contract=off", "-Icsrc")
# A mutant is compiled for one run, all else for all of them. The bytes may not depend on how.
LEVEL = {"mutant": "-O0", "object": "-O2"}

# Seconds for the tests of an area, of which a mutant that hangs needs more.
LONGEST = 900

NEON_COMPILER = "aarch64-linux-gnu-gcc"


@cache
def processor_flags() -> frozenset[str]:
    """Return what Linux says that the processor has."""
    text = Path("/proc/cpuinfo").read_text()
    return frozenset(re.findall(r"\w+", next(re.finditer(r"flags.*", text)).group()))


def why_not_here(file: str) -> str:
    """Return why mutants of a file cannot be tried on this machine, or nothing."""
    if file in {"csrc/kernels/avx2.c", "csrc/kernels/avx512.c"}:
        needed = "avx512bw" if "avx512" in file else "avx2"
        if platform.machine() != "x86_64" or needed not in processor_flags():
            return f"the processor lacks {needed}"
    if file == "csrc/kernels/neon.c" and shutil.which(NEON_COMPILER) is None:
        return f"{NEON_COMPILER} is not installed"
    return ""


class Tree:
    """A copy of the project, in which one mutant lives at a time."""

    def __init__(self, folder: Path) -> None:
        """Copy the project to ``folder`` and build its extension."""
        self.folder = folder
        ignored = shutil.ignore_patterns("*.so", "__pycache__", ".*")
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part, ignore=ignored, symlinks=True)
            else:
                shutil.copy2(ROOT / part, folder)
        if not (folder / "coreai_opt" / "reference").exists():
            (folder / "coreai_opt" / "reference").symlink_to("../reference")
        sources = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.c"))
        self._objects = {source: self._compile(source) for source in (*sources, EXTENSION)}
        self._link(self._objects)

    def killer(self, mutant: Mutant, hints: Iterable[Sequence[str]]) -> str:
        """Apply a mutant and return the first test that fails, or nothing.

        Args:
            mutant: what to break.
            hints: groups of tests to run before all others, one group after the other.
        """
        file = mutant.place().file
        path = self.folder / file
        text = path.read_text()
        try:
            path.write_text(mutant.apply(text))
            touched = [source for source in self._objects if file in self._depends(source)]
            self._link(self._objects | {s: self._compile(s, "mutant") for s in touched})
            for hint in filter(None, hints):
                with suppress(RuntimeError):  # a test may have another name by now
                    if killer := self.first_failure(hint):
                        return killer
            few = self.first_failure(mutant.tests, "tests.mutants.few_cases")
            return few or self.first_failure(mutant.tests)
        finally:
            path.write_text(text)

    def restore(self) -> None:
        """Leave the project as it is without a mutant."""
        self._link(self._objects)

    def first_failure(self, tests: Sequence[str], *plugins: str) -> str:
        """Run tests, with plugins of pytest, and return the first that fails, or nothing.

        Raises:
            RuntimeError: pytest could not run them.
        """
        record = self.folder / "started"
        record.write_text("")
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",  # a mutant may have the size and the second of another
            VARIABLE: str(record),
        }
        named = [f"-p{name}" for name in ("tests.mutants.record", "no:cacheprovider", *plugins)]
        command = (sys.executable, "-m", "pytest", "-xq", "--tb=no", *named, *tests)
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            running = record.read_text()  # it hangs, or the tests before it took all of the time
            return running if [running] == list(tests) else self.first_failure([running])
        if done.returncode in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            return ""
        died = done.returncode < 0
        if (died or done.returncode == pytest.ExitCode.TESTS_FAILED) and record.read_text():
            return record.read_text()
        raise RuntimeError(done.stdout + done.stderr)

    def _compile(self, source: str, kind: str = "object") -> str:
        result = f"{source.replace('/', '_')}.{kind}.o"
        flags: tuple[str, ...] = ()
        if source == EXTENSION:
            self._run(sys.executable, "-m", "cython", "-3", source, "-o", f"{kind}.c")
            source, flags = f"{kind}.c", ("-I", sysconfig.get_path("include"))
        self._run(*COMPILE, LEVEL[kind], *flags, "-c", source, "-o", result)
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

    @cache  # noqa: B019  # there are as many as processors
    def _depends(self, source: str) -> frozenset[str]:
        """Return the files that an object is made from."""
        if source == EXTENSION:
            return frozenset({EXTENSION})
        listed = self._run(*COMPILE, "-MM", source).replace("\\\n", "").split()[1:]
        root = self.folder.resolve()
        return frozenset(str((root / file).resolve().relative_to(root)) for file in listed)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout


class Run:
    """Mutants tried side by side, each in a tree of its own."""

    def __init__(self, folder: Path, at_once: int) -> None:
        """Make trees in ``folder``."""
        self._pool = ThreadPoolExecutor(at_once)
        self._trees: SimpleQueue[Tree] = SimpleQueue()
        for tree in self._pool.map(Tree, [folder / str(number) for number in range(at_once)]):
            self._trees.put(tree)
        self._killers = remembered()
        self._started = time.monotonic()

    def outcomes(self, mutants: Iterable[Mutant]) -> dict[str, str]:
        """Return the test that noticed each mutant, or nothing if none did."""
        mutants = list(mutants)
        found = dict(
            zip((m.name for m in mutants), self._pool.map(self._try, mutants), strict=True)
        )
        with self._tree() as tree:
            tree.restore()
            killers = sorted(filter(None, found.values()))
            if failure := killers and tree.first_failure(killers):
                raise SystemExit(f"{failure} fails without any mutant")
        return found

    def _try(self, mutant: Mutant) -> str:
        with self._tree() as tree:
            try:
                killer = tree.killer(mutant, self._hints(mutant))
            except (RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{mutant.name} cannot be tried: {error}", flush=True)
                killer = ""
        seconds = time.monotonic() - self._started
        print(f"{seconds:5.0f} s  {mutant.name}: {killer or 'SURVIVES'}", flush=True)
        self._killers[mutant.name] = killer
        remember(dict(self._killers))
        return killer

    def _hints(self, mutant: Mutant) -> Iterator[Sequence[str]]:
        """Yield groups of tests that may notice a mutant, the likeliest first."""
        area = {other.name for other in MUTANTS if other.area == mutant.area}
        killers = dict(self._killers)
        own = killers.pop(mutant.name, "")
        often = Counter(
            test
            for name, test in killers.items()
            if test and name in area and not test.startswith(BUILDS)
        )
        yield [own] if own else []
        yield [test for test, _ in often.most_common(NEIGHBOURS)]

    @contextmanager
    def _tree(self) -> Iterator[Tree]:
        tree = self._trees.get()
        try:
            yield tree
        finally:
            self._trees.put(tree)


def remembered() -> dict[str, str]:
    """Return which test noticed which mutant, of those that there still are."""
    lines = KILLERS.read_text().splitlines() if KILLERS.exists() else []
    known = {mutant.name for mutant in MUTANTS}
    return {name: test for name, test in (line.split(" ", 1) for line in lines) if name in known}


def remember(killers: Mapping[str, str]) -> None:
    """Write down which test noticed which mutant."""
    lines = [f"{name} {test}\n" for name, test in sorted(killers.items()) if test]
    KILLERS.write_text("".join(lines))


def main() -> int:
    """Try all mutants, or those that are named."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", help="mutants, or areas; all unless told")
    parser.add_argument("--at-once", type=int, default=2, help="how many (default 2)")
    arguments = parser.parse_args()
    names = set(arguments.names)
    chosen = [m for m in MUTANTS if not names or {m.name, m.area} & names]
    runnable = [mutant for mutant in chosen if not why_not_here(mutant.place().file)]

    with TemporaryDirectory() as folder:
        killed = Run(Path(folder), arguments.at_once).outcomes(runnable)

    tried, found = (
        Counter(m.area for m in chosen),
        Counter(m.area for m in runnable if killed[m.name]),
    )
    print("\n| area | mutants | killed |\n|---|---|---|")
    for area, count in tried.items():
        print(f"| {area} | {count} | {found[area]} |")
    print(f"| all | {len(chosen)} | {found.total()} |")
    survivors = [name for name, killer in killed.items() if not killer]
    for reason in sorted({why_not_here(m.place().file) for m in chosen} - {""}):
        print(f"NOT TRIED, since {reason}")
    print("survive:", *(survivors or ["none"]))
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
