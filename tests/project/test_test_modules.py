"""Test modules stand alone: what several of them need is in tests/support/."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MODULES = sorted(TESTS.rglob("*.py"))


def imported_tests(source: str) -> set[str]:
    """Return the parts of imported names that are names of test modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module or ''}.{alias.name}" for alias in node.names)
    parts = {part for name in names for part in name.split(".")}
    return parts & {module.stem for module in MODULES if module.stem.startswith("test_")}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(TESTS)))
def test_no_test_module_is_imported(module: Path) -> None:
    assert imported_tests(module.read_text()) == set()


@pytest.mark.parametrize(
    "line",
    [
        "from .test_docs import ROOT",
        "from . import test_docs",
        "import tests.project.test_docs",
        "def late():\n    from ..project.test_docs import ROOT",
    ],
)
def test_imports_are_found(line: str) -> None:
    assert imported_tests(line) == {"test_docs"}


def test_test_modules_stand_in_rooms() -> None:
    assert [module.name for module in TESTS.glob("test_*.py")] == []
