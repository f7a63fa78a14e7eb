"""Imports between the modules of the package: no circle, and rooms in one order."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "coreai_opt"
OUTSIDE = {"coreai_opt.reference"}


def module_files(package: Path) -> dict[str, Path]:
    """Return the files of the package's modules by name, e.g. ``"coreai_opt.cli.parser"``."""
    found = {}
    for path in (*package.rglob("*.py"), *package.rglob("*.pyx")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(package: Path) -> dict[str, set[str]]:
    """Return which modules each module imports, in functions and for type checkers included."""
    files = module_files(package)
    return {name: _imported(path, files) - {name} for name, path in files.items()}


def _imported(path: Path, modules: dict[str, Path]) -> set[str]:
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".pyx":  # of which Python parses the import statements
        source = "\n".join(re.findall(r"^(?:from \S+ )?import .*", source, re.MULTILINE))
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # `reference` stands beside the package where that is edited in place.
            of_package = {name for name in names if name in modules or name in OUTSIDE}
            found |= of_package
            if names - of_package:
                found.add(node.module)
    return found & modules.keys()


def test_no_module_imports_itself_by_way_of_others():
    TopologicalSorter(imports(PACKAGE)).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    "line",
    [
        "import p.b",
        "from p import b",
        "from p.b import Thing",
        "def late():\n    from p.b import Thing",
        "if TYPE_CHECKING:\n    from p.b import Thing",
    ],
)
def test_a_circle_is_seen(tmp_path, line):
    package = tmp_path / "p"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text(line)
    (package / "b.py").write_text("from p.a import Other")
    with pytest.raises(CycleError, match="cycle"):
        TopologicalSorter(imports(package)).prepare()


ROOMS = (
    "settings",
    "arrays",
    "evaluation",
    "reports",
    "program",
    "calibration",
    "planning",
    "coreai_utils",
    "cli",
)
"""Each room imports from rooms before it only."""


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_from_rooms_before_them_only(room):
    used = {
        imported.split(".")[1]
        for name, imported_by in imports(PACKAGE).items()
        if name.split(".")[1:2] == [room]
        for imported in imported_by
        if "." in imported
    }
    assert used & set(ROOMS) <= set(ROOMS[: ROOMS.index(room) + 1])


def test_every_folder_is_a_room_with_a_place_in_the_order():
    folders = {name.split(".")[1] for name in module_files(PACKAGE) if name.count(".") > 1}
    assert folders <= set(ROOMS)


def test_importing_a_room_by_its_name_alone_is_seen():
    assert "coreai_opt.reports.report" in imports(PACKAGE)["coreai_opt.reports"]
