"""Pages can be read where they lie: lines, links, and names of files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "csrc" / "README.md"))
SOURCES = sorted(
    path
    for folder in ("coreai_opt", "reference", "csrc", "docs", "benchmarks", "examples")
    for suffix in ("*.py", "*.pyx", "*.pyi", "*.c", "*.h")
    for path in (ROOT / folder).rglob(suffix)
)
NOT_OURS = {"coreai_quant.c", "model.py", "main.c"}
"""What `make amalgamate` writes, and names that examples make up."""
PATH = re.compile(r"(?<![\w./*$<-])(?!self\.)[\w-]+(?:/[\w-]+)*\.(?:py|pyx|pyi|c|h|md)(?![\w*(])")


@pytest.fixture(scope="module")
def tree() -> set[Path]:
    """The files of the project, as paths from its folder."""
    folders = (path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
    inside = (file for folder in folders for file in folder.rglob("*"))
    return {file.relative_to(ROOT) for file in (*ROOT.iterdir(), *inside)}


def ends_with(name: str, tree: set[Path]) -> list[Path]:
    """The files whose paths end with a name, of which any number of folders may be left out."""
    parts = Path(name).parts
    return [path for path in tree if path.parts[-len(parts) :] == parts]


def outside_of_code(text: str) -> list[str]:
    """The lines of a page, without blocks of code, tables and headings."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    return [line for line in text.splitlines() if not re.match(r"\||#|<!--|    |- `", line)]


@pytest.mark.parametrize("file", [*PAGES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(file: Path, tree: set[Path]) -> None:
    if file.name == "CHANGELOG.md":
        pytest.skip("it tells of files as they were")
    named = set(PATH.findall(file.read_text(encoding="utf-8")))
    ours = sorted(name for name in named if Path(name).name not in NOT_OURS)
    assert [name for name in ours if not ends_with(name, tree)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_finds_in_a_file_is_there(page: Path, tree: set[Path]) -> None:
    text = page.read_text(encoding="utf-8")
    for name, file in re.findall(r"`(\w+)(?:\(\))?` in `((?:[\w-]+/)*\w+\.\w+)`", text):
        files = [ROOT / path for path in ends_with(file, tree)]
        assert any(name in path.read_text(encoding="utf-8") for path in files), (name, file)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_line_has_one_sentence(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("release notes are made of its entries, whatever their lines")
    for line in outside_of_code(page.read_text(encoding="utf-8")):
        prose = re.sub(r"`[^`]*`", "Code", line)  # dots in it end nothing
        prose = re.sub(r"\([^()]*\)", "", prose)  # nor do those in brackets
        prose = re.sub(r"^ *(?:\d+\.|-)? *(?:\*\*.*?\*\*)?", "", prose)  # a number, a head
        assert re.search(r"[.!?] [A-Z]", prose) is None, line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_have_words(page: Path) -> None:
    assert re.findall(r"(?<!!)\[\s*\]\([^)]*\)", page.read_text(encoding="utf-8")) == []


LEANING = re.compile(
    r'(?:"""|^\s*#|/\*|^ \*)\s*((?:The same|Same|Fewer|Likewise|Ditto|As above|And|Also)\b.*)', re.M
)
"""Openings of a comment that mean something only below another comment."""


@pytest.mark.parametrize(
    "file",
    [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_comment_leans_on_another(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    starts = [match for match in LEANING.finditer(text) if not _goes_on(text, match.start())]
    assert [match[1] for match in starts] == []


def _goes_on(text: str, start: int) -> bool:
    """Return whether the line before belongs to the comment as well."""
    line = text[:start].rstrip("\n").rpartition("\n")[2].strip()
    return line.startswith(("#", "*", "/*"))
