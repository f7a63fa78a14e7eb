"""What is built and installed: the wheel, the sdist, and that one makes the other."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

import coreai_opt
import coreai_opt._native
import coreai_opt.reference

TREE = Path(__file__).parents[2]
BUILT = (".*", "build", "dist", "__pycache__", "*.so", "*.egg-info")
"""What is not part of the source; hidden files that are, are named below."""


def build(kind: str, source: Path, target: Path) -> Path:
    """Build a "wheel" or "sdist" of ``source`` by the backend that pyproject.toml names."""
    target.mkdir()
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(target)!r})"
    environment = {**os.environ, "DEBUG": "1"}  # nobody runs this one, and -O0 compiles sooner
    subprocess.run(
        [sys.executable, "-c", code], cwd=source, env=environment, check=True, capture_output=True
    )
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the source tree, because building writes into it."""
    copy = tmp_path_factory.mktemp("packaging") / "tree"
    # Links stay links: a working copy may have coreai_opt/reference as one.
    shutil.copytree(TREE, copy, symlinks=True, ignore=shutil.ignore_patterns(*BUILT))
    for folder in (".ci", ".github"):
        shutil.copytree(TREE / folder, copy / folder)
    for hidden in (".clang-format", ".pre-commit-config.yaml"):
        shutil.copy(TREE / hidden, copy)
    return copy


@pytest.fixture(scope="module")
def sdist(tree) -> Path:
    return build("sdist", tree, tree.parent / "sdist")


@pytest.fixture(scope="module")
def wheel(tree) -> Path:
    return build("wheel", tree, tree.parent / "wheel")


def files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def described(wheel: Path) -> Message:
    (name,) = (name for name in files(wheel) if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(files(wheel)[name].decode())


def test_sdist_builds_the_same_wheel(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    ours, theirs = files(wheel), files(build("wheel", source, tmp_path / "wheel"))
    assert ours.keys() == theirs.keys()
    # The extension holds the path it was built in, RECORD the extension's digest.
    varies = (".so", "RECORD")
    for name in ours:
        assert name.endswith(varies) or ours[name] == theirs[name], name


def test_sdist_holds_every_source(tree, sdist):
    with tarfile.open(sdist) as archive:
        held = {Path(*Path(member.name).parts[1:]) for member in archive if member.isfile()}
    sources = {
        path.relative_to(tree)
        for path in tree.rglob("*")
        if path.is_file()
        and not any(part in ("build", "__pycache__") for part in path.relative_to(tree).parts)
        and not path.parent.name.endswith(".egg-info")
    }
    assert sources - held == set()


def test_wheel_holds_the_package_and_nothing_else(wheel):
    held = files(wheel)
    tops = {name.split("/")[0] for name in held}
    version = coreai_opt.__version__
    assert tops == {"coreai_opt", f"coreai_opt_native-{version}.dist-info"}
    for source in (TREE / "reference").glob("*.py"):
        assert held[f"coreai_opt/reference/{source.name}"] == source.read_bytes()
    assert "coreai_opt/py.typed" in held
    assert "coreai_opt/_native.pyi" in held
    assert any(name.startswith("coreai_opt/_native.") and name.endswith(".so") for name in held)
    assert not any(name.endswith((".pyx", ".c", ".h")) for name in held)
    assert f"coreai_opt_native-{version}.dist-info/licenses/LICENSE" in held


def test_wheel_says_what_is_in_it(wheel):
    """A bill of materials where PEP 770 has it: what others wrote is the code that Cython adds."""
    version = coreai_opt.__version__
    bill = json.loads(
        files(wheel)[f"coreai_opt_native-{version}.dist-info/sboms/coreai-opt-native.cdx.json"]
    )
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    subject = bill["metadata"]["component"]
    assert subject["purl"] == f"pkg:pypi/coreai-opt-native@{version}"
    assert [part["purl"] for part in bill["components"]] == [
        f"pkg:pypi/cython@{metadata.version('cython')}"
    ]
    assert bill["dependencies"] == [
        {"ref": subject["bom-ref"], "dependsOn": [bill["components"][0]["bom-ref"]]}
    ]


def test_metadata(wheel):
    about = described(wheel)
    assert about["Name"] == "coreai-opt-native"
    assert about["Version"] == coreai_opt.__version__
    assert about["Requires-Python"] == ">=3.11"
    assert about["License-Expression"] == "BSD-3-Clause"
    holder = re.search(r"Copyright .c. \d+, (.+)", (TREE / "LICENSE").read_text())
    assert holder is not None
    assert about["Author"] == holder[1]
    assert "quantization" in about["Keywords"].split(",")


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="ASan keeps symbols")
def test_the_extension_is_stripped():
    """Debug information, which Python's own flags ask for, would make it nine times as large.

    GCC 12 makes 0.95 MB of it, GCC 14 1.05.
    """
    extension = Path(coreai_opt._native.__file__)
    assert extension.stat().st_size < 1_200_000
    assert b".debug_info" not in extension.read_bytes()


def _is_editable() -> bool:
    origin = metadata.distribution("coreai-opt-native").read_text("direct_url.json")
    return origin is not None and '"editable": true' in origin


@pytest.mark.skipif(_is_editable(), reason="an editable install is of the source, as it should be")
def test_the_installed_package_is_what_is_tested():
    assert metadata.version("coreai-opt-native") == coreai_opt.__version__
    for module in (coreai_opt, coreai_opt.reference):
        assert TREE not in Path(module.__file__).parents or ".venv" in module.__file__
    (script,) = metadata.entry_points(group="console_scripts", name="coreai-opt")
    assert script.value == "coreai_opt.cli:main"


def test_the_source_tree_says_that_it_is_not_the_package(tree) -> None:
    """Without ``site``, as where the package is installed but this folder comes first."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import coreai_opt"],
        cwd=tree,
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: coreai_opt cannot be imported from its source tree")
    assert "make dev" in last
