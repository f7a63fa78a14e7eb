"""What the C library shows to those who build it, and what it refuses."""

import ctypes
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

import coreai_opt
from coreai_opt import _native

from ..support.targets import CSRC, HOST_CC, ROOT, WARNINGS, BuildProgram, declared_functions
from ..support.tools import need

FAST_MATH = ["-ffast-math", "-Ofast", "-ffinite-math-only"]
PARTS_OF_FAST_MATH = ["-funsafe-math-optimizations", "-freciprocal-math", "-fno-signed-zeros"]
"""GCC says that these are on; Clang does not."""
REFUSED = [
    *((compiler, flag) for compiler in (HOST_CC, "clang") for flag in FAST_MATH),
    *(("arm-none-eabi-gcc", flag) for flag in FAST_MATH + PARTS_OF_FAST_MATH),
]


def run(*command: object, folder: Path | None = None) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared library, as CMake builds it."""
    need("cmake", "nm")
    build = tmp_path_factory.mktemp("shared")
    run("cmake", "-S", CSRC, "-B", build, "-DBUILD_SHARED_LIBS=ON", "-DCMAKE_C_FLAGS=-O1")
    run("cmake", "--build", build)
    return next(build.glob("libcoreai_quant.so"))


def test_only_the_functions_of_the_header_are_exported(shared: Path) -> None:
    lines = run("nm", "-D", "--defined-only", shared).splitlines()
    assert sorted(line.split()[-1] for line in lines) == sorted(declared_functions())


def test_the_extension_exports_no_others() -> None:
    need("nm")
    lines = run("nm", "-D", "--defined-only", _native.__file__).splitlines()
    exported = {line.split()[-1] for line in lines}
    assert {name for name in exported if name.startswith("caq_")} == set(declared_functions())


def test_the_library_knows_its_version(shared: Path) -> None:
    library = ctypes.CDLL(str(shared))
    library.caq_version.restype = ctypes.c_char_p
    assert library.caq_version().decode() == coreai_opt.__version__


@pytest.mark.parametrize(("compiler", "flag"), REFUSED)
@pytest.mark.parametrize("file", ["quantize.c", "kernels/portable.c"])
def test_fast_math_does_not_compile(file: str, compiler: str, flag: str, tmp_path: Path) -> None:
    need(compiler)
    command = [compiler, "-O2", flag, "-c", str(CSRC / file), "-o", str(tmp_path / "object.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "change the bytes" in done.stderr


def test_files_call_each_other_in_no_circle(tmp_path: Path) -> None:
    """What one needs of another, from the symbols of their objects."""
    sources = sorted(CSRC.rglob("*.c"))
    run(HOST_CC, *WARNINGS, "-O1", "-c", *sources, folder=tmp_path)
    home, needs = {}, defaultdict(set)
    for path in sources:
        for line in run("nm", "--defined-only", "-g", tmp_path / f"{path.stem}.o").splitlines():
            home[line.split()[-1]] = path.name
    for path in sources:
        for line in run("nm", "-u", tmp_path / f"{path.stem}.o").splitlines():
            needs[path.name].add(home.get(line.split()[-1], ""))
    assert "geometry.c" in needs["quantize.c"]
    left = {path.name for path in sources}
    while ready := {name for name in left if not needs[name] & left}:
        left -= ready
    assert left == set()


C_FILES = [
    path
    for folder in ("csrc", "tests/csrc", "tests/golden", "examples/embedded")
    for path in sorted((ROOT / folder).rglob("*.[ch]"))
]


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_variable_has_the_name_of_its_type(path: Path) -> None:
    code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    types = re.findall(r"\}\s*(\w+);", code) + re.findall(r"\bstruct (\w+)", code)
    for name in types:
        assert re.search(rf"\b{name} (?:const )?\*?{name}\b", code) is None, name


def test_each_file_is_on_the_map() -> None:
    """csrc/README.md names every file of the top folder, and every folder."""
    text = (CSRC / "README.md").read_text()
    for path in CSRC.iterdir():
        if path.is_dir() or path.suffix in {".c", ".h"}:
            assert f"`{path.name}{'/' if path.is_dir() else ''}`" in text


def test_statuses_are_told_apart(build_for: BuildProgram) -> None:
    """Each wrong job has the status that says what is wrong with it."""
    program = build_for("host", Path(__file__).with_name("statuses.c"))
    assert run(*program) == "all statuses are right\n"
