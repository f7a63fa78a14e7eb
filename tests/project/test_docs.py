"""The examples in the documentation do what they say: Python is run, and so are commands."""

import importlib.util
import os
import re
import runpy
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


def test_the_picture_of_the_benchmarks_is_drawn_from_their_tables() -> None:
    draw = runpy.run_path(str(ROOT / "benchmarks" / "plot.py"))["draw"]
    page = ROOT / "docs" / "benchmarks.md"
    assert page.with_suffix(".svg").read_text() == draw(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_pages_quote_is_what_the_package_says(page: Path) -> None:
    """``make pages`` renews it."""
    spec = importlib.util.spec_from_file_location("renew", ROOT / "docs" / "renew.py")
    assert spec is not None
    assert spec.loader is not None
    renew = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(renew)
    text = page.read_text(encoding="utf-8")
    assert renew.renewed(text) == text


def test_the_help_of_every_subcommand_is_quoted() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    listed = re.findall(r"^    ([a-z]+)  ", page.partition("\noptions:")[0], re.M)
    assert len(listed) >= 5
    for command in listed:
        assert f"<!-- from: {COMMAND} {command} --help -->" in page
