"""The examples in the documentation do what they say: Python is run, and so are commands."""

import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
COMMAND = "coreai-opt"


def run_commands(example: Example) -> None:
    """Run the lines that call the command; the other lines of a shell block build things."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    for line in example.parsed.replace("\\\n", " ").splitlines():
        if line.startswith(f"{COMMAND} "):
            arguments = shlex.split(line.partition(" > ")[0], comments=True)
            done = subprocess.run(
                arguments,
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stderr}"


def examples(page: Path) -> list[Example]:
    parsers = (PythonCodeBlockParser(), CodeBlockParser("sh", run_commands))
    return list(Document.parse(str(page), *parsers).examples())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples" / "crepe_tiny_f16.aimodel", tmp_path / "model.aimodel")
    monkeypatch.chdir(tmp_path)
    for example in examples(page):
        example.evaluate()


def test_examples_are_found() -> None:
    """A page of which nothing is run would pass whatever it says."""
    counts = {page.stem: len(examples(page)) for page in PAGES}
    assert counts["README"] >= 2
    assert counts["getting-started"] >= 5
    assert counts["cli"] >= 3
    assert counts["migrating"] >= 10
    assert counts["performance"] >= 2
    assert counts["numerics"] >= 5
    assert counts["api"] >= 3
