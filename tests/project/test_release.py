"""What a release says of itself: release notes, the citation, and the script of CI."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import coreai_opt

ROOT = Path(__file__).parents[2]
NOTES = ROOT / "docs" / "release_notes.py"


def release_notes(version: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, NOTES, version]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_release_notes_are_the_section_of_the_changelog():
    notes = release_notes("0.1.0").stdout
    assert notes.startswith("### Added\n\n- `coreai_opt.coreai_utils.quantize_weights`")
    assert notes.endswith("- The command `coreai-opt` with `quantize` and `inspect`.\n")
    assert "## [" not in notes
    # What wraps in the file is one line here, and an entry stays one.
    assert all(re.match("- |### |$", line) for line in notes.splitlines())
    assert notes.count("\n- ") == 5


def test_a_version_without_notes_is_an_error():
    done = release_notes("0.1")
    assert done.returncode == 1
    assert done.stderr == "CHANGELOG.md says nothing of version 0.1\n"


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {coreai_opt.__version__}\n" in citation
    assert "\nlicense: BSD-3-Clause\n" in citation


@pytest.fixture
def run_ci(tmp_path):
    """Run ``.ci/run`` with stand-ins for what it calls, and return what it printed and called.

    No package is there; ``apt-get`` installs all but ``fish``.
    """
    calls = tmp_path / "calls"
    for name, does in {
        "dpkg": "exit 1",
        "python3": "echo gcc-other",
        "id": "echo 0",
        "apt-get": '[ "${*: -1}" != fish ]',
        "make": ":",
    }.items():
        stand_in = tmp_path / name
        stand_in.write_text(f'#!/bin/bash\necho "{name} $*" >> "{calls}"\n{does}\n')
        stand_in.chmod(0o755)

    def run(**variables: str) -> tuple[str, list[str]]:
        inherited = {name: at for name, at in os.environ.items() if name != "INSTALL_PACKAGES"}
        environment = {**inherited, "PATH": f"{tmp_path}:{os.environ['PATH']}", **variables}
        script = [ROOT / ".ci" / "run"]
        done = subprocess.run(script, env=environment, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr, calls.read_text().splitlines()

    return run


def test_ci_says_that_it_installs_and_what_could_not_be(run_ci):
    said, called = run_ci()
    first, *_, last = said.splitlines()
    assert first.startswith("Installing system packages (INSTALL_PACKAGES=no leaves them out):")
    assert first.endswith("gcc-other cmake g++ pkg-config chromium fish zsh valgrind")
    assert "apt-get install -y -qq --no-install-recommends zsh" in called
    assert last == "NOT TESTED: what needs fish, which are not installed"
    assert called[-3:] == ["make check", "make docs", "make test"]


def test_ci_can_be_told_to_install_nothing(run_ci):
    said, called = run_ci(INSTALL_PACKAGES="no")
    assert "Installing" not in said
    assert "cmake" in said.splitlines()[-1]
    assert not [call for call in called if call.startswith("apt-get")]
    assert called[-3:] == ["make check", "make docs", "make test"]
