"""The golden digests: the reference makes them, and all that is built from ``csrc`` gives them."""

import functools
import subprocess
from pathlib import Path

import pytest

from coreai_opt import _native

from ..support.targets import TARGETS, BuildProgram
from . import corpus_of_tables
from .corpus import LAYOUTS, Case, Layout, cases, read_table, table

THREADS = range(1, 9)


@pytest.fixture(scope="module")
def golden() -> set[str]:
    return set(read_table())


def native_digest(case: Case, threads: int) -> str:
    decode = functools.partial(_native.dequantize, num_threads=threads)
    feed = _native.encode_with_feedback
    return case.digest(_native.quantize, decode, feed, num_threads=threads)


def test_the_table_is_what_the_reference_gives() -> None:
    changed = [line for line in zip(read_table(), table(), strict=True) if line[0] != line[1]]
    assert changed == [], "`python tests/golden/corpus.py` writes the table anew"


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("level", _native.levels())
def test_native_gives_the_digests(
    level: str, layout: Layout, golden: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COREAI_OPT_ISA", level)
    for case in cases(layout):
        assert case.line(native_digest(case, 1)) in golden


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_native_gives_the_digests_in_threads(
    layout: Layout, threads: int, golden: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    monkeypatch.setattr(_native, "WORTH_A_THREAD", 1)
    for case in cases(layout):
        assert case.line(native_digest(case, threads)) in golden


LEVELS = {
    "host": _native.levels(),
    "aarch64": ("portable", "neon"),
}
"""What there is beside the portable level."""

HAVE_TABLES = ("host", "aarch64", "riscv64", "s390x")
"""For processors with registers of 32 bits the library has no look-up tables."""


def test_the_look_up_tables_are_what_the_reference_gives() -> None:
    assert corpus_of_tables.TABLE.read_text().splitlines() == corpus_of_tables.table(), (
        "`python -m tests.golden.corpus_of_tables` writes the table anew"
    )


# What runs under sanitizers in tests/csrc is left out: it takes long to compile.
@pytest.mark.parametrize("name", [name for name in TARGETS if name != "host, sanitized"])
def test_the_c_library_gives_the_digests(name: str, build_for: BuildProgram) -> None:
    programs = {"golden.c": sum(1 for layout in LAYOUTS for _ in cases(layout))}
    if name in HAVE_TABLES:
        programs["golden_tables.c"] = sum(1 for _ in corpus_of_tables.cases())
    for source, count in programs.items():
        command = build_for(name, Path(__file__).with_name(source))
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert result.stdout.splitlines() == [
            f"{level}: {count} of {count} digests are right"
            for level in LEVELS.get(name, ["portable"])
        ]
        assert (result.returncode, result.stderr) == (0, "")
