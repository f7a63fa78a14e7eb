"""The examples in the documentation do what they say: Python is run, and so are commands."""

import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coreai.authoring import broadcasting_batch_matmul
from coreai.authoring.constant import constant
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from coreai_opt.cli.command import main

from ..support.programs import linear, make_program, random_weight

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
COMMAND = "coreai-opt"


def commands(example: Example) -> Iterator[list[str]]:
    """Yield the lines that call the command; the other lines of a shell block build things."""
    for line in example.parsed.replace("\\\n", " ").splitlines():
        if line.startswith(f"{COMMAND} "):
            yield shlex.split(line.partition(" > ")[0], comments=True)


def run_commands(example: Example) -> None:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    for command in commands(example):
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def call_commands(example: Example) -> None:
    """Run commands in this process, which saves starting Python for each."""
    for _, *arguments in commands(example):
        assert main(arguments) == 0, arguments


def examples(page: Path, run: Callable[[Example], None] = run_commands) -> list[Example]:
    parsers = (PythonCodeBlockParser(), CodeBlockParser("sh", run))
    return list(Document.parse(str(page), *parsers).examples())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples" / "crepe_tiny_f16.aimodel", tmp_path / "model.aimodel")
    monkeypatch.chdir(tmp_path)
    for example in examples(page):
        example.evaluate()


@pytest.fixture(scope="module")
def another_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An asset with two outputs, an input of any length, and weights that 32 does not divide."""
    dtype = np.dtype(np.float16)
    first, second, third = (
        random_weight(shape, dtype) / 32 for shape in ((1024, 48), (64, 48), (48, 96))
    )

    def body(frames: Any) -> Any:
        x = broadcasting_batch_matmul(frames, constant(first))
        return linear(x, constant(second)), broadcasting_batch_matmul(x, constant(third))

    program = make_program(
        body,
        {"frames": ((-1, 1024), dtype)},
        {"scores": ((-1, 64), dtype), "boxes": ((-1, 96), dtype)},
    )
    path = tmp_path_factory.mktemp("another") / "model.aimodel"
    program.save_asset(path)
    return path


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "model.aimodel" in page.read_text(encoding="utf-8")],
    ids=lambda page: page.stem,
)
def test_examples_work_on_another_model(
    page: Path, another_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only names of inputs, and results that a page quotes, are those of the example's model."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```python\n>>> .*?^```$", "", text, flags=re.M | re.S)
    text = text.replace("x=frames", "frames=frames").replace('{"x":', '{"frames":')
    copied = tmp_path / page.name
    copied.write_text(text, encoding="utf-8")
    shutil.copytree(another_model, tmp_path / "model.aimodel")
    monkeypatch.chdir(tmp_path)
    for example in examples(copied, call_commands):
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
