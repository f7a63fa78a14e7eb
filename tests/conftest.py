"""What concerns every test: building what has changed, ``--long``, and tools that are missing."""

import fcntl
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .support.targets import TARGETS, BuildProgram

ROOT = Path(__file__).parents[1]


def _build_what_has_changed() -> None:
    """Build the extension of an editable install where a source of it is newer than it is."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    installed = find_spec("coreai_opt")
    is_source = installed is not None and installed.origin == str(
        ROOT / "coreai_opt" / "__init__.py"
    )
    can_build = (ROOT / "setup.py").exists()  # not where mutants are tried, which build themselves
    if is_source and can_build and not is_worker:
        (ROOT / "build").mkdir(exist_ok=True)
        with (ROOT / "build" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once build one after the other
            if _sources_changed():
                build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
                # As it was built by `make dev`, without optimisation, or as it was otherwise.
                debug = {"DEBUG": "1"} if (ROOT / "build" / "debug").is_dir() else {}
                subprocess.run(build, cwd=ROOT, check=True, env=os.environ | debug)


def _sources_changed() -> bool:
    sources = [ROOT / "setup.py", *ROOT.glob("coreai_opt/*.pyx"), *ROOT.glob("csrc/**/*.[ch]")]
    built = [module.stat().st_mtime for module in ROOT.glob("coreai_opt/_native.*.so")]
    return not built or max(source.stat().st_mtime for source in sources) > min(built)


# Now, because the conftest modules of folders, which are read next, import the package.
_build_what_has_changed()


def pytest_configure() -> None:
    """Let Ctrl-C through, which shells have what runs in the background ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="interrupt, kill and damage at every point, not at some"
    )


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to take the time that every point takes; a test covers some of them without."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def build_for(tmp_path_factory: pytest.TempPathFactory) -> BuildProgram:
    """Builds the program of a source for a target, and returns the command that runs it.

    The library is compiled once for each target, whichever tests and processes of a run need it.
    A test of a target that is not there is skipped.
    """
    temporary = tmp_path_factory.getbasetemp()
    shared = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary

    def build(name: str, source: Path) -> list[str]:
        if reason := TARGETS[name].missing():
            pytest.skip(reason)
        folder = shared / "targets" / re.sub(r"\W+", "_", name)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return TARGETS[name].build(source, folder)

    return build


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, and in red, what is not tested because a compiler or an emulator is missing."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in skipped]
    missing = sorted({reason for reason in reasons if "is not installed" in reason})
    if missing:
        terminalreporter.section("NOT TESTED", red=True, bold=True)
        for reason in missing:
            terminalreporter.line(f"{reasons.count(reason)} tests: {reason}", red=True)
