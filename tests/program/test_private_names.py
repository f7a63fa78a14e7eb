"""The list of Core AI's private names is complete, and a name that is missing is told at import."""

import ast
import runpy
from importlib import import_module
from pathlib import Path

import pytest

import coreai_opt
from coreai_opt.exceptions import NotInstalledError
from coreai_opt.program.ir.private_names import PRIVATE_NAMES, missing_names

ROOM = Path(coreai_opt.__file__).parent / "program" / "ir"
CORE_AI = str(ROOM / "core_ai.py")
PUBLIC = {"coreai.authoring.AIModelAsset", "coreai.authoring.AIProgram", "coreai.runtime.NDArray"}
LISTED = {f"{module}.{name}" for module, names in PRIVATE_NAMES.items() for name in names}


def nodes() -> list[ast.AST]:
    modules = (ast.parse(path.read_text()) for path in ROOM.glob("*.py"))
    return [node for module in modules for node in ast.walk(module)]


def test_the_installed_core_ai_has_every_name() -> None:
    assert missing_names() == []


def test_what_is_imported_from_core_ai_is_public_or_on_the_list() -> None:
    imported = {
        f"{node.module}.{alias.name}"
        for node in nodes()
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("coreai.")
        for alias in node.names
    }
    assert len(imported) > 5
    whole_module = {"coreai._compiler.ir"}
    roots = {".".join(name.split(".")[:-1]) for name in LISTED}
    assert imported - PUBLIC - whole_module <= LISTED | roots


def test_private_attributes_that_are_used_are_those_of_the_list() -> None:
    used = {
        node.attr
        for node in nodes()
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    listed = {name.rpartition(".")[2] for name in LISTED}
    imported = {"_AIModelAsset", "_COREAI_PRODUCER"}
    assert used == {name for name in listed if name.startswith("_")} - imported


def test_what_is_used_of_mlir_is_on_the_list() -> None:
    used = {
        node.attr
        for node in nodes()
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "mlir"
    }
    called = {
        f"{node.value.attr}.{node.attr}"
        for node in nodes()
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id == "mlir"
    }
    listed = set(PRIVATE_NAMES["coreai._compiler.ir"])
    assert used == {name.partition(".")[0] for name in listed}
    assert called <= listed


@pytest.mark.parametrize("name", sorted(LISTED))
def test_a_name_that_is_missing_is_told_at_import(name: str, monkeypatch) -> None:
    module = max((m for m in PRIVATE_NAMES if name.startswith(f"{m}.")), key=len)
    first = name.removeprefix(f"{module}.").partition(".")[0]
    monkeypatch.delattr(import_module(module), first)
    with pytest.raises(NotInstalledError, match=r"^coreai-core \S+ lacks what .* uses") as told:
        runpy.run_path(CORE_AI)
    assert name in str(told.value)


def test_a_missing_member_is_told_as_well(monkeypatch) -> None:
    monkeypatch.delattr(import_module("coreai.authoring").AIProgram, "_save_bytecode")
    with pytest.raises(NotInstalledError, match=r"coreai\.authoring\.AIProgram\._save_bytecode\."):
        runpy.run_path(CORE_AI)
