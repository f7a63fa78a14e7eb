"""What docs/embedded.md promises: builds with nothing behind them, their sizes, the examples."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import coreai_opt
from coreai_opt import reference
from coreai_opt.reference import FORMATS

from ..support.c_jobs import PORTABLE, Job, targets, weights
from ..support.targets import CSRC, HOST_CC, ROOT, TARGETS, WARNINGS, declared_functions, statuses
from ..support.tools import need

EXAMPLES = ROOT / "examples" / "embedded"
HARD_FLOAT = ["-mthumb", "-mfloat-abi=hard"]
BAD_ARGUMENT = statuses().index("CAQ_BAD_ARGUMENT")


CXX_WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


sizes = load(CSRC / "tools" / "sizes.py")
CORTEX_M = [name for name, processor in sizes.PROCESSORS.items() if processor.board]
DOCS = (ROOT / "docs" / "embedded.md").read_text()


def need_processor(name: str) -> Any:
    processor = sizes.PROCESSORS[name]
    if reason := processor.missing():
        pytest.skip(reason)
    return processor


def documented(title: str, row: str, column: str) -> str:
    """A cell of the table in docs/embedded.md whose corner has the title."""
    (table,) = re.findall(rf"^\| {title} \|.*\n(?:\|.*\n)+", DOCS, re.MULTILINE)
    head, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    (cells,) = [cells for cells in rows if cells[0] == row]
    return str(cells[head.index(column)])


def is_documented_compiler(compiler: str) -> bool:
    """Whether the figures are those of this compiler; another one's differ a little."""
    version = run(compiler, "-dumpfullversion").strip().rsplit(".", 1)[0]
    return f"GCC {version}" in DOCS


def run(*command: object, folder: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


NO_LIBRARY = ["-ffreestanding", "-Wdouble-promotion", "-Wfloat-conversion"]
# GCC makes calls of memcpy and memset of loops, unless told not to.
GCC = ["-fno-tree-loop-distribute-patterns", "-fno-pic"]
CLANG_M4F = ["clang", "--target=arm-none-eabi", "-mcpu=cortex-m4", *HARD_FLOAT]
PROFILES = {
    "host": [HOST_CC, *GCC, "-Os"],
    "host, clang": ["clang", "-fno-pic", "-O2"],
    "i686": [*TARGETS["i686"].compiler[:1], "-msse2", "-mfpmath=sse", *GCC, "-O2"],
    "cortex-m4f": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", *HARD_FLOAT, *GCC, "-Os"],
    "cortex-m4f, -O3": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", *HARD_FLOAT, *GCC, "-O3"],
    "cortex-m4f, clang": [*CLANG_M4F, "-O2"],
    "cortex-m55": ["arm-none-eabi-gcc", "-mcpu=cortex-m55", *HARD_FLOAT, *GCC, "-O2"],
}
"""Compilers that the library needs no other library with."""


@pytest.fixture(scope="module", params=PROFILES)
def freestanding(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the library, every switch on, as one relocatable file."""
    compiler = PROFILES[request.param]
    linker = "arm-none-eabi-ld" if "cortex" in request.param else "ld"
    need(compiler[0], linker, "nm", "size")
    folder = tmp_path_factory.mktemp("freestanding")
    run(compiler[0], *WARNINGS, *compiler[1:], *NO_LIBRARY, "-c", *sources(), folder=folder)
    emulation = ["-m", "elf_i386"] if request.param == "i686" else []
    run(linker, *emulation, "-r", *sorted(folder.glob("*.o")), "-o", folder / "all.o")
    return folder / "all.o"


def sources() -> list[Path]:
    return sorted(CSRC.rglob("*.c"))


def test_nothing_is_undefined(freestanding: Path) -> None:
    """No C library, no compiler's library either: on a Cortex-M4F any double would call it."""
    assert run("nm", "-u", freestanding) == ""


def test_every_symbol_has_the_prefix(freestanding: Path) -> None:
    names = [
        line.split()[-1] for line in run("nm", "-g", "--defined-only", freestanding).splitlines()
    ]
    declared = set(declared_functions())
    if not is_of_64_bits(freestanding):
        declared -= OF_DOUBLES
    assert declared == set(names) & set(declared_functions()), "what the header declares is there"
    assert [name for name in names if not name.startswith("caq_")] == []


OF_DOUBLES = {
    name
    for name in declared_functions()
    if name.startswith("caq_table_")
    or "tables" in name
    or name in {"caq_compare", "caq_sum_squares"}
}
"""What the header says of look-up tables and errors: only where registers are of 64 bits."""


def is_of_64_bits(objects: Path) -> bool:
    address = run("nm", "--defined-only", objects).split()[0]
    return len(address) == 16


def without_comments(source: str) -> str:
    return re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)


def test_no_source_has_a_double() -> None:
    """Neither the type nor a constant of it: those of float end in f.

    But for look-up tables and errors, which builds for 32 bits leave out. The public header
    declares what they return; a declaration makes no code.
    """
    constant = r"(?<![\w.])(?:\d+\.\d*|\.\d+|0x[\dA-Fa-f.]+p[+-]?\d+)(?!f|\w)"
    number = re.compile(constant + r"|\bdouble\b")
    for path in set(CSRC.rglob("*.[ch]")) - {CSRC / "coreai_quant.h"}:
        code = re.sub(r'".*?"', "", without_comments(path.read_text()))
        code = re.sub(
            r"#if (CAQ_WITH_TABLES|CAQ_WITH_ERRORS|HAS_DOUBLES) *\n.*?#endif",
            "",
            code,
            flags=re.DOTALL,
        )
        assert number.findall(code) == [], path.name


def header() -> str:
    return (CSRC / "coreai_quant.h").read_text()


def test_the_version_is_the_package_s() -> None:
    assert f'#define CAQ_VERSION "{coreai_opt.__version__}"' in header()


@pytest.mark.parametrize(
    ("name", "codes", "example"),
    [("int4", [1, -2, 7], "INT4 codes 1, -2, 7 are the bytes E1 07"),
     ("int2", [1, -1, 0, -2, 1], "INT2 codes 1, -1, 0, -2, 1 are the bytes 8D 01")],
)  # fmt: skip
def test_the_header_s_examples_of_packing(name: str, codes: list[int], example: str) -> None:
    format = FORMATS[name]
    packed = reference.pack(np.array(codes, np.int8).astype(format.code_dtype), format)
    assert example in header()
    assert packed.tobytes() == bytes.fromhex(example.split("bytes ")[1])


def test_there_is_no_data_to_keep(freestanding: Path) -> None:
    _, data, bss = run("size", freestanding).splitlines()[1].split()[:3]
    assert (data, bss) == ("0", "0")


def test_status_texts() -> None:
    """Each status of the header has one of its own."""
    source = (CSRC / "status.c").read_text()
    texts = dict(re.findall(r'case (CAQ_\w+):\s+return "(.+)";', source))
    assert list(texts) == statuses()
    assert len(set(texts.values())) == len(texts)


@pytest.mark.parametrize("name", CORTEX_M)
@pytest.mark.parametrize("build", sizes.BUILDS)
def test_a_cortex_m_needs_nothing_and_little(build: str, name: str, tmp_path: Path) -> None:
    """Linked without a C library and without libgcc: no double, no division in software."""
    processor = need_processor(name)
    objects = sizes.compile_library(tmp_path / "objects", processor, sizes.BUILDS[build])
    text, data, bss = sizes.sections(sizes.link(objects, processor, tmp_path / "linked.elf"))
    kibibytes = {
        "INT4 and INT8, symmetric, all weights": 8,
        "all integers, float32": 7,
        "all formats": 24,
    }
    assert text <= 1024 * kibibytes.get(build, 6)
    assert (data, bss) == (0, 0)
    if is_documented_compiler(processor.compiler):
        assert documented(sizes.CODE, build, name) == f"{text:,}", (
            "`make size` has the figures for the docs"
        )


@pytest.fixture(scope="module", params=CORTEX_M)
def cortex_m(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Path]]:
    """The name of a processor, and all of the library for it."""
    folder = tmp_path_factory.mktemp("cortex_m") / "objects"
    return request.param, sizes.compile_library(folder, need_processor(request.param))


def test_no_call_takes_more_stack(cortex_m: tuple[str, list[Path]]) -> None:
    """Whatever its arguments: from the compiler's frames, along all calls."""
    name, objects = cortex_m
    depths = sizes.deepest_stack(objects[0].parent)
    assert depths["caq_quantize"] > 300
    assert max(depths.values()) <= 512
    if is_documented_compiler(sizes.PROCESSORS[name].compiler):
        for function in ("caq_quantize", "caq_dequantize", "caq_encode", "caq_measure"):
            assert documented(sizes.DEEPEST, f"`{function}()`", name) == str(depths[function])


def fnv1a(data: bytes) -> int:
    return reduce(lambda digest, byte: (digest ^ byte) * 16777619 % (1 << 32), data, 2166136261)


@pytest.mark.parametrize("target", sizes.TARGETS)
def test_the_cortex_m_example(
    target: str, cortex_m: tuple[str, list[Path]], tmp_path: Path
) -> None:
    enums = sizes.TARGETS[target]
    name, objects = cortex_m
    processor = sizes.PROCESSORS[name]
    found = sizes.run_example(objects, processor, enums, tmp_path)
    weight = (np.arange(32 * 64) * 7919 % 255 - 127).astype(np.float32).reshape(32, 64) / 1024
    stored = reference.quantize(
        weight.astype(np.float32),
        FORMATS[enums[0].removeprefix("CAQ_").lower()],
        symmetric=enums[1] == "CAQ_SYMMETRIC",
        block_sizes=(1, 32),
        e8m0_scale=enums[2] == "CAQ_SCALE_E8M0",
    )
    assert found["hash"] == fnv1a(b"".join(part.tobytes() for part in stored))
    assert 64 < found["quantize stack"] <= 512
    assert 64 < found["decode stack"] <= 512
    deepest = sizes.deepest_stack(objects[0].parent)
    assert found["quantize stack"] <= deepest["caq_quantize"]
    assert found["decode stack"] <= deepest["caq_dequantize"]
    counts = sizes.instructions_per_weight(found, processor)
    assert max(map(int, counts)) < 100
    if is_documented_compiler(processor.compiler):
        for step, count in zip(sizes.STEPS, counts, strict=True):
            assert documented(sizes.INSTRUCTIONS, target, f"{name}, {step}") == count


def quantize_with(program: Path, job: Job) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [program, *job.arguments(PORTABLE)],
        input=job.weight.tobytes(),
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    "without",
    [("INT2", "INT8", "FP4", "FP8", "ASYMMETRIC", "F16", "BF16"),
     ("INT2", "INT4", "INT8", "F16", "BF16"),
     ("FP4", "FP8", "F32", "BF16")],
    ids=str,
)  # fmt: skip
def test_what_is_left_out_is_refused_and_the_rest_is_right(
    without: tuple[str, ...], tmp_path: Path
) -> None:
    switches = [sizes.WITHOUT.format(name) for name in without]
    sources = [*CSRC.rglob("*.c"), ROOT / "tests" / "csrc" / "run_job.c"]
    program = tmp_path / "run_job"
    run(HOST_CC, *WARNINGS, "-O1", "-DCAQ_PORTABLE_ONLY=1", *switches, *sources, "-o", program)
    right = refused = 0
    for dtype, short in ((np.float32, "F32"), (np.float16, "F16")):
        for format, symmetric, e8m0 in targets():
            group = format.name.split("_")[0].upper().removeprefix("U")
            job = Job(weights((6, 64), np.dtype(dtype)), (1, 32), format, symmetric, e8m0)
            done = quantize_with(program, job)
            if short in without or group in without or (not symmetric and "ASYMMETRIC" in without):
                assert done.returncode == BAD_ARGUMENT
                refused += 1
            else:
                assert (done.returncode, done.stdout) == (0, job.expected())
                right += 1
    assert right
    assert refused


AMALGAMATED = {
    "host": ([HOST_CC, "-O2", *WARNINGS], [HOST_CC], []),
    "host, clang": (["clang", "-O3", *WARNINGS], ["clang"], []),
    "host, C++17": (["g++", "-O2", "-x", "c++", "-std=c++17", *CXX_WARNINGS], [HOST_CC], []),
    "host, C++20": (
        ["g++", "-O2", "-x", "c++", "-std=c++20", "-Wpedantic", *CXX_WARNINGS],
        [HOST_CC],
        [],
    ),
    "host, clang++": (
        ["clang++", "-O2", "-x", "c++", "-std=c++20", "-Wpedantic", *CXX_WARNINGS],
        ["clang"],
        [],
    ),
    "s390x": (
        ["s390x-linux-gnu-gcc", *WARNINGS, "-std=gnu11", "-O2"],
        ["s390x-linux-gnu-gcc", "-static"],
        ["qemu-s390x"],
    ),
}
"""Compilers of the amalgamation, those of the program, and what that runs on."""


@pytest.mark.parametrize("name", AMALGAMATED)
def test_the_amalgamation_is_the_library(name: str, tmp_path: Path) -> None:
    """Two files in a folder of their own compile alone, as C and as C++; the digests are right."""
    compiler, linker, emulator = AMALGAMATED[name]
    need(compiler[0], linker[0], *emulator)
    run(sys.executable, CSRC / "tools" / "amalgamate.py", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coreai_quant.c", "coreai_quant.h"]
    flags = [flag for flag in compiler if not flag.startswith("-I")]
    run(*flags, "-c", tmp_path / "coreai_quant.c", "-o", tmp_path / "coreai_quant.o")
    golden = ROOT / "tests" / "golden" / "golden.c"
    program = tmp_path / "golden"
    run(*linker, "-std=c11", f"-I{tmp_path}", tmp_path / "coreai_quant.o", golden, "-o", program)
    count = (golden.parent / "table.h").read_text().count("\nGOLDEN(")
    assert run(*emulator, program) == f"portable: {count} of {count} digests are right\n"


def test_the_zephyr_snippet(tmp_path: Path) -> None:
    """Of the docs: CMake takes it, and what it compiles is right. Zephyr's target is an `app`."""
    need("cmake")
    blocks = re.findall(r"```cmake\n(.+?)```", DOCS, re.DOTALL)
    (snippet,) = [block for block in blocks if "target_sources(app" in block]
    (tmp_path / "src").mkdir()
    run(sys.executable, CSRC / "tools" / "amalgamate.py", tmp_path / "src")
    (tmp_path / "src" / "main.c").write_text(
        '#include "coreai_quant.h"\n'
        '#if CAQ_TILE_BLOCKS != 32\n#error "not what the docs say"\n#endif\n'
        "int main(void) { return caq_best_level() != CAQ_PORTABLE; }\n"
    )
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.20)\nproject(app C)\nadd_executable(app)\n{snippet}"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    run("cmake", "--build", tmp_path / "build")
    run(tmp_path / "build" / "app")
    assert "-ffp-contract=off" in (tmp_path / "build" / "compile_commands.json").read_text()


@pytest.mark.parametrize("shared", ["OFF", "ON"])
def test_installed_by_cmake_and_found_by_pkg_config(shared: str, tmp_path: Path) -> None:
    """From a copy of csrc, without the rest of the project; what is installed is moved then."""
    need("cmake", "pkg-config", "c++")
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    flags = [
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
        "-DCMAKE_INSTALL_LIBDIR=lib",
        "-DCMAKE_C_FLAGS=-O1 -DCAQ_PORTABLE_ONLY=1",
    ]
    alone = shutil.copytree(CSRC, tmp_path / "csrc")
    run("cmake", "-S", alone, "-B", build, f"-DBUILD_SHARED_LIBS={shared}", *flags)
    run("cmake", "--build", build)
    run("cmake", "--install", build)
    prefix = prefix.rename(tmp_path / "moved")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    environment["LD_LIBRARY_PATH"] = str(prefix / "lib")
    packages = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "coreai_quant"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
    run("c++", *strict, EXAMPLES / "host.cpp", *packages, "-o", tmp_path / "host")
    check_host(run("env", f"LD_LIBRARY_PATH={prefix / 'lib'}", tmp_path / "host"))

    user = tmp_path / "user"
    user.mkdir()
    (user / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(user CXX)\n"
        "find_package(coreai_quant 0.1 REQUIRED)\n"
        f"add_executable(host {EXAMPLES / 'host.cpp'})\n"
        "target_compile_features(host PRIVATE cxx_std_17)\n"
        "target_link_libraries(host PRIVATE coreai_quant::coreai_quant)\n"
    )
    run("cmake", "-S", user, "-B", user / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", user / "build")
    check_host(run(user / "build" / "host"))


def check_host(printed: str) -> None:
    """The example's sums are those of the reference's decoded rows, added in the same order."""
    weight: npt.NDArray[Any] = np.arange(8 * 256) * 7919 % 255 - 127
    weight = (weight.astype(np.float32) / np.float32(1024)).reshape(8, 256)
    stored = reference.quantize(
        weight, FORMATS["int4"], symmetric=True, block_sizes=(1, 32), e8m0_scale=False
    )
    decoded = reference.dequantize(*stored, FORMATS["int4"], weight.shape, weight.dtype)
    lines = [
        f"row {row}: {sum(w * 0.5 for w in decoded[row].tolist()):+.6f}, "
        f"exactly {sum(w * 0.5 for w in weight[row].tolist()):+.6f}"
        for row in range(8)
    ]
    assert printed.splitlines() == lines
